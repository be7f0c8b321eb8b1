//! What the plan makes a client say, and what a scripted client remembers of the answers.
//!
//! Decided here: in whose name something is said and to which broker. A scripted client asks the
//! coordinator that it was told last, else the first broker, and believes every answer; what a
//! consumer says beside changes nothing in what it does otherwise.

use std::collections::BTreeSet;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::request::{
    Assignment, DeleteGroups, DescribeGroups, LeaveGroup, Leaver, ListGroups, OffsetDelete,
};
use quorate_core::{
    ErrorCode, Generation, InstanceId, MemberId, Request, Response, Text, response,
};

use super::offsets::{accepted, found};
use super::process::{Client, Member, Open, Phase, Purpose};
use super::protocol::decode_assignment;
use super::requests::by_topic;
use super::{ClientEffect, Identity};
use crate::event::ClientNote;
use crate::plan::{Ask, Drive, NodeIndex, Who};

impl Client {
    pub(super) fn say(
        &mut self,
        at: Duration,
        ask: Ask,
        who: Who,
        other: Option<&Identity>,
        out: &mut Vec<ClientEffect>,
    ) {
        if !self.runs {
            return;
        }
        let Some((member, instance)) = self.in_the_name_of(who, other) else { return };
        let Some(request) = self.words(ask, &member, instance, other) else { return };
        let node = self.life.coordinator.unwrap_or_default();
        self.send(at, node, request, Purpose::Aside, out);
    }

    /// `None` where the other client is nobody yet.
    fn in_the_name_of(
        &self,
        who: Who,
        other: Option<&Identity>,
    ) -> Option<(Member, Option<InstanceId>)> {
        let me = &self.life.me;
        let generation = |by: i32| Generation(me.generation.0.saturating_add(by));
        let mine = |generation| Member { id: me.id.clone(), generation };
        let own = self.instance();
        Some(match who {
            Who::Itself => (mine(me.generation), own),
            Who::OldGeneration => (mine(generation(-1)), own),
            Who::NextGeneration => (mine(generation(1)), own),
            Who::OldMember => (self.old.clone()?, own),
            Who::Nobody => (Member::default(), None),
            Who::Other(_) => {
                let Identity { member: id, generation, instance } = other?.clone();
                (Member { id, generation }, instance)
            }
            Who::OtherAs(_) => {
                let Identity { member: id, generation, .. } = other?.clone();
                (Member { id, generation }, own)
            }
            Who::Stranger => {
                let id = MemberId::from("stranger-00000000-0000-0000-0000-000000000000");
                (Member { id, generation: me.generation }, None)
            }
        })
    }

    fn words(
        &self,
        ask: Ask,
        member: &Member,
        instance: Option<InstanceId>,
        other: Option<&Identity>,
    ) -> Option<Request> {
        Some(match ask {
            Ask::FindCoordinator => self.find_coordinator(),
            Ask::Join => Request::JoinGroup(Box::new(self.join_group(member, instance, None))),
            Ask::JoinAs { protocol_type } => {
                let mut join = self.join_group(member, instance, None);
                join.protocol_type = Text::from(protocol_type);
                Request::JoinGroup(Box::new(join))
            }
            Ask::Sync => {
                let mut request = self.sync_group(member, instance, false);
                // A consumer's is not what it dealt before, so that it shows whose counts.
                if let (Request::SyncGroup(sync), Drive::Consumer) = (&mut request, self.spec.drive)
                {
                    rotate(&mut sync.assignments);
                }
                request
            }
            Ask::Heartbeat => self.heartbeat(member, instance),
            Ask::LeaveGroup => self.leave_group(member, instance),
            Ask::Commit { topic, partitions, offset, metadata } => {
                let offsets: LiteMap<_, _> =
                    (0..partitions).map(|partition| ((topic.clone(), partition), offset)).collect();
                self.offset_commit(member, instance, &offsets, metadata)
            }
            Ask::Fetch { stable } => self.offset_fetch(None, stable),
            Ask::DeleteOffsets { topic, partitions } => {
                let parts: BTreeSet<_> =
                    (0..partitions).map(|partition| (topic.clone(), partition)).collect();
                let topics = by_topic(&parts);
                Request::OffsetDelete(OffsetDelete { group_id: self.group(), topics })
            }
            Ask::Describe => Request::DescribeGroups(DescribeGroups {
                groups: vec![self.group()],
                missing_is_an_error: self.is_new(),
            }),
            Ask::List => Request::ListGroups(ListGroups::default()),
            Ask::DeleteGroup => Request::DeleteGroups(DeleteGroups { groups: vec![self.group()] }),
            Ask::Remove(_) => {
                let Identity { member, instance, .. } = other?.clone();
                let member_id = if instance.is_some() { MemberId::default() } else { member };
                let reason =
                    self.is_new().then(|| Text::from_static("removed by an administrator"));
                let members = vec![Leaver { member_id, instance_id: instance, reason }];
                Request::LeaveGroup(LeaveGroup { group_id: self.group(), members })
            }
        })
    }

