//! A shard with a clock, a journal that stores when told, and clients that ask by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::request::*;
use quorate_core::response;
use quorate_core::*;
use uuid::Uuid;

pub const SESSION: i32 = 10_000;
pub const REBALANCE: i32 = 20_000;

/// A topic's id in these tests is made from its number.
pub fn topic(name: &str, id: u128) -> Topic {
    Topic { name: name.into(), id: Uuid::from_u128(id), partitions: 10 }
}

pub struct Bench {
    pub shard: Shard,
    pub now: Now,
    pub answers: BTreeMap<u64, Response>,
    pub dropped: Vec<u64>,
    pub notes: Vec<Note>,
    /// Batches that the journal has not stored.
    pub pending: Vec<Batch>,
    /// All that is stored.
    pub log: Vec<Record>,
    pub config: Config,
    pub topics: Arc<Topics>,
    /// Whether batches are stored as they come.
    pub stores: bool,
    out: Effects,
    next: u64,
    load: u64,
}

/// Settings of most tests: no initial delay, short retention checks never in the way.
pub fn quick() -> Config {
    Config {
        initial_rebalance_delay: Duration::ZERO,
        min_session_timeout: Duration::from_millis(1),
        ..Config::default()
    }
}

impl Bench {
    pub fn new(config: Config) -> Bench {
        Bench::with(config, Effects::wanting(NoteKinds::ALL))
    }

    /// One that wants no notes.
    pub fn silent(config: Config) -> Bench {
        Bench::with(config, Effects::new())
    }

    fn with(config: Config, mut out: Effects) -> Bench {
        let topics = Arc::new(Topics::new(TopicsVersion(1), [topic("t", 1), topic("u", 2)]));
        let mono = Instant::after_start(Duration::from_secs(1_000));
        let now = Now { mono, wall: WallTime(1_700_000_000_000) };
        let seed = Seed { node_secret: [1; 32], load: 0 };
        let loader = Loader::new(config.clone(), ShardId(3), Epoch(1), &seed, Offset(0));
        Bench {
            shard: loader.activate(now, topics.clone(), &mut out),
            now,
            answers: BTreeMap::new(),
            dropped: Vec::new(),
            notes: Vec::new(),
            pending: Vec::new(),
            log: Vec::new(),
            config,
            topics,
            stores: true,
            out,
            next: 0,
            load: 0,
        }
    }

    pub fn step(&mut self, input: Input) {
        self.shard.step(self.now, input, &mut self.out);
        self.take();
        while self.stores && !self.pending.is_empty() {
            self.append();
        }
    }

    fn take(&mut self) {
        for effect in self.out.drain() {
            match effect {
                Effect::Reply { token, body } => {
                    assert!(self.answers.insert(token.0, body).is_none(), "{token} answered twice");
                }
                Effect::Dropped { token, .. } => self.dropped.push(token.0),
                Effect::Append(batch) => self.pending.push(batch),
                Effect::Note(note) => self.notes.push(note),
            }
        }
    }

    /// The journal stores the oldest batch that it has not stored.
    pub fn append(&mut self) {
        let batch = self.pending.remove(0);
        self.log.extend(batch.records);
        self.shard.step(self.now, Input::Appended { through: batch.id }, &mut self.out);
        self.take();
    }

    /// The journal refuses all that it has not stored.
    pub fn reject(&mut self, cause: RejectCause) {
        let from = self.pending[0].id;
        self.pending.clear();
        self.step(Input::Rejected { from, cause });
    }

    /// Sends a request; its token.
    pub fn send(&mut self, body: Request) -> u64 {
        self.next += 1;
        let origin = Origin { client_id: "client".into(), client_host: "/127.0.0.1".into() };
        self.step(Input::Request { token: Token(self.next), origin, body });
        self.next
    }

    pub fn is_parked(&self, token: u64) -> bool {
        !self.answers.contains_key(&token) && !self.dropped.contains(&token)
    }

