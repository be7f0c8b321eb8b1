use bytes::Buf;
use quorate_core::request::{
    Assignment, CommitPartition, CommitTopic, DeleteGroups, DescribeGroups, FetchGroup,
    FindCoordinator, Heartbeat, JoinGroup, LeaveGroup, Leaver, ListGroups, OffsetCommit,
    OffsetDelete, OffsetFetch, Protocol, SyncGroup, TopicPartitions,
};
use quorate_core::{
    ErrorCode, Generation, GroupId, InstanceId, MemberId, Millis, NodeId, Response, TopicName,
    response,
};
use quorate_io::wire::{Call, Endpoint, Reply, ReplyShape, decode, encode};

use super::*;

/// One request of each kind, as such a client makes it.
fn requests(version: ClientVersion) -> Vec<Request> {
    let is_new = version == ClientVersion::New;
    let (group_id, member_id) = (GroupId::from("orders"), MemberId::from("m1"));
    let (generation, named) = (Generation(3), |text: &'static str| Text::from_static(text));
    let instance_id = is_new.then(|| InstanceId::from("i1"));
    let topics = vec![TopicPartitions { name: TopicName::from("t"), partitions: vec![0, 2] }];
    let group = FetchGroup {
        group_id: group_id.clone(),
        member_id: None,
        member_epoch: -1,
        topics: Some(topics.clone()),
    };
    vec![
        Request::FindCoordinator(FindCoordinator { key_type: 0, keys: vec![named("orders")] }),
        Request::JoinGroup(Box::new(JoinGroup {
            group_id: group_id.clone(),
            session_timeout: Millis(6_000),
            rebalance_timeout: Millis(9_000),
            member_id: member_id.clone(),
            instance_id: instance_id.clone(),
            protocol_type: named("consumer"),
            protocols: vec![Protocol { name: named("range"), metadata: Bytes::from_static(b"x") }],
            reason: is_new.then(|| named("why not")),
            may_be_handed_an_id: is_new,
            may_skip_assignment: is_new,
        })),
        Request::SyncGroup(Box::new(SyncGroup {
            group_id: group_id.clone(),
            generation,
            member_id: member_id.clone(),
            instance_id: instance_id.clone(),
            protocol_type: is_new.then(|| named("consumer")),
            protocol_name: is_new.then(|| named("range")),
            must_name_protocol: is_new,
            assignments: vec![Assignment {
                member_id: member_id.clone(),
                assignment: Bytes::from_static(b"mine"),
            }],
        })),
        Request::Heartbeat(Heartbeat {
            group_id: group_id.clone(),
            generation,
            member_id: member_id.clone(),
            instance_id: instance_id.clone(),
        }),
        Request::LeaveGroup(LeaveGroup {
            group_id: group_id.clone(),
            members: vec![Leaver {
                member_id: member_id.clone(),
                instance_id: instance_id.clone(),
                reason: is_new.then(|| named("enough")),
            }],
        }),
        Request::OffsetCommit(Box::new(OffsetCommit {
            group_id: group_id.clone(),
            generation,
            member_id,
            instance_id,
            missing_group_has_a_code: is_new,
            topics: vec![CommitTopic {
                name: TopicName::from("t"),
                partitions: vec![CommitPartition {
                    partition: 1,
                    offset: 42,
                    leader_epoch: -1,
                    metadata: Some(named("m")),
                }],
                ..CommitTopic::default()
            }],
            ..OffsetCommit::default()
        })),
        Request::OffsetFetch(OffsetFetch {
            groups: vec![group.clone()],
            require_stable: true,
            errors_on_partitions: false,
        }),
        Request::OffsetFetch(OffsetFetch {
            groups: vec![FetchGroup { topics: None, ..group }],
            require_stable: false,
            errors_on_partitions: false,
        }),
        Request::OffsetDelete(OffsetDelete { group_id: group_id.clone(), topics }),
        Request::ListGroups(ListGroups::default()),
        Request::DescribeGroups(DescribeGroups {
            groups: vec![group_id.clone()],
            missing_is_an_error: is_new,
        }),
        Request::DeleteGroups(DeleteGroups { groups: vec![group_id] }),
    ]
}

#[test]
fn a_broker_reads_what_a_client_says() {
    for version in [ClientVersion::Old, ClientVersion::New] {
        for request in requests(version).into_iter().map(Arc::new) {
            assert_eq!(as_said(&request, version), request);
            let (mut bytes, asked) = frame(&request, version, 7, "c1");
            assert_eq!(bytes.get_u32() as usize, bytes.len());
            let incoming = decode(bytes).unwrap_or_else(|error| panic!("{request:?}: {error}"));
            assert_eq!(incoming.call, Call::Group(Request::clone(&request)));
            assert_eq!(incoming.client_id.as_str(), "c1");
            assert_eq!(incoming.shape.correlation_id, 7);
            assert_eq!((incoming.shape.key, incoming.shape.version), (asked.key, asked.version));
        }
    }
}

#[test]
fn an_old_client_leaves_out_what_it_cannot_say() {
    let requests = || requests(ClientVersion::New).into_iter().map(Arc::new);
    for (new, old) in requests().zip(self::requests(ClientVersion::Old)) {
        let said = as_said(&new, ClientVersion::Old);
        match (&*said, &old) {
            (Request::Heartbeat(said), Request::Heartbeat(old)) => assert_eq!(said, old),
            (Request::LeaveGroup(said), Request::LeaveGroup(old)) => assert_eq!(said, old),
            _ => {}
        }
    }
}

/// An answer to each request.
fn responses(version: ClientVersion) -> Vec<Response> {
    let is_new = version == ClientVersion::New;
    let (group_id, member_id) = (GroupId::from("orders"), MemberId::from("m1"));
    let named = |text: &'static str| Text::from_static(text);
    let instance_id = is_new.then(|| InstanceId::from("i1"));
    let errors = vec![response::TopicErrors {
        name: TopicName::from("t"),
        partitions: vec![(1, ErrorCode::None), (2, ErrorCode::IllegalGeneration)],
    }];
    let fetched = Response::OffsetFetch(response::OffsetFetch {
        groups: vec![response::FetchedGroup {
            group_id: group_id.clone(),
            error: ErrorCode::None,
            topics: vec![response::FetchedTopic {
                name: TopicName::from("t"),
                partitions: vec![response::FetchedOffset {
                    partition: 1,
                    offset: 42,
                    leader_epoch: 5,
                    metadata: named("m"),
                    error: ErrorCode::None,
                }],
            }],
        }],
    });
    vec![
        Response::FindCoordinator(response::FindCoordinator {
            failed: false,
            coordinators: vec![response::Coordinator { key: named("orders"), node: Ok(NodeId(2)) }],
        }),
        Response::JoinGroup(Box::new(response::JoinGroup {
            error: ErrorCode::None,
            generation: Generation(4),
            protocol_type: is_new.then(|| named("consumer")),
            protocol_name: Some(named("range")),
            leader: member_id.clone(),
            skip_assignment: is_new,
            member_id: member_id.clone(),
            members: vec![response::JoinedMember {
                member_id: member_id.clone(),
                instance_id: instance_id.clone(),
                metadata: Bytes::from_static(b"x"),
            }],
        })),
        Response::SyncGroup(Box::new(response::SyncGroup {
            error: ErrorCode::None,
            protocol_type: is_new.then(|| named("consumer")),
            protocol_name: is_new.then(|| named("range")),
            assignment: Bytes::from_static(b"mine"),
        })),
        Response::Heartbeat(ErrorCode::RebalanceInProgress),
        Response::LeaveGroup(response::LeaveGroup {
            error: ErrorCode::None,
            members: vec![response::LeftMember {
                member_id: member_id.clone(),
                instance_id: instance_id.clone(),
                error: ErrorCode::UnknownMemberId,
            }],
        }),
        Response::OffsetCommit(response::OffsetCommit { topics: errors.clone() }),
        fetched.clone(),
        fetched,
        Response::OffsetDelete(response::OffsetDelete { error: ErrorCode::None, topics: errors }),
        Response::ListGroups(response::ListGroups {
            error: ErrorCode::None,
            groups: vec![response::ListedGroup {
                group_id: group_id.clone(),
                protocol_type: named("consumer"),
                state: if is_new { "Stable" } else { "" },
                group_type: if is_new { "classic" } else { "" },
            }],
        }),
        Response::DescribeGroups(response::DescribeGroups {
            groups: vec![response::DescribedGroup {
                error: ErrorCode::None,
                message: None,
                group_id: group_id.clone(),
                state: "Stable",
                protocol_type: named("consumer"),
                protocol_data: named("range"),
                members: vec![response::DescribedMember {
                    member_id,
                    instance_id,
                    client_id: named("c1"),
                    client_host: named("/1.2.3.4"),
                    metadata: Bytes::from_static(b"x"),
                    assignment: Bytes::from_static(b"mine"),
                }],
            }],
        }),
        Response::DeleteGroups(response::DeleteGroups {
            results: vec![(group_id, ErrorCode::NonEmptyGroup)],
        }),
    ]
}

#[test]
fn a_client_reads_what_a_broker_says() {
    let endpoint = |_| Some(Endpoint { host: Text::from_static("here"), port: 9092 });
    for version in [ClientVersion::Old, ClientVersion::New] {
        for (request, response) in requests(version).into_iter().zip(responses(version)) {
            let (_, asked) = frame(&Arc::new(request), version, 7, "c1");
            let shape = ReplyShape {
                key: asked.key,
                version: asked.version,
                correlation_id: 7,
                authorized_operations: false,
            };
            let reply = Reply::Group(response.clone());
            let mut bytes =
                encode(shape, reply, &endpoint).expect("it can be said").joined().freeze();
            assert_eq!(bytes.get_u32() as usize, bytes.len());
            assert_eq!(answer(&asked, bytes.clone()), Ok(response));
            let other = Asked { correlation: 8, ..asked };
            assert_eq!(answer(&other, bytes), Err(Garbled::Correlation { expected: 8, found: 7 }));
        }
    }
}
