//! What a group looks like from outside: a copy of what lives in a shard, for people who ask why,
//! and for whoever checks that what must hold does.
//!
//! Nothing here takes part in a decision.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::group::Group;
use crate::id::{BatchId, Generation, GroupId, InstanceId, MemberId, Millis, Text, Token};
use crate::request::Protocol;
use crate::shard::Shard;
use crate::time::Instant;

/// A group as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupView {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// The generation.
    pub generation: Generation,
    /// The protocol type, once somebody has joined.
    pub protocol_type: Option<Text>,
    /// The chosen protocol.
    pub protocol: Option<Text>,
    /// The leader.
    pub leader: Option<MemberId>,
    /// The members, oldest first.
    pub members: Vec<MemberView>,
    /// Which member has which instance id.
    pub static_members: BTreeMap<InstanceId, MemberId>,
    /// Ids that were handed out and are no members yet (KIP-394), with their deadlines.
    pub pending_join: BTreeMap<MemberId, Option<Instant>>,
    /// Who got a JoinGroup answer and has not synced. In Stable also ids that were replaced.
    pub pending_sync: Vec<MemberId>,
    /// How many members are counted as having a parked JoinGroup.
    pub awaiting_join: usize,
    /// How many members list each protocol, as the group counts them.
    pub supported: Vec<(Text, usize)>,
    /// Whether the join phase is an initial one (KIP-134).
    pub is_initial: bool,
    /// When the join phase ends at the latest.
    pub join_deadline: Option<Instant>,
    /// When those who have not synced are given up.
    pub sync_deadline: Option<Instant>,
    /// The newest batch in flight that has a row of the group.
    pub last_batch: Option<BatchId>,
    /// The batch in flight that creates or removes the group; the group waits for it.
    pub held_by: Option<BatchId>,
    /// Whether that batch creates it: then nobody else sees the group yet.
    pub is_being_created: bool,
}

/// A member as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemberView {
    /// Its id.
    pub id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
    /// Its client id.
    pub client_id: Text,
    /// Its session timeout.
    pub session_timeout: Millis,
    /// Its rebalance timeout.
    pub rebalance_timeout: Millis,
    /// What it supports, best first.
    pub protocols: Vec<Protocol>,
    /// What it was assigned.
    pub assignment: Bytes,
    /// Whether its first JoinGroup is not answered yet.
    pub is_new: bool,
    /// Its parked JoinGroup.
    pub join: Option<Token>,
    /// Its parked SyncGroup.
    pub sync: Option<Token>,
    /// When it is expired.
    pub session_deadline: Option<Instant>,
}

impl GroupView {
    /// A member.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&MemberView> {
        self.members.iter().find(|member| member.id == *id)
    }

    fn of(group: &Group) -> GroupView {
        let live = &group.live;
        let members = live.members.iter().map(|member| MemberView {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            session_timeout: member.session_timeout,
            rebalance_timeout: member.rebalance_timeout,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
            is_new: member.is_new,
            join: member.join.map(|join| join.token),
            sync: member.sync,
            session_deadline: member.session.deadline(),
        });
        let pending = live.pending_join.iter();
        GroupView {
            state: live.state.name(),
            generation: live.generation,
            protocol_type: live.protocol_type.clone(),
            protocol: live.protocol.clone(),
            leader: live.leader.clone(),
            members: members.collect(),
            static_members: live.static_members.clone(),
            pending_join: pending.map(|(id, timer)| (id.clone(), timer.deadline())).collect(),
            pending_sync: live.pending_sync.iter().cloned().collect(),
            awaiting_join: live.awaiting_join,
            supported: live.supported.clone(),
            is_initial: live.initial.is_some(),
            join_deadline: live.join_timer.deadline(),
            sync_deadline: live.sync_timer.deadline(),
            last_batch: group.last_batch,
            held_by: group.held_by,
            is_being_created: group.is_being_created,
        }
    }
}

/// How many groups there are, by state, and how many members they have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Census {
    /// Groups by Kafka's name of their state.
    pub groups: BTreeMap<&'static str, u64>,
    /// Members of all groups.
    pub members: u64,
}

impl Shard {
    /// Counts groups and members, which takes time in proportion to the groups.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for group in self.groups.values().filter(|group| !group.is_being_created) {
            *census.groups.entry(group.live.state.name()).or_insert(0) += 1;
            census.members += group.live.members.len() as u64;
        }
        census
    }

    /// All groups as they are now.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<GroupId, GroupView> {
        self.groups.iter().map(|(id, group)| (id.clone(), GroupView::of(group))).collect()
    }

    /// One group as it is now.
    #[must_use]
    pub fn group(&self, id: &GroupId) -> Option<GroupView> {
        self.groups.get(id).map(GroupView::of)
    }

    /// The earliest deadline of all timers that are armed, sweeps among them; found by looking at
    /// each of them, unlike [`Shard::next_deadline`].
    #[must_use]
    pub fn earliest_armed(&self) -> Option<Instant> {
        let of_group = |group: &Group| {
            let live = &group.live;
            let sessions = live.members.iter().map(|member| member.session.deadline());
            let pending = live.pending_join.values().map(|timer| timer.deadline());
            let phases = [live.join_timer.deadline(), live.sync_timer.deadline()];
            sessions.chain(pending).chain(phases).flatten().min()
        };
        let sweeps = [self.sweep.timer.deadline(), self.clean_up.timer.deadline()];
        self.groups.values().filter_map(of_group).chain(sweeps.into_iter().flatten()).min()
    }
}
