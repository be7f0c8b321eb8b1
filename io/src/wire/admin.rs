//! ListGroups, DescribeGroups and DeleteGroups: what their versions mean (spec classic 17).

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    ListGroupsRequest, ListGroupsResponse,
};
use quorate_core::request::{DeleteGroups, DescribeGroups, ListGroups};
use quorate_core::{ErrorCode, Request, response};

use super::ReplyShape;
use super::text::{fixed, group, str_bytes, text, wire_group, wire_instance};

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS, each as the bit of its number: all
/// that can be done with a group, where nobody is refused anything (KIP-430).
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub(super) fn list(from: ListGroupsRequest) -> Request {
    Request::ListGroups(ListGroups {
        states_filter: from.states_filter.into_iter().map(text).collect(),
        types_filter: from.types_filter.into_iter().map(text).collect(),
    })
}

pub(super) fn listed(from: response::ListGroups, version: i16) -> ListGroupsResponse {
    let groups = from.groups.into_iter().map(|listed| {
        ListedGroup::default()
            .with_group_id(wire_group(listed.group_id))
            .with_protocol_type(str_bytes(listed.protocol_type))
            .with_group_state(fixed(if version >= 4 { listed.state } else { "" }))
            .with_group_type(fixed(if version >= 5 { listed.group_type } else { "" }))
    });
    ListGroupsResponse::default().with_error_code(from.error.code()).with_groups(groups.collect())
}

pub(super) fn describe(from: DescribeGroupsRequest, shape: &mut ReplyShape) -> Request {
    shape.authorized_operations = from.include_authorized_operations;
    Request::DescribeGroups(DescribeGroups {
        groups: from.groups.into_iter().map(group).collect(),
        missing_is_an_error: shape.version >= 6,
    })
}

pub(super) fn described(
    from: response::DescribeGroups,
    shape: ReplyShape,
) -> DescribeGroupsResponse {
    let groups = from.groups.into_iter().map(|group| described_group(group, shape));
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn described_group(from: response::DescribedGroup, shape: ReplyShape) -> DescribedGroup {
    let members = from.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(str_bytes(member.member_id.0))
            .with_group_instance_id(wire_instance(member.instance_id))
            .with_client_id(str_bytes(member.client_id))
            .with_client_host(str_bytes(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    let message = from.message.filter(|_| shape.version >= 6);
    let told = shape.authorized_operations && from.error == ErrorCode::None;
    DescribedGroup::default()
        .with_error_code(from.error.code())
        .with_error_message(message.map(str_bytes))
        .with_group_id(wire_group(from.group_id))
        .with_group_state(fixed(from.state))
        .with_protocol_type(str_bytes(from.protocol_type))
        .with_protocol_data(str_bytes(from.protocol_data))
        .with_members(members.collect())
        .with_authorized_operations(if told { GROUP_OPERATIONS } else { i32::MIN })
}

pub(super) fn delete(from: DeleteGroupsRequest) -> Request {
    let groups = from.groups_names.into_iter().map(group).collect();
    Request::DeleteGroups(DeleteGroups { groups })
}

pub(super) fn deleted(from: response::DeleteGroups) -> DeleteGroupsResponse {
    let results = from.results.into_iter().map(|(group, error)| {
        DeletableGroupResult::default()
            .with_group_id(wire_group(group))
            .with_error_code(error.code())
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
