use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use quorate_io::api::metadata::{self, Metadata};
use quorate_io::catalog::Operation;
use uuid::Uuid;

use super::{name, new_id, node, s, same, settings, topic, topics};

fn asked(request: &MetadataRequest, version: i16) -> Metadata {
    metadata::answer(request, version, &topics(), &settings(&[]), &node(), &mut same)
}

fn by_name(names: &[&'static str]) -> MetadataRequest {
    let topics =
        names.iter().map(|text| MetadataRequestTopic::default().with_name(Some(name(text))));
    MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(false)
}

fn whole(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(s("here"))
        .with_port(9);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(s("cluster")))
        .with_controller_id(BrokerId(1))
        .with_topics(topics)
}

fn found(text: &'static str, id: u128, partitions: i32) -> MetadataResponseTopic {
    let partitions = (0..partitions).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(1))
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(1)])
            .with_isr_nodes(vec![BrokerId(1)])
    });
    MetadataResponseTopic::default()
        .with_name(Some(name(text)))
        .with_topic_id(Uuid::from_u128(id))
        .with_is_internal(text.starts_with("__"))
        .with_partitions(partitions.collect())
}

fn missing(text: &'static str, code: i16) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(Some(name(text))).with_error_code(code)
}

fn all() -> Vec<MetadataResponseTopic> {
    vec![found("__consumer_offsets", 3, 3), found("t", 1, 1), found("u.v", 2, 2)]
}

#[test]
fn null_asks_for_all_topics_and_so_does_an_empty_list_in_version_0() {
    for version in 0..=13 {
        let null = MetadataRequest::default().with_topics(None);
        assert_eq!(asked(&null, version).answer, whole(all()));
        let expected = if version == 0 { all() } else { vec![] };
        assert_eq!(asked(&by_name(&[]), version).answer, whole(expected));
    }
}

#[test]
fn topics_are_asked_by_name() {
    for version in 0..=13 {
        let request = by_name(&["missing", "u.v", "bad name!", "t", "u.v"]);
        let expected = vec![
            found("u.v", 2, 2),
            found("t", 1, 1),
            missing("missing", 3),
            missing("bad name!", 17),
        ];
        let answer = asked(&request, version);
        assert_eq!(answer, Metadata { answer: whole(expected), create: vec![] });
    }
}

fn by_id(id: u128, text: Option<&'static str>) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_topic_id(Uuid::from_u128(id)).with_name(text.map(name))
}

#[test]
fn topics_are_asked_by_id_from_version_12_on() {
    let topics = vec![by_id(1, None), by_id(77, None), by_id(2, Some("x")), by_id(0, Some("t"))];
    let request = MetadataRequest::default().with_topics(Some(topics));
    let unknown = MetadataResponseTopic::default()
        .with_name(None)
        .with_topic_id(Uuid::from_u128(77))
        .with_error_code(100);
    let expected = whole(vec![unknown, found("t", 1, 1), found("u.v", 2, 2)]);
    for version in 12..=13 {
        assert_eq!(asked(&request, version).answer, expected);
    }
}

#[test]
fn an_id_or_no_name_before_version_12_refuses_the_whole_request() {
    let cases = [
        (by_id(1, None), missing("", 42).with_topic_id(Uuid::from_u128(1))),
        (by_id(1, Some("t")), missing("t", 42).with_topic_id(Uuid::from_u128(1))),
        (by_id(0, None), missing("", 42)),
    ];
    for (topic, refused) in cases {
        let request =
            MetadataRequest::default().with_topics(Some(vec![topic, by_id(0, Some("t"))]));
        let expected = MetadataResponse::default().with_topics(vec![refused, missing("t", 42)]);
        for version in 10..=11 {
            assert_eq!(asked(&request, version).answer, expected);
        }
    }
}

#[test]
fn operations_are_told_where_they_are_asked_for() {
    let request = by_name(&["t", "missing"])
        .with_include_topic_authorized_operations(true)
        .with_include_cluster_authorized_operations(true);
    for version in 8..=10 {
        let topics = vec![
            found("t", 1, 1).with_topic_authorized_operations(3576),
            missing("missing", 3).with_topic_authorized_operations(3576),
        ];
        let expected = whole(topics).with_cluster_authorized_operations(8096);
        assert_eq!(asked(&request, version).answer, expected);
    }
}

#[test]
fn a_missing_topic_is_created_on_demand_and_unknown_until_then() {
    let names = ["new", "bad name!", "u_v", "__transaction_state", "t"];
    let request = by_name(&names).with_allow_auto_topic_creation(true);
    let settings = settings(&[("num.partitions", "4")]);
    let answer = metadata::answer(&request, 9, &topics(), &settings, &node(), &mut same);
    let expected = vec![
        found("t", 1, 1),
        missing("new", 3),
        missing("bad name!", 17),
        missing("u_v", 3),
        missing("__transaction_state", 3).with_is_internal(true),
    ];
    let created = topic("new", new_id().as_u128(), 4);
    let create = vec![Operation::Create(created)];
    assert_eq!(answer, Metadata { answer: whole(expected), create });
}

#[test]
fn nothing_is_created_where_client_or_broker_do_not_want_it() {
    let request = by_name(&["new"]);
    assert_eq!(asked(&request, 9).create, vec![]);
    let request = request.with_allow_auto_topic_creation(true);
    let off = settings(&[("auto.create.topics.enable", "false")]);
    let answer = metadata::answer(&request, 9, &topics(), &off, &node(), &mut same);
    let expected = Metadata { answer: whole(vec![missing("new", 3)]), create: vec![] };
    assert_eq!(answer, expected);
}
