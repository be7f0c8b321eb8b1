//! Do the configs of topics do what they say, on a broker that runs, and after a restart?

#[path = "support/broker.rs"]
mod broker;
#[path = "support/wire.rs"]
mod wire;

use broker::Broker;
use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DescribeConfigsRequest, DescribeLogDirsRequest,
    DescribeProducersRequest, FetchRequest, IncrementalAlterConfigsRequest, ListOffsetsRequest,
    ProduceRequest, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use quorate_io::clock::Clock;
use quorate_io::guard::batch::{BatchHeader, Batches, Compression, HEADER_BYTES};
use quorate_io::guard::record::Records;
use quorate_io::log::contract::{keyed_set, record_set};
use wire::Connection;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
/// Nobody in particular.
const ANYONE: (i64, i16) = (-1, -1);
const MESSAGE_TOO_LARGE: i16 = 10;
const EARLIEST: i64 = -2;

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn now() -> i64 {
    Clock::system().now().wall.0
}

fn start(arguments: &[&str]) -> (Broker, Connection) {
    let broker = Broker::start(arguments);
    let connection = Connection::open(&broker.address).expect("it accepts");
    (broker, connection)
}

fn create(client: &mut Connection, topic: &str, configs: &[(&str, &str)]) -> i16 {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(s(name)).with_value(Some(s(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(TopicName(s(topic)))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
    client.call(5, &request).expect("an answer").topics[0].error_code
}

fn alter(client: &mut Connection, kind: i8, of: &str, name: &str, value: Option<&str>) -> i16 {
    let config = AlterableConfig::default()
        .with_name(s(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(s));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(of))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).expect("an answer").responses[0].error_code
}

/// Value and source of a config.
fn described(client: &mut Connection, kind: i8, of: &str, name: &str) -> (String, i8) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(of))
        .with_configuration_keys(Some(vec![s(name)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let config = client.call(4, &request).expect("an answer").results.remove(0).configs.remove(0);
    (config.value.expect("a value").to_string(), config.config_source)
}

fn produce(client: &mut Connection, topic: &str, set: Bytes) -> PartitionProduceResponse {
    let partition = PartitionProduceData::default().with_records(Some(set));
    let topic = TopicProduceData::default()
        .with_name(TopicName(s(topic)))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    client.call(9, &request).expect("an answer").responses[0].partition_responses[0].clone()
}

fn fetch(client: &mut Connection, topic: &str, offset: i64) -> Bytes {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    let topic =
        FetchTopic::default().with_topic(TopicName(s(topic))).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_max_wait_ms(0)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    let mut answer = client.call(12, &request).expect("an answer");
    answer.responses.remove(0).partitions.remove(0).records.expect("records")
}

fn earliest(client: &mut Connection, topic: &str) -> i64 {
    let partition =
        ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(EARLIEST);
    let topic =
        ListOffsetsTopic::default().with_name(TopicName(s(topic))).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    client.call(5, &request).expect("an answer").topics[0].partitions[0].offset
}

/// Asks until a partition begins there.
fn begins_at(client: &mut Connection, topic: &str, offset: i64) {
    for _ in 0..1_000_000 {
        match earliest(client, topic) {
            start if start == offset => return,
            start => assert!(start < offset, "it begins at {start}, after {offset}"),
        }
    }
    panic!("{topic} never begins at {offset}");
}

#[test]
fn the_largest_batch_is_the_topics_word_then_the_brokers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let data = ["--data", data.to_str().expect("a path")];
    let (broker, mut client) = start(&data);
    create(&mut client, "t", &[]);
    let large = record_set(&[&[7; 1000]], now(), ANYONE, -1);
    let taken = |client: &mut Connection| produce(client, "t", large.clone()).error_code;
    assert_eq!(taken(&mut client), 0);
    assert_eq!(alter(&mut client, BROKER, "", "message.max.bytes", Some("500")), 0);
    assert_eq!(taken(&mut client), MESSAGE_TOO_LARGE);
    assert_eq!(alter(&mut client, BROKER, "1", "message.max.bytes", Some("2000")), 0);
    assert_eq!(taken(&mut client), 0);
    assert_eq!(alter(&mut client, TOPIC, "t", "max.message.bytes", Some("400")), 0);
    assert_eq!(taken(&mut client), MESSAGE_TOO_LARGE);
    assert_eq!(alter(&mut client, GROUP, "g", "consumer.session.timeout.ms", Some("50000")), 0);
    drop(broker);

    let (_broker, mut client) = start(&data);
    assert_eq!(taken(&mut client), MESSAGE_TOO_LARGE, "after a restart");
    let topic = described(&mut client, TOPIC, "t", "max.message.bytes");
    assert_eq!(topic, ("400".to_owned(), 1));
    assert_eq!(alter(&mut client, TOPIC, "t", "max.message.bytes", None), 0);
    let topic = described(&mut client, TOPIC, "t", "max.message.bytes");
    assert_eq!(topic, ("2000".to_owned(), 2));
    assert_eq!(taken(&mut client), 0);
    let group = described(&mut client, GROUP, "g", "consumer.session.timeout.ms");
    assert_eq!(group, ("50000".to_owned(), 8));
}

#[test]
fn records_get_the_time_of_their_append_if_the_topic_says_so() {
    let (_broker, mut client) = start(&["--ephemeral"]);
    assert_eq!(create(&mut client, "t", &[("message.timestamp.type", "LogAppendTime")]), 0);
    let before = now();
    // Older than any topic would keep, and newer than any would take.
    for time in [0, now() + 1_000_000_000] {
        let told = produce(&mut client, "t", record_set(&[b"a", b"b"], time, ANYONE, -1));
        assert_eq!(told.error_code, 0);
        assert!((before..=now()).contains(&told.log_append_time_ms));
        let fetched = fetch(&mut client, "t", told.base_offset);
        let header = BatchHeader::parse(&fetched).expect("a batch");
        assert_eq!(header.attributes, 0x08);
        assert_eq!(header.max_timestamp, told.log_append_time_ms);
        assert_eq!(header.base_timestamp, time, "Kafka leaves it");
        assert_eq!(header.crc, crc32c::crc32c(&fetched[21..]));
    }
}

#[test]
fn records_are_deleted_before_an_offset() {
    let (_broker, mut client) = start(&["--ephemeral"]);
    create(&mut client, "t", &[]);
    create(&mut client, "compacted", &[("cleanup.policy", "compact")]);
    for _ in 0..4 {
        produce(&mut client, "t", record_set(&[b"a", b"b"], now(), ANYONE, -1));
    }
    let mut delete = |topic: &str, index: i32, offset: i64| {
        let partition =
            DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(TopicName(s(topic)))
            .with_partitions(vec![partition]);
        let request =
            DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
        let answer = client.call(2, &request).expect("an answer");
        let told = &answer.topics[0].partitions[0];
        (told.error_code, told.low_watermark)
    };
    assert_eq!(delete("t", 0, 3), (0, 3));
    assert_eq!(delete("t", 0, 2), (0, 3), "it begins later already");
    assert_eq!(delete("t", 0, 9), (1, -1), "out of range");
    assert_eq!(delete("t", 7, 0), (3, -1));
    assert_eq!(delete("compacted", 0, 0), (44, -1), "the topic's policy is another");
    assert_eq!(delete("t", 0, -1), (0, 8), "all there is");
    assert_eq!(earliest(&mut client, "t"), 8);
}

/// The batch at the end of a test's partition, which is new enough to stay.
fn newest(client: &mut Connection, topic: &str) -> i64 {
    produce(client, topic, record_set(&[b"new"], now(), ANYONE, -1)).base_offset
}

const SWEEP_ALWAYS: [&str; 5] = [
    "--ephemeral",
    "--set",
    "log.initial.task.delay.ms=0",
    "--set",
    "log.retention.check.interval.ms=1",
];

#[test]
fn what_is_too_old_goes() {
    let (_broker, mut client) = start(&SWEEP_ALWAYS);
    create(&mut client, "kept", &[("retention.ms", "-1")]);
    create(&mut client, "t", &[("retention.ms", "3600000")]);
    const HOUR: i64 = 3_600_000;
    for topic in ["kept", "t"] {
        produce(&mut client, topic, record_set(&[b"old"], now() - 8 * HOUR, ANYONE, -1));
        produce(&mut client, topic, record_set(&[b"old"], now() - 4 * HOUR, ANYONE, -1));
    }
    let new = newest(&mut client, "t");
    begins_at(&mut client, "t", new);
    assert_eq!(earliest(&mut client, "kept"), 0);
    // A topic that is altered is held to what it says now.
    alter(&mut client, TOPIC, "kept", "retention.ms", Some("21600000"));
    begins_at(&mut client, "kept", 1);
}

#[test]
fn what_is_too_much_goes() {
    let (_broker, mut client) = start(&SWEEP_ALWAYS);
    create(&mut client, "t", &[("retention.bytes", "2500")]);
    for _ in 0..4 {
        produce(&mut client, "t", record_set(&[&[7; 1000]], now(), ANYONE, -1));
    }
    // Of four batches of more than 1,000 bytes the last three have more than 2,500.
    begins_at(&mut client, "t", 1);
    alter(&mut client, TOPIC, "t", "retention.bytes", Some("100"));
    begins_at(&mut client, "t", 3);
}

/// Key and value of each record that is read from the start on.
fn pairs(client: &mut Connection, topic: &str) -> Vec<(String, Option<String>)> {
    let fetched = fetch(client, topic, 0);
    let mut pairs = Vec::new();
    for batch in Batches::new(&fetched) {
        let batch = batch.expect("a batch");
        let header = BatchHeader::parse(batch).expect("a header");
        let body = header.unpacked(batch).expect("it is unpacked");
        for record in Records::new(&header, &body) {
            let record = record.expect("a record");
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            pairs.push((text(record.key.expect("a key")), record.value.map(text)));
        }
    }
    pairs
}

/// Of a small request that rejects very many records not all are told of.
#[test]
fn rejected_records_are_told_of_until_the_answer_has_ten_thousand() {
    let (_broker, mut client) = start(&["--ephemeral"]);
    assert_eq!(create(&mut client, "t", &[("cleanup.policy", "compact")]), 0);
    let set = record_set(&[b"v".as_slice(); 4_000], now(), ANYONE, -1);
    let partition = PartitionProduceData::default().with_records(Some(set));
    let topic = TopicProduceData::default()
        .with_name(TopicName(s("t")))
        .with_partition_data(vec![partition; 5]);
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
    let mut answer = client.call(9, &request).expect("an answer");
    let answers = answer.responses.remove(0).partition_responses;
    let told = answers.iter().map(|told| (told.error_code, told.record_errors.len()));
    assert_eq!(told.collect::<Vec<_>>(), [4_000, 4_000, 2_000, 3, 3].map(|told| (87, told)));
    let words = "Compacted topic cannot accept message without key in topic partition t-0";
    let shown = |index| format!("RecordError(batchIndex={index}, message='{words}')");
    let message = format!(
        "One or more records have been rejected due to 4000 record errors in total, and only \
         showing the first three errors at most: [{}, {}, {}]",
        shown(0),
        shown(1),
        shown(2)
    );
    for answer in answers {
        assert_eq!(answer.error_message.as_deref(), Some(&*message));
        for (index, told) in (0..).zip(answer.record_errors) {
            let told = (told.batch_index, told.batch_index_error_message);
            assert_eq!(told, (index, Some(s(words))));
        }
    }
}

#[test]
fn a_compacted_topic_keeps_the_last_record_of_each_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut arguments = vec!["--data", data.to_str().expect("a path")];
    arguments.extend(["--set", "log.initial.task.delay.ms=0", "--set", "log.cleaner.backoff.ms=1"]);
    let (broker, mut client) = start(&arguments);
    let compacts = [("cleanup.policy", "compact"), ("delete.retention.ms", "0")];
    assert_eq!(create(&mut client, "t", &compacts), 0);
    let refused = produce(&mut client, "t", record_set(&[b"no key"], now(), ANYONE, -1));
    let words = "Compacted topic cannot accept message without key in topic partition t-0";
    assert_eq!(refused.error_code, 87);
    assert_eq!(refused.record_errors[0].batch_index_error_message, Some(s(words)));
    let sets = [
        keyed_set(&[("a", Some("1")), ("b", Some("1"))], Compression::Lz4, ANYONE),
        keyed_set(&[("a", Some("2")), ("b", None)], Compression::None, ANYONE),
        keyed_set(&[("c", Some("3"))], Compression::Zstd, ANYONE),
        keyed_set(&[("d", Some("4"))], Compression::None, ANYONE),
    ];
    for set in sets {
        assert_eq!(produce(&mut client, "t", set).error_code, 0);
    }
    let pair = |(key, value): (&str, &str)| (key.to_owned(), Some(value.to_owned()));
    let mut expected = [("a", "2"), ("c", "3"), ("d", "4")].map(pair).to_vec();
    // That it was deleted is told until the partition is gone through again.
    expected.insert(1, ("b".to_owned(), None));
    becomes(&mut client, &expected);
    drop(broker);
    let (_broker, mut client) = start(&arguments);
    let set = keyed_set(&[("a", Some("5"))], Compression::None, ANYONE);
    assert_eq!(produce(&mut client, "t", set).base_offset, 6);
    produce(&mut client, "t", keyed_set(&[("z", Some("6"))], Compression::None, ANYONE));
    expected.drain(..2);
    expected.extend([("a", "5"), ("z", "6")].map(pair));
    becomes(&mut client, &expected);
}

/// Asks until these are the records there are.
fn becomes(client: &mut Connection, expected: &[(String, Option<String>)]) {
    let mut found = Vec::new();
    for _ in 0..200_000 {
        found = pairs(client, "t");
        if found == expected {
            return;
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn an_operator_is_told_of_bytes_and_producers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let (_broker, mut client) = start(&["--data", data.to_str().expect("a path")]);
    create(&mut client, "t", &[]);
    let set = record_set(&[b"a", b"b"], 1000, (7, 3), 0);
    let bytes = set.len() as i64;
    assert_eq!(produce(&mut client, "t", set).error_code, 0);

    let logs = client.call(4, &DescribeLogDirsRequest::default().with_topics(None));
    let logs = logs.expect("an answer").results.remove(0);
    let folder = data.canonicalize().expect("a folder");
    assert_eq!(logs.log_dir.as_str(), folder.to_str().expect("a path"));
    let topic = logs.topics.iter().find(|topic| topic.name.as_str() == "t").expect("a topic");
    assert_eq!(topic.partitions[0].partition_size, bytes);
    assert!(bytes > HEADER_BYTES as i64 && logs.usable_bytes > 0);
    assert!(logs.total_bytes >= logs.usable_bytes);

    let topic =
        TopicRequest::default().with_name(TopicName(s("t"))).with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let answer = client.call(0, &request).expect("an answer");
    let producer = ProducerState::default()
        .with_producer_id(ProducerId(7))
        .with_producer_epoch(3)
        .with_last_sequence(1)
        .with_last_timestamp(1001)
        .with_coordinator_epoch(-1)
        .with_current_txn_start_offset(-1);
    assert_eq!(answer.topics[0].partitions[0].active_producers, vec![producer]);
    assert_eq!(Batches::new(&fetch(&mut client, "t", 0)).count(), 1);
}
