//! What a topic's configs come to: numbers and choices, for those who look at them on each request.

use std::time::Duration;

use super::config_def::source;
use super::config_value::double;
use super::topic_configs;
use crate::catalog::Topic;
use crate::cli::Settings;

/// The configs of one topic that have an effect, as they hold.
///
/// `min.insync.replicas` has none: Kafka asks for no more replicas than a partition has (KIP-966),
/// which is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRules {
    /// `max.message.bytes`: size of the largest batch.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes`: size of the largest record of a compressed batch.
    pub max_record_bytes: usize,
    /// `message.timestamp.type=LogAppendTime`: records have the time of their append.
    pub append_time: bool,
    /// `message.timestamp.before.max.ms`: how old a record's time may be; none for any.
    pub before_max: Option<i64>,
    /// `message.timestamp.after.max.ms`: how far in the future it may be.
    pub after_max: i64,
    /// `cleanup.policy` has `delete`.
    pub deletes: bool,
    /// `cleanup.policy` has `compact`.
    pub compacts: bool,
    /// `retention.ms`: how long records are kept; none for ever.
    pub retention: Option<Duration>,
    /// `retention.bytes`: how many bytes of a partition are kept; none for all.
    pub retention_bytes: Option<u64>,
    /// `delete.retention.ms`: how long a compacted topic shows that a key was deleted.
    pub delete_retention: Duration,
    /// `min.compaction.lag.ms`: how long a record stays as it was produced.
    pub min_compaction_lag: Duration,
    /// `max.compaction.lag.ms`: how long it stays so at most.
    pub max_compaction_lag: Duration,
    /// `min.cleanable.dirty.ratio`, in thousandths: how much of a log is to be new before it is
    /// compacted.
    pub min_dirty_permille: u64,
}

impl TopicRules {
    /// The rules of a topic, under these settings of the broker.
    #[must_use]
    pub fn of(topic: &Topic, settings: &Settings) -> TopicRules {
        let text = |name: &str| {
            topic_configs::CONFIGS[name].held(&topic.configs, source::DYNAMIC_TOPIC, settings).value
        };
        // Values were checked when they were set.
        let long = |name: &str| text(name).trim().parse::<i64>().unwrap_or(-1);
        let millis = |name: &str| Duration::from_millis(long(name).max(0).unsigned_abs());
        let policy = text("cleanup.policy");
        let policy: Vec<&str> = policy.split(',').map(str::trim).collect();
        let before_max = long("message.timestamp.before.max.ms");
        let ratio: f64 = double(text("min.cleanable.dirty.ratio").trim()).unwrap_or(0.5);
        TopicRules {
            max_message_bytes: usize::try_from(long("max.message.bytes")).unwrap_or(0),
            max_record_bytes: usize::try_from(long("max.decompressed.message.bytes")).unwrap_or(0),
            append_time: text("message.timestamp.type").trim() == "LogAppendTime",
            before_max: (before_max != i64::MAX).then_some(before_max),
            after_max: long("message.timestamp.after.max.ms"),
            deletes: policy.contains(&"delete"),
            compacts: policy.contains(&"compact"),
            retention: u64::try_from(long("retention.ms")).ok().map(Duration::from_millis),
            retention_bytes: u64::try_from(long("retention.bytes")).ok(),
            delete_retention: millis("delete.retention.ms"),
            min_compaction_lag: millis("min.compaction.lag.ms"),
            max_compaction_lag: millis("max.compaction.lag.ms"),
            min_dirty_permille: (ratio.clamp(0.0, 1.0) * 1000.0) as u64,
        }
    }
}
