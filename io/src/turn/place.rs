//! Where a shard is between being wanted and serving.

use quorate_core::{Batch, Epoch, Instant, Loader, Shard, ShardId};

use crate::journal::Append;

/// A shard's place in its thread, whether it serves or not.
#[derive(Debug)]
pub(super) struct Place {
    pub id: ShardId,
    pub state: State,
    /// Counts the loads since the process started; part of the seed of each.
    pub loads: u64,
    /// When it panicked, as far back as it matters.
    pub panics: Vec<Instant>,
    /// Whether an operator was told that the journal does not give it.
    pub is_told_away: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// The journal is to give it: COORDINATOR_LOAD_IN_PROGRESS.
    Waiting,
    /// Its rows are being read: COORDINATOR_LOAD_IN_PROGRESS.
    Loading(Box<Loading>),
    /// It serves.
    Active(Box<Active>),
    /// The journal does not give it, and is asked again then: NOT_COORDINATOR. No time while it is
    /// being asked: until it has said yes, who waits for the shard looks for it elsewhere.
    Away(Option<Instant>),
    /// It is not coming back: NOT_COORDINATOR.
    Gone,
}

#[derive(Debug)]
pub(super) struct Loading {
    pub loader: Loader,
    pub epoch: Epoch,
    /// Whether its rows have been asked for.
    pub asked: bool,
}

#[derive(Debug)]
pub(super) struct Active {
    pub shard: Shard,
    /// As the shard said last.
    pub deadline: Option<Instant>,
    /// Batches that wait for the append in flight to end.
    pub queue: Vec<Batch>,
    /// Since when an append is in flight; none if there is none.
    pub in_flight: Option<Instant>,
}

impl Place {
    pub fn new(id: ShardId) -> Place {
        Place { id, state: State::Waiting, loads: 0, panics: Vec::new(), is_told_away: false }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Active(active) => active.deadline,
            State::Away(again) => *again,
            _ => None,
        }
    }

    /// Whether batches wait that no append in flight keeps back.
    pub fn wants_to_append(&self) -> bool {
        matches!(&self.state, State::Active(active)
            if active.in_flight.is_none() && !active.queue.is_empty())
    }

    pub fn is_quiet(&self) -> bool {
        match &self.state {
            State::Active(active) => active.queue.is_empty() && active.in_flight.is_none(),
            State::Waiting | State::Loading(_) => false,
            State::Away(_) | State::Gone => true,
        }
    }
}

impl Active {
    pub fn new(shard: Shard) -> Active {
        Active { shard, deadline: None, queue: Vec::new(), in_flight: None }
    }

    /// What is to be appended now: everything that waits, once nothing is in flight.
    pub fn flush(&mut self, shard: ShardId, now: Instant) -> Option<Append> {
        if self.in_flight.is_some() || self.queue.is_empty() {
            return None;
        }
        self.in_flight = Some(now);
        Some(Append { shard, batches: std::mem::take(&mut self.queue) })
    }
}
