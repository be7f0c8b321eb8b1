//! Can a stranger bring the broker down, or take its memory?
//!
//! One broker for each case, in a process of its own, whose resident memory is looked at; and in
//! each case somebody else is served meanwhile.
#![cfg(target_os = "linux")]

#[path = "support/broker.rs"]
mod broker;
#[path = "support/wire.rs"]
mod wire;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use broker::Broker;
use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, CreateTopicsRequest, FetchRequest, GroupId, HeartbeatRequest,
    JoinGroupRequest, ProduceRequest, TopicName, join_group_request,
};
use kafka_protocol::protocol::StrBytes;
use quorate_io::guard::batch::{BatchHeader, Compression, seal};
use quorate_io::log::contract::record_set;
use rlimit::Resource;
use wire::{Connection, frame};

const MIB: usize = 1 << 20;
/// Nobody in particular.
const ANYONE: (i64, i16) = (-1, -1);
const UNKNOWN_MEMBER_ID: i16 = 25;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_GROUP_ID: i16 = 24;
const INVALID_TOPIC: i16 = 17;

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A broker and somebody who is to be served whatever happens.
struct Case {
    broker: Broker,
    other: Connection,
}

impl Case {
    fn new(settings: &[&str]) -> Case {
        let mut arguments = vec!["--ephemeral"];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        let broker = Broker::start(&arguments);
        let other = Connection::open(&broker.address).expect("it accepts");
        let mut case = Case { broker, other };
        case.serves();
        case
    }

    fn stranger(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.broker.address).expect("it accepts");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream
    }

    /// The other client gets an answer.
    fn serves(&mut self) {
        let beat = HeartbeatRequest::default().with_group_id(GroupId(s("g")));
        for _ in 0..10_000 {
            let error = self.other.call(4, &beat).expect("an answer").error_code;
            // While the shard is loaded Kafka takes every heartbeat for right.
            if error == UNKNOWN_MEMBER_ID {
                return;
            }
            assert_eq!(error, 0);
        }
        panic!("the coordinator is never loaded");
    }

    /// Resident memory in bytes, `VmRSS` now, `VmHWM` at most so far, without what is of files:
    /// that is the program itself, more of it the less it is optimized.
    fn memory(&self, which: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.broker.child.id()));
        let status = status.expect("the process lives");
        let bytes = |which| {
            let line = status.lines().find(|line| line.starts_with(which)).expect("a line");
            let kib = line.split_whitespace().nth(1).expect("a number");
            1024 * kib.parse::<usize>().expect("digits")
        };
        bytes(which) - bytes("RssFile")
    }

    fn create(&mut self, topic: &str) -> i16 {
        let topic = CreatableTopic::default()
            .with_name(TopicName(s(topic)))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let request =
            CreateTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
        self.other.call(5, &request).expect("an answer").topics[0].error_code
    }
}

fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
}

