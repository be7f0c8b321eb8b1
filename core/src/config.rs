//! What can be set, each with its default and reason. Kafka's names are given where Kafka has one.

use std::time::Duration;

/// Settings of a [`Shard`](crate::Shard) and a [`Router`](crate::Router).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Config {
    /// `group.min.session.timeout.ms`, inclusive.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`, inclusive.
    pub max_session_timeout: Duration,
    /// `group.initial.rebalance.delay.ms` (KIP-134).
    pub initial_rebalance_delay: Duration,
    /// `group.max.size` (KIP-389).
    pub max_group_size: usize,
    /// `offset.metadata.max.bytes`; compared with UTF-16 code units, as Kafka does.
    pub max_offset_metadata: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `offsets.commit.timeout.ms`: how long a reply waits for its append.
    pub write_timeout: Duration,
    /// `group.classic.server.assignor` (design deviation 4).
    pub server_assignor: ServerAssignor,
    /// Bytes of one batch. Kafka's `message.max.bytes`: a group's record above it cannot be stored.
    pub max_batch_bytes: usize,
    /// Batches that wait for the journal at once. Above it a request that must write is answered
    /// COORDINATOR_NOT_AVAILABLE: the store is stalled, and memory must not grow with it.
    pub max_in_flight: usize,
    /// Of these, how many only timers may use, so that expiry goes on under load.
    pub in_flight_reserve: usize,
    /// Requests parked at once. A parked request is a connection, so this is above what a broker
    /// has of those.
    pub max_parked: usize,
    /// Timers that one [`Input::Deadline`](crate::Input::Deadline) runs; the rest stay due.
    pub timers_per_step: usize,
    /// Offsets that one step of a sweep or topic clean-up looks at.
    pub sweep_keys_per_step: usize,
}

/// Who assigns partitions when the leader of a group of consumers sends no assignment at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerAssignor {
    /// The coordinator deals them round robin.
    RoundRobin,
    /// Nobody: members get empty assignments, as with Kafka.
    None,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            min_session_timeout: Duration::from_millis(6_000),
            max_session_timeout: Duration::from_millis(1_800_000),
            initial_rebalance_delay: Duration::from_millis(3_000),
            max_group_size: i32::MAX as usize,
            max_offset_metadata: 4_096,
            offsets_retention: Duration::from_secs(10_080 * 60),
            retention_check_interval: Duration::from_millis(600_000),
            write_timeout: Duration::from_millis(5_000),
            server_assignor: ServerAssignor::RoundRobin,
            max_batch_bytes: 1_048_588,
            max_in_flight: 4_096,
            in_flight_reserve: 64,
            max_parked: 1_000_000,
            timers_per_step: 1_000,
            sweep_keys_per_step: 1_000,
        }
    }
}
