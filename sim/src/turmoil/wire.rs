//! The client's side of the wire: requests into frames, frames into answers.
//!
//! Decided here: which version of each API a client speaks. A new one speaks the newest that the
//! codec has; an old one those from before KIP-394, in which it cannot say all that it might want
//! to: [`as_said`] is what is left. The broker's side is `quorate_io::wire`.

mod answers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, RequestHeader, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use quorate_core::{Request, Text, request};
use quorate_io::wire::{served, str_bytes};

use crate::plan::ClientVersion;

/// A request that was sent: what its answer is read with.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub key: ApiKey,
    pub version: i16,
    pub correlation: i32,
    pub request: Arc<Request>,
}

/// Why bytes are no answer. A fault of the broker's, or of this file's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbled {
    #[error("an answer to request {found} where {expected} is asked")]
    Correlation { expected: i32, found: i32 },
    #[error("{key:?} version {version}: {reason}")]
    Undecodable { key: ApiKey, version: i16, reason: String },
    #[error("{0} bytes are left behind an answer")]
    Rest(usize),
    #[error("no error has the code {0}")]
    Code(i16),
    #[error("no group is in the state {0}")]
    State(String),
}

/// What a client of that version can say of a request.
pub(super) fn as_said(request: &Arc<Request>, version: ClientVersion) -> Arc<Request> {
    if version == ClientVersion::New {
        return Arc::clone(request);
    }
    let mut said = Request::clone(request);
    match &mut said {
        Request::JoinGroup(join) => join.instance_id = None,
        Request::SyncGroup(sync) => sync.instance_id = None,
        Request::Heartbeat(beat) => beat.instance_id = None,
        Request::OffsetCommit(commit) => commit.instance_id = None,
        Request::LeaveGroup(leave) => {
            for leaver in &mut leave.members {
                (leaver.instance_id, leaver.reason) = (None, None);
            }
        }
        _ => {}
    }
    Arc::new(said)
}

/// The frame of a request, and how its answer is read.
pub(super) fn frame(
    request: &Arc<Request>,
    version: ClientVersion,
    correlation: i32,
    client_id: &str,
) -> (Bytes, Asked) {
    let (key, version) = version_of(request, version);
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut body = BytesMut::new();
    let head = key.request_header_version(version);
    header.encode(&mut body, head).expect("the header has what its version has");
    put(&mut body, request, version);
    let mut frame = BytesMut::with_capacity(4 + body.len());
    frame.put_u32(body.len() as u32);
    frame.extend_from_slice(&body);
    (frame.freeze(), Asked { key, version, correlation, request: Arc::clone(request) })
}

/// The answer in a frame, without its length.
pub(super) fn answer(asked: &Asked, frame: Bytes) -> Result<quorate_core::Response, Garbled> {
    answers::read(asked, frame)
}

/// The API of a request, and the version that a client says it in.
fn version_of(request: &Request, version: ClientVersion) -> (ApiKey, i16) {
    let (key, old) = match request {
        Request::FindCoordinator(_) => (ApiKey::FindCoordinator, 2),
        Request::JoinGroup(_) => (ApiKey::JoinGroup, 3),
        Request::SyncGroup(_) => (ApiKey::SyncGroup, 2),
        Request::Heartbeat(_) => (ApiKey::Heartbeat, 2),
        Request::LeaveGroup(_) => (ApiKey::LeaveGroup, 2),
        Request::OffsetCommit(_) => (ApiKey::OffsetCommit, 4),
        // Version 7 is the first that can ask for what is stable only.
        Request::OffsetFetch(fetch) => {
            (ApiKey::OffsetFetch, if fetch.require_stable { 7 } else { 5 })
        }
        Request::OffsetDelete(_) => (ApiKey::OffsetDelete, 0),
        Request::ListGroups(_) => (ApiKey::ListGroups, 2),
        Request::DescribeGroups(_) => (ApiKey::DescribeGroups, 3),
        Request::DeleteGroups(_) => (ApiKey::DeleteGroups, 1),
    };
    let newest = || served(key as i16).expect("the broker serves all that clients ask").max;
    (key, if version == ClientVersion::New { newest() } else { old })
}

fn put(out: &mut BytesMut, request: &Request, version: i16) {
    match request {
        Request::FindCoordinator(r) => encode(out, version, &find(r, version)),
        Request::JoinGroup(r) => encode(out, version, &join(r)),
        Request::SyncGroup(r) => encode(out, version, &sync(r)),
        Request::Heartbeat(r) => encode(out, version, &heartbeat(r)),
        Request::LeaveGroup(r) => encode(out, version, &leave(r, version)),
        Request::OffsetCommit(r) => encode(out, version, &commit(r)),
        Request::OffsetFetch(r) => encode(out, version, &fetch(r, version)),
        Request::OffsetDelete(r) => encode(out, version, &delete_offsets(r)),
        Request::ListGroups(r) => encode(out, version, &list(r)),
        Request::DescribeGroups(r) => {
            let groups = r.groups.iter().map(group).collect();
            encode(out, version, &DescribeGroupsRequest::default().with_groups(groups));
        }
        Request::DeleteGroups(r) => {
            let groups = r.groups.iter().map(group).collect();
            encode(out, version, &DeleteGroupsRequest::default().with_groups_names(groups));
        }
    }
}

fn encode(out: &mut BytesMut, version: i16, body: &impl Encodable) {
    body.encode(out, version).expect("a client says what its version has");
}

fn text(from: &Text) -> StrBytes {
    str_bytes(from.clone())
}

fn group(from: &quorate_core::GroupId) -> GroupId {
    GroupId(text(&from.0))
}

fn topic(from: &quorate_core::TopicName) -> TopicName {
    TopicName(text(&from.0))
}

