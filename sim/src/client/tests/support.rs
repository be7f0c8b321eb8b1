//! A client under test, and answers to give it.

use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::request::{
    CommitPartition, CommitTopic, FetchGroup, FindCoordinator, Heartbeat, JoinGroup, LeaveGroup,
    Leaver, OffsetCommit, OffsetFetch, Protocol, SyncGroup, TopicPartitions,
};
use quorate_core::response::{
    Coordinator, FetchedGroup, FetchedOffset, FetchedTopic, JoinedMember, TopicErrors,
};
use quorate_core::{
    ErrorCode, Generation, GroupId, InstanceId, MemberId, Millis, NodeId, Request, Response, Text,
    Topic, TopicName, Topics, TopicsVersion, response,
};

use crate::client::protocol::{Parts, Subscription, encode_assignment};
use crate::client::{Client, ClientEffect, ClientInput, Identity};
use crate::event::{Call, ClientNote};
use crate::plan::{Assignor, ClientId, ClientSpec, ClientVersion, Drive, Knobs, NodeIndex, Op};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn spec() -> ClientSpec {
    ClientSpec {
        group: "g".into(),
        instance: None,
        topics: vec!["t".into()],
        assignors: vec![Assignor::Range],
        session: ms(10_000),
        rebalance: ms(30_000),
        heartbeat: ms(3_000),
        commit_every: Some(ms(5_000)),
        version: ClientVersion::New,
        leaves_assignment_to_server: false,
        drive: Drive::Consumer,
    }
}

/// A client at a time, and the calls that it made.
pub(super) struct Tried {
    pub(super) client: Client,
    pub(super) at: Duration,
}

pub(super) type Told = Vec<ClientEffect>;

impl Tried {
    /// Number 3 of its world of one broker, which has a topic `t` of four partitions.
    pub(super) fn new(spec: &ClientSpec) -> Tried {
        Tried::among(1, spec)
    }

    pub(super) fn among(nodes: u16, spec: &ClientSpec) -> Tried {
        let client = Client::new(spec, ClientId(3), nodes, &Knobs::default(), 7);
        let mut tried = Tried { client, at: Duration::ZERO };
        let topic = Topic { name: "t".into(), id: uuid::Uuid::from_u128(1), partitions: 4 };
        let topics = Arc::new(Topics::new(TopicsVersion(1), [topic]));
        assert_eq!(tried.tell(ClientInput::Topics(topics)), []);
        tried
    }

    pub(super) fn tell(&mut self, input: ClientInput) -> Told {
        let mut out = Vec::new();
        self.client.step(self.at, input, &mut out);
        out
    }

    pub(super) fn op(&mut self, op: Op) -> Told {
        self.tell(ClientInput::Op(op, None))
    }

    pub(super) fn op_of(&mut self, op: Op, other: Identity) -> Told {
        self.tell(ClientInput::Op(op, Some(other)))
    }

    pub(super) fn hear(&mut self, call: u32, response: Response) -> Told {
        self.tell(ClientInput::Heard(Call(call), Arc::new(response)))
    }

    /// Lets time go on to its next deadline.
    pub(super) fn wait(&mut self) -> Told {
        self.at = self.client.next_deadline().expect("it waits for something");
        self.tell(ClientInput::Deadline)
    }

    /// Becomes member `m` of generation 1, with all four partitions, with calls 0 to 4 answered.
    pub(super) fn stable(spec: &ClientSpec) -> Tried {
        let mut tried = Tried::new(spec);
        tried.op(Op::Start);
        tried.hear(0, found(1));
        let offset = u32::from(spec.instance.is_none());
        if offset == 1 {
            tried.hear(1, refused_join(ErrorCode::MemberIdRequired, "m"));
        }
        tried.hear(1 + offset, joined("m", 1, "m", &[("m", subscribed(&[], -1))]));
        tried.hear(2 + offset, synced(&[0, 1, 2, 3]));
        tried.hear(3 + offset, fetched(&[], ErrorCode::None));
        tried
    }
}

pub(super) fn send(call: u32, request: Request) -> ClientEffect {
    send_to(0, call, request)
}

pub(super) fn send_to(node: u16, call: u32, request: Request) -> ClientEffect {
    ClientEffect::Send { call: Call(call), node: NodeIndex(node), request: Arc::new(request) }
}

pub(super) fn note(note: ClientNote) -> ClientEffect {
    ClientEffect::Note(note)
}

pub(super) fn parts(partitions: &[i32]) -> Parts {
    partitions.iter().map(|partition| ("t".to_owned(), *partition)).collect()
}

pub(super) fn offsets(partitions: &[i32], offset: i64) -> LiteMap<(String, i32), i64> {
    parts(partitions).into_iter().map(|part| (part, offset)).collect()
}

/// The metadata of a member of topic `t`.
pub(super) fn subscribed(owned: &[i32], generation: i32) -> bytes::Bytes {
    let wants = Subscription { topics: vec!["t".into()], owned: parts(owned), generation };
    wants.encode(ClientVersion::New, Assignor::Range)
}

pub(super) fn find() -> Request {
    Request::FindCoordinator(FindCoordinator { key_type: 0, keys: vec!["g".into()] })
}

pub(super) fn join_as(member: &str, assignor: &str, metadata: bytes::Bytes) -> JoinGroup {
    JoinGroup {
        group_id: GroupId::from("g"),
        session_timeout: Millis(10_000),
        rebalance_timeout: Millis(30_000),
        member_id: MemberId::from(member),
        instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: assignor.into(), metadata }],
        reason: None,
        may_be_handed_an_id: true,
        may_skip_assignment: true,
    }
}