    /// Lets time pass, running what becomes due when it becomes due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(due) = self.shard.next_deadline().filter(|due| *due <= end) {
            self.tick(due.since(self.now.mono));
            self.step(Input::Deadline);
        }
        self.tick(end.since(self.now.mono));
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    /// Lets time pass while the coordinator does nothing.
    pub fn tick(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall.0 += time.as_millis() as i64;
    }

    /// Drops the shard and loads what is stored.
    pub fn reload(&mut self) {
        self.load += 1;
        self.pending.clear();
        let seed = Seed { node_secret: [1; 32], load: self.load };
        let next = Offset(self.log.len() as u64);
        let epoch = Epoch(self.load + 1);
        let mut loader = Loader::new(self.config.clone(), ShardId(3), epoch, &seed, next);
        for (at, record) in self.log.iter().enumerate() {
            loader.replay(Offset(at as u64), record.clone()).expect("records are of their kind");
        }
        self.shard = loader.activate(self.now, self.topics.clone(), &mut self.out);
        self.take();
    }

    pub fn join_answer(&self, token: u64) -> response::JoinGroup {
        match self.answers.get(&token) {
            Some(Response::JoinGroup(join)) => *join.clone(),
            other => panic!("no answer to join {token}: {other:?}"),
        }
    }

    pub fn sync_answer(&self, token: u64) -> response::SyncGroup {
        match self.answers.get(&token) {
            Some(Response::SyncGroup(sync)) => *sync.clone(),
            other => panic!("no answer to sync {token}: {other:?}"),
        }
    }

    pub fn heartbeat(&mut self, member: &MemberId, generation: i32) -> ErrorCode {
        let token = self.send(beat(member, generation, None));
        match self.answers.get(&token) {
            Some(Response::Heartbeat(error)) => *error,
            other => panic!("no answer to heartbeat: {other:?}"),
        }
    }

    pub fn describe(&mut self) -> response::DescribedGroup {
        let groups = vec!["g".into()];
        let describe = DescribeGroups { groups, missing_is_an_error: true };
        let token = self.send(Request::DescribeGroups(describe));
        match self.answers.get(&token) {
            Some(Response::DescribeGroups(describe)) => describe.groups[0].clone(),
            other => panic!("no answer to describe: {other:?}"),
        }
    }

    pub fn state(&mut self) -> &'static str {
        self.describe().state
    }

    /// A Stable group of the members; the first leads. Their ids, and the generation.
    pub fn stable(&mut self, instances: &[Option<&str>]) -> (Vec<MemberId>, i32) {
        let joins: Vec<u64> = instances
            .iter()
            .map(|instance| self.send(Join::new().instance(*instance).v3()))
            .collect();
        self.pass_ms(self.config.initial_rebalance_delay.as_millis() as u64 * 2);
        let joined: Vec<_> = joins.iter().map(|join| self.join_answer(*join)).collect();
        let generation = joined[0].generation.0;
        let ids: Vec<MemberId> = joined.iter().map(|join| join.member_id.clone()).collect();
        for (n, id) in ids.iter().enumerate().rev() {
            let given: Vec<_> = if n == 0 { shares(&ids) } else { Vec::new() };
            let instance = instances[n].map(InstanceId::from);
            let sync = self.send(sync(id, generation, instance, given));
            if n == 0 {
                assert_eq!(self.sync_answer(sync).error, ErrorCode::None);
            }
        }
        assert_eq!(self.state(), "Stable");
        (ids, generation)
    }

    /// All offsets of the group, as a plain or a stable fetch tells them.
    pub fn offsets(&mut self, require_stable: bool) -> Vec<(String, i32, i64)> {
        let token = self.send(fetch(require_stable));
        match self.answers.get(&token) {
            Some(Response::OffsetFetch(fetch)) => flat(fetch),
            other => panic!("no answer to fetch: {other:?}"),
        }
    }
}

pub fn flat(fetch: &response::OffsetFetch) -> Vec<(String, i32, i64)> {
    let topics = fetch.groups.iter().flat_map(|group| &group.topics);
    topics
        .flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.iter().map(move |p| (name.clone(), p.partition, p.offset))
        })
        .collect()
}

pub fn fetch(require_stable: bool) -> Request {
    let group =
        FetchGroup { group_id: "g".into(), member_id: None, member_epoch: -1, topics: None };
    let groups = vec![group];
    Request::OffsetFetch(OffsetFetch { groups, require_stable, errors_on_partitions: false })
}

/// What each member is assigned: its own id.
pub fn shares(ids: &[MemberId]) -> Vec<Assignment> {
    let share = |id: &MemberId| Assignment { member_id: id.clone(), assignment: id.0.bytes() };
    ids.iter().map(share).collect()
}

pub struct Join(JoinGroup);

