//! One partition of `__consumer_offsets` and all the groups in it, as a state machine.

use crate::config::Config;
use crate::effect::{Effect, Effects, Input};
use crate::error::ErrorCode;
use crate::id::{Epoch, Offset, ShardId};
use crate::router::refuse;
use crate::seed::Random;
use crate::time::{Instant, Now};

/// What a shard is fit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It serves.
    Active,
    /// It takes no new work and waits for its appends.
    Resigning,
    /// It is dead: everything is answered NOT_COORDINATOR.
    Fenced,
}

/// The coordinator of the groups of one shard.
#[derive(Debug, Clone)]
pub struct Shard {
    pub(crate) id: ShardId,
    pub(crate) epoch: Epoch,
    pub(crate) config: Config,
    pub(crate) next_offset: Offset,
    pub(crate) random: Random,
    pub(crate) status: Status,
}

impl Shard {
    /// Takes one input in; what is to be done comes out. Total: never fails, never blocks.
    pub fn step(&mut self, _now: Now, input: Input, out: &mut Effects) {
        if let Input::Request { token, body, .. } = input {
            let body = refuse(&body, ErrorCode::NotCoordinator);
            out.push(Effect::Reply { token, body });
        }
    }

    /// When [`Input::Deadline`] is next due. Waking earlier is harmless.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Whether it serves.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Its incarnation.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}
