use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use quorate_core::request::{
    Assignment, Heartbeat, JoinGroup, LeaveGroup, Leaver, Protocol, SyncGroup,
};
use quorate_core::response::{self, JoinedMember, LeftMember};
use quorate_core::{ErrorCode, Generation, Millis, Request, Response, Text};
use quorate_io::wire::{self, Call, Incoming};

use super::{asked, encoded, read, s, shape};

#[test]
fn a_heartbeat_is_read_byte_for_byte() {
    let frame = Bytes::from_static(
        b"\0\x0c\0\x04\0\0\0\x4d\0\x03app\0\
          \x02g\0\0\0\x07\x02m\x02i\x01\x05\x01x",
    );
    let expected = Incoming {
        shape: shape::<HeartbeatRequest>(4),
        client_id: "app".into(),
        call: Call::Group(Request::Heartbeat(Heartbeat {
            group_id: "g".into(),
            generation: Generation(7),
            member_id: "m".into(),
            instance_id: Some("i".into()),
        })),
    };
    assert_eq!(wire::decode(frame), Ok(expected));
}

#[test]
fn a_heartbeats_answer_is_written_byte_for_byte() {
    let encode = |version| {
        let reply = Response::Heartbeat(ErrorCode::RebalanceInProgress);
        encoded(shape::<HeartbeatRequest>(version), reply)
    };
    assert_eq!(&encode(0)[..], b"\0\0\0\x06\0\0\0\x4d\0\x1b");
    assert_eq!(&encode(1)[..], b"\0\0\0\x0a\0\0\0\x4d\0\0\0\0\0\x1b");
    assert_eq!(&encode(4)[..], b"\0\0\0\x0c\0\0\0\x4d\0\0\0\0\0\0\x1b\0");
}

#[test]
fn tags_may_be_repeated_and_in_any_order() {
    for tags in [&b"\x02\x05\x01a\x05\x01b"[..], b"\x02\x06\x01a\x05\x01b"] {
        let head = b"\0\x0c\0\x04\0\0\0\x4d\xff\xff\0\x02g\0\0\0\x01\x02m\0";
        let incoming = wire::decode(Bytes::from([&head[..], tags].concat())).unwrap();
        let Call::Group(Request::Heartbeat(beat)) = incoming.call else { panic!() };
        assert_eq!((beat.group_id, beat.member_id), ("g".into(), "m".into()));
        assert_eq!(incoming.client_id, Text::EMPTY);
    }
}

#[test]
fn what_a_join_says_depends_on_its_version() {
    for version in 0..=9 {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(s("range"))
            .with_metadata(Bytes::from_static(b"meta"));
        let mut request = JoinGroupRequest::default()
            .with_group_id(GroupId(s("g")))
            .with_session_timeout_ms(10_000)
            .with_member_id(s("m"))
            .with_protocol_type(s("consumer"))
            .with_protocols(vec![protocol]);
        if version >= 1 {
            request.rebalance_timeout_ms = 20_000;
        }
        if version >= 5 {
            request.group_instance_id = Some(s("i"));
        }
        if version >= 8 {
            request.reason = Some(s("why"));
        }
        let expected = JoinGroup {
            group_id: "g".into(),
            session_timeout: Millis(10_000),
            rebalance_timeout: Millis(if version == 0 { 10_000 } else { 20_000 }),
            member_id: "m".into(),
            instance_id: (version >= 5).then(|| "i".into()),
            protocol_type: "consumer".into(),
            protocols: vec![Protocol {
                name: "range".into(),
                metadata: Bytes::from_static(b"meta"),
            }],
            reason: (version >= 8).then(|| "why".into()),
            may_be_handed_an_id: version >= 4,
            may_skip_assignment: version >= 9,
        };
        assert_eq!(asked(version, &request), Request::JoinGroup(Box::new(expected)));
    }
}

#[test]
fn no_protocol_is_an_empty_name_before_version_7_and_null_from_there_on() {
    let refused = response::JoinGroup::refused(ErrorCode::MemberIdRequired, "m".into());
    let named = response::JoinGroup { protocol_name: Some("".into()), ..refused.clone() };
    for from in [refused, named] {
        for version in 0..=9 {
            let name = (version < 7).then(|| s(""));
            let expected = JoinGroupResponse::default()
                .with_error_code(79)
                .with_protocol_name(name)
                .with_member_id(s("m"));
            let got =
                read::<JoinGroupRequest>(version, Response::JoinGroup(Box::new(from.clone())));
            assert_eq!(got, expected, "version {version}");
        }
    }
}