fn produce(set: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_records(Some(set));
    let topic = TopicProduceData::default()
        .with_name(TopicName(s("t")))
        .with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

#[test]
fn who_announces_much_and_sends_little_takes_little_memory() {
    let mut case = Case::new(&[]);
    let before = case.memory("VmRSS");
    // A hundred megabytes are announced by each, and half a header follows.
    let frame = [&(100 * MIB as u32).to_be_bytes()[..], &[0, 0, 0, 9, 0, 0]].concat();
    let mut strangers: Vec<_> = (0..200).map(|_| case.stranger()).collect();
    for stranger in &mut strangers {
        stranger.write_all(&frame).expect("it reads");
    }
    case.serves();
    let taken = case.memory("VmRSS").saturating_sub(before);
    assert!(taken < 8 * MIB, "{taken} bytes for 200 half frames");
}

#[test]
fn who_reads_nothing_takes_memory_for_a_few_answers_only() {
    let mut case = Case::new(&["queued.max.request.bytes=-1"]);
    assert_eq!(case.create("t"), 0);
    let large = record_set(&[&[7; 500_000]], 0, ANYONE, -1);
    for _ in 0..8 {
        let told = case.other.call(9, &produce(large.clone())).expect("an answer");
        assert_eq!(told.responses[0].partition_responses[0].error_code, 0);
    }
    let before = case.memory("VmRSS");
    let partition = FetchPartition::default()
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(16 * MIB as i32);
    let topic =
        FetchTopic::default().with_topic(TopicName(s("t"))).with_partitions(vec![partition]);
    let fetch = FetchRequest::default().with_max_bytes(16 * MIB as i32).with_topics(vec![topic]);
    let asked = frame(12, 0, &fetch).repeat(100);
    let mut strangers: Vec<_> = (0..10).map(|_| case.stranger()).collect();
    for stranger in &mut strangers {
        // What the broker does not read any more does not fit, and need not.
        stranger.set_nonblocking(true).expect("a socket");
        let _ = stranger.write(&asked);
    }
    for _ in 0..100 {
        case.serves();
    }
    let taken = case.memory("VmHWM").saturating_sub(before);
    assert!(taken < 160 * MIB, "{taken} bytes for ten who read nothing");
}

#[test]
fn ten_thousand_connections_that_do_nothing_cost_little() {
    let mut case = Case::new(&[]);
    let (_, hard) = Resource::NOFILE.get().expect("a limit");
    Resource::NOFILE.set(hard, hard).expect("the soft limit may be as high");
    let count = 10_000.min(usize::try_from(hard).unwrap_or(usize::MAX) / 2 - 100);
    let before = case.memory("VmRSS");
    let ask = frame(0, 0, &ApiVersionsRequest::default());
    let mut idle: Vec<_> = (0..count).map(|_| case.stranger()).collect();
    for stranger in &mut idle {
        stranger.write_all(&ask).expect("it reads");
        let mut length = [0; 4];
        stranger.read_exact(&mut length).expect("it answers");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stranger.read_exact(&mut answer).expect("all of it");
    }
    case.serves();
    let each = case.memory("VmRSS").saturating_sub(before) / count;
    println!("{each} bytes for each of {count} idle connections");
    assert!(each < 8192, "{each} bytes for each of {count} idle connections");
}

#[test]
fn too_many_connections_of_one_address_are_closed() {
    // The other one of the case is the first of the three.
    let mut case = Case::new(&["max.connections.per.ip=3"]);
    let (mut second, third) = (case.stranger(), case.stranger());
    let ask = frame(0, 0, &ApiVersionsRequest::default());
    second.write_all(&ask).expect("it reads");
    assert!(!is_closed(&mut second));
    assert!(is_closed(&mut case.stranger()));
    drop(third);
    let again = (0..10_000).any(|_| {
        let mut again = case.stranger();
        let _ = again.write_all(&ask);
        !is_closed(&mut again)
    });
    assert!(again, "there is room again once one has gone");
    case.serves();
}

#[test]
fn bombs_do_not_go_off() {
    let mut case = Case::new(&[]);
    assert_eq!(case.create("t"), 0);
    let before = case.memory("VmRSS");
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; MIB];
    (0..512).for_each(|_| packed.write_all(&zeros).expect("memory takes it"));
    let body = packed.finish().expect("memory takes it");
    let plain = record_set(&[b""], 0, ANYONE, -1);
    let mut header = BatchHeader::parse(&plain).expect("a header");
    header.attributes = Compression::Gzip as i16;
    let mut bomb = BytesMut::new();
    header.write(&mut bomb);
    bomb.extend_from_slice(&body);
    seal(&mut bomb);
    let bomb = bomb.freeze();
    for _ in 0..3 {
        let told = case.other.call(9, &produce(bomb.clone())).expect("an answer");
        assert_eq!(told.responses[0].partition_responses[0].error_code, MESSAGE_TOO_LARGE);
    }
    let taken = case.memory("VmHWM").saturating_sub(before);
    println!("{taken} bytes for a bomb of 512 MiB");
    assert!(taken < 16 * MIB, "{taken} bytes for a bomb of 512 MiB");
    let told = case.other.call(9, &produce(plain)).expect("an answer");
    assert_eq!(told.responses[0].partition_responses[0].error_code, 0);
}

#[test]
fn counts_of_more_than_there_is_close_the_connection() {
    let mut case = Case::new(&[]);
    let before = case.memory("VmRSS");
    for (key, version) in [(ApiKey::Metadata, 0_i16), (ApiKey::DescribeGroups, 0)] {
        for count in [i32::MAX, 200_000, -2] {
            let mut frame = (key as i16).to_be_bytes().to_vec();
            frame.extend(version.to_be_bytes());
            frame.extend([0, 0, 0, 1, 0xff, 0xff]);
            frame.extend(count.to_be_bytes());
            frame.extend([0; 64]);
            let mut stranger = case.stranger();
            stranger.write_all(&(frame.len() as u32).to_be_bytes()).expect("it reads");
            stranger.write_all(&frame).expect("it reads");
            assert!(is_closed(&mut stranger), "{key:?} {count}");
        }
    }
    case.serves();
    assert!(case.memory("VmHWM").saturating_sub(before) < 8 * MIB);
}

#[test]
fn names_may_be_as_long_as_kafkas_and_no_longer() {
    let mut case = Case::new(&["group.initial.rebalance.delay.ms=0"]);
    assert_eq!(case.create(&"t".repeat(249)), 0);
    assert_eq!(case.create(&"t".repeat(250)), INVALID_TOPIC);
    assert_eq!(case.create(""), INVALID_TOPIC);
    let mut join = |group: &str| {
        let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(s("p"));
        let join = JoinGroupRequest::default()
            .with_group_id(GroupId(s(group)))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(10_000)
            .with_protocol_type(s("consumer"))
            .with_protocols(vec![protocol]);
        case.other.call(3, &join).expect("an answer").error_code
    };
    assert_eq!(join(""), INVALID_GROUP_ID);
    // The longest that a string can be.
    assert_eq!(join(&"g".repeat(32_767)), 0);
    assert_eq!(join("ü\u{1F980}\0 "), 0);
}
