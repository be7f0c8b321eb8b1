//! A classic group as its row says, after a load (spec classic 11.4).

use super::rebalance::restart_session;
use super::{ClassicGroup, Member, State};
use crate::env::Cx;
use crate::group::Group;
use crate::id::Millis;
use crate::note::Cause;
use crate::record::{GroupMetadata, MemberMetadata};
use crate::request::Protocol;
use crate::time::WallTime;

impl ClassicGroup {
    /// Stable if the row has members, else Empty; each member supports the one protocol that was
    /// stored.
    pub(crate) fn from_row(row: &GroupMetadata) -> ClassicGroup {
        let mut live = ClassicGroup::new(WallTime::default());
        live.since = row.state_since;
        live.generation = row.generation;
        live.protocol_type = Some(row.protocol_type.clone()).filter(|kind| !kind.is_empty());
        live.protocol = row.protocol.clone();
        for member in &row.members {
            live.push_loaded(member, row);
        }
        let first = || live.members.ids().next().cloned();
        let stored = row.leader.clone().filter(|leader| live.members.contains(leader));
        live.leader = stored.or_else(first);
        live.recompute_subscribed();
        if !live.members.is_empty() {
            (live.previous, live.state) = (State::CompletingRebalance, State::Stable);
        }
        live
    }

    fn push_loaded(&mut self, member: &MemberMetadata, row: &GroupMetadata) {
        let rebalance_timeout = match member.rebalance_timeout {
            Millis(-1) => member.session_timeout,
            timeout => timeout,
        };
        let name = row.protocol.clone().unwrap_or_default();
        let protocols = vec![Protocol { name, metadata: member.subscription.clone() }];
        self.count_protocols(&protocols);
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), member.member_id.clone());
        }
        self.members.push(Member {
            id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout: member.session_timeout,
            rebalance_timeout,
            protocols,
            assignment: member.assignment.clone(),
            is_new: false,
            join: None,
            sync: None,
            session: crate::timers::Timer::default(),
        });
    }
}

impl Group {
    /// The shard serves from now on: a full session for every member, and a rebalance where there
    /// are more than `group.max.size`.
    pub(crate) fn activated(&mut self, cx: &mut Cx<'_>) {
        let ids: Vec<_> = self.live.members.ids().cloned().collect();
        for id in &ids {
            if let Some(member) = self.live.members.get_mut(id) {
                restart_session(cx, member);
            }
        }
        if ids.len() > cx.env.config.max_group_size {
            self.start_rebalance(cx, Cause::OverSize);
        }
    }
}
