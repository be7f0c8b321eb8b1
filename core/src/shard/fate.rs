//! What the journal says of batches (design 5, spec classic 11.3).

use std::time::Duration;

use super::Shard;
use crate::effect::{Effects, RejectCause};
use crate::env::{After, Deferred, InFlight};
use crate::error::ErrorCode;
use crate::id::{BatchId, GroupId};
use crate::note::{Cause, Note, NoteKind};
use crate::time::Now;
use crate::timers::TimerKey;

/// After a refusal, until deleted topics' offsets are removed again.
const CLEAN_UP_AGAIN: Duration = Duration::from_secs(1);

impl Shard {
    /// Durable up to here: undo is forgotten, replies leave, what was held goes on.
    pub(super) fn appended(&mut self, now: Now, through: BatchId, out: &mut Effects) {
        while self.env.log.in_flight.front().is_some_and(|batch| batch.id <= through) {
            let Some(batch) = self.env.log.in_flight.pop_front() else { break };
            let InFlight { id, groups, after, .. } = batch;
            for group in &groups {
                if let Some(group) = self.groups.get_mut(group) {
                    group.rows.settle(id);
                    group.last_batch = group.last_batch.filter(|newest| *newest > id);
                }
            }
            for after in after {
                self.done(now, after, out);
            }
            self.prune_waits();
            for group in groups {
                self.let_go(now, id, &group, out);
            }
        }
        self.clean_up.settle(Some(through));
        self.resigned(out);
    }

    fn done(&mut self, now: Now, after: After, out: &mut Effects) {
        let Some(id) = after.group().cloned() else {
            if let After::Reply { token, body } = after {
                self.env.reply(out, token, body);
            }
            return;
        };
        if matches!(after, After::Removed { .. }) {
            self.forget(&id, Cause::Removed, out);
        } else if let Some((group, mut cx)) = self.with(now, &id, out) {
            group.done(&mut cx, after);
        }
    }

    /// Not stored from here on: rows are undone from the newest back, then each failure is told.
    pub(super) fn rejected(
        &mut self,
        now: Now,
        from: BatchId,
        cause: RejectCause,
        out: &mut Effects,
    ) {
        let mut refused = Vec::new();
        while self.env.log.in_flight.back().is_some_and(|batch| batch.id >= from) {
            let Some(batch) = self.env.log.in_flight.pop_back() else { break };
            for id in &batch.groups {
                if let Some(group) = self.groups.get_mut(id) {
                    group.rows.undo(id, batch.id, &mut self.env.rows);
                }
            }
            (self.env.log.next_batch, self.env.log.next_offset) = (batch.id, batch.base);
            refused.push(batch);
        }
        self.env.log.waits.retain(|wait| wait.batch < from);
        refused.reverse();
        for batch in &refused {
            for id in &batch.groups {
                let newest = self.env.log.newest_of(id);
                if let Some(group) = self.groups.get_mut(id) {
                    group.last_batch = newest;
                }
            }
        }
        let error = cause.error();
        let held: Vec<(BatchId, Vec<GroupId>)> =
            refused.iter().map(|batch| (batch.id, batch.groups.clone())).collect();
        for after in refused.into_iter().flat_map(|batch| batch.after) {
            self.failed(now, after, error, out);
        }
        for (batch, groups) in held {
            for group in groups {
                self.let_go(now, batch, &group, out);
            }
        }
        if self.clean_up.undo(from, self.groups.len()) {
            let at = now.mono + CLEAN_UP_AGAIN;
            self.env.timers.arm(&mut self.clean_up.timer, at, || TimerKey::Cleanup);
        }
        self.resigned(out);
    }

    fn failed(&mut self, now: Now, after: After, error: ErrorCode, out: &mut Effects) {
        let Some(id) = after.group().cloned() else {
            if let After::Reply { token, body } = after {
                self.env.reply(out, token, body.failed(error));
            }
            return;
        };
        if matches!(after, After::Created { .. }) {
            self.not_created(&id, error, out);
        } else if let Some((group, mut cx)) = self.with(now, &id, out) {
            group.failed(&mut cx, after, error);
        }
    }

    /// A group whose record was refused never was: joins that wait for it are told, without a
    /// member id (spec classic 6.6).
    fn not_created(&mut self, id: &GroupId, error: ErrorCode, out: &mut Effects) {
        if let Some(group) = self.groups.get_mut(id) {
            let joins: Vec<_> = group.live.members.iter().filter_map(|m| m.join).collect();
            for join in joins {
                let body = crate::response::JoinGroup::refused(error, Default::default());
                self.env.reply(
                    out,
                    join.token,
                    crate::response::Response::JoinGroup(Box::new(body)),
                );
            }
        }
        self.forget(id, Cause::AppendFailed, out);
    }

    /// Takes a group out with its timers.
    fn forget(&mut self, id: &GroupId, cause: Cause, out: &mut Effects) {
        let Some(group) = self.groups.swap_remove(id) else { return };
        let live = &group.live;
        let timers = live.pending_join.values().chain(live.members.iter().map(|m| &m.session));
        for timer in timers.chain([&live.join_timer, &live.sync_timer]) {
            self.env.timers.discard(timer);
        }
        out.note(NoteKind::Transition, || Note::Transition {
            group: id.clone(),
            from: Some(live.state.name()),
            to: None,
            generation: live.generation,
            members: live.members.len(),
            cause,
        });
    }

    /// The fate of the batch that held a group is known: what waited is served, in its order.
    fn let_go(&mut self, now: Now, batch: BatchId, id: &GroupId, out: &mut Effects) {
        if let Some(group) = self.groups.get_mut(id) {
            if group.held_by.is_some_and(|by| by != batch) {
                return;
            }
            (group.held_by, group.is_being_created) = (None, false);
        }
        let Some(waiting) = self.env.deferred.swap_remove(id) else { return };
        for deferred in waiting {
            match deferred {
                Deferred::Request { token, origin, body } => {
                    if self.env.parked.resolve(token) {
                        self.request(now, token, origin, body, out);
                    }
                }
                // Armed again by what was served before it: then it has not fired yet, as in Kafka.
                Deferred::Timer(key) => {
                    if self.timer(&key).is_some_and(|timer| timer.deadline().is_none()) {
                        self.fire(now, key, out);
                    }
                }
            }
        }
    }

    /// Forgets waits for batches that are durable.
    fn prune_waits(&mut self) {
        while self.env.log.waits.front().is_some_and(|wait| self.env.log.has(wait.batch)) {
            self.env.log.waits.pop_front();
        }
    }
}
