//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: what their versions mean (spec classic 6.11).

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use quorate_core::request::{
    Assignment, Heartbeat, JoinGroup, LeaveGroup, Leaver, Protocol, SyncGroup,
};
use quorate_core::{ErrorCode, Generation, Millis, Request, Text, response};

use super::text::{group, instance, member, str_bytes, text, wire_instance};

pub(super) fn join(from: JoinGroupRequest, version: i16) -> Request {
    let rebalance = if version == 0 { from.session_timeout_ms } else { from.rebalance_timeout_ms };
    let protocols = from.protocols.into_iter();
    let protocols = protocols.map(|p| Protocol { name: text(p.name), metadata: p.metadata });
    Request::JoinGroup(Box::new(JoinGroup {
        group_id: group(from.group_id),
        session_timeout: Millis(from.session_timeout_ms),
        rebalance_timeout: Millis(rebalance),
        member_id: member(from.member_id),
        instance_id: instance(from.group_instance_id),
        protocol_type: text(from.protocol_type),
        protocols: protocols.collect(),
        reason: from.reason.map(text),
        may_be_handed_an_id: version >= 4,
        may_skip_assignment: version >= 9,
    }))
}

/// Up to version 6 no protocol is the empty name; later the empty name is none.
pub(super) fn joined(from: response::JoinGroup, version: i16) -> JoinGroupResponse {
    let name = if version < 7 {
        Some(from.protocol_name.unwrap_or(Text::EMPTY))
    } else {
        from.protocol_name.filter(|name| !name.is_empty())
    };
    let members = from.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(str_bytes(member.member_id.0))
            .with_group_instance_id(wire_instance(member.instance_id))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(from.error.code())
        .with_generation_id(from.generation.0)
        .with_protocol_type(from.protocol_type.map(str_bytes))
        .with_protocol_name(name.map(str_bytes))
        .with_leader(str_bytes(from.leader.0))
        .with_skip_assignment(version >= 9 && from.skip_assignment)
        .with_member_id(str_bytes(from.member_id.0))
        .with_members(members.collect())
}

pub(super) fn sync(from: SyncGroupRequest, version: i16) -> Request {
    let assignments = from.assignments.into_iter();
    let assignments = assignments
        .map(|a| Assignment { member_id: member(a.member_id), assignment: a.assignment });
    Request::SyncGroup(Box::new(SyncGroup {
        group_id: group(from.group_id),
        generation: Generation(from.generation_id),
        member_id: member(from.member_id),
        instance_id: instance(from.group_instance_id),
        protocol_type: from.protocol_type.map(text),
        protocol_name: from.protocol_name.map(text),
        must_name_protocol: version >= 5,
        assignments: assignments.collect(),
    }))
}

pub(super) fn synced(from: response::SyncGroup) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(from.error.code())
        .with_protocol_type(from.protocol_type.map(str_bytes))
        .with_protocol_name(from.protocol_name.map(str_bytes))
        .with_assignment(from.assignment)
}

pub(super) fn heartbeat(from: HeartbeatRequest) -> Request {
    Request::Heartbeat(Heartbeat {
        group_id: group(from.group_id),
        generation: Generation(from.generation_id),
        member_id: member(from.member_id),
        instance_id: instance(from.group_instance_id),
    })
}

pub(super) fn beaten(error: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(error.code())
}

pub(super) fn leave(from: LeaveGroupRequest, version: i16) -> Request {
    let members = if version < 3 {
        let member_id = member(from.member_id);
        vec![Leaver { member_id, instance_id: None, reason: None }]
    } else {
        let members = from.members.into_iter().map(|leaver| Leaver {
            member_id: member(leaver.member_id),
            instance_id: instance(leaver.group_instance_id),
            reason: leaver.reason.map(text),
        });
        members.collect()
    };
    Request::LeaveGroup(LeaveGroup { group_id: group(from.group_id), members })
}

/// Up to version 2 the one member's error is the request's.
pub(super) fn left(from: response::LeaveGroup, version: i16) -> LeaveGroupResponse {
    if version < 3 {
        let member = from.members.first().map_or(ErrorCode::None, |member| member.error);
        let error = if from.error == ErrorCode::None { member } else { from.error };
        return LeaveGroupResponse::default().with_error_code(error.code());
    }
    let members = from.members.into_iter().map(|member| {
        MemberResponse::default()
            .with_member_id(str_bytes(member.member_id.0))
            .with_group_instance_id(wire_instance(member.instance_id))
            .with_error_code(member.error.code())
    });
    LeaveGroupResponse::default().with_error_code(from.error.code()).with_members(members.collect())
}
