//! One partition of `__consumer_offsets` and all the groups in it, as a state machine.
//!
//! Decided here: what comes first, what waits, and what a batch's fate leads to. What a request
//! means is decided in `classic`, `offsets` and `admin`.

mod deadline;
mod dispatch;
mod end;
mod fate;

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use indexmap::IndexMap;

use crate::effect::{Effect, Effects, Input};
use crate::env::Env;
use crate::group::Group;
use crate::id::{Epoch, GroupId, Offset, ShardId};
use crate::offsets::{CleanUp, Sweep};
use crate::record::{RecordKey, RecordValue};
use crate::time::{Instant, Now};
use crate::timers::TimerKey;
use crate::topics::TopicsDelta;

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

/// A hash of all state, the same for equal shards however they came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

pub(crate) type Groups = IndexMap<GroupId, Group, FixedState>;

/// The coordinator of the groups of one shard.
///
/// It comes out of a [`Loader`](crate::Loader). Then, for each turn of its driver, in this order:
/// [`Shard::step`] with the completions of the journal, then with requests, then with
/// [`Input::Deadline`] if [`Shard::next_deadline`] has passed. Each step leaves its effects in the
/// sink; the driver sends the replies, appends the batches, and later tells their fate.
///
/// Every token of a request is resolved exactly once: by a reply, by
/// [`Effect::Dropped`], or by [`Input::Abandoned`].
#[derive(Debug, Clone)]
pub struct Shard {
    pub(crate) groups: Groups,
    pub(crate) env: Env,
    pub(crate) sweep: Sweep,
    pub(crate) clean_up: CleanUp,
    pub(crate) steps: u64,
    /// The groups that this step has touched; kept only where they are checked.
    pub(crate) touched: Vec<GroupId>,
}

impl Shard {
    /// Takes one input in; what is to be done comes out. Total: never fails, never blocks.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        match input {
            Input::Request { token, origin, body } => self.request(now, token, origin, body, out),
            Input::Abandoned { token } => self.env.parked.abandon(token),
            Input::Appended { through } => self.appended(now, through, out),
            Input::Rejected { from, cause } => self.rejected(now, from, cause, out),
            Input::Fenced { .. } => self.fenced(out),
            Input::Topics(delta) => self.topics(now, &delta),
            Input::Deadline => self.deadline(now, out),
            Input::Resign => self.resign(out),
        }
        self.steps += 1;
        if cfg!(debug_assertions) {
            self.check_touched();
            if self.steps.is_multiple_of(64) {
                self.check();
            }
        }
    }

    /// When [`Input::Deadline`] is next due. Waking earlier is harmless.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.env.status != Status::Active {
            return None;
        }
        // Timers that must write stay due while the journal is full; its answer comes first.
        let timers = self.env.timers.next().filter(|_| self.env.timer_may_write());
        let waits = self.env.log.waits.front().map(|wait| wait.deadline);
        timers.into_iter().chain(waits).min()
    }

    /// Whether it serves.
    #[must_use]
    pub fn status(&self) -> Status {
        self.env.status
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.env.id
    }

    /// Its incarnation.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.env.epoch
    }

    /// Where its next batch goes.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.env.log.next_offset
    }

    /// How many batches the journal has not yet told of.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.env.log.in_flight.len()
    }

    /// How many requests wait.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.env.parked.len()
    }

    /// All rows as they are in memory, written or being written, sorted by key.
    #[must_use]
    pub fn rows(&self) -> Vec<(RecordKey, RecordValue)> {
        let mut all = Vec::new();
        for (id, group) in &self.groups {
            if let Some(row) = &group.rows.group {
                all.push((RecordKey::Group(id.clone()), RecordValue::Group(row.clone())));
            }
            for (topic, partition, row) in group.rows.offsets.iter() {
                let (group, topic) = (id.clone(), topic.clone());
                let key = RecordKey::Offset { group, topic, partition };
                all.push((key, RecordValue::Offset(row.clone())));
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The shard's hash, with a hasher that is the same everywhere.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(FixedState::default().hash_one(self))
    }

    fn topics(&mut self, now: Now, delta: &TopicsDelta) {
        self.env.topics = delta.view.clone();
        for topic in &delta.deleted {
            self.clean_up.add(topic.name.clone(), topic.id, self.groups.len());
        }
        self.arm_clean_up(now);
    }

    /// If there are offsets of deleted topics to look for, that is due now.
    pub(crate) fn arm_clean_up(&mut self, now: Now) {
        if !self.clean_up.is_done() {
            self.env.timers.arm(&mut self.clean_up.timer, now.mono, || TimerKey::Cleanup);
        }
    }
}

/// Answers a token that is not parked.
pub(crate) fn reply_now(
    out: &mut Effects,
    token: crate::id::Token,
    body: crate::response::Response,
) {
    out.push(Effect::Reply { token, body });
}
