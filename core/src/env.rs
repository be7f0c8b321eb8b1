//! What handlers work with beside the group: settings, timers, parked requests, the batches in
//! flight, and the way to answer.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::classic::Member;
use crate::config::Config;
use crate::effect::{Batch, Dropped, Effect, Effects};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{BatchId, Epoch, Generation, GroupId, MemberId, Offset, ShardId, Token};
use crate::note::{ArmedFor, Note, NoteKind, TimerEvent, TimerOf};
use crate::parked::Parked;
use crate::record::Record;
use crate::request::{Origin, Request};
use crate::response::{JoinGroup, Response, SyncGroup};
use crate::seed::Random;
use crate::shard::Status;
use crate::tables::RowsHash;
use crate::time::{Instant, Now};
use crate::timers::{Timer, TimerKey, Timers};
use crate::topics::Topics;

/// All of a shard but its groups.
#[derive(Debug, Clone)]
pub(crate) struct Env {
    pub(crate) id: ShardId,
    pub(crate) epoch: Epoch,
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) status: Status,
    pub(crate) timers: Timers,
    pub(crate) parked: Parked,
    pub(crate) log: Log,
    pub(crate) topics: Arc<Topics>,
    pub(crate) rows: RowsHash,
    /// Requests and timers of groups that are held, in their order, by group.
    pub(crate) deferred: IndexMap<GroupId, VecDeque<Deferred>, foldhash::fast::FixedState>,
}

/// What waits undecided until its group is not held any more (design 6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Deferred {
    Request { token: Token, origin: Origin, body: Request },
    Timer(TimerKey),
}

/// The batches that are not yet durable.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) next_batch: BatchId,
    pub(crate) next_offset: Offset,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Records of the batch that is being put together.
    open: Vec<Record>,
    /// Replies that wait for a batch, by the time at which they are given up.
    pub(crate) waits: VecDeque<Wait>,
}

/// A batch that the journal has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct InFlight {
    pub(crate) id: BatchId,
    pub(crate) base: Offset,
    pub(crate) groups: Vec<GroupId>,
    pub(crate) after: Vec<After>,
}

/// What happens when a batch is durable, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum After {
    /// A request is answered with this; with the failure in the same shape, if it failed.
    Reply { token: Token, body: Response },
    /// The leader's assignments take effect (spec classic 7.2).
    Synced { group: GroupId, generation: Generation, assignments: Vec<(MemberId, Bytes)> },
    /// A static member that came back is told (spec classic 6.7).
    StaticReplaced {
        group: GroupId,
        /// None once the wait was given up.
        token: Option<Token>,
        body: Box<JoinGroup>,
        new: MemberId,
        old: Box<Member>,
        old_leader: Option<MemberId>,
    },
    /// A group came into being.
    Created { group: GroupId },
    /// A group is gone.
    Removed { group: GroupId },
}

/// A reply that waits for a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wait {
    pub(crate) deadline: Instant,
    pub(crate) batch: BatchId,
    pub(crate) what: Waits,
}

/// Who waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Waits {
    Token(Token),
    /// The members whose syncs are parked behind the leader's record.
    Syncs(GroupId, Generation),
}

impl Log {
    pub(crate) fn new(next_offset: Offset) -> Log {
        Log {
            next_batch: BatchId(1),
            next_offset,
            in_flight: VecDeque::new(),
            open: Vec::new(),
            waits: VecDeque::new(),
        }
    }

    /// Whether all batches up to this one are durable.
    pub(crate) fn has(&self, batch: BatchId) -> bool {
        self.in_flight.front().is_none_or(|oldest| oldest.id > batch)
    }

    /// The newest batch in flight that has a row of a group.
    pub(crate) fn newest_of(&self, group: &GroupId) -> Option<BatchId> {
        let newest = self.in_flight.iter().rev().find(|batch| batch.groups.contains(group));
        newest.map(|batch| batch.id)
    }

    pub(crate) fn get_mut(&mut self, batch: BatchId) -> Option<&mut InFlight> {
        let oldest = self.in_flight.front()?.id;
        let place = batch.0.checked_sub(oldest.0)?;
        self.in_flight.get_mut(usize::try_from(place).ok()?)
    }
}

impl Env {
    /// Whether a request that must write may do so now.
    pub(crate) fn may_write(&self) -> bool {
        let limit = self.config.max_in_flight.saturating_sub(self.config.in_flight_reserve);
        self.log.in_flight.len() < limit
    }

    /// Whether a timer that must write may do so now.
    pub(crate) fn timer_may_write(&self) -> bool {
        self.log.in_flight.len() < self.config.max_in_flight
    }

    /// Answers a request, parked or not.
    pub(crate) fn reply(&mut self, out: &mut Effects, token: Token, body: Response) {
        if self.parked.resolve(token) {
            out.push(Effect::Reply { token, body });
        }
    }

