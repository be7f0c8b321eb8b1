//! Does what was stored mean the same to a broker that starts with other settings?

#[path = "support/broker.rs"]
mod broker;
#[path = "support/wire.rs"]
mod wire;

use std::ffi::OsStr;
use std::path::Path;

use broker::Broker;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    CreateTopicsRequest, GroupId, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use wire::Connection;

const LOADING: i16 = 14;

fn name(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn serve(data: &Path, shards: &str) -> (Broker, Connection) {
    let shards = format!("offsets.topic.num.partitions={shards}");
    let arguments: [&OsStr; 4] =
        ["--data".as_ref(), data.as_os_str(), "--set".as_ref(), shards.as_ref()];
    let broker = Broker::start(&arguments);
    let connection = Connection::open(&broker.address).expect("a connection");
    (broker, connection)
}

/// Asks again while the group's shard is being loaded.
fn loaded<T>(mut ask: impl FnMut() -> (i16, T)) -> (i16, T) {
    for _ in 0..10_000 {
        let (error, answer) = ask();
        if error != LOADING {
            return (error, answer);
        }
        std::thread::yield_now();
    }
    ask()
}

fn commit(connection: &mut Connection, group: &str, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(name("t")))
        .with_partitions(vec![partition.with_committed_metadata(Some(name("")))]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(name(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let ask = || {
        let answer = connection.call(8, &request).expect("an answer");
        (answer.topics[0].partitions[0].error_code, ())
    };
    loaded(ask).0
}

fn committed(connection: &mut Connection, group: &str) -> (i16, Vec<i64>) {
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(name(group)))
        .with_topics(None)
        .with_require_stable(true);
    loaded(|| {
        let answer = connection.call(7, &request).expect("an answer");
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        (answer.error_code, partitions.map(|partition| partition.committed_offset).collect())
    })
}

fn partitions_of_the_offsets_topic(connection: &mut Connection) -> usize {
    let topic = MetadataRequestTopic::default();
    let topic = topic.with_name(Some(TopicName(name("__consumer_offsets"))));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    connection.call(9, &request).expect("an answer").topics[0].partitions.len()
}

#[test]
fn groups_are_found_again_when_another_number_of_shards_is_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let groups: Vec<String> = (0..20).map(|n| format!("group-{n}")).collect();
    let (broker, mut connection) = serve(&data, "4");
    let topic = CreatableTopic::default()
        .with_name(TopicName(name("t")))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let created = connection.call(5, &request).expect("an answer");
    assert_eq!(created.topics[0].error_code, 0);
    for (offset, group) in (0..).zip(&groups) {
        assert_eq!(commit(&mut connection, group, offset), 0, "{group}");
    }
    drop(broker);
    let (_broker, mut connection) = serve(&data, "7");
    assert_eq!(partitions_of_the_offsets_topic(&mut connection), 4);
    for (offset, group) in (0..).zip(&groups) {
        assert_eq!(committed(&mut connection, group), (0, vec![offset]), "{group}");
    }
}
