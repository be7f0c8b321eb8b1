//! The log: records of topic partitions, as the batches that producers sent.
//!
//! # Contract
//! - A partition is written through one handle, that of the thread that is its home. The order of
//!   its records is the order in which that handle was given the appends.
//! - [`submit`](Log::submit) never blocks; [`poll`](Log::poll) gives what is complete. Appends of a
//!   partition complete in their order; reads complete in any order.
//! - An append, and every other change, is durable before its completion is given. After a crash
//!   everything that was completed is there, in order and once; of what was not completed, each
//!   partition has a prefix.
//! - An append whose base offset is not the partition's end is rejected. So after one rejection
//!   all that were submitted behind it are, until the home has gone back to the end there is. A
//!   partition that is not there has end 0, and is made by its first append. One of a deleted
//!   topic takes no more appends.
//! - A batch is given back as it came, byte for byte. A read gives what starts at the batch that
//!   holds the offset, and nothing from `end` on; it copies no more than it gives.
//! - What is before a partition's start is gone for [recovery](Recovered) at once; its space is
//!   given back later.
//!
//! A store that cannot write reports it as fatal and completes nothing more. A read that fails
//! completes as [`Outcome::Failed`], and only it is lost.

pub mod compact;
pub mod contract;
mod entry;
mod epochs;
mod fjall;
mod memory;
pub mod partition;
pub mod producers;
mod readers;
mod search;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

pub use compact::{Change, Index, Latest, Thin};
pub use epochs::{EpochStart, Epochs};
pub use fjall::{FjallLog, LogOptions};
pub use memory::MemoryLog;
pub use partition::Partition;
pub use producers::{Producers, Snapshot};
pub use tail::TailBudget;

use crate::disk::Wake;

/// Which partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number in the topic.
    pub index: i32,
}

/// A batch with its place in the log. Base offset and leader epoch are set in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Offset of its first record.
    pub base: i64,
    /// Offset of its last record.
    pub last: i64,
    /// Greatest time of its records, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// All of it.
    pub bytes: Bytes,
}

/// What can be asked of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Add a batch to a partition.
    Append {
        /// The partition.
        partition: PartitionKey,
        /// The batch, whose base is the partition's end.
        batch: Batch,
    },
    /// Store the producers' state, so that recovery need not look at what is before it.
    Snapshot {
        /// The partition.
        partition: PartitionKey,
        /// The state at the partition's end.
        snapshot: Snapshot,
    },
    /// Forget what is before an offset.
    TruncateBefore {
        /// The partition.
        partition: PartitionKey,
        /// The new start; not before the old one, not after the end.
        start: i64,
    },
    /// Forget all partitions of a topic.
    Delete {
        /// The topic's id, which is not used again.
        topic_id: Uuid,
    },
    /// Read batches.
    Read(Read),
    /// Find a record by time, or a place to truncate at.
    Find(Find),
    /// Count bytes.
    Measure(Measure),
    /// Find the last offset of each key.
    Index(Index),
    /// Say what is to become of batches that are compacted.
    Thin(Thin),
    /// Put batches in place of others. Those that begin before the partition does are left out.
    Rewrite {
        /// The partition.
        partition: PartitionKey,
        /// Old and new batches.
        changes: Vec<Change>,
    },
}

/// A read of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The partition.
    pub partition: PartitionKey,
    /// Offset of the first record wanted; not before the partition's start.
    pub offset: i64,
    /// Nothing from this offset on: the high watermark.
    pub end: i64,
    /// Bytes wanted. The last batch is cut off there, as Kafka does.
    pub max_bytes: usize,
    /// Whether the first batch comes whole also if it is larger than that; else nothing comes.
    pub min_one: bool,
}

/// A count of the bytes of batches from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The partition.
    pub partition: PartitionKey,
    /// The partition's start.
    pub start: i64,
    /// The high watermark.
    pub end: i64,
}

/// A search in the records from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Find {
    /// The partition.
    pub partition: PartitionKey,
    /// The partition's start.
    pub start: i64,
    /// The high watermark.
    pub end: i64,
    /// What is looked for.
    pub what: Wanted,
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The first record of this time or later.
    Time(i64),
    /// The first record with the greatest time.
    Latest,
    /// The offset that retention moves the start to: batches in front go whose records are all
    /// older than `older_than`, and those without which `keep_bytes` are still there.
    Retention {
        /// Milliseconds since 1970, if there is a limit of time.
        older_than: Option<i64>,
        /// Bytes, if there is a limit of size.
        keep_bytes: Option<u64>,
    },
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since 1970; -1 for a place to truncate at.
    pub timestamp: i64,
    /// Epoch of the leader that appended it; -1 for a place to truncate at.
    pub leader_epoch: i32,
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
    /// The batch is durable.
    Appended {
        /// The partition.
        partition: PartitionKey,
        /// The batch's last offset.
        last: i64,
    },
    /// The snapshot, the new start or the deletion is durable.
    Done,
    /// What was read: batches, the last of them cut off if it exceeds what was asked for.
    Read(Vec<Bytes>),
    /// What was found.
    Found(Option<Found>),
    /// Bytes of the batches.
    Size(u64),
    /// The last offset of each key.
    Indexed(Arc<Latest>),
    /// What is to become of batches.
    Thinned {
        /// Those that change.
        changes: Vec<Change>,
        /// Where to go on; none at the end.
        next: Option<i64>,
    },
    /// The operation was not done, and never will be.
    Rejected(Rejection),
    /// What was asked for cannot be read.
    Failed {
        /// What the store says.
        cause: String,
    },
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The operation does not fit the partition's end.
    #[error("offset {offset} of {partition:?} does not fit its end {end}")]
    NotAtEnd {
        /// The partition.
        partition: PartitionKey,
        /// The base offset, or the offset of the snapshot, or the start.
        offset: i64,
        /// The partition's end.
        end: i64,
    },
    /// The topic is deleted.
    #[error("the topic of {partition:?} is deleted")]
    Deleted {
        /// The partition.
        partition: PartitionKey,
    },
    /// The store could not do it now, and has not; a store on this machine never says so.
    #[error("{partition:?} is not available: {cause}")]
    Unavailable {
        /// The partition.
        partition: PartitionKey,
        /// What the store says.
        cause: String,
    },
}

/// A partition as it was found at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Which one.
    pub partition: PartitionKey,
    /// Offset of the first record that is not forgotten.
    pub start: i64,
    /// The offset that the next record gets.
    pub end: i64,
    /// Leader epochs, and where each began.
    pub epochs: Epochs,
    /// The producers that wrote to it, as of its end.
    pub producers: Producers,
    /// Bytes that were appended after the last snapshot of the producers.
    pub since_snapshot: usize,
}

/// A thread's handle to the log. See the [module](self) for what it promises.
pub trait Log: Send {
    /// Asks for an operation; `token` comes back with its completion.
    fn submit(&mut self, token: u64, operation: Operation);

    /// Moves what is complete to the end of `out`.
    fn poll(&mut self, out: &mut Vec<Completion>);
}

/// A log that threads can be given handles to.
pub trait LogStore: Send + Sync {
    /// A handle for one thread, which `wake` wakes when something is complete.
    fn handle(&self, wake: Wake) -> Box<dyn Log>;
}