    /// Ends a request without an answer.
    pub(crate) fn dropped(&mut self, out: &mut Effects, token: Token, why: Dropped) {
        if self.parked.resolve(token) {
            out.push(Effect::Dropped { token, why });
        }
    }

    /// Answers a request when a batch is durable.
    pub(crate) fn wait_for(&mut self, now: Now, batch: BatchId, token: Token, body: Response) {
        self.parked.park(token);
        self.give_up_on(now, batch, Waits::Token(token));
        if let Some(in_flight) = self.log.get_mut(batch) {
            in_flight.after.push(After::Reply { token, body });
        }
    }

    /// From now on `offsets.commit.timeout.ms` counts for whoever waits for the batch.
    pub(crate) fn give_up_on(&mut self, now: Now, batch: BatchId, what: Waits) {
        let deadline = now.mono + self.config.write_timeout;
        self.log.waits.push_back(Wait { deadline, batch, what });
    }

    /// Writes a row of the batch that is being put together.
    pub(crate) fn put(&mut self, group: &mut Group, record: Record) {
        group.rows.put_in_flight(self.log.next_batch, &record, &mut self.rows);
        self.log.open.push(record);
    }

    /// Sends the batch that is being put together.
    pub(crate) fn seal(&mut self, out: &mut Effects, groups: Vec<GroupId>, after: Vec<After>) {
        let records = std::mem::take(&mut self.log.open);
        debug_assert!(!records.is_empty(), "a batch has records");
        let (id, base) = (self.log.next_batch, self.log.next_offset);
        self.log.next_batch = BatchId(id.0 + 1);
        self.log.next_offset = Offset(base.0 + records.len() as u64);
        self.log.in_flight.push_back(InFlight { id, base, groups, after });
        out.push(Effect::Append(Batch { id, epoch: self.epoch, base, records }));
    }
}

/// One step's view of one group's surroundings.
pub(crate) struct Cx<'a> {
    pub(crate) env: &'a mut Env,
    pub(crate) now: Now,
    pub(crate) out: &'a mut Effects,
    pub(crate) id: &'a GroupId,
}

impl Cx<'_> {
    pub(crate) fn reply(&mut self, token: Token, body: Response) {
        self.env.reply(self.out, token, body);
    }

    pub(crate) fn join_reply(&mut self, token: Token, body: JoinGroup) {
        self.reply(token, Response::JoinGroup(Box::new(body)));
    }

    pub(crate) fn join_refused(&mut self, token: Token, error: ErrorCode, member: MemberId) {
        self.join_reply(token, JoinGroup::refused(error, member));
    }

    pub(crate) fn sync_refused(&mut self, token: Token, error: ErrorCode) {
        self.reply(token, Response::SyncGroup(Box::new(SyncGroup::refused(error))));
    }

    /// Answers when all that the group has written is durable (design 6): now, if it is.
    pub(crate) fn reply_behind(&mut self, group: &Group, token: Token, body: Response) {
        match group.last_batch {
            None => self.reply(token, body),
            Some(batch) => self.env.wait_for(self.now, batch, token, body),
        }
    }

    /// From now on `offsets.commit.timeout.ms` counts for whoever waits for the batch.
    pub(crate) fn give_up_on(&mut self, batch: BatchId, what: Waits) {
        self.env.give_up_on(self.now, batch, what);
    }

    /// Writes records of this group as one batch; its number.
    pub(crate) fn append(
        &mut self,
        group: &mut Group,
        records: Vec<Record>,
        after: Vec<After>,
    ) -> BatchId {
        for record in records {
            self.env.put(group, record);
        }
        let batch = self.env.log.next_batch;
        group.last_batch = Some(batch);
        self.env.seal(self.out, vec![self.id.clone()], after);
        batch
    }

    pub(crate) fn note(&mut self, kind: NoteKind, note: impl FnOnce(&GroupId) -> Note) {
        let id = self.id;
        self.out.note(kind, || note(id));
    }

    pub(crate) fn arm(&mut self, timer: &mut Timer, after: std::time::Duration, key: TimerKey) {
        self.env.timers.arm(timer, self.now.mono + after, || key);
    }

    /// Arms a timer, and tells.
    pub(crate) fn arm_for(
        &mut self,
        reason: ArmedFor,
        timer: &mut Timer,
        after: std::time::Duration,
        key: TimerKey,
    ) {
        let at = self.now.mono + after;
        self.note_timer(&key, TimerEvent::Armed { at, reason });
        self.arm(timer, after, key);
    }

    /// Makes a timer not fire, and tells if it would have.
    pub(crate) fn cancel(&mut self, timer: &mut Timer, of: TimerOf) {
        if timer.deadline().is_some() {
            self.note(NoteKind::Timer, |group| Note::Timer {
                group: group.clone(),
                timer: of,
                event: TimerEvent::Cancelled,
            });
        }
        self.env.timers.cancel(timer);
    }

    /// Tells what a timer of the group did.
    pub(crate) fn note_timer(&mut self, key: &TimerKey, event: TimerEvent) {
        self.out.note_timer(key, event);
    }
}
