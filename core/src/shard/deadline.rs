//! What is due: timers, replies that waited too long, sweeps (spec classic 10, 16, design 7 to 9).

use std::time::Duration;

use super::Shard;
use crate::effect::Effects;
use crate::env::{After, Deferred, Waits};
use crate::error::ErrorCode;
use crate::id::{BatchId, Token};
use crate::note::{Note, NoteKind, TimerEvent};
use crate::record::RecordKey;
use crate::response::{JoinGroup, Response};
use crate::time::{Instant, Now};
use crate::timers::{Surfaced, Timer, TimerKey};

/// A session that is found overdue by more than this was not expired in time because the
/// coordinator paused; its heartbeats may still be in sockets (design 8).
const GRACE: Duration = Duration::from_secs(1);

impl Shard {
    /// Runs what is due, at most `timers_per_step` timers.
    pub(super) fn deadline(&mut self, now: Now, out: &mut Effects) {
        self.give_up(now, out);
        for _ in 0..self.env.config.timers_per_step {
            if !self.env.timer_may_write() {
                break;
            }
            let Some((entry, key)) = self.env.timers.pop_due(now.mono) else { break };
            self.surfaced(now, entry, key, out);
        }
        if self.env.timers.wants_sweep() {
            let mut timers = std::mem::take(&mut self.env.timers);
            timers.sweep(|at, key| self.timer(key).is_some_and(|timer| timer.owns(at)));
            self.env.timers = timers;
        }
    }

    fn surfaced(&mut self, now: Now, entry: Instant, key: TimerKey, out: &mut Effects) {
        let mut timers = std::mem::take(&mut self.env.timers);
        let mut timer = self.timer(&key);
        let deadline = timer.as_ref().and_then(|timer| timer.deadline());
        let surfaced = timers.surface(timer.as_deref_mut(), entry, now.mono, &key);
        let late = deadline.is_some_and(|deadline| now.mono.since(deadline) > GRACE);
        let is_graced = match (timer, &key) {
            (Some(timer), TimerKey::Session(..)) if surfaced == Surfaced::Fires && late => {
                let is_graced = timer.take_grace();
                if is_graced {
                    let at = now.mono + GRACE;
                    timers.grace(timer, at, key.clone());
                    out.note_timer(&key, TimerEvent::Graced { at });
                }
                is_graced
            }
            _ => false,
        };
        self.env.timers = timers;
        if surfaced == Surfaced::Fires && !is_graced {
            self.fire(now, key, out);
        }
    }

    /// The timer that has a key now.
    pub(super) fn timer(&mut self, key: &TimerKey) -> Option<&mut Timer> {
        match key {
            TimerKey::Session(group, member) => {
                let live = &mut self.groups.get_mut(group)?.live;
                match live.members.get_mut(member) {
                    Some(member) => Some(&mut member.session),
                    None => live.pending_join.get_mut(member),
                }
            }
            TimerKey::Join(group) => Some(&mut self.groups.get_mut(group)?.live.join_timer),
            TimerKey::Sync(group) => Some(&mut self.groups.get_mut(group)?.live.sync_timer),
            TimerKey::Sweep => Some(&mut self.sweep.timer),
            TimerKey::Cleanup => Some(&mut self.clean_up.timer),
        }
    }

    /// Runs a timer, or lets it wait until its group is not held any more.
    pub(super) fn fire(&mut self, now: Now, key: TimerKey, out: &mut Effects) {
        let group = match &key {
            TimerKey::Session(group, _) | TimerKey::Join(group) | TimerKey::Sync(group) => {
                group.clone()
            }
            TimerKey::Sweep => return self.sweep_step(now, out),
            TimerKey::Cleanup => return self.clean_up_step(now, out),
        };
        if self.groups.get(&group).is_some_and(|group| group.held_by.is_some()) {
            let waiting = self.env.deferred.entry(group).or_default();
            waiting.push_back(Deferred::Timer(key));
            return;
        }
        let Some((group, mut cx)) = self.with(now, &group, out) else { return };
        match &key {
            TimerKey::Session(_, member) => group.session_fired(&mut cx, member),
            TimerKey::Join(_) => group.join_timer_fired(&mut cx),
            TimerKey::Sync(_) => group.sync_timer_fired(&mut cx),
            TimerKey::Sweep | TimerKey::Cleanup => {}
        }
    }

    /// Replies that wait for a batch longer than a write may take get COORDINATOR_NOT_AVAILABLE;
    /// the batch and the state stay (spec classic 3.2).
    fn give_up(&mut self, now: Now, out: &mut Effects) {
        while self.env.log.waits.front().is_some_and(|wait| wait.deadline <= now.mono) {
            let Some(wait) = self.env.log.waits.pop_front() else { break };
            match wait.what {
                Waits::Token(token) => self.give_up_reply(wait.batch, token, out),
                Waits::Syncs(group, generation) => {
                    if let Some((group, mut cx)) = self.with(now, &group, out) {
                        group.assignments_late(&mut cx, generation);
                    }
                }
            }
        }
    }

