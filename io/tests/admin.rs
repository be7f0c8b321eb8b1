//! Is an operator told over HTTP whether the broker lives, serves, and what it counts?

#[path = "support/broker.rs"]
mod broker;
#[path = "support/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use broker::Broker;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    CreateTopicsRequest, GroupId, HeartbeatRequest, OffsetCommitRequest, TopicName,
    create_topics_request,
};
use kafka_protocol::protocol::StrBytes;
use wire::Connection;

/// Status line, head and body of an answer.
fn ask(address: &str, request: &str) -> (String, String, String) {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let (status, head) = head.split_once("\r\n").expect("a status line");
    (status.to_owned(), head.to_lowercase(), body.to_owned())
}

fn get(address: &str, path: &str) -> (String, String, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n"))
}

/// The samples of a text in the format OpenMetrics, by name and labels.
fn samples(address: &str) -> BTreeMap<String, f64> {
    let (status, head, text) = get(address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n"));
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    samples.map(sample).collect()
}

#[test]
fn an_operator_is_told_over_http() {
    let mut broker = Broker::start(&["--ephemeral", "--admin", "127.0.0.1:0"]);
    let admin = broker.hear("admin on ");
    let ok = ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned());
    let brief = |(status, _, body): (String, String, String)| (status, body);
    assert_eq!(brief(get(&admin, "/healthz")), ok);
    let ready = (0..10_000).any(|_| brief(get(&admin, "/readyz")) == ok);
    assert!(ready, "{:?}", get(&admin, "/readyz"));
    assert_eq!(get(&admin, "/nothing").0, "HTTP/1.1 404 Not Found");
    let post = "POST /healthz HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(&admin, post).0, "HTTP/1.1 405 Method Not Allowed");

    let mut client = Connection::open(&broker.address).expect("it accepts");
    let s = |text: &'static str| StrBytes::from_static_str(text);
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(TopicName(s("t")))
        .with_num_partitions(2)
        .with_replication_factor(1);
    let create = CreateTopicsRequest::default().with_timeout_ms(1000).with_topics(vec![topic]);
    client.call(5, &create).expect("an answer");
    let partitions = (0..2).map(|index| {
        OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(7)
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(s("t")))
        .with_partitions(partitions.collect());
    let commit = OffsetCommitRequest::default()
        .with_group_id(GroupId(s("g")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    client.call(8, &commit).expect("an answer");
    let heartbeat = HeartbeatRequest::default().with_group_id(GroupId(s("g")));
    client.call(4, &heartbeat).expect("an answer");

    let found = samples(&admin);
    for (sample, expected) in [
        ("quorate_requests_total{api=\"CreateTopics\",error=\"NONE\"}", 1.0),
        ("quorate_requests_total{api=\"OffsetCommit\",error=\"NONE\"}", 1.0),
        ("quorate_requests_total{api=\"Heartbeat\",error=\"UNKNOWN_MEMBER_ID\"}", 1.0),
        ("quorate_offset_commits_total", 2.0),
        ("quorate_groups{state=\"Empty\"}", 1.0),
        ("quorate_group_members", 0.0),
        ("quorate_connections", 1.0),
        ("quorate_shards", 50.0),
        ("quorate_shards_active", 50.0),
        ("quorate_panics_caught_total", 0.0),
        ("quorate_append_seconds_count", 1.0),
        ("quorate_append_seconds_bucket{le=\"+Inf\"}", 1.0),
    ] {
        assert_eq!(found.get(sample), Some(&expected), "{sample} in {found:#?}");
    }
}
