//! What the broker answers around the coordinator: topics, configs, and who it is.
//!
//! Decided here, in one file an API: answers and their order of checks, from the catalog's view
//! and the settings. Nothing in here waits, and nothing is changed: what is to be done to the
//! catalog comes back as a [`Plan`].

pub mod absent;
pub mod alter_configs;
mod broker_configs;
pub mod cluster;
mod config_def;
mod config_value;
pub mod configs;
mod delete_records;
mod describe_log;
mod fetch;
pub(crate) mod fetch_session;
mod group_configs;
mod handle;
mod init_producer_id;
mod list_offsets;
pub mod metadata;
mod offset_for_leader_epoch;
pub mod partitions;
mod place;
mod produce;
pub mod quorum;
mod topic_configs;
mod topic_name;
pub mod topic_partitions;
mod topic_rules;
pub mod topics;
pub mod versions;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use quorate_core::Text;

use crate::catalog::{Operation, Outcome, Refusal};

pub use handle::{Answer, handle};
pub use topic_name::validate as validate_topic_name;
pub use topic_rules::TopicRules;

/// This node, as the client of one request is to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The cluster's id, in Kafka's text form.
    pub cluster_id: Text,
    /// This node's id.
    pub id: i32,
    /// Host that the client reaches it at.
    pub host: Text,
    /// Port that the client reaches it at.
    pub port: i32,
    /// The leader epoch of all partitions.
    pub leader_epoch: i32,
}

impl Node {
    fn broker(&self) -> BrokerId {
        BrokerId(self.id)
    }
}

/// What the catalog is to do for a request, and the answer for when it has done it.
#[derive(Debug, Clone)]
pub struct Plan<R> {
    /// What is to be done, in this order.
    pub operations: Vec<Operation>,
    answer: R,
    /// The place in the answer of each operation's topic.
    places: Vec<usize>,
    refuse: fn(&mut R, usize, Error),
}

impl<R> Plan<R> {
    fn new(answer: R, refuse: fn(&mut R, usize, Error)) -> Plan<R> {
        Plan { operations: Vec::new(), answer, places: Vec::new(), refuse }
    }

    fn add(&mut self, place: usize, operation: Operation) {
        self.operations.push(operation);
        self.places.push(place);
    }

    /// The answer, after the operations came to these outcomes, one each and in their order. One
    /// that is missing was not done.
    pub fn answer(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> R {
        let mut outcomes = outcomes.into_iter();
        for &place in &self.places {
            match outcomes.next() {
                Some(Outcome::Refused(refusal)) => {
                    (self.refuse)(&mut self.answer, place, refusal.into());
                }
                Some(_) => {}
                None => {
                    let stopped = Error::new(ResponseError::RequestTimedOut, "The broker stops.");
                    (self.refuse)(&mut self.answer, place, stopped);
                }
            }
        }
        self.answer
    }
}

/// A code, and what Kafka says with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Error {
    code: i16,
    message: Option<StrBytes>,
}

impl Error {
    fn new(code: ResponseError, message: impl Into<String>) -> Error {
        Error { code: code.code(), message: Some(StrBytes::from_string(message.into())) }
    }

    fn silent(code: ResponseError) -> Error {
        Error { code: code.code(), message: None }
    }

    /// What Kafka says to a change that has no time: it is not begun.
    fn timed_out() -> Error {
        Error::silent(ResponseError::RequestTimedOut)
    }
}

/// The catalog checks again: another request may have come in between.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match &refusal {
            Refusal::NameTaken { name } => {
                Error::new(ResponseError::TopicAlreadyExists, topic_name::taken(name))
            }
            Refusal::NameCollides { name, with } => {
                Error::new(ResponseError::InvalidTopicException, topic_name::collides(name, with))
            }
            Refusal::UnknownTopic { .. } => {
                Error::new(ResponseError::UnknownTopicOrPartition, topics::UNKNOWN_TOPIC)
            }
            Refusal::NotMorePartitions { .. } => {
                Error::new(ResponseError::InvalidPartitions, refusal.to_string())
            }
            Refusal::IdTaken { .. } => {
                Error::new(ResponseError::UnknownServerError, refusal.to_string())
            }
            Refusal::Unavailable { .. } => {
                Error::new(ResponseError::RequestTimedOut, refusal.to_string())
            }
        }
    }
}

/// What Kafka says with INVALID_REQUEST where nothing more can be said.
const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by \
    the client library or the message was sent to an incompatible broker. See the broker logs for \
    more details.";

/// Authorized operations that nobody asked for.
const NOT_ASKED: i32 = i32::MIN;

/// All that can be done with a cluster: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS,
/// ALTER_CONFIGS and IDEMPOTENT_WRITE, each as the bit of its number (KIP-430).
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// All that can be done with a topic: READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE,
/// DESCRIBE_CONFIGS and ALTER_CONFIGS.
const TOPIC_OPERATIONS: i32 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
