//! SyncGroup, and the members that never send it (spec classic 7).

use bytes::Bytes;
use indexmap::IndexMap;

use super::rebalance::restart_session;
use super::{ClassicGroup, State};
use crate::effect::Dropped;
use crate::env::{After, Cx, Waits};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{Generation, MemberId, Text, Token};
use crate::note::{Cause, TimerEvent, TimerOf};
use crate::record::{Record, RecordKey, RecordValue};
use crate::request::SyncGroup;
use crate::response::{self, Response};
use crate::timers::TimerKey;

impl Group {
    /// Serves a SyncGroup in the order of spec classic 7.1, 6 on.
    pub(crate) fn sync(&mut self, cx: &mut Cx<'_>, token: Token, request: SyncGroup) {
        match self.live.check_sync(&request) {
            Err(error) => cx.sync_refused(token, error),
            Ok(State::Stable) => {
                self.live.synced(cx, &request.member_id);
                let answer = self.live.assigned(&request.member_id);
                cx.reply(token, Response::SyncGroup(Box::new(answer)));
            }
            Ok(_) => self.park_sync(cx, token, request),
        }
    }

    /// CompletingRebalance: the sync is parked; the leader's is stored.
    fn park_sync(&mut self, cx: &mut Cx<'_>, token: Token, request: SyncGroup) {
        let id = &request.member_id;
        let live = &mut self.live;
        cx.env.parked.park(token);
        if let Some(member) = live.members.get_mut(id)
            && let Some(older) = member.sync.replace(token)
        {
            cx.env.dropped(cx.out, older, Dropped::Replaced);
        }
        live.synced(cx, id);
        if !live.is_leader(id) {
            return;
        }
        let assignments = live.assignments(cx, request);
        let value = Some(RecordValue::Group(Box::new(live.metadata(&assignments))));
        let record = Record { key: RecordKey::Group(cx.id.clone()), value };
        let generation = live.generation;
        let assignments = assignments.into_iter().collect();
        let after = After::Synced { group: cx.id.clone(), generation, assignments };
        if let Some(batch) = self.append_checked(cx, record, after) {
            cx.give_up_on(batch, Waits::Syncs(cx.id.clone(), generation));
        }
    }

    /// The leader's assignments are stored: they take effect, if the group is still there.
    pub(crate) fn assignments_stored(
        &mut self,
        cx: &mut Cx<'_>,
        generation: Generation,
        assignments: Vec<(MemberId, Bytes)>,
    ) {
        let live = &mut self.live;
        if live.state != State::CompletingRebalance || live.generation != generation {
            return;
        }
        for (id, assignment) in assignments {
            if let Some(member) = live.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        live.transition(cx, State::Stable, Cause::Assigned);
        let ids: Vec<MemberId> = live.members.ids().cloned().collect();
        for id in ids {
            let Some(member) = live.members.get_mut(&id) else { continue };
            if let Some(token) = member.sync.take() {
                restart_session(cx, member);
                let answer = live.assigned(&id);
                cx.reply(token, Response::SyncGroup(Box::new(answer)));
            }
        }
    }

    /// The leader's assignments could not be stored: all sync again in another generation.
    pub(crate) fn assignments_failed(
        &mut self,
        cx: &mut Cx<'_>,
        generation: Generation,
        error: ErrorCode,
    ) {
        let live = &mut self.live;
        if live.state == State::CompletingRebalance && live.generation == generation {
            live.fail_syncs(cx, error);
            self.start_rebalance(cx, Cause::AppendFailed);
        }
    }

    /// The append takes longer than a write may: who waits is told, the group stays as it is.
    pub(crate) fn assignments_late(&mut self, cx: &mut Cx<'_>, generation: Generation) {
        let live = &mut self.live;
        if live.state != State::CompletingRebalance || live.generation != generation {
            return;
        }
        let ids: Vec<MemberId> = live.members.ids().cloned().collect();
        for id in ids {
            let Some(member) = live.members.get_mut(&id) else { continue };
            if let Some(token) = member.sync.take() {
                restart_session(cx, member);
                cx.sync_refused(token, ErrorCode::CoordinatorNotAvailable);
            }
        }
    }

    /// The sync timer fired: members that did not sync go, static ones too (spec 7.3).
    pub(crate) fn sync_timer_fired(&mut self, cx: &mut Cx<'_>) {
        let live = &mut self.live;
        let is_on = matches!(live.state, State::CompletingRebalance | State::Stable);
        if !is_on || live.pending_sync.is_empty() {
            return;
        }
        cx.note_timer(&TimerKey::Sync(cx.id.clone()), TimerEvent::Fired);
        let members: Vec<MemberId> = live.pending_sync.iter().cloned().collect();
        for id in &members {
            live.evict(cx, id);
        }
        self.start_rebalance(cx, Cause::SyncTimeout { members });
    }
}

impl ClassicGroup {
    fn check_sync(&self, request: &SyncGroup) -> Result<State, ErrorCode> {
        if self.state == State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let other_type = differs(request.protocol_type.as_ref(), self.protocol_type.as_ref());
        if other_type || differs(request.protocol_name.as_ref(), self.protocol.as_ref()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.state == State::PreparingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(self.state)
    }

    /// The member is not waited for any more.
    fn synced(&mut self, cx: &mut Cx<'_>, id: &MemberId) {
        if self.take_pending_sync(id) && self.pending_sync.is_empty() {
            cx.cancel(&mut self.sync_timer, TimerOf::Sync);
        }
    }

    /// What every member gets: what the leader sent, empty for those that it left out; ids that
    /// are no members are ignored, of two entries the later counts.
    fn assignments(&self, cx: &mut Cx<'_>, request: SyncGroup) -> IndexMap<MemberId, Bytes> {
        let mut all: IndexMap<_, _> =
            self.members.ids().map(|id| (id.clone(), Bytes::new())).collect();
        if request.assignments.is_empty()
            && let Some(dealt) = self.deal(cx)
        {
            return dealt;
        }
        for given in request.assignments {
            if let Some(assignment) = all.get_mut(&given.member_id) {
                *assignment = Bytes::copy_from_slice(&given.assignment);
            }
        }
        all
    }

    fn assigned(&self, id: &MemberId) -> response::SyncGroup {
        response::SyncGroup {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: self.members.get(id).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }
}

/// Whether both are there and not the same.
fn differs(given: Option<&Text>, own: Option<&Text>) -> bool {
    given.zip(own).is_some_and(|(given, own)| given != own)
}
