//! What is counted of a broker, and how it is written (OpenMetrics).
//!
//! Decided here: each thread counts for itself, in plain cells, so that a request costs an
//! addition; whoever asks gets the sum. Groups and members are counted when somebody asks.

mod errors;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use quorate_core::{Cause, Note};

pub(crate) use errors::{committed_partitions, error_of};

/// APIs that are counted without a look-up: those with smaller keys.
const KEYS: usize = 128;
/// Upper bounds of the latency of appends, in seconds; what is longer is in none.
const BOUNDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// What one thread has counted.
#[derive(Debug)]
pub struct Counters {
    served: [Cell<u64>; KEYS],
    refused: RefCell<BTreeMap<(i16, i16), u64>>,
    committed: Cell<u64>,
    rebalances: RefCell<BTreeMap<&'static str, u64>>,
    appends: RefCell<Latencies>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            served: [const { Cell::new(0) }; KEYS],
            refused: RefCell::default(),
            committed: Cell::default(),
            rebalances: RefCell::default(),
            appends: RefCell::default(),
        }
    }
}

impl Counters {
    /// A request was answered, with this error code.
    pub fn answered(&self, key: ApiKey, error: i16) {
        match self.served.get(key as usize) {
            Some(count) if error == 0 => count.set(count.get() + 1),
            _ => *self.refused.borrow_mut().entry((key as i16, error)).or_insert(0) += 1,
        }
    }

    /// Offsets of partitions were committed.
    pub fn committed(&self, partitions: usize) {
        self.committed.set(self.committed.get() + partitions as u64);
    }

    /// Something was observed of a group.
    pub fn note(&self, note: &Note) {
        if let Note::Transition { to: Some("PreparingRebalance"), cause, .. } = note {
            *self.rebalances.borrow_mut().entry(cause_name(cause)).or_insert(0) += 1;
        }
    }

    /// An append of the coordinator took so long.
    pub fn appended(&self, took: Duration) {
        self.appends.borrow_mut().add(took);
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Snapshot {
        let served = (0..).zip(&self.served).filter(|(_, count)| count.get() > 0);
        let mut requests: BTreeMap<(i16, i16), u64> =
            served.map(|(key, count)| ((key, 0), count.get())).collect();
        requests.extend(self.refused.borrow().iter());
        Snapshot {
            requests,
            committed: self.committed.get(),
            rebalances: self.rebalances.borrow().clone(),
            appends: self.appends.borrow().clone(),
            ..Snapshot::default()
        }
    }
}

/// How often appends took how long.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latencies {
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Latencies {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += seconds;
    }

    fn merge(&mut self, other: &Latencies) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }
}

/// What all threads have counted, and what there is now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Requests that were answered, by API key and error code.
    pub requests: BTreeMap<(i16, i16), u64>,
    /// Offsets that were committed.
    pub committed: u64,
    /// Rebalances that began, by cause.
    pub rebalances: BTreeMap<&'static str, u64>,
    /// Appends of the coordinator.
    pub appends: Latencies,
    /// Groups by state.
    pub groups: BTreeMap<&'static str, u64>,
    /// Members of all groups.
    pub members: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Shards that serve.
    pub shards_active: u64,
    /// Shards there are.
    pub shards: u64,
    /// Partitions that have been written to.
    pub partitions: u64,
    /// Panics that were caught.
    pub panics: u64,
}

impl Snapshot {
    /// Adds what another thread has counted.
    pub fn merge(&mut self, other: &Snapshot) {
        fn sum<K: Ord + Copy>(all: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
            more.iter().for_each(|(key, count)| *all.entry(*key).or_insert(0) += count);
        }
        sum(&mut self.requests, &other.requests);
        sum(&mut self.rebalances, &other.rebalances);
        sum(&mut self.groups, &other.groups);
        self.appends.merge(&other.appends);
        self.committed += other.committed;
        self.members += other.members;
        self.connections += other.connections;
        self.shards_active += other.shards_active;
        self.shards += other.shards;
        self.partitions += other.partitions;
    }

    /// Whether every shard serves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shards_active == self.shards
    }

    /// The text of it, in the format OpenMetrics 1.0.
    #[must_use]
    pub fn open_metrics(self) -> String {
        let mut registry = Registry::with_prefix("quorate");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("a string takes all that is written");
        text
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        gauges(&mut to, "groups", "Groups, by state", "state", &self.groups)?;
        gauge(&mut to, "group_members", "Members of all groups", self.members)?;
        gauge(&mut to, "connections", "Connections that are open", self.connections)?;
        gauge(&mut to, "shards", "Shards of the coordinator", self.shards)?;
        gauge(&mut to, "shards_active", "Shards that are loaded and serve", self.shards_active)?;
        gauge(&mut to, "partitions", "Partitions that were written to", self.partitions)?;
        let rebalances = "rebalances";
        let mut family =
            to.encode_descriptor(rebalances, "Rebalances that began", None, MetricType::Counter)?;
        for (cause, count) in &self.rebalances {
            let label = [("cause", *cause)];
            ConstCounter::new(*count).encode(family.encode_family(&label)?)?;
        }
        let commits = "Offsets of partitions that were committed";
        counter(&mut to, "offset_commits", commits, self.committed)?;
        let mut family =
            to.encode_descriptor("requests", "Requests answered", None, MetricType::Counter)?;
        for ((key, error), count) in &self.requests {
            let labels = [("api", api_name(*key)), ("error", error_name(*error))];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        counter(&mut to, "panics_caught", "Panics of shards and requests", self.panics)?;
        let help = "From handing a batch of the coordinator to the store to its completion";
        let unit = Unit::Seconds;
        let mut append =
            to.encode_descriptor("append", help, Some(&unit), MetricType::Histogram)?;
        let counts = &self.appends.counts;
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        append.encode_histogram::<NoLabelSet>(self.appends.sum, counts.iter().sum(), &buckets, None)
    }
}

fn counter(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let counter = ConstCounter::new(value);
    counter.encode(to.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    gauge.encode(to.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn gauges(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &BTreeMap<&'static str, u64>,
) -> Result<(), std::fmt::Error> {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (of, value) in values {
        let gauge = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
        gauge.encode(family.encode_family(&[(label, *of)])?)?;
    }
    Ok(())
}

fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| key.to_string(), |key| format!("{key:?}"))
}

/// Kafka's name of an error: `NONE`, `REBALANCE_IN_PROGRESS`.
fn error_name(code: i16) -> String {
    let Some(error) = ResponseError::try_from_code(code) else { return "NONE".to_owned() };
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter == '(' {
            break;
        }
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The word for a cause.
fn cause_name(cause: &Cause) -> &'static str {
    match cause {
        Cause::Created => "created",
        Cause::MemberJoined { .. } => "member_joined",
        Cause::StaticReplaced { .. } => "static_member_replaced",
        Cause::LeaderRejoined { .. } => "leader_rejoined",
        Cause::ProtocolsChanged { .. } => "protocols_changed",
        Cause::MemberLeft { .. } => "member_left",
        Cause::SessionExpired { .. } => "session_expired",
        Cause::GroupFull { .. } => "group_full",
        Cause::SyncTimeout { .. } => "sync_timeout",
        Cause::AllJoined => "all_joined",
        Cause::NobodyLeft => "nobody_left",
        Cause::JoinTimeout { .. } => "join_timeout",
        Cause::Assigned => "assigned",
        Cause::AppendFailed => "append_failed",
        Cause::OverSize => "over_size",
        Cause::Removed => "removed",
    }
}