    fn give_up_reply(&mut self, batch: BatchId, token: Token, out: &mut Effects) {
        let error = ErrorCode::CoordinatorNotAvailable;
        let Some(in_flight) = self.env.log.get_mut(batch) else { return };
        let waits = |after: &After| match after {
            After::Reply { token: waiting, .. } => *waiting == token,
            After::StaticReplaced { token: waiting, .. } => *waiting == Some(token),
            _ => false,
        };
        let Some(place) = in_flight.after.iter().position(waits) else { return };
        let body = match &mut in_flight.after[place] {
            After::StaticReplaced { token, .. } => {
                *token = None;
                Response::JoinGroup(Box::new(JoinGroup::refused(error, Default::default())))
            }
            _ => match in_flight.after.remove(place) {
                After::Reply { body, .. } => body.failed(error),
                _ => return,
            },
        };
        self.env.reply(out, token, body);
    }

    /// One step of the retention sweep (spec classic 16).
    fn sweep_step(&mut self, now: Now, out: &mut Effects) {
        let interval = self.env.config.retention_check_interval;
        let mut cursor = match self.sweep.cursor.take() {
            Some(cursor) => cursor.min(self.groups.len()),
            None => {
                if let Some(ahead) = self.sweep.runs_ahead(now) {
                    let ahead_ms = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
                    out.note(NoteKind::SweepPutOff, || Note::SweepPutOff { ahead_ms });
                    return self.arm_sweep(now.mono + interval);
                }
                self.groups.len()
            }
        };
        let (mut keys, mut gone, mut looked_at) = (Vec::new(), Vec::new(), 0);
        while cursor > 0 && looked_at < self.env.config.sweep_keys_per_step {
            cursor -= 1;
            let Some((id, group)) = self.groups.get_index(cursor) else { continue };
            looked_at += 1 + group.rows.offsets.len();
            if group.held_by.is_some() {
                continue;
            }
            let retention = self.env.config.offsets_retention;
            let (expired, goes) = group.expired(id, now.wall, retention);
            let (group, count) = (id.clone(), expired.len());
            if count > 0 {
                out.note(NoteKind::OffsetsRemoved, || Note::OffsetsRemoved { group, count });
            }
            if goes {
                gone.push(id.clone());
            } else {
                keys.extend(expired);
            }
        }
        self.write_chunk(keys, gone, out);
        if cursor > 0 {
            self.sweep.cursor = Some(cursor);
            self.arm_sweep(now.mono);
        } else {
            self.arm_sweep(now.mono + interval);
        }
    }

    pub(crate) fn arm_sweep(&mut self, at: Instant) {
        self.env.timers.arm(&mut self.sweep.timer, at, || TimerKey::Sweep);
    }

    fn write_chunk(
        &mut self,
        keys: Vec<RecordKey>,
        gone: Vec<crate::id::GroupId>,
        out: &mut Effects,
    ) {
        if !keys.is_empty() || !gone.is_empty() {
            self.remove_groups(&gone, keys, Vec::new(), out);
        }
    }

    /// One step of the clean-up of deleted topics' offsets.
    fn clean_up_step(&mut self, now: Now, out: &mut Effects) {
        let mut cursor = self.clean_up.cursor.min(self.groups.len());
        let (mut keys, mut looked_at) = (Vec::new(), 0);
        while cursor > 0 && looked_at < self.env.config.sweep_keys_per_step {
            let Some((id, group)) = self.groups.get_index(cursor - 1) else { break };
            if group.held_by.is_some() {
                // It may come with such a row; its fate is known before the journal's next turn.
                break;
            }
            cursor -= 1;
            looked_at += 1 + group.rows.offsets.len();
            let before = keys.len();
            for (topic, partition, row) in group.rows.offsets.iter() {
                if self.clean_up.covers(topic, row) {
                    let (group, topic) = (id.clone(), topic.clone());
                    keys.push(RecordKey::Offset { group, topic, partition });
                }
            }
            let (group, count) = (id.clone(), keys.len() - before);
            if count > 0 {
                out.note(NoteKind::OffsetsRemoved, || Note::OffsetsRemoved { group, count });
            }
        }
        if !keys.is_empty() {
            self.clean_up.wrote(self.env.log.next_batch);
        }
        self.write_chunk(keys, Vec::new(), out);
        self.clean_up.cursor = cursor;
        if cursor == 0 {
            self.clean_up.settle(None);
        } else {
            let at = now.mono + Duration::from_millis(u64::from(looked_at == 0));
            self.env.timers.arm(&mut self.clean_up.timer, at, || TimerKey::Cleanup);
        }
    }
}
