//! Frames into answers, as a client reads them.
//!
//! Decided here: what a client adds of its own where an old version leaves something out that it
//! asked for by name: the key, the group, the member.

use bytes::Bytes;
use kafka_protocol::messages::{
    DeleteGroupsResponse, DescribeGroupsResponse, FindCoordinatorResponse, HeartbeatResponse,
    JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchResponse, ResponseHeader, SyncGroupResponse,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use quorate_core::{
    ErrorCode, Generation, GroupId, InstanceId, MemberId, NodeId, Request, Response, Text,
    TopicName, response,
};
use quorate_io::wire::text;

use super::{Asked, Garbled};

const CODES: [ErrorCode; 22] = [
    ErrorCode::UnknownServerError,
    ErrorCode::None,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::OffsetMetadataTooLarge,
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::NotCoordinator,
    ErrorCode::IllegalGeneration,
    ErrorCode::InconsistentGroupProtocol,
    ErrorCode::InvalidGroupId,
    ErrorCode::UnknownMemberId,
    ErrorCode::InvalidSessionTimeout,
    ErrorCode::RebalanceInProgress,
    ErrorCode::InvalidRequest,
    ErrorCode::TransactionalIdAuthorizationFailed,
    ErrorCode::NonEmptyGroup,
    ErrorCode::GroupIdNotFound,
    ErrorCode::MemberIdRequired,
    ErrorCode::GroupMaxSizeReached,
    ErrorCode::FencedInstanceId,
    ErrorCode::GroupSubscribedToTopic,
    ErrorCode::UnstableOffsetCommit,
];

/// What groups are said to be in; nothing in versions that do not say.
const STATES: [&str; 7] =
    ["", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "classic"];

pub(super) fn read(asked: &Asked, mut frame: Bytes) -> Result<Response, Garbled> {
    let undecodable =
        |reason: String| Garbled::Undecodable { key: asked.key, version: asked.version, reason };
    let head = asked.key.response_header_version(asked.version);
    let header =
        ResponseHeader::decode(&mut frame, head).map_err(|e| undecodable(e.to_string()))?;
    if header.correlation_id != asked.correlation {
        let (expected, found) = (asked.correlation, header.correlation_id);
        return Err(Garbled::Correlation { expected, found });
    }
    let answer = body(asked, &mut frame)?;
    if frame.is_empty() { Ok(answer) } else { Err(Garbled::Rest(frame.len())) }
}

fn body(asked: &Asked, frame: &mut Bytes) -> Result<Response, Garbled> {
    Ok(match &*asked.request {
        Request::FindCoordinator(find) => {
            Response::FindCoordinator(found(parse(asked, frame)?, find.keys.first())?)
        }
        Request::JoinGroup(_) => {
            Response::JoinGroup(Box::new(joined(parse(asked, frame)?, asked.version)?))
        }
        Request::SyncGroup(_) => Response::SyncGroup(Box::new(synced(parse(asked, frame)?)?)),
        Request::Heartbeat(_) => {
            Response::Heartbeat(code(parse::<HeartbeatResponse>(asked, frame)?.error_code)?)
        }
        Request::LeaveGroup(leave) => {
            Response::LeaveGroup(left(parse(asked, frame)?, &leave.members, asked.version)?)
        }
        Request::OffsetCommit(_) => Response::OffsetCommit(committed(parse(asked, frame)?)?),
        Request::OffsetFetch(fetch) => {
            let group = fetch.groups.first().map(|group| group.group_id.clone());
            Response::OffsetFetch(fetched(parse(asked, frame)?, group, asked.version)?)
        }
        Request::OffsetDelete(_) => Response::OffsetDelete(offsets_gone(parse(asked, frame)?)?),
        Request::ListGroups(_) => Response::ListGroups(listed(parse(asked, frame)?)?),
        Request::DescribeGroups(_) => Response::DescribeGroups(described(parse(asked, frame)?)?),
        Request::DeleteGroups(_) => Response::DeleteGroups(groups_gone(parse(asked, frame)?)?),
    })
}

fn parse<T: Decodable>(asked: &Asked, frame: &mut Bytes) -> Result<T, Garbled> {
    T::decode(frame, asked.version).map_err(|error| Garbled::Undecodable {
        key: asked.key,
        version: asked.version,
        reason: error.to_string(),
    })
}

fn code(from: i16) -> Result<ErrorCode, Garbled> {
    CODES.into_iter().find(|code| code.code() == from).ok_or(Garbled::Code(from))
}

fn state(from: &StrBytes) -> Result<&'static str, Garbled> {
    let known = STATES.into_iter().find(|state| *state == from.as_str());
    known.ok_or_else(|| Garbled::State(from.to_string()))
}

