//! Is everything that the broker acknowledged there again after `kill -9`?
//!
//! Writers append and commit as fast as they are answered, each to a partition and a group of its
//! own; the broker is killed after a number of answers that a seed chooses, and started again on
//! the same data. A writer then sends once more what was not answered, as an idempotent producer
//! does, so that in the end record `n` must be at offset `n`: nothing lost, nothing moved, nothing
//! there twice. Three rounds; 20 with `CI=true`.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/wire.rs"]
mod wire;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, SystemTime};

use broker::Broker;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FindCoordinatorRequest, GroupId, InitProducerIdRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wire::Connection;

const WRITERS: i32 = 4;
const TOPIC: &str = "killed";
const SEED: u64 = 3;
const NONE: i16 = 0;
/// What a broker answers for a moment after its start; the request is sent again.
const STARTING: [i16; 6] = [3, 5, 6, 14, 15, 16];
/// How a connection ends whose broker is killed, or fails to begin with a slow writer.
const GONE: [ErrorKind; 4] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::BrokenPipe,
    ErrorKind::ConnectionRefused,
];

fn name(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic() -> TopicName {
    TopicName(name(TOPIC))
}

/// One partition and one group, and what was acknowledged of them.
#[derive(Clone, Debug)]
struct Writer {
    partition: i32,
    producer: ProducerId,
    /// The number of records that are acknowledged, so the next record's value and sequence.
    appended: i64,
    /// The last offset whose commit is acknowledged, and the last that was sent.
    committed: i64,
    tried: i64,
}

impl Writer {
    fn new(partition: i32, connection: &mut Connection) -> Self {
        let mut writer =
            Self { partition, producer: ProducerId(-1), appended: 0, committed: -1, tried: -1 };
        let request = FindCoordinatorRequest::default().with_key(writer.group().0);
        let found = settled(|| {
            let response = connection.call(2, &request)?;
            Ok((response.error_code, ()))
        });
        assert_eq!(found.expect("a coordinator"), (NONE, ()));

        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let given = settled(|| {
            let response = connection.call(3, &request)?;
            writer.producer = response.producer_id;
            Ok((response.error_code, response.producer_epoch))
        });
        assert_eq!(given.expect("a producer id"), (NONE, 0));
        writer
    }

    fn group(&self) -> GroupId {
        GroupId(name(&format!("group-{}", self.partition)))
    }

    /// Appends and commits until the broker is gone; tells of each answer.
    fn write(&mut self, address: &str, answers: &Sender<()>) -> io::Result<()> {
        let mut connection = Connection::open(address)?;
        loop {
            let appended = self.append(&mut connection)?;
            assert_eq!(appended, (NONE, self.appended), "record n is given offset n");
            self.appended += 1;
            let _ = answers.send(());
            self.tried = self.appended;
            assert_eq!(self.commit(&mut connection)?, (NONE, ()), "offset {}", self.tried);
            self.committed = self.tried;
            let _ = answers.send(());
        }
    }

    /// Produces the next record; the error and the offset that it was given.
    fn append(&self, connection: &mut Connection) -> io::Result<(i16, i64)> {
        let partition = PartitionProduceData::default()
            .with_index(self.partition)
            .with_records(Some(self.batch()));
        let topic =
            TopicProduceData::default().with_name(topic()).with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        settled(|| {
            let response = connection.call(9, &request)?;
            let partition = &response.responses[0].partition_responses[0];
            Ok((partition.error_code, partition.base_offset))
        })
    }

    fn batch(&self) -> Bytes {
        let record = Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.producer.0,
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset: 0,
            sequence: i32::try_from(self.appended).expect("few records"),
            timestamp: now_ms(),
            key: None,
            value: Some(self.appended.to_string().into()),
            headers: Default::default(),
        };
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut batch, [&record], &options).expect("a record that fits");
        batch.freeze()
    }

    fn commit(&self, connection: &mut Connection) -> io::Result<(i16, ())> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(self.partition)
            .with_committed_offset(self.tried)
            .with_committed_metadata(Some(name(&format!("after {}", self.tried))));
        let topic =
            OffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        settled(|| {
            let response = connection.call(8, &request)?;
            Ok((response.topics[0].partitions[0].error_code, ()))
        })
    }

    /// What is stored is what was acknowledged, and at most the one request that was under way.
    fn check(&self, connection: &mut Connection) {
        let (offset, metadata) = self.stored_offset(connection);
        let allowed = [self.committed, self.tried];
        assert!(allowed.contains(&offset), "committed {offset}, and not one of {allowed:?}");
        let expected = if offset < 0 { String::new() } else { format!("after {offset}") };
        assert_eq!(metadata, expected);

        let found = self.stored_records(connection);
        let length = found.len() as i64;
        assert!(
            length == self.appended || length == self.appended + 1,
            "{length} records of {} that were acknowledged",
            self.appended
        );
        let expected: Vec<_> = (0..length).map(|n| (n, n.to_string())).collect();
        assert_eq!(found, expected);
    }

    fn stored_offset(&self, connection: &mut Connection) -> (i64, String) {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic())
            .with_partition_indexes(vec![self.partition]);
        let request = OffsetFetchRequest::default()
            .with_group_id(self.group())
            .with_topics(Some(vec![topic]));
        let (error, stored) = settled(|| {
            let response = connection.call(7, &request)?;
            let partition = response.topics.first().map(|topic| topic.partitions[0].clone());
            Ok((response.error_code, partition))
        })
        .expect("the offsets of a group");
        let partition = stored.expect("the partition that was asked for");
        assert_eq!((error, partition.error_code), (NONE, NONE));
        let metadata = partition.metadata.map(|metadata| metadata.to_string());
        (partition.committed_offset, metadata.unwrap_or_default())
    }

    /// Every record of the partition, as offset and value.
    fn stored_records(&self, connection: &mut Connection) -> Vec<(i64, String)> {
        let mut found = Vec::new();
        loop {
            let next = found.last().map_or(0, |(offset, _)| offset + 1);
            let partition = FetchPartition::default()
                .with_partition(self.partition)
                .with_fetch_offset(next)
                .with_partition_max_bytes(1 << 20);
            let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
            let request = FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![topic]);
            let (error, partition) = settled(|| {
                let response = connection.call(11, &request)?;
                let partition = response.responses[0].partitions[0].clone();
                Ok((partition.error_code, partition))
            })
            .expect("records");
            assert_eq!(error, NONE);
            if next == partition.high_watermark {
                return found;
            }
            let mut bytes = partition.records.expect("records before the end");
            for set in RecordBatchDecoder::decode_all(&mut bytes).expect("whole batches") {
                found.extend(set.records.into_iter().map(|record| {
                    let value = record.value.expect("a value");
                    (record.offset, String::from_utf8_lossy(&value).into_owned())
                }));
            }
        }
    }
}

