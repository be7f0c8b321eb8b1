//! Equal situations made equal: what a search through all states of a shard needs, and nothing
//! that a broker calls.
//!
//! Two shards that differ only in what o'clock it is, and in how many batches they have written,
//! go on in the same way. [`Shard::rebase`] takes that difference away; their hashes are equal
//! then.

use std::hash::{Hash, Hasher};

use crate::env::{InFlight, Wait};
use crate::group::Group;
use crate::id::{BatchId, GroupId, Offset};
use crate::shard::Shard;
use crate::time::Instant;
use crate::timers::{TimerKey, Timers};

/// All that decides what a shard does next: groups, rows and their undo, requests that wait and
/// what for, batches in flight and what follows from them, deadlines.
///
/// Left out is what is given: settings, topics, and the randomness of ids that are yet to be
/// made; and what shows in no effect: how timers are sorted, and counters for checks.
impl Hash for Shard {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut sorted: Vec<(&GroupId, &Group)> = self.groups.iter().collect();
        sorted.sort_unstable_by_key(|(id, _)| *id);
        (sorted, self.env.status).hash(state);
        let log = &self.env.log;
        (log.next_batch, log.next_offset, &log.in_flight, &log.waits).hash(state);
        let mut deferred: Vec<_> = self.env.deferred.iter().collect();
        deferred.sort_unstable_by_key(|(id, _)| *id);
        deferred.hash(state);
        self.env.parked.hash(state);
        (&self.sweep, &self.clean_up).hash(state);
    }
}

impl Shard {
    /// Makes `now` the start of the clock, and lets the oldest batch in flight, or the next one,
    /// be number 1 at offset 0. Deadlines that have passed are due at the start; one at the end of
    /// time, as after an endless interval, stays there.
    ///
    /// The caller counts likewise from then on.
    pub fn rebase(&mut self, now: Instant) {
        let log = &mut self.env.log;
        let first = log.in_flight.front();
        let (batch, offset) =
            first.map_or((log.next_batch, log.next_offset), |batch| (batch.id, batch.base));
        let renumbered = |id: BatchId| BatchId((id.0 + 1).saturating_sub(batch.0));
        let moved = |at: Offset| Offset(at.0.saturating_sub(offset.0));
        (log.next_batch, log.next_offset) = (renumbered(log.next_batch), moved(log.next_offset));
        for InFlight { id, base, .. } in &mut log.in_flight {
            (*id, *base) = (renumbered(*id), moved(*base));
        }
        for Wait { deadline, batch, .. } in &mut log.waits {
            (*deadline, *batch) = (deadline.rebased(now), renumbered(*batch));
        }
        let mut timers = Timers::default();
        for (id, group) in &mut self.groups {
            group.last_batch = group.last_batch.map(renumbered);
            group.held_by = group.held_by.map(renumbered);
            group.rows.renumber(renumbered);
            rebase_timers(&mut timers, id, group, now);
        }
        timers.rebase(&mut self.sweep.timer, now, || TimerKey::Sweep);
        timers.rebase(&mut self.clean_up.timer, now, || TimerKey::Cleanup);
        self.clean_up.renumber(renumbered);
        if let Some(last) = &mut self.sweep.last {
            last.mono = last.mono.rebased(now);
        }
        self.env.timers = timers;
    }
}

fn rebase_timers(timers: &mut Timers, id: &GroupId, group: &mut Group, now: Instant) {
    let live = &mut group.live;
    live.members.each_session(|member, timer| {
        timers.rebase(timer, now, || TimerKey::Session(id.clone(), member.clone()));
    });
    for (member, timer) in &mut live.pending_join {
        timers.rebase(timer, now, || TimerKey::Session(id.clone(), member.clone()));
    }
    timers.rebase(&mut live.join_timer, now, || TimerKey::Join(id.clone()));
    timers.rebase(&mut live.sync_timer, now, || TimerKey::Sync(id.clone()));
}
