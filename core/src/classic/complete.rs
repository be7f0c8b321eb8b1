//! The end of the join phase: who leads, which protocol, and everybody is told (spec classic 6.10).

use indexmap::IndexMap;

use super::rebalance::restart_session;
use super::{ClassicGroup, State};
use crate::env::Cx;
use crate::group::Group;
use crate::id::{Generation, MemberId};
use crate::note::{ArmedFor, Cause, Note, NoteKind, TimerOf};
use crate::record::{Record, RecordKey, RecordValue};
use crate::timers::TimerKey;

impl Group {
    /// Completes the join phase, whoever is missing.
    pub(super) fn complete_join(&mut self, cx: &mut Cx<'_>) {
        let live = &mut self.live;
        let everybody = live.all_joined();
        cx.cancel(&mut live.join_timer, TimerOf::Join);
        live.initial = None;
        let dropped = live.drop_absent(cx);
        if !live.elect() {
            // Only silent static members are left: no generation without anyone to lead it.
            let timeout = live.rebalance_timeout();
            let key = TimerKey::Join(cx.id.clone());
            cx.arm_for(ArmedFor::Leader, &mut live.join_timer, timeout, key);
            return;
        }
        live.generation = Generation(live.generation.0.checked_add(1).unwrap_or(1));
        if live.members.is_empty() {
            self.become_empty(cx, Cause::NobodyLeft);
        } else if everybody {
            live.start_generation(cx, Cause::AllJoined);
        } else {
            live.start_generation(cx, Cause::JoinTimeout { dropped });
        }
    }

    fn become_empty(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        let live = &mut self.live;
        live.protocol = None;
        live.recompute_subscribed();
        live.transition(cx, State::Empty, cause);
        let value = Some(RecordValue::Group(Box::new(live.metadata(&IndexMap::new()))));
        let record = Record { key: RecordKey::Group(cx.id.clone()), value };
        cx.append(self, vec![record], Vec::new());
    }
}

impl ClassicGroup {
    /// Drops the dynamic members that did not join; static ones stay (KIP-345).
    fn drop_absent(&mut self, cx: &mut Cx<'_>) -> Vec<MemberId> {
        let absent = self.members.iter().filter(|m| m.join.is_none() && m.instance_id.is_none());
        let absent: Vec<MemberId> = absent.map(|member| member.id.clone()).collect();
        for id in &absent {
            self.remove(cx, id);
        }
        absent
    }

    /// Chooses the leader: who leads and has joined, else the oldest that has. Whether the
    /// generation can start; it can without members.
    fn elect(&mut self) -> bool {
        let has_joined = |id: &MemberId| self.members.get(id).is_some_and(|m| m.join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let oldest = self.members.iter().find(|member| member.join.is_some());
        match oldest.map(|member| member.id.clone()) {
            Some(id) => self.leader = Some(id),
            None if self.members.is_empty() => self.leader = None,
            None => return false,
        }
        true
    }

    fn start_generation(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        self.protocol = self.vote();
        self.recompute_subscribed();
        self.transition(cx, State::CompletingRebalance, cause);
        if let Some(leader) = &self.leader {
            let (generation, leader) = (self.generation, leader.clone());
            cx.note(NoteKind::Elected, |group| Note::Elected {
                group: group.clone(),
                generation,
                leader,
            });
        }
        let ids: Vec<MemberId> = self.members.ids().cloned().collect();
        for id in &ids {
            if let Some(join) = self.take_join(id) {
                let answer = self.joined(id);
                cx.join_reply(join.token, answer);
            }
            if let Some(member) = self.members.get_mut(id) {
                member.is_new = false;
                restart_session(cx, member);
            }
        }
        self.pending_sync = ids.into_iter().collect();
        let timeout = self.rebalance_timeout();
        let key = TimerKey::Sync(cx.id.clone());
        cx.arm_for(ArmedFor::Syncs, &mut self.sync_timer, timeout, key);
    }
}