fn instance(from: Option<StrBytes>) -> Option<InstanceId> {
    from.map(|id| InstanceId(text(id)))
}

/// Up to version 3 the key is the one that was asked for.
fn found(
    from: FindCoordinatorResponse,
    key: Option<&Text>,
) -> Result<response::FindCoordinator, Garbled> {
    let place = |error: i16, node: i32| -> Result<Result<NodeId, ErrorCode>, Garbled> {
        Ok(match code(error)? {
            ErrorCode::None => Ok(NodeId(node)),
            error => Err(error),
        })
    };
    let mut coordinators = Vec::new();
    for one in from.coordinators {
        let node = place(one.error_code, one.node_id.0)?;
        coordinators.push(response::Coordinator { key: text(one.key), node });
    }
    if coordinators.is_empty() {
        let node = place(from.error_code, from.node_id.0)?;
        coordinators.push(response::Coordinator { key: key.cloned().unwrap_or(Text::EMPTY), node });
    }
    Ok(response::FindCoordinator { failed: false, coordinators })
}

fn joined(from: JoinGroupResponse, version: i16) -> Result<response::JoinGroup, Garbled> {
    let name = from.protocol_name.map(text).filter(|name| version >= 7 || !name.is_empty());
    let members = from.members.into_iter().map(|member| response::JoinedMember {
        member_id: MemberId(text(member.member_id)),
        instance_id: instance(member.group_instance_id),
        metadata: member.metadata,
    });
    Ok(response::JoinGroup {
        error: code(from.error_code)?,
        generation: Generation(from.generation_id),
        protocol_type: from.protocol_type.map(text),
        protocol_name: name,
        leader: MemberId(text(from.leader)),
        skip_assignment: from.skip_assignment,
        member_id: MemberId(text(from.member_id)),
        members: members.collect(),
    })
}

fn synced(from: SyncGroupResponse) -> Result<response::SyncGroup, Garbled> {
    Ok(response::SyncGroup {
        error: code(from.error_code)?,
        protocol_type: from.protocol_type.map(text),
        protocol_name: from.protocol_name.map(text),
        assignment: from.assignment,
    })
}

/// Up to version 2 the error is that of the one member.
fn left(
    from: LeaveGroupResponse,
    asked: &[quorate_core::request::Leaver],
    version: i16,
) -> Result<response::LeaveGroup, Garbled> {
    let error = code(from.error_code)?;
    if version < 3 {
        let one = asked.first().map(|leaver| response::LeftMember {
            member_id: leaver.member_id.clone(),
            instance_id: None,
            error,
        });
        let error = ErrorCode::None;
        return Ok(response::LeaveGroup { error, members: one.into_iter().collect() });
    }
    let members = from.members.into_iter().map(|member| {
        Ok(response::LeftMember {
            member_id: MemberId(text(member.member_id)),
            instance_id: instance(member.group_instance_id),
            error: code(member.error_code)?,
        })
    });
    Ok(response::LeaveGroup { error, members: members.collect::<Result<_, Garbled>>()? })
}

fn errors(
    name: kafka_protocol::messages::TopicName,
    partitions: impl Iterator<Item = (i32, i16)>,
) -> Result<response::TopicErrors, Garbled> {
    let partitions = partitions.map(|(index, error)| Ok((index, code(error)?)));
    let partitions = partitions.collect::<Result<_, Garbled>>()?;
    Ok(response::TopicErrors { name: TopicName(text(name.0)), partitions })
}

fn committed(from: OffsetCommitResponse) -> Result<response::OffsetCommit, Garbled> {
    let topics = from.topics.into_iter().map(|topic| {
        errors(topic.name, topic.partitions.iter().map(|p| (p.partition_index, p.error_code)))
    });
    Ok(response::OffsetCommit { topics: topics.collect::<Result<_, _>>()? })
}

