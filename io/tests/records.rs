//! Are records produced and fetched as clients do it, over real sockets, on one thread and several?

#[path = "support/wire.rs"]
mod wire;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, InitProducerIdRequest,
    ListOffsetsRequest, OffsetForLeaderEpochRequest, ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use quorate_io::broker::{Broker, Loop, StopError, Stores};
use quorate_io::cli::{Durability, Settings};
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use quorate_io::disk::OnFatal;
use quorate_io::log::contract::record_set;
use quorate_io::stores::{Memory, open_folder};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use uuid::Uuid;

use wire::Connection;

/// When the records are from.
const T: i64 = 1_700_000_000_000;
/// Nobody in particular.
const ANYONE: (i64, i16) = (-1, -1);
/// A version of Produce and one of Fetch that name topics by name.
const PRODUCE: i16 = 9;
const FETCH: i16 = 12;

/// A broker that runs in this process.
struct Running {
    runtime: Runtime,
    broker: Broker,
    threads: Vec<JoinHandle<()>>,
    address: String,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

fn entropy() -> Entropy {
    Arc::new(|bytes| getrandom::fill(bytes).expect("the system gives random bytes"))
}

fn start(cores: usize, stores: Stores) -> Running {
    let runtime = runtime();
    let mut threads = Vec::new();
    let spawn = |_, run: Loop| {
        threads.push(std::thread::spawn(move || {
            LocalSet::new().block_on(&self::runtime(), async move { run().await });
        }));
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let (settings, clock) = (Settings::default(), Clock::system());
    let mut broker = Broker::start::<tokio::net::TcpListener>(
        settings,
        cores,
        spawn,
        vec![listener],
        stores,
        clock,
        entropy(),
    );
    let address = runtime.block_on(broker.listening()).expect("it listens")[0].to_string();
    Running { runtime, broker, threads, address }
}

fn ephemeral(cores: usize) -> Running {
    start(cores, Memory::default().open(&entropy()))
}

fn in_folder(folder: &Path) -> Running {
    let on_fatal: OnFatal = Arc::new(|fatal| panic!("the stores can be written: {fatal}"));
    let stores = open_folder(folder, Durability::Os, &entropy(), &on_fatal);
    start(2, stores.expect("the folder opens"))
}

impl Running {
    fn connect(&self) -> Connection {
        Connection::open(&self.address).expect("it accepts")
    }

    fn stop(self) -> Result<(), StopError> {
        assert_eq!(self.broker.panics(), 0);
        let stopped = self.runtime.block_on(self.broker.stop());
        self.threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        stopped
    }
}

fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from_string(text.to_owned()))
}

fn create(client: &mut Connection, topic: &str, partitions: i32) -> Uuid {
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
    let created = client.call(7, &request).expect("an answer").topics.remove(0);
    assert_eq!(created.error_code, 0);
    created.topic_id
}

/// A Produce of one record set for each partition.
fn produce(topic: (&str, Uuid), acks: i16, sets: &[(i32, Bytes)]) -> ProduceRequest {
    let sets = sets.iter().map(|(index, set)| {
        PartitionProduceData::default().with_index(*index).with_records(Some(set.clone()))
    });
    let topic = TopicProduceData::default()
        .with_name(name(topic.0))
        .with_topic_id(topic.1)
        .with_partition_data(sets.collect());
    ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

/// A Fetch from the offset of each partition.
fn fetch(topic: (&str, Uuid), wait_ms: i32, offsets: &[(i32, i64)]) -> FetchRequest {
    let parts = offsets.iter().map(|(index, offset)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20)
    });
    let topic = FetchTopic::default()
        .with_topic(name(topic.0))
        .with_topic_id(topic.1)
        .with_partitions(parts.collect());
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// Produces in a version and gives error code and base offset of each partition.
fn produced(
    client: &mut Connection,
    version: i16,
    topic: (&str, Uuid),
    sets: &[(i32, Bytes)],
) -> Vec<(i32, i16, i64)> {
    let answer = client.call(version, &produce(topic, -1, sets)).expect("an answer");
    let partitions = answer.responses.into_iter().flat_map(|topic| topic.partition_responses);
    partitions.map(|told| (told.index, told.error_code, told.base_offset)).collect()
}

/// What a Fetch gives of each partition: its number, error code, high watermark, records.
type Fetched = (i32, i16, i64, Bytes);

fn fetched(client: &mut Connection, version: i16, request: &FetchRequest) -> Vec<Fetched> {
    client.send(version, request).expect("it reads");
    received(client, version)
}

fn received(client: &mut Connection, version: i16) -> Vec<Fetched> {
    let answer = client.answer::<FetchRequest>(version).expect("an answer");
    let partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    partitions
        .map(|told| {
            let records = told.records.unwrap_or_default();
            (told.partition_index, told.error_code, told.high_watermark, records)
        })
        .collect()
}

