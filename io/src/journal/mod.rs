//! The journal: where the records of the coordinator's shards are kept, and who may add to them.
//!
//! # Form
//!
//! A [`JournalStore`] is shared by all threads. Each thread takes a [`Journal`] from it, its own
//! handle with its own completions: calls never block, what they lead to is taken with
//! [`Journal::poll`]. The handle's [`Wake`] is called when there is something to take, from any
//! thread, also from within a call.
//!
//! # Contract
//!
//! A shard is a log of records and its live rows: the last value of each key, without tombstones.
//!
//! 1. What one handle submits takes effect in the order of its calls. Between handles there is an
//!    order too, though not one to rely on.
//! 2. [`Journal::acquire`] raises the shard's epoch. From the moment [`Completion::Acquired`] can
//!    be polled, no append with an older epoch succeeds, from whichever handle and whenever it was
//!    submitted: it is [`Outcome::Fenced`]. One that was acknowledged before is below `next` and
//!    in the replay.
//! 3. `next` is where the log goes on. Offsets are never given out twice: it is past every record
//!    that was ever acknowledged, also if that record's row is gone.
//! 4. [`Outcome::Appended`] says that the batches are durable, all of them or none. Appends of one
//!    shard are stored without a gap: a batch whose base is not where the log goes on is
//!    [`Outcome::Rejected`] with [`RejectCause::Earlier`], since one before it was refused.
//! 5. [`Outcome::Rejected`] says that `from` and the batches after it are certainly not stored, and
//!    never will be; `stored` is what was stored of the same append before them.
//! 6. [`Outcome::Unknown`] says that the store can no longer tell. On one machine that happens only
//!    when a write or a sync has failed: it is not tried again, and the process has to end.
//! 7. A replay gives the live rows as of the acquisition, each once, with the offset of the record
//!    that wrote it, in no particular order, in chunks of at most [`REPLAY_CHUNK`]. The shard must
//!    not be appended to before its replay has ended. Appends to other shards go on meanwhile.
//! 8. Whatever the store does to keep itself small changes no replay.

pub mod contract;
mod fjall;
mod memory;
mod packing;
#[cfg(test)]
mod tests;

use quorate_core::{Batch, BatchId, Epoch, Offset, Record, RejectCause, ShardId};

pub use crate::disk::Wake;
pub use fjall::{FjallJournal, Folding};
pub use memory::MemoryJournal;

/// Rows in a chunk of a replay, at most, so that a thread that loads still answers in between.
pub const REPLAY_CHUNK: usize = 1_000;

/// Bytes of a batch, at most: one that is larger, or holds a text that a record cannot, is refused
/// as [`RejectCause::TooLarge`]. Far above what a shard makes, it bounds what one write may cost.
pub const MAX_BATCH_BYTES: usize = 16 << 20;

/// A journal, as all threads share it.
pub trait JournalStore: Send + Sync {
    /// A handle for one thread, which is woken by `wake`.
    fn handle(&self, wake: Wake) -> Box<dyn Journal>;
}

/// One thread's access to the journal. The module has the contract.
///
/// For a shard the calls are: `acquire`, then after [`Completion::Acquired`] `replay` until a chunk
/// says that it is the last, then `append` at will.
pub trait Journal: Send {
    /// Takes the shards over: for each one [`Completion::Acquired`], or
    /// [`Completion::Unavailable`]. All together cost one sync.
    fn acquire(&mut self, shards: &[ShardId]);

    /// Asks for the next chunk of the shard's live rows: [`Completion::Rows`]. The first call for
    /// an epoch begins the replay. The store keeps what was written since it last folded the shard
    /// in memory until then, so only a few shards at a time should be loaded.
    fn replay(&mut self, shard: ShardId, epoch: Epoch);

    /// Stores batches, for each item [`Completion::Append`]. Many shards in one call are one write
    /// and one sync.
    fn append(&mut self, appends: Vec<Append>);

    /// Moves what has completed, oldest first, to the end of `out`.
    fn poll(&mut self, out: &mut Vec<Completion>);
}

/// Batches of one shard that waited together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The shard.
    pub shard: ShardId,
    /// The batches, oldest first; at least one, all of one epoch, each where the one before ends.
    pub batches: Vec<Batch>,
}

/// What a call led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// The shard is the handle's.
    Acquired {
        /// The shard.
        shard: ShardId,
        /// The epoch for its appends, higher than any before.
        epoch: Epoch,
        /// The base of its next batch.
        next: Offset,
    },
    /// A chunk of a replay.
    Rows {
        /// The shard.
        shard: ShardId,
        /// The epoch that was asked with.
        epoch: Epoch,
        /// Live rows with the offsets they were written at; may be none.
        rows: Vec<(Offset, Record)>,
        /// Whether the replay ends with this chunk.
        last: bool,
    },
    /// The shard cannot be acquired or replayed, since it is fenced or the store has failed.
    /// Acquiring it again may help.
    Unavailable {
        /// The shard.
        shard: ShardId,
    },
    /// What became of an append.
    Append {
        /// The shard.
        shard: ShardId,
        /// The epoch of the append.
        epoch: Epoch,
        /// What became of it.
        outcome: Outcome,
    },
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All its batches are durable.
    Appended {
        /// The last of them.
        through: BatchId,
    },
    /// Some are certainly not stored.
    Rejected {
        /// The last of those before them, which are durable; none if the first was refused.
        stored: Option<BatchId>,
        /// The first that is not stored, nor is any after it.
        from: BatchId,
        /// Why.
        cause: RejectCause,
    },
    /// A newer epoch has the shard; nothing of the append is stored.
    Fenced {
        /// The newer epoch.
        by: Epoch,
    },
    /// Nobody knows whether it is stored, nor will.
    Unknown,
}