fn offsets_gone(from: OffsetDeleteResponse) -> Result<response::OffsetDelete, Garbled> {
    let topics = from.topics.into_iter().map(|topic| {
        errors(topic.name, topic.partitions.iter().map(|p| (p.partition_index, p.error_code)))
    });
    let error = code(from.error_code)?;
    Ok(response::OffsetDelete { error, topics: topics.collect::<Result<_, _>>()? })
}

/// Up to version 7 the group is the one that was asked for.
fn fetched(
    from: OffsetFetchResponse,
    asked: Option<GroupId>,
    version: i16,
) -> Result<response::OffsetFetch, Garbled> {
    let mut groups = Vec::new();
    if version < 8 {
        let mut topics = Vec::new();
        for topic in from.topics {
            let partitions = topic.partitions.into_iter().map(|p| {
                let told = (p.committed_offset, p.committed_leader_epoch, p.metadata);
                offset(p.partition_index, told, p.error_code)
            });
            let partitions = partitions.collect::<Result<_, _>>()?;
            topics.push(response::FetchedTopic { name: TopicName(text(topic.name.0)), partitions });
        }
        let (group_id, error) = (asked.unwrap_or_default(), code(from.error_code)?);
        groups.push(response::FetchedGroup { group_id, error, topics });
        return Ok(response::OffsetFetch { groups });
    }
    for group in from.groups {
        let mut topics = Vec::new();
        for topic in group.topics {
            let partitions = topic.partitions.into_iter().map(|p| {
                let told = (p.committed_offset, p.committed_leader_epoch, p.metadata);
                offset(p.partition_index, told, p.error_code)
            });
            let partitions = partitions.collect::<Result<_, _>>()?;
            topics.push(response::FetchedTopic { name: TopicName(text(topic.name.0)), partitions });
        }
        let (group_id, error) = (GroupId(text(group.group_id.0)), code(group.error_code)?);
        groups.push(response::FetchedGroup { group_id, error, topics });
    }
    Ok(response::OffsetFetch { groups })
}

fn offset(
    partition: i32,
    (offset, leader_epoch, metadata): (i64, i32, Option<StrBytes>),
    error: i16,
) -> Result<response::FetchedOffset, Garbled> {
    let metadata = metadata.map_or(Text::EMPTY, text);
    Ok(response::FetchedOffset { partition, offset, leader_epoch, metadata, error: code(error)? })
}

fn listed(from: ListGroupsResponse) -> Result<response::ListGroups, Garbled> {
    let groups = from.groups.into_iter().map(|group| {
        Ok(response::ListedGroup {
            group_id: GroupId(text(group.group_id.0)),
            protocol_type: text(group.protocol_type),
            state: state(&group.group_state)?,
            group_type: state(&group.group_type)?,
        })
    });
    let groups = groups.collect::<Result<_, Garbled>>()?;
    Ok(response::ListGroups { error: code(from.error_code)?, groups })
}

fn described(from: DescribeGroupsResponse) -> Result<response::DescribeGroups, Garbled> {
    let groups = from.groups.into_iter().map(|group| {
        let members = group.members.into_iter().map(|member| response::DescribedMember {
            member_id: MemberId(text(member.member_id)),
            instance_id: instance(member.group_instance_id),
            client_id: text(member.client_id),
            client_host: text(member.client_host),
            metadata: member.member_metadata,
            assignment: member.member_assignment,
        });
        Ok(response::DescribedGroup {
            error: code(group.error_code)?,
            message: group.error_message.map(text),
            group_id: GroupId(text(group.group_id.0)),
            state: state(&group.group_state)?,
            protocol_type: text(group.protocol_type),
            protocol_data: text(group.protocol_data),
            members: members.collect(),
        })
    });
    Ok(response::DescribeGroups { groups: groups.collect::<Result<_, Garbled>>()? })
}

fn groups_gone(from: DeleteGroupsResponse) -> Result<response::DeleteGroups, Garbled> {
    let results = from
        .results
        .into_iter()
        .map(|result| Ok((GroupId(text(result.group_id.0)), code(result.error_code)?)));
    Ok(response::DeleteGroups { results: results.collect::<Result<_, Garbled>>()? })
}
