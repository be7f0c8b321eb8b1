//! The catalog: topics with their ids, partition counts and configs, and who this node is.
//!
//! # Contract
//! - [`submit`](Catalog::submit) never blocks. What it was given completes in the order it was
//!   submitted, refusals too; [`poll`](Catalog::poll) gives what is complete.
//! - A change is atomic, and durable before its completion is given: after a crash either all of
//!   it is there or nothing, and everything that was completed is.
//! - Completed changes are numbered without gaps from 1 at each opening; [`Boot::topics`] is the
//!   state before the first. Applied in order to a copy of it they give the catalog's own state.
//! - A name belongs to one topic at a time. A topic that is created again has a new id.
//! - No producer id is ever given twice, also not after a crash; ids in between may be left out.
//! - One handle at a time has a catalog open, that of the thread that owns it.
//!
//! A store that cannot write reports it as fatal and completes nothing more.

pub mod contract;
mod fjall;
mod memory;
mod state;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

pub use fjall::FjallCatalog;
pub use memory::MemoryCatalog;
pub use topics::{Delta, Topics, id_text, random_id};

/// The only node.
pub const NODE_ID: i32 = 1;
/// The format of the data folder that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 2;
/// Producer ids that are made durable at once.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;

/// Fills a slice with random bytes.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// A topic as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, which no other topic ever had.
    pub id: Uuid,
    /// Number of partitions.
    pub partitions: i32,
    /// Configs that were set, by name; what is not in here has its default.
    pub configs: BTreeMap<String, String>,
    /// Whether it is the broker's own.
    pub internal: bool,
}

/// What has configs that can be changed while the broker runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The topic of this id. Its configs are in its [`Topic`].
    Topic(Uuid),
    /// All brokers: the default of each.
    Brokers,
    /// The broker of this id.
    Broker(i32),
    /// A consumer group.
    Group(Arc<str>),
}

/// The configs of all that has any, but for topics.
pub type Configs = BTreeMap<Resource, BTreeMap<String, String>>;

/// Who this node is, chosen at the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Kafka's text form of a random id.
    pub cluster_id: String,
    /// This node's id.
    pub node_id: i32,
    /// Format of the data folder.
    pub format: u32,
}

/// What an opened catalog holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Who this node is.
    pub identity: Identity,
    /// The topics there are.
    pub topics: Topics,
    /// The configs of brokers and groups.
    pub configs: Configs,
    /// Leader epoch of all partitions: 0, and one more at each start after a stop that was not
    /// clean while acknowledged records may not have been on disk.
    pub leader_epoch: i32,
    /// Whether the stop before this start was clean, or there was none.
    pub clean: bool,
}

/// What can be asked of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create a topic, with an id from [`random_id`].
    Create(Topic),
    /// Delete a topic.
    Delete {
        /// The topic's id.
        id: Uuid,
    },
    /// Give a topic more partitions.
    SetPartitions {
        /// The topic's id.
        id: Uuid,
        /// The new count.
        partitions: i32,
    },
    /// Change configs; those that are not named stay as they are.
    ChangeConfigs {
        /// Whose.
        of: Resource,
        /// The new value of each, none for the default.
        changes: BTreeMap<String, Option<String>>,
    },
    /// Hand out a block of [`PRODUCER_ID_BLOCK`] producer ids.
    ProducerIds,
    /// Write that all is well: the last operation before the process ends, after the records and
    /// the coordinator's journal are synced. Nothing is submitted after it.
    CleanStop,
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// As it was submitted.
    pub token: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and has changed the topics.
    Changed(Delta),
    /// It is done, and has changed the configs of a broker or group.
    Configured {
        /// Whose.
        of: Resource,
        /// All that are set now.
        configs: BTreeMap<String, String>,
    },
    /// Producer ids that are the caller's.
    ProducerIds(Range<i64>),
    /// The clean stop is written.
    Stopped,
    /// It was not done, and nothing has changed.
    Refused(Refusal),
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is a topic of that name.
    #[error("topic {name} exists already")]
    NameTaken {
        /// The name.
        name: Arc<str>,
    },
    /// The names differ only in periods and underscores, and metrics could not tell them apart.
    #[error("topic {name} collides with existing topic {with}")]
    NameCollides {
        /// The name asked for.
        name: Arc<str>,
        /// The topic that is there.
        with: Arc<str>,
    },
    /// There is a topic of that id.
    #[error("topic id {id} is taken")]
    IdTaken {
        /// The id.
        id: Uuid,
    },
    /// There is no topic of that id.
    #[error("there is no topic with id {id}")]
    UnknownTopic {
        /// The id.
        id: Uuid,
    },
    /// Partitions are never taken away.
    #[error("the topic has {current} partitions, which is not fewer than {asked}")]
    NotMorePartitions {
        /// The count there is.
        current: i32,
        /// The count asked for.
        asked: i32,
    },
    /// The store could not do it now, and has not; a store on this machine never says so.
    #[error("the catalog is not available: {cause}")]
    Unavailable {
        /// What the store says.
        cause: String,
    },
}

/// A catalog, opened. See the [module](self) for what it promises.
pub trait Catalog: Send {
    /// Asks for an operation; `token` comes back with its completion.
    fn submit(&mut self, token: u64, operation: Operation);

    /// Moves what is complete to the end of `out`.
    fn poll(&mut self, out: &mut Vec<Completion>);
}