impl Join {
    pub fn new() -> Join {
        Join(JoinGroup {
            group_id: "g".into(),
            session_timeout: Millis(SESSION),
            rebalance_timeout: Millis(REBALANCE),
            member_id: MemberId::default(),
            instance_id: None,
            protocol_type: "consumer".into(),
            protocols: protocols(&[("range", "meta")]),
            reason: None,
            may_be_handed_an_id: true,
            may_skip_assignment: true,
        })
    }

    pub fn member(mut self, id: &MemberId) -> Join {
        self.0.member_id = id.clone();
        self
    }

    pub fn instance(mut self, instance: Option<&str>) -> Join {
        self.0.instance_id = instance.map(InstanceId::from);
        self
    }

    pub fn protocols(mut self, given: &[(&str, &str)]) -> Join {
        self.0.protocols = protocols(given);
        self
    }

    pub fn protocol_type(mut self, kind: &str) -> Join {
        self.0.protocol_type = kind.into();
        self
    }

    pub fn timeouts(mut self, session: i32, rebalance: i32) -> Join {
        (self.0.session_timeout, self.0.rebalance_timeout) = (Millis(session), Millis(rebalance));
        self
    }

    /// As a client that knows no handed-out ids: version 3.
    pub fn v3(mut self) -> Request {
        (self.0.may_be_handed_an_id, self.0.may_skip_assignment) = (false, false);
        Request::JoinGroup(Box::new(self.0))
    }

    /// As version 8.
    pub fn v8(mut self) -> Request {
        self.0.may_skip_assignment = false;
        Request::JoinGroup(Box::new(self.0))
    }

    /// As version 9.
    pub fn v9(self) -> Request {
        Request::JoinGroup(Box::new(self.0))
    }
}

pub fn protocols(given: &[(&str, &str)]) -> Vec<Protocol> {
    let protocol = |(name, metadata): &(&str, &str)| Protocol {
        name: (*name).into(),
        metadata: bytes::Bytes::copy_from_slice(metadata.as_bytes()),
    };
    given.iter().map(protocol).collect()
}

pub fn sync(
    member: &MemberId,
    generation: i32,
    instance_id: Option<InstanceId>,
    assignments: Vec<Assignment>,
) -> Request {
    Request::SyncGroup(Box::new(SyncGroup {
        group_id: "g".into(),
        generation: Generation(generation),
        member_id: member.clone(),
        instance_id,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        must_name_protocol: true,
        assignments,
    }))
}

pub fn beat(member: &MemberId, generation: i32, instance: Option<&str>) -> Request {
    Request::Heartbeat(Heartbeat {
        group_id: "g".into(),
        generation: Generation(generation),
        member_id: member.clone(),
        instance_id: instance.map(InstanceId::from),
    })
}

pub fn leave(members: &[(&str, Option<&str>)]) -> Request {
    let leaver = |(member, instance): &(&str, Option<&str>)| Leaver {
        member_id: (*member).into(),
        instance_id: instance.map(InstanceId::from),
        reason: None,
    };
    Request::LeaveGroup(LeaveGroup {
        group_id: "g".into(),
        members: members.iter().map(leaver).collect(),
    })
}

pub fn commit(member: &str, generation: i32, offsets: &[(&str, i32, i64)]) -> OffsetCommit {
    let topics = offsets.iter().map(|(name, partition, offset)| CommitTopic {
        name: (*name).into(),
        topic_id: Uuid::from_u128(if *name == "t" { 1 } else { 2 }),
        partitions: vec![CommitPartition {
            partition: *partition,
            offset: *offset,
            leader_epoch: -1,
            metadata: Some("note".into()),
        }],
    });
    OffsetCommit {
        group_id: "g".into(),
        generation: Generation(generation),
        member_id: member.into(),
        instance_id: None,
        retention: None,
        missing_group_has_a_code: true,
        checked: TopicsVersion(1),
        topics: topics.collect(),
    }
}

/// The codes of a commit's answer.
pub fn codes(answer: Option<&Response>) -> Vec<ErrorCode> {
    match answer {
        Some(Response::OffsetCommit(commit)) => {
            commit.topics.iter().flat_map(|t| t.partitions.iter().map(|(_, code)| *code)).collect()
        }
        other => panic!("no answer to commit: {other:?}"),
    }
}

/// The codes of a leave's answer: of the whole, and of each member.
pub fn left(answer: Option<&Response>) -> (ErrorCode, Vec<ErrorCode>) {
    match answer {
        Some(Response::LeaveGroup(leave)) => {
            (leave.error, leave.members.iter().map(|member| member.error).collect())
        }
        other => panic!("no answer to leave: {other:?}"),
    }
}
