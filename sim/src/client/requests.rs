//! What a client says, in each version that it may speak.
//!
//! Decided here: how its settings and what it knows become requests, for its own membership and
//! for what it says beside.

use std::time::Duration;

use litemap::LiteMap;
use quorate_core::request::{
    CommitPartition, CommitTopic, FetchGroup, FindCoordinator, Heartbeat, JoinGroup, LeaveGroup,
    Leaver, OffsetCommit, OffsetFetch, Protocol, SyncGroup, TopicPartitions,
};
use quorate_core::{InstanceId, Millis, Request, Text, TopicName};

use super::assign::assign;
use super::process::{Client, Member};
use super::protocol::{Parts, Subscription};

/// The protocol type of consumers.
pub(super) const CONSUMER: Text = Text::from_static("consumer");

fn millis(time: Duration) -> Millis {
    Millis(i32::try_from(time.as_millis()).unwrap_or(i32::MAX))
}

impl Client {
    pub(super) fn find_coordinator(&self) -> Request {
        Request::FindCoordinator(FindCoordinator { key_type: 0, keys: vec![self.group().0] })
    }

    pub(super) fn join_group(
        &self,
        member: &Member,
        instance_id: Option<InstanceId>,
        reason: Option<&'static str>,
    ) -> JoinGroup {
        let mut topics = self.spec.topics.clone();
        topics.sort();
        let (owned, generation) = (self.life.owned.clone(), member.generation.0);
        let subscription = Subscription { topics, owned, generation };
        let protocol = |assignor: &crate::plan::Assignor| Protocol {
            name: Text::from_static(assignor.name()),
            metadata: subscription.encode(self.spec.version, *assignor),
        };
        JoinGroup {
            group_id: self.group(),
            session_timeout: millis(self.spec.session),
            rebalance_timeout: millis(self.spec.rebalance),
            member_id: member.id.clone(),
            instance_id,
            protocol_type: CONSUMER,
            protocols: self.spec.assignors.iter().map(protocol).collect(),
            reason: reason.filter(|_| self.is_new()).map(Text::from_static),
            may_be_handed_an_id: self.is_new(),
            may_skip_assignment: self.is_new(),
        }
    }

    /// With assignments if it leads, unless that is left to the server.
    pub(super) fn sync_group(
        &self,
        member: &Member,
        instance_id: Option<InstanceId>,
        skips: bool,
    ) -> Request {
        let first = || self.spec.assignors.first().map(|a| Text::from_static(a.name()));
        let protocol = self.life.protocol.clone().or_else(first);
        let deals = self.life.leads && !skips && !self.spec.leaves_assignment_to_server;
        let deal = |name: &Text| assign(name.as_str(), &self.life.members, &self.topics);
        let assignments = protocol.as_ref().filter(|_| deals).map(deal).unwrap_or_default();
        Request::SyncGroup(Box::new(SyncGroup {
            group_id: self.group(),
            generation: member.generation,
            member_id: member.id.clone(),
            instance_id,
            protocol_type: self.is_new().then_some(CONSUMER),
            protocol_name: protocol.filter(|_| self.is_new()),
            must_name_protocol: self.is_new(),
            assignments,
        }))
    }

    pub(super) fn heartbeat(&self, member: &Member, instance_id: Option<InstanceId>) -> Request {
        Request::Heartbeat(Heartbeat {
            group_id: self.group(),
            generation: member.generation,
            member_id: member.id.clone(),
            instance_id,
        })
    }

    pub(super) fn leave_group(&self, member: &Member, instance_id: Option<InstanceId>) -> Request {
        let reason = self.is_new().then(|| Text::from_static("the consumer is being closed"));
        let members = vec![Leaver { member_id: member.id.clone(), instance_id, reason }];
        Request::LeaveGroup(LeaveGroup { group_id: self.group(), members })
    }

    pub(super) fn offset_commit(
        &self,
        member: &Member,
        instance_id: Option<InstanceId>,
        offsets: &LiteMap<(String, i32), i64>,
        metadata: usize,
    ) -> Request {
        let mut topics: LiteMap<&str, Vec<CommitPartition>> = LiteMap::new();
        for ((topic, partition), offset) in offsets {
            topics.entry(topic).or_default().push(CommitPartition {
                partition: *partition,
                offset: *offset,
                leader_epoch: -1,
                metadata: Some(Text::from("m".repeat(metadata))),
            });
        }
        let topic = |(name, partitions): (&str, _)| CommitTopic {
            name: TopicName::from(name),
            partitions,
            ..CommitTopic::default()
        };
        Request::OffsetCommit(Box::new(OffsetCommit {
            group_id: self.group(),
            generation: member.generation,
            member_id: member.id.clone(),
            instance_id,
            missing_group_has_a_code: self.is_new(),
            topics: topics.into_iter().map(topic).collect(),
            ..OffsetCommit::default()
        }))
    }

    /// Of all that the group has if `parts` is `None`.
    pub(super) fn offset_fetch(&self, parts: Option<&Parts>, require_stable: bool) -> Request {
        let group = FetchGroup {
            group_id: self.group(),
            member_id: None,
            member_epoch: -1,
            topics: parts.map(by_topic),
        };
        let groups = vec![group];
        Request::OffsetFetch(OffsetFetch { groups, require_stable, errors_on_partitions: false })
    }
}

/// Partitions, topic by topic.
pub(super) fn by_topic(parts: &Parts) -> Vec<TopicPartitions> {
    let mut topics: LiteMap<&str, Vec<i32>> = LiteMap::new();
    for (topic, partition) in parts {
        topics.entry(topic).or_default().push(*partition);
    }
    let topic = |(name, partitions)| TopicPartitions { name: TopicName::from(name), partitions };
    topics.into_iter().map(topic).collect()
}
