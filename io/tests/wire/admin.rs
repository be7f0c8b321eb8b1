use kafka_protocol::messages::describe_groups_response::{DescribedGroup as Described, *};
use kafka_protocol::messages::list_groups_response::ListedGroup as Listed;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, DescribeGroupsResponse, GroupId, ListGroupsRequest,
    ListGroupsResponse,
};
use quorate_core::request::{DeleteGroups, DescribeGroups, ListGroups};
use quorate_core::response::{self, DescribedGroup, DescribedMember, ListedGroup};
use quorate_core::{ErrorCode, Request, Response};
use quorate_io::wire::ReplyShape;

use super::{asked, read, read_as, received, s, shape};

#[test]
fn groups_are_listed_with_state_from_version_4_and_type_from_version_5() {
    let group = ListedGroup {
        group_id: "g".into(),
        protocol_type: "consumer".into(),
        state: "Stable",
        group_type: "classic",
    };
    let list = response::ListGroups { error: ErrorCode::None, groups: vec![group] };
    for version in 0..=5 {
        let group = Listed::default()
            .with_group_id(GroupId(s("g")))
            .with_protocol_type(s("consumer"))
            .with_group_state(s(if version >= 4 { "Stable" } else { "" }))
            .with_group_type(s(if version >= 5 { "classic" } else { "" }));
        let expected = ListGroupsResponse::default().with_groups(vec![group]);
        let got = read::<ListGroupsRequest>(version, Response::ListGroups(list.clone()));
        assert_eq!(got, expected, "version {version}");
    }
    let request = ListGroupsRequest::default()
        .with_states_filter(vec![s(" Stable ")])
        .with_types_filter(vec![s("Classic")]);
    let expected =
        ListGroups { states_filter: vec![" Stable ".into()], types_filter: vec!["Classic".into()] };
    assert_eq!(asked(5, &request), Request::ListGroups(expected));
}

#[test]
fn a_missing_group_is_an_error_from_version_6_on() {
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(s("g"))]);
        let missing_is_an_error = version >= 6;
        let expected = DescribeGroups { groups: vec!["g".into()], missing_is_an_error };
        assert_eq!(asked(version, &request), Request::DescribeGroups(expected));
    }
}

fn group(error: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error,
        message: Some("Group g not found.".into()),
        group_id: "g".into(),
        state: "Dead",
        protocol_type: "".into(),
        protocol_data: "".into(),
        members: vec![DescribedMember {
            member_id: "m".into(),
            instance_id: Some("i".into()),
            client_id: "app".into(),
            client_host: "/127.0.0.1".into(),
            metadata: "meta".into(),
            assignment: "all".into(),
        }],
    }
}

fn described(version: i16, code: i16, operations: i32) -> DescribeGroupsResponse {
    let member = DescribedGroupMember::default()
        .with_member_id(s("m"))
        .with_group_instance_id((version >= 4).then(|| s("i")))
        .with_client_id(s("app"))
        .with_client_host(s("/127.0.0.1"))
        .with_member_metadata("meta".into())
        .with_member_assignment("all".into());
    let group = Described::default()
        .with_error_code(code)
        .with_error_message((version >= 6).then(|| s("Group g not found.")))
        .with_group_id(GroupId(s("g")))
        .with_group_state(s("Dead"))
        .with_members(vec![member])
        .with_authorized_operations(operations);
    DescribeGroupsResponse::default().with_groups(vec![group])
}

#[test]
fn a_description_has_the_shape_of_its_version() {
    for version in 0..=6 {
        let described_by_core = response::DescribeGroups { groups: vec![group(ErrorCode::None)] };
        let reply = Response::DescribeGroups(described_by_core);
        let got = read::<DescribeGroupsRequest>(version, reply);
        assert_eq!(got, described(version, 0, i32::MIN), "version {version}");
    }
}

#[test]
fn operations_are_told_where_they_are_asked_for_and_there_is_no_error() {
    for version in 3..=6 {
        let request = DescribeGroupsRequest::default().with_include_authorized_operations(true);
        let shape_asked = received(version, &request).shape;
        let plain = shape::<DescribeGroupsRequest>(version);
        assert_eq!(shape_asked, ReplyShape { authorized_operations: true, ..plain });
        let cases = [(ErrorCode::None, 3400), (ErrorCode::GroupIdNotFound, i32::MIN)];
        for (error, operations) in cases {
            let reply = response::DescribeGroups { groups: vec![group(error)] };
            let got =
                read_as::<DescribeGroupsRequest>(shape_asked, Response::DescribeGroups(reply));
            assert_eq!(got, described(version, error.code(), operations));
        }
    }
}

#[test]
fn groups_are_deleted_by_name() {
    for version in 0..=2 {
        let names = vec![GroupId(s("g")), GroupId(s("g"))];
        let request = DeleteGroupsRequest::default().with_groups_names(names);
        let expected = DeleteGroups { groups: vec!["g".into(), "g".into()] };
        assert_eq!(asked(version, &request), Request::DeleteGroups(expected));
        let results = vec![("g".into(), ErrorCode::NonEmptyGroup)];
        let reply = Response::DeleteGroups(response::DeleteGroups { results });
        let got = read::<DeleteGroupsRequest>(version, reply);
        let [one] = &got.results[..] else { panic!("{got:?}") };
        assert_eq!((one.group_id.0.as_str(), one.error_code), ("g", 68));
    }
}