/// A batch as it is in the log.
fn stored(set: &Bytes, base: i64) -> Bytes {
    let mut stored = set.to_vec();
    stored[..8].copy_from_slice(&base.to_be_bytes());
    stored[12..16].fill(0);
    stored.into()
}

#[test]
fn partitions_are_read_in_the_order_of_the_request_until_the_answer_is_full() {
    for cores in [1, 2, 3] {
        let broker = ephemeral(cores);
        let mut client = broker.connect();
        let topic = ("t", create(&mut client, "t", 6));
        let set = record_set(&[b"one", b"two"], T, ANYONE, -1);
        let sets: Vec<_> = (0..6).map(|index| (index, set.clone())).collect();
        produced(&mut client, PRODUCE, topic, &sets);
        for order in [[0, 1, 2, 3, 4, 5], [3, 2, 1, 0, 5, 4]] {
            let most = i32::try_from(set.len() * 5 / 2).expect("it is short");
            let request = fetch(topic, 0, &order.map(|index| (index, 0))).with_max_bytes(most);
            let got = fetched(&mut client, FETCH, &request).into_iter();
            let full: Vec<i32> = got.filter(|part| !part.3.is_empty()).map(|part| part.0).collect();
            assert_eq!(full, order[..2], "{cores}");
        }
        drop(client);
        assert_eq!(broker.stop(), Ok(()));
    }
}