    /// A scripted client believes what it is told.
    pub(super) fn remember(
        &mut self,
        open: &Open,
        response: &Response,
        out: &mut Vec<ClientEffect>,
    ) {
        match response {
            Response::FindCoordinator(found) => {
                let node = found.coordinators.first().and_then(|found| found.node.ok());
                if let Some(node) = node.and_then(|node| self.node(node)) {
                    self.life.coordinator = Some(node);
                }
            }
            Response::JoinGroup(joined) => self.remember_join(joined, out),
            Response::SyncGroup(synced) if synced.error == ErrorCode::None => {
                if let Some(owned) = decode_assignment(&synced.assignment) {
                    self.life.owned = owned.clone();
                    self.life.phase = Phase::Stable;
                    let generation = open.by.generation;
                    out.push(ClientEffect::Note(ClientNote::Assigned { generation, owned }));
                }
            }
            Response::OffsetCommit(answer) => {
                let offsets = accepted(&open.request, answer);
                if !offsets.is_empty() {
                    out.push(ClientEffect::Note(ClientNote::Committed { offsets }));
                }
            }
            Response::OffsetFetch(answer) => {
                if let Some(offsets) = found(answer) {
                    out.push(ClientEffect::Note(ClientNote::ReadBack { offsets }));
                }
            }
            _ => {}
        }
    }

    fn remember_join(&mut self, joined: &response::JoinGroup, out: &mut Vec<ClientEffect>) {
        let is_given = matches!(joined.error, ErrorCode::None | ErrorCode::MemberIdRequired);
        if !is_given {
            return;
        }
        if self.life.me.id != joined.member_id {
            self.retire();
        }
        self.life.me = Member { id: joined.member_id.clone(), generation: joined.generation };
        if joined.error == ErrorCode::None {
            self.joined(joined, out);
            // A static leader that was told to skip the assignment (KIP-814) deals nothing.
            self.life.leads &= !joined.skip_assignment;
        }
    }

    /// It is a member of a generation.
    pub(super) fn joined(&mut self, joined: &response::JoinGroup, out: &mut Vec<ClientEffect>) {
        let life = &mut self.life;
        let member = joined.member_id.clone();
        life.me = Member { id: member.clone(), generation: joined.generation };
        life.protocol.clone_from(&joined.protocol_name);
        life.members.clone_from(&joined.members);
        life.leads = joined.leader == joined.member_id && !joined.members.is_empty();
        life.phase = Phase::Syncing;
        let (generation, leads) = (joined.generation, life.leads);
        out.push(ClientEffect::Note(ClientNote::Joined { member, generation, leads }));
    }

    /// The broker for what a consumer wants; a scripted client has none of its own.
    pub(super) fn coordinator(&self) -> Option<NodeIndex> {
        self.life.coordinator.filter(|_| self.spec.drive == Drive::Consumer)
    }
}

/// Each member gets what the next one was to get.
fn rotate(assignments: &mut [Assignment]) {
    for place in 1..assignments.len() {
        let (before, rest) = assignments.split_at_mut(place);
        std::mem::swap(&mut before[place - 1].assignment, &mut rest[0].assignment);
    }
}
