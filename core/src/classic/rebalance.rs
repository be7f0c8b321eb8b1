//! How a rebalance starts, and what its timer does (spec classic 6.8, 6.9, 10).

use super::{ClassicGroup, InitialDelay, Member, State};
use crate::env::Cx;
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::MemberId;
use crate::note::{ArmedFor, Cause, TimerEvent, TimerOf};
use crate::timers::TimerKey;

impl Group {
    /// Starts a rebalance (spec classic 6.8).
    pub(crate) fn start_rebalance(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        let live = &mut self.live;
        if live.state == State::CompletingRebalance {
            live.fail_syncs(cx, ErrorCode::RebalanceInProgress);
        }
        live.pending_sync.clear();
        cx.cancel(&mut live.sync_timer, TimerOf::Sync);
        if live.state == State::Empty {
            let delay = cx.env.config.initial_rebalance_delay;
            let remaining = live.rebalance_timeout().saturating_sub(delay);
            live.initial = Some(InitialDelay { delay, remaining });
            live.transition(cx, State::PreparingRebalance, cause);
            let key = TimerKey::Join(cx.id.clone());
            cx.arm_for(ArmedFor::Initial, &mut live.join_timer, delay, key);
            return;
        }
        live.transition(cx, State::PreparingRebalance, cause);
        if live.all_joined() {
            self.complete_join(cx);
        } else {
            let timeout = live.rebalance_timeout();
            let key = TimerKey::Join(cx.id.clone());
            cx.arm_for(ArmedFor::Rebalance, &mut live.join_timer, timeout, key);
        }
    }

    /// Completes the join phase if nobody is waited for; an initial one waits for its timer.
    pub(super) fn try_complete(&mut self, cx: &mut Cx<'_>) {
        if self.live.initial.is_none() && self.live.all_joined() {
            self.complete_join(cx);
        }
    }

    /// The join timer fired.
    pub(crate) fn join_timer_fired(&mut self, cx: &mut Cx<'_>) {
        let live = &mut self.live;
        if live.state != State::PreparingRebalance {
            return;
        }
        if let Some(InitialDelay { delay, remaining }) = live.initial
            && live.new_member_added
            && !remaining.is_zero()
        {
            live.new_member_added = false;
            let next = cx.env.config.initial_rebalance_delay.min(remaining);
            let remaining = remaining.saturating_sub(delay);
            live.initial = Some(InitialDelay { delay: next, remaining });
            let key = TimerKey::Join(cx.id.clone());
            cx.note_timer(&key, TimerEvent::Extended { at: cx.now.mono + next });
            cx.arm(&mut live.join_timer, next, key);
            return;
        }
        cx.note_timer(&TimerKey::Join(cx.id.clone()), TimerEvent::Fired);
        self.complete_join(cx);
    }
}

impl ClassicGroup {
    /// Clears all assignments and answers every parked sync with an error; its member's session
    /// starts anew.
    pub(super) fn fail_syncs(&mut self, cx: &mut Cx<'_>, error: ErrorCode) {
        let ids: Vec<MemberId> = self.members.ids().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.assignment = bytes::Bytes::new();
            if let Some(token) = member.sync.take() {
                restart_session(cx, member);
                cx.sync_refused(token, error);
            }
        }
    }

    /// Takes a member out, with all that counts it. Its parked join is for the caller to answer.
    pub(super) fn remove(&mut self, cx: &mut Cx<'_>, id: &MemberId) -> Option<Member> {
        let mut member = self.members.remove(id)?;
        cx.env.timers.discard(&member.session);
        self.uncount_protocols(&member.protocols);
        self.awaiting_join -= usize::from(member.join.is_some());
        if let Some(instance) = &member.instance_id {
            self.static_members.remove(instance);
        }
        self.take_pending_sync(id);
        if let Some(token) = member.sync.take() {
            cx.env.dropped(cx.out, token, crate::effect::Dropped::MemberLeft);
        }
        if self.is_leader(id) {
            self.leader = self.members.ids().next().cloned();
        }
        Some(member)
    }

    /// Takes a member out and tells its parked join that it is unknown now.
    pub(super) fn evict(&mut self, cx: &mut Cx<'_>, id: &MemberId) {
        if let Some(member) = self.remove(cx, id)
            && let Some(join) = member.join
        {
            cx.join_refused(join.token, ErrorCode::UnknownMemberId, MemberId::default());
        }
    }
}

/// The member was heard: its session starts anew.
pub(super) fn restart_session(cx: &mut Cx<'_>, member: &mut Member) {
    let deadline = cx.now.mono + member.session_timeout.duration();
    let (group, id) = (cx.id, &member.id);
    let key = || TimerKey::Session(group.clone(), id.clone());
    cx.env.timers.arm(&mut member.session, deadline, key);
}