#[test]
fn who_reads_what_is_committed_is_told_of_no_aborted_transactions() {
    let broker = ephemeral(1);
    let mut client = broker.connect();
    let topic = ("t", create(&mut client, "t", 1));
    for (level, expected) in [(0, None), (1, Some(vec![]))] {
        let request = fetch(topic, 0, &[(0, 0)]).with_isolation_level(level);
        let mut answer = client.call(FETCH, &request).expect("an answer");
        let partition = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(partition.aborted_transactions, expected);
    }
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn an_append_that_has_no_time_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = in_folder(folder.path());
    let mut client = broker.connect();
    let topic = ("t", create(&mut client, "t", 1));
    for (base, timeout) in (0..).zip([0, -1, 0, -1]) {
        let set = record_set(&[b"one"], T, ANYONE, -1);
        let request = produce(topic, -1, &[(0, set)]).with_timeout_ms(timeout);
        let mut answer = client.call(PRODUCE, &request).expect("an answer");
        let told = answer.responses.remove(0).partition_responses.remove(0);
        assert_eq!((told.error_code, told.base_offset), (0, base));
    }
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn what_is_produced_is_fetched_as_it_was_in_every_version() {
    for cores in [1, 3] {
        let broker = ephemeral(cores);
        let mut client = broker.connect();
        let topic = ("t", create(&mut client, "t", 7));
        for version in 3..=13 {
            let sets: Vec<(i32, Bytes)> =
                (0..7).map(|index| (index, record_set(&[b"one", b"two"], T, ANYONE, -1))).collect();
            let base = 2 * i64::from(version - 3);
            let told: Vec<_> = (0..7).map(|index| (index, 0, base)).collect();
            assert_eq!(produced(&mut client, version, topic, &sets), told);
        }
        let set = record_set(&[b"one", b"two"], T, ANYONE, -1);
        for version in 4..=18 {
            let request = fetch(topic, 0, &[(6, 21), (0, 20), (3, 22), (5, 23)]);
            let told = [
                (6, 0, 22, stored(&set, 20)),
                (0, 0, 22, stored(&set, 20)),
                (3, 0, 22, Bytes::new()),
                (5, ResponseError::OffsetOutOfRange.code(), -1, Bytes::new()),
            ];
            assert_eq!(fetched(&mut client, version, &request), told);
        }
        drop(client);
        assert_eq!(broker.stop(), Ok(()));
    }
}

#[test]
fn a_fetch_that_waits_is_answered_when_a_record_comes_to_any_of_its_partitions() {
    for cores in [1, 3] {
        let broker = ephemeral(cores);
        let (mut reader, mut writer) = (broker.connect(), broker.connect());
        let topic = ("t", create(&mut writer, "t", 5));
        let set = record_set(&[b"v"], T, ANYONE, -1);
        let mut ends = [0; 5];
        for index in [0, 1, 2, 3, 4, 4, 0, 2] {
            let offsets: Vec<(i32, i64)> = (0..).zip(ends).collect();
            reader.send(FETCH, &fetch(topic, 20_000, &offsets)).expect("it reads");
            produced(&mut writer, PRODUCE, topic, &[(index, set.clone())]);
            let told = received(&mut reader, FETCH).into_iter();
            let came: Vec<_> = told.filter(|told| !told.3.is_empty()).collect();
            let end = &mut ends[index as usize];
            assert_eq!(came, [(index, 0, *end + 1, stored(&set, *end))]);
            *end += 1;
        }
        drop((reader, writer));
        assert_eq!(broker.stop(), Ok(()));
    }
}

#[test]
fn a_fetch_that_waits_is_answered_when_its_topic_is_deleted_or_the_broker_stops() {
    let broker = ephemeral(3);
    let (mut reader, mut other) = (broker.connect(), broker.connect());
    let stays = create(&mut other, "stays", 1);
    let unknown =
        [(12, ResponseError::UnknownTopicOrPartition), (13, ResponseError::UnknownTopicId)];
    for (version, unknown) in unknown {
        let gone = create(&mut other, "gone", 1);
        let request = fetch(("gone", gone), 20_000, &[(0, 0)]);
        reader.send(version, &request).expect("it reads");
        let topic = DeleteTopicState::default().with_name(Some(name("gone")));
        let request =
            DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
        other.call(6, &request).expect("an answer");
        assert_eq!(received(&mut reader, version), [(0, unknown.code(), -1, Bytes::new())]);
    }
    reader.send(FETCH, &fetch(("stays", stays), 20_000, &[(0, 0)])).expect("it reads");
    drop(other);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn acks_0_get_no_answer_and_a_fault_closes_the_connection() {
    let broker = ephemeral(2);
    let mut client = broker.connect();
    let topic = ("t", create(&mut client, "t", 2));
    let set = record_set(&[b"v"], T, ANYONE, -1);
    client.send(PRODUCE, &produce(topic, 0, &[(0, set.clone()), (1, set.clone())])).expect("sent");
    let told = produced(&mut client, PRODUCE, topic, &[(0, set.clone()), (1, set.clone())]);
    assert_eq!(told, [(0, 0, 1), (1, 0, 1)], "the answer is that to the second request");
    client.send(PRODUCE, &produce(topic, 0, &[(0, set.clone()), (9, set)])).expect("sent");
    let closed = client.answer::<ProduceRequest>(PRODUCE).expect_err("it is closed");
    assert_eq!(closed.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn nothing_is_produced_to_the_offsets_topic_which_is_empty() {
    let broker = ephemeral(2);
    let mut client = broker.connect();
    let set = record_set(&[b"v"], T, ANYONE, -1);
    let topic = ("__consumer_offsets", Uuid::nil());
    let refused = ResponseError::InvalidTopicException.code();
    assert_eq!(produced(&mut client, PRODUCE, topic, &[(7, set)]), [(7, refused, -1)]);
    let request = fetch(topic, 0, &[(7, 0)]);
    assert_eq!(fetched(&mut client, FETCH, &request), [(7, 0, 0, Bytes::new())]);
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn each_idempotent_producer_has_an_id_of_its_own_and_a_transactional_one_none() {
    let broker = ephemeral(3);
    let ids: Vec<(i16, i64, i16)> = (0..5)
        .map(|_| {
            let mut client = broker.connect();
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let told = client.call(4, &request).expect("an answer");
            (told.error_code, told.producer_id.0, told.producer_epoch)
        })
        .collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    assert!(ids.iter().all(|(error, id, epoch)| (*error, *epoch) == (0, 0) && *id >= 0));
    let refused = ResponseError::TransactionalIdAuthorizationFailed.code();
    let mut client = broker.connect();
    for (id, error) in [("", ResponseError::InvalidRequest.code()), ("tx", refused)] {
        let id = TransactionalId(StrBytes::from_static_str(id));
        let request = InitProducerIdRequest::default().with_transactional_id(Some(id));
        let told = client.call(4, &request).expect("an answer");
        let told = (told.error_code, told.producer_id.0, told.producer_epoch);
        assert_eq!(told, (error, -1, -1));
    }
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

/// Error code, offset and leader epoch of the end.
fn latest(client: &mut Connection, topic: &str) -> (i16, i64, i32) {
    let part = ListOffsetsPartition::default().with_timestamp(-1).with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![part]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let told = client.call(7, &request).expect("an answer").topics.remove(0).partitions.remove(0);
    (told.error_code, told.offset, told.leader_epoch)
}

#[test]
fn records_and_what_is_known_of_producers_are_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = in_folder(folder.path());
    let mut client = broker.connect();
    let topic = ("t", create(&mut client, "t", 1));
    let sets: Vec<Bytes> = (0..5).map(|n| record_set(&[b"a", b"b"], T, (7, 0), 2 * n)).collect();
    for (n, set) in (0..).zip(&sets) {
        assert_eq!(produced(&mut client, PRODUCE, topic, &[(0, set.clone())]), [(0, 0, 2 * n)]);
    }
    drop(client);
    assert_eq!(broker.stop(), Ok(()));

    let broker = in_folder(folder.path());
    let mut client = broker.connect();
    assert_eq!(latest(&mut client, "t"), (0, 10, 0));
    assert_eq!(produced(&mut client, PRODUCE, topic, &[(0, sets[3].clone())]), [(0, 0, 6)]);
    let gap = record_set(&[b"x"], T, (7, 0), 99);
    let out_of_order = ResponseError::OutOfOrderSequenceNumber.code();
    assert_eq!(produced(&mut client, PRODUCE, topic, &[(0, gap)]), [(0, out_of_order, -1)]);
    let all: Vec<u8> = (0..).zip(&sets).flat_map(|(n, set)| stored(set, 2 * n)).collect();
    let request = fetch(topic, 0, &[(0, 0)]);
    assert_eq!(fetched(&mut client, FETCH, &request), [(0, 0, 10, Bytes::from(all))]);
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

/// Fetches in a session; error code, session id, and the partitions that are told of.
fn in_session(client: &mut Connection, request: FetchRequest) -> (i16, i32, Vec<(i32, i64)>) {
    let answer = client.call(FETCH, &request).expect("an answer");
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let told = partitions.map(|told| (told.partition_index, told.high_watermark));
    (answer.error_code, answer.session_id, told.collect())
}

/// As Kafka's recorded answers (subject logs, `fetch_sessions`).
#[test]
fn a_fetch_session_tells_of_what_has_changed() {
    let broker = ephemeral(2);
    let mut client = broker.connect();
    let topic = ("t", create(&mut client, "t", 3));
    let all = fetch(topic, 0, &[(0, 0), (1, 0), (2, 0)]);
    let all = all.with_session_epoch(0);
    let (error, id, told) = in_session(&mut client, all);
    assert!(id > 0);
    assert_eq!((error, told), (0, vec![(0, 0), (1, 0), (2, 0)]));
    let on = |epoch: i32| fetch(topic, 0, &[]).with_session_id(id).with_session_epoch(epoch);
    assert_eq!(in_session(&mut client, on(1)), (0, id, vec![]));
    let set = record_set(&[b"v"], T, ANYONE, -1);
    produced(&mut client, PRODUCE, topic, &[(1, set)]);
    assert_eq!(in_session(&mut client, on(2)), (0, id, vec![(1, 1)]));
    let wrong_epoch = ResponseError::InvalidFetchSessionEpoch.code();
    for epoch in [2, 4] {
        assert_eq!(in_session(&mut client, on(epoch)), (wrong_epoch, 0, vec![]));
    }
    let read = fetch(topic, 0, &[(1, 1)]).with_session_id(id).with_session_epoch(3);
    assert_eq!(in_session(&mut client, read), (0, id, vec![]));
    let gone = ForgottenTopic::default().with_topic(name("t")).with_partitions(vec![0, 1, 2]);
    let forgets = on(4).with_forgotten_topics_data(vec![gone]);
    assert_eq!(in_session(&mut client, forgets), (0, 0, vec![]));
    let unknown = ResponseError::FetchSessionIdNotFound.code();
    assert_eq!(in_session(&mut client, on(5)), (unknown, 0, vec![]));
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

/// As Kafka's recorded answers (subject logs, `offset_for_leader_epoch`).
#[test]
fn an_epoch_ends_where_the_log_does_and_one_that_is_to_come_nowhere() {
    let broker = ephemeral(2);
    let mut client = broker.connect();
    let topic = ("t", create(&mut client, "t", 1));
    produced(&mut client, PRODUCE, topic, &[(0, record_set(&[b"a", b"b"], T, ANYONE, -1))]);
    let unknown_epoch = ResponseError::UnknownLeaderEpoch.code();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let cases = [
        ((0, 0, -1), (0, 0, 2)),
        ((0, 0, 0), (0, 0, 2)),
        ((0, 5, -1), (0, -1, -1)),
        ((0, 0, 5), (unknown_epoch, -1, -1)),
        ((0, -1, -1), (0, -1, -1)),
        ((9, 0, -1), (unknown, -1, -1)),
    ];
    for version in 2..=4 {
        for ((index, epoch, known), expected) in cases {
            let part = OffsetForLeaderPartition::default()
                .with_partition(index)
                .with_leader_epoch(epoch)
                .with_current_leader_epoch(known);
            let topic =
                OffsetForLeaderTopic::default().with_topic(name("t")).with_partitions(vec![part]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let told = client.call(version, &request).expect("an answer");
            let told = &told.topics[0].partitions[0];
            assert_eq!((told.error_code, told.leader_epoch, told.end_offset), expected);
        }
    }
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}
