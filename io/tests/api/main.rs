//! What the broker answers around the coordinator: whole answers, as Apache Kafka 4.4 gives them.

mod absent;
mod alter;
mod broker_configs;
mod configs;
mod metadata;
mod node;
mod pages;
mod partitions;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use quorate_io::api::Node;
use quorate_io::catalog::{Topic, Topics};
use quorate_io::cli::{Settings, Source, resolve};
use uuid::Uuid;

fn s(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn name(text: &'static str) -> TopicName {
    TopicName(s(text))
}

fn node() -> Node {
    Node { cluster_id: "cluster".into(), id: 1, host: "here".into(), port: 9, leader_epoch: 0 }
}

fn topic(name: &str, id: u128, partitions: i32) -> Topic {
    let internal = name.starts_with("__");
    let configs = BTreeMap::new();
    Topic { name: Arc::from(name), id: Uuid::from_u128(id), partitions, configs, internal }
}

/// `t` with one partition, `u.v` with two, and the coordinator's own with three.
fn topics() -> Topics {
    Topics::new([topic("t", 1, 1), topic("u.v", 2, 2), topic("__consumer_offsets", 3, 3)])
}

/// Settings of a broker that runs.
fn settings(given: &[(&str, &str)]) -> Settings {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let for_all = BTreeMap::from([("min.insync.replicas".to_owned(), "1".to_owned())]);
    resolve(given.collect()).unwrap().with(Source::DynamicDefault, &for_all)
}

/// Entropy that makes the same id each time.
fn same(bytes: &mut [u8]) {
    bytes.fill(0x11);
}

/// The id that it makes.
fn new_id() -> Uuid {
    Uuid::from_u128(0x1111_1111_1111_4111_9111_1111_1111_1111)
}