#[test]
fn a_leaders_answer_lists_the_members() {
    let joined = response::JoinGroup {
        error: ErrorCode::None,
        generation: Generation(3),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: "m".into(),
        skip_assignment: true,
        member_id: "m".into(),
        members: vec![JoinedMember {
            member_id: "m".into(),
            instance_id: Some("i".into()),
            metadata: Bytes::from_static(b"meta"),
        }],
    };
    for version in 0..=9 {
        let member = JoinGroupResponseMember::default()
            .with_member_id(s("m"))
            .with_group_instance_id((version >= 5).then(|| s("i")))
            .with_metadata(Bytes::from_static(b"meta"));
        let expected = JoinGroupResponse::default()
            .with_generation_id(3)
            .with_protocol_type((version >= 7).then(|| s("consumer")))
            .with_protocol_name(Some(s("range")))
            .with_leader(s("m"))
            .with_skip_assignment(version >= 9)
            .with_member_id(s("m"))
            .with_members(vec![member]);
        let got = read::<JoinGroupRequest>(version, Response::JoinGroup(Box::new(joined.clone())));
        assert_eq!(got, expected, "version {version}");
    }
}

#[test]
fn a_sync_must_name_its_protocol_from_version_5_on() {
    for version in 0..=5 {
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(s("n"))
            .with_assignment(Bytes::from_static(b"all"));
        let mut request = SyncGroupRequest::default()
            .with_group_id(GroupId(s("g")))
            .with_generation_id(2)
            .with_member_id(s("m"))
            .with_assignments(vec![assignment]);
        if version >= 3 {
            request.group_instance_id = Some(s("i"));
        }
        if version >= 5 {
            request.protocol_type = Some(s("consumer"));
        }
        let expected = SyncGroup {
            group_id: "g".into(),
            generation: Generation(2),
            member_id: "m".into(),
            instance_id: (version >= 3).then(|| "i".into()),
            protocol_type: (version >= 5).then(|| "consumer".into()),
            protocol_name: None,
            must_name_protocol: version >= 5,
            assignments: vec![Assignment {
                member_id: "n".into(),
                assignment: Bytes::from_static(b"all"),
            }],
        };
        assert_eq!(asked(version, &request), Request::SyncGroup(Box::new(expected)));
    }
}

#[test]
fn a_syncs_answer_names_the_protocol_from_version_5_on() {
    let synced = response::SyncGroup {
        error: ErrorCode::None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: Bytes::from_static(b"all"),
    };
    for version in 0..=5 {
        let expected = SyncGroupResponse::default()
            .with_protocol_type((version >= 5).then(|| s("consumer")))
            .with_protocol_name((version >= 5).then(|| s("range")))
            .with_assignment(Bytes::from_static(b"all"));
        let got = read::<SyncGroupRequest>(version, Response::SyncGroup(Box::new(synced.clone())));
        assert_eq!(got, expected, "version {version}");
    }
}

#[test]
fn a_leave_names_one_member_before_version_3_and_a_list_from_there_on() {
    for version in 0..=5 {
        let mut request = LeaveGroupRequest::default().with_group_id(GroupId(s("g")));
        let mut leaver = Leaver { member_id: "m".into(), instance_id: None, reason: None };
        if version < 3 {
            request.member_id = s("m");
        } else {
            let mut member = MemberIdentity::default()
                .with_member_id(s("m"))
                .with_group_instance_id(Some(s("i")));
            leaver.instance_id = Some("i".into());
            if version >= 5 {
                member.reason = Some(s("why"));
                leaver.reason = Some("why".into());
            }
            request.members = vec![member];
        }
        let expected = LeaveGroup { group_id: "g".into(), members: vec![leaver] };
        assert_eq!(asked(version, &request), Request::LeaveGroup(expected));
    }
}

#[test]
fn the_one_members_error_is_the_answers_before_version_3() {
    let member = LeftMember {
        member_id: "m".into(),
        instance_id: Some("i".into()),
        error: ErrorCode::UnknownMemberId,
    };
    let left = response::LeaveGroup { error: ErrorCode::None, members: vec![member] };
    let loading =
        response::LeaveGroup { error: ErrorCode::CoordinatorLoadInProgress, members: vec![] };
    for version in 0..=5 {
        let member = MemberResponse::default()
            .with_member_id(s("m"))
            .with_group_instance_id(Some(s("i")))
            .with_error_code(25);
        let expected = if version < 3 {
            LeaveGroupResponse::default().with_error_code(25)
        } else {
            LeaveGroupResponse::default().with_members(vec![member])
        };
        let got = read::<LeaveGroupRequest>(version, Response::LeaveGroup(left.clone()));
        assert_eq!(got, expected, "version {version}");
        let got = read::<LeaveGroupRequest>(version, Response::LeaveGroup(loading.clone()));
        assert_eq!(got, LeaveGroupResponse::default().with_error_code(14));
    }
}