pub(super) fn join(member: &str, generation: i32, reason: Option<&'static str>) -> Request {
    let join = join_as(member, "range", subscribed(&[], generation));
    Request::JoinGroup(Box::new(JoinGroup { reason: reason.map(Text::from_static), ..join }))
}

pub(super) fn sync(member: &str, generation: i32, dealt: &[(&str, &[i32])]) -> Request {
    let assignment = |(member, partitions): &(&str, &[i32])| quorate_core::request::Assignment {
        member_id: MemberId::from(*member),
        assignment: encode_assignment(&parts(partitions)),
    };
    Request::SyncGroup(Box::new(SyncGroup {
        group_id: GroupId::from("g"),
        generation: Generation(generation),
        member_id: MemberId::from(member),
        instance_id: None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        must_name_protocol: true,
        assignments: dealt.iter().map(assignment).collect(),
    }))
}

pub(super) fn heartbeat(member: &str, generation: i32, instance: Option<&str>) -> Request {
    Request::Heartbeat(Heartbeat {
        group_id: GroupId::from("g"),
        generation: Generation(generation),
        member_id: MemberId::from(member),
        instance_id: instance.map(InstanceId::from),
    })
}

pub(super) fn leave(member: &str) -> Request {
    let reason = Some("the consumer is being closed".into());
    let members = vec![Leaver { member_id: MemberId::from(member), instance_id: None, reason }];
    Request::LeaveGroup(LeaveGroup { group_id: GroupId::from("g"), members })
}

pub(super) fn commit(member: &str, generation: i32, partitions: &[i32], offset: i64) -> Request {
    let partition = |partition: &i32| CommitPartition {
        partition: *partition,
        offset,
        leader_epoch: -1,
        metadata: Some(Text::EMPTY),
    };
    let partitions = partitions.iter().map(partition).collect();
    Request::OffsetCommit(Box::new(OffsetCommit {
        group_id: GroupId::from("g"),
        generation: Generation(generation),
        member_id: MemberId::from(member),
        missing_group_has_a_code: true,
        topics: vec![CommitTopic { name: "t".into(), partitions, ..CommitTopic::default() }],
        ..OffsetCommit::default()
    }))
}

pub(super) fn fetch(partitions: &[i32]) -> Request {
    let topics = vec![TopicPartitions { name: "t".into(), partitions: partitions.to_vec() }];
    let group = FetchGroup {
        group_id: GroupId::from("g"),
        member_id: None,
        member_epoch: -1,
        topics: Some(topics),
    };
    let (groups, require_stable) = (vec![group], true);
    Request::OffsetFetch(OffsetFetch { groups, require_stable, errors_on_partitions: false })
}

pub(super) fn found(node: i32) -> Response {
    let coordinator = Coordinator { key: "g".into(), node: Ok(NodeId(node)) };
    let coordinators = vec![coordinator];
    Response::FindCoordinator(response::FindCoordinator { failed: false, coordinators })
}

pub(super) fn refused_join(error: ErrorCode, member: &str) -> Response {
    Response::JoinGroup(Box::new(response::JoinGroup::refused(error, MemberId::from(member))))
}

pub(super) fn joined_under(
    protocol: &str,
    member: &str,
    generation: i32,
    leader: &str,
    members: &[(&str, bytes::Bytes)],
) -> Response {
    let entry = |(member, metadata): &(&str, bytes::Bytes)| JoinedMember {
        member_id: MemberId::from(*member),
        instance_id: None,
        metadata: metadata.clone(),
    };
    Response::JoinGroup(Box::new(response::JoinGroup {
        error: ErrorCode::None,
        generation: Generation(generation),
        protocol_type: Some("consumer".into()),
        protocol_name: Some(protocol.into()),
        leader: MemberId::from(leader),
        skip_assignment: false,
        member_id: MemberId::from(member),
        members: members.iter().map(entry).collect(),
    }))
}

pub(super) fn joined(
    member: &str,
    generation: i32,
    leader: &str,
    members: &[(&str, bytes::Bytes)],
) -> Response {
    joined_under("range", member, generation, leader, members)
}

pub(super) fn synced(partitions: &[i32]) -> Response {
    Response::SyncGroup(Box::new(response::SyncGroup {
        error: ErrorCode::None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: encode_assignment(&parts(partitions)),
    }))
}

pub(super) fn refused_sync(error: ErrorCode) -> Response {
    Response::SyncGroup(Box::new(response::SyncGroup::refused(error)))
}

pub(super) fn committed(partitions: &[i32], error: ErrorCode) -> Response {
    let partitions = partitions.iter().map(|partition| (*partition, error)).collect();
    let topics = vec![TopicErrors { name: TopicName::from("t"), partitions }];
    Response::OffsetCommit(response::OffsetCommit { topics })
}

pub(super) fn fetched(partitions: &[(i32, i64)], error: ErrorCode) -> Response {
    let partition = |(partition, offset): &(i32, i64)| FetchedOffset {
        partition: *partition,
        offset: *offset,
        leader_epoch: -1,
        metadata: Text::EMPTY,
        error: ErrorCode::None,
    };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![FetchedTopic { name: TopicName::from("t"), partitions }];
    let groups = vec![FetchedGroup { group_id: GroupId::from("g"), error, topics }];
    Response::OffsetFetch(response::OffsetFetch { groups })
}

pub(super) fn member_is(client: &Client, member: &str, generation: i32) {
    let expected = Identity {
        member: MemberId::from(member),
        generation: Generation(generation),
        instance: client.instance(),
    };
    assert_eq!(client.identity(), Some(expected));
}