fn instance(from: Option<&quorate_core::InstanceId>) -> Option<StrBytes> {
    from.map(|id| text(&id.0))
}

fn find(from: &request::FindCoordinator, version: i16) -> FindCoordinatorRequest {
    let wire = FindCoordinatorRequest::default().with_key_type(from.key_type);
    if version >= 4 {
        return wire.with_coordinator_keys(from.keys.iter().map(text).collect());
    }
    wire.with_key(from.keys.first().map(text).unwrap_or_default())
}

fn join(from: &request::JoinGroup) -> JoinGroupRequest {
    let protocols = from.protocols.iter().map(|protocol| {
        JoinGroupRequestProtocol::default()
            .with_name(text(&protocol.name))
            .with_metadata(protocol.metadata.clone())
    });
    JoinGroupRequest::default()
        .with_group_id(group(&from.group_id))
        .with_session_timeout_ms(from.session_timeout.0)
        .with_rebalance_timeout_ms(from.rebalance_timeout.0)
        .with_member_id(text(&from.member_id.0))
        .with_group_instance_id(instance(from.instance_id.as_ref()))
        .with_protocol_type(text(&from.protocol_type))
        .with_protocols(protocols.collect())
        .with_reason(from.reason.as_ref().map(text))
}

fn sync(from: &request::SyncGroup) -> SyncGroupRequest {
    let assignments = from.assignments.iter().map(|one| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(&one.member_id.0))
            .with_assignment(one.assignment.clone())
    });
    SyncGroupRequest::default()
        .with_group_id(group(&from.group_id))
        .with_generation_id(from.generation.0)
        .with_member_id(text(&from.member_id.0))
        .with_group_instance_id(instance(from.instance_id.as_ref()))
        .with_protocol_type(from.protocol_type.as_ref().map(text))
        .with_protocol_name(from.protocol_name.as_ref().map(text))
        .with_assignments(assignments.collect())
}

fn heartbeat(from: &request::Heartbeat) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(&from.group_id))
        .with_generation_id(from.generation.0)
        .with_member_id(text(&from.member_id.0))
        .with_group_instance_id(instance(from.instance_id.as_ref()))
}

fn leave(from: &request::LeaveGroup, version: i16) -> LeaveGroupRequest {
    let wire = LeaveGroupRequest::default().with_group_id(group(&from.group_id));
    if version < 3 {
        let member = from.members.first().map(|leaver| text(&leaver.member_id.0));
        return wire.with_member_id(member.unwrap_or_default());
    }
    let members = from.members.iter().map(|leaver| {
        MemberIdentity::default()
            .with_member_id(text(&leaver.member_id.0))
            .with_group_instance_id(instance(leaver.instance_id.as_ref()))
            .with_reason(leaver.reason.as_ref().map(text))
    });
    wire.with_members(members.collect())
}

fn commit(from: &request::OffsetCommit) -> OffsetCommitRequest {
    let topics = from.topics.iter().map(|one| {
        let partitions = one.partitions.iter().map(|partition| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(partition.offset)
                .with_committed_leader_epoch(partition.leader_epoch)
                .with_committed_metadata(partition.metadata.as_ref().map(text))
        });
        OffsetCommitRequestTopic::default()
            .with_name(topic(&one.name))
            .with_partitions(partitions.collect())
    });
    let retention = from.retention.map_or(-1, |time| time.as_millis() as i64);
    OffsetCommitRequest::default()
        .with_group_id(group(&from.group_id))
        .with_generation_id_or_member_epoch(from.generation.0)
        .with_member_id(text(&from.member_id.0))
        .with_group_instance_id(instance(from.instance_id.as_ref()))
        .with_retention_time_ms(retention)
        .with_topics(topics.collect())
}

fn fetch(from: &request::OffsetFetch, version: i16) -> OffsetFetchRequest {
    let wire = OffsetFetchRequest::default().with_require_stable(from.require_stable);
    if version >= 8 {
        return wire.with_groups(from.groups.iter().map(fetch_group).collect());
    }
    let Some(one) = from.groups.first() else { return wire };
    let topics = one.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|of| {
            OffsetFetchRequestTopic::default()
                .with_name(topic(&of.name))
                .with_partition_indexes(of.partitions.clone())
        });
        topics.collect()
    });
    wire.with_group_id(group(&one.group_id)).with_topics(topics)
}

fn fetch_group(from: &request::FetchGroup) -> OffsetFetchRequestGroup {
    let topics = from.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|of| {
            OffsetFetchRequestTopics::default()
                .with_name(topic(&of.name))
                .with_partition_indexes(of.partitions.clone())
        });
        topics.collect()
    });
    OffsetFetchRequestGroup::default()
        .with_group_id(group(&from.group_id))
        .with_member_id(from.member_id.as_ref().map(|id| text(&id.0)))
        .with_member_epoch(from.member_epoch)
        .with_topics(topics)
}

fn delete_offsets(from: &request::OffsetDelete) -> OffsetDeleteRequest {
    let topics = from.topics.iter().map(|of| {
        let partitions = of.partitions.iter();
        let partitions = partitions
            .map(|index| OffsetDeleteRequestPartition::default().with_partition_index(*index));
        OffsetDeleteRequestTopic::default()
            .with_name(topic(&of.name))
            .with_partitions(partitions.collect())
    });
    OffsetDeleteRequest::default()
        .with_group_id(group(&from.group_id))
        .with_topics(topics.collect())
}

fn list(from: &request::ListGroups) -> ListGroupsRequest {
    ListGroupsRequest::default()
        .with_states_filter(from.states_filter.iter().map(text).collect())
        .with_types_filter(from.types_filter.iter().map(text).collect())
}