/// A broker forgets producers whose records are old, so these carry the time.
#[expect(clippy::disallowed_methods, reason = "a client is where records get their time")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("a clock past 1970").as_millis())
        .expect("a clock before 292 million")
}

/// Asks again while the broker only says that it has just started; the last error and answer.
fn settled<T>(mut ask: impl FnMut() -> io::Result<(i16, T)>) -> io::Result<(i16, T)> {
    for _ in 0..1500 {
        let (error, answer) = ask()?;
        if !STARTING.contains(&error) {
            return Ok((error, answer));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ask()
}

fn create_topic(connection: &mut Connection) {
    let topic = CreatableTopic::default()
        .with_name(topic())
        .with_num_partitions(WRITERS)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let response = connection.call(5, &request).expect("a topic");
    assert_eq!(response.topics[0].error_code, NONE);
}

/// Lets all writers write, and kills the broker after so many answers.
fn write_until_killed(broker: Broker, writers: &mut [Writer], kill_after: usize) {
    let (answers, answered) = mpsc::channel();
    let address = broker.address.clone();
    std::thread::scope(|scope| {
        let threads: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                let (address, answers) = (&address, answers.clone());
                scope.spawn(move || writer.write(address, &answers))
            })
            .collect();
        for _ in 0..kill_after {
            // An error is the end of a writer: why is said where it is joined.
            if answered.recv_timeout(Duration::from_secs(60)).is_err() {
                break;
            }
        }
        drop(broker);
        for thread in threads {
            let gone = thread.join().expect("a writer asserts nothing that is false");
            let gone = gone.expect_err("a writer ends when the broker is gone").kind();
            assert!(GONE.contains(&gone), "the broker went away by {gone:?}");
        }
    });
}

fn serve(data: &Path) -> (Broker, Connection) {
    let broker = Broker::start(&["--data".as_ref(), data.as_os_str()]);
    let connection = Connection::open(&broker.address).expect("a connection");
    (broker, connection)
}

#[test]
fn everything_acknowledged_is_there_again_after_kill_9() {
    let rounds = if std::env::var("CI").is_ok_and(|ci| ci == "true") { 20 } else { 3 };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut moments = ChaCha8Rng::seed_from_u64(SEED);

    let (mut broker, mut connection) = serve(&data);
    create_topic(&mut connection);
    let mut writers: Vec<_> =
        (0..WRITERS).map(|partition| Writer::new(partition, &mut connection)).collect();
    for round in 1..=rounds {
        let kill_after = 1 + (moments.next_u32() % 400) as usize;
        println!("round {round}: killed after {kill_after} answers, seed {SEED}");
        write_until_killed(broker, &mut writers, kill_after);
        (broker, connection) = serve(&data);
        for writer in &writers {
            writer.check(&mut connection);
        }
    }
}
