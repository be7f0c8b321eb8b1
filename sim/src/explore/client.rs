//! What a client of an exploration knows, may ask next, and learns from an answer.

use std::hash::{Hash, Hasher};

use quorate_core::request::{
    Assignment, CommitPartition, CommitTopic, Heartbeat, JoinGroup, OffsetCommit, Protocol,
    SyncGroup,
};
use quorate_core::{
    ErrorCode, Generation, GroupId, InstanceId, MemberId, Millis, Request, Response,
};

use super::alias::{assignment, client_name, metadata};

/// Sessions, as long as the one that cannot be set, so that deadlines are few.
pub const SESSION: Millis = Millis(300_000);

/// Half a session: to join, and to be stored.
pub const HALF: Millis = Millis(150_000);

/// The partition whose offset is committed. Not to be taken for a generation, see `alias`.
pub const PARTITION: i32 = 7_777;

/// The group.
pub fn group() -> GroupId {
    GroupId::from("g")
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// Joins, with the id that it has, or with none.
    Join,
    /// Syncs, with assignments if it leads.
    Sync,
    /// Says that it lives.
    Heartbeat,
    /// Commits this offset.
    Commit(i64),
}

/// Where a client is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It must join, with the id that it has, or with none.
    Out,
    /// It was handed its id.
    Handed,
    /// It is in a generation, and must sync; the members, if it leads.
    Joined(Vec<MemberId>),
    /// It has its assignment.
    Stable,
    /// It was fenced, and is no more.
    Dead,
}

/// An unanswered request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Open {
    /// What.
    pub ask: Ask,
    /// Whether it was asked under no id.
    pub anonymous: bool,
    /// Whether it was entitled to a success when it was decided; unknown while its group waited.
    pub entitled: bool,
    /// How many batches were in flight when a heartbeat had been decided, and are still.
    pub behind: usize,
}

/// A client. Its hash leaves out how often it may still join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Whether it has an instance id.
    pub is_static: bool,
    /// How often it may still join.
    pub joins: u8,
    /// Its id.
    pub member: Option<MemberId>,
    /// Its generation.
    pub generation: Generation,
    /// Where it is.
    pub phase: Phase,
    /// What it waits for.
    pub open: Option<Open>,
}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Client { is_static, joins: _, member, generation, phase, open } = self;
        (is_static, member, generation, phase, open).hash(state);
    }
}

impl Client {
    /// One that has done nothing.
    pub fn new(is_static: bool, joins: u8) -> Client {
        let (member, generation) = (None, Generation::NONE);
        Client { is_static, joins, member, generation, phase: Phase::Out, open: None }
    }

    /// What it may ask now, given the next offset to commit, if one may be.
    pub fn asks(&self, next_commit: Option<i64>) -> Vec<Ask> {
        if self.open.is_some() {
            return Vec::new();
        }
        match &self.phase {
            Phase::Out if self.joins == 0 => Vec::new(),
            Phase::Out | Phase::Handed => vec![Ask::Join],
            Phase::Joined(_) => vec![Ask::Sync],
            Phase::Stable => {
                let commit = next_commit.map(Ask::Commit);
                [Ask::Heartbeat].into_iter().chain(commit).collect()
            }
            Phase::Dead => Vec::new(),
        }
    }

    /// The request.
    pub fn request(&self, number: usize, ask: Ask) -> Request {
        let group_id = group();
        let (generation, member_id) = (self.generation, self.member.clone().unwrap_or_default());
        let instance_id = self.is_static.then(|| InstanceId::from(client_name(number)));
        match ask {
            Ask::Join => Request::JoinGroup(Box::new(JoinGroup {
                group_id,
                session_timeout: SESSION,
                rebalance_timeout: HALF,
                member_id,
                instance_id,
                protocol_type: "test".into(),
                protocols: vec![Protocol { name: "p".into(), metadata: metadata(number) }],
                reason: None,
                may_be_handed_an_id: true,
                may_skip_assignment: true,
            })),
            Ask::Sync => {
                let members: &[MemberId] =
                    if let Phase::Joined(members) = &self.phase { members } else { &[] };
                let assign = |member_id: &MemberId| Assignment {
                    member_id: member_id.clone(),
                    assignment: assignment(
                        generation.0,
                        number,
                        super::alias::owner(member_id.as_str().as_bytes()),
                    ),
                };
                let assignments = members.iter().map(assign).collect();
                Request::SyncGroup(Box::new(SyncGroup {
                    group_id,
                    generation,
                    member_id,
                    instance_id,
                    assignments,
                    ..SyncGroup::default()
                }))
            }
            Ask::Heartbeat => {
                Request::Heartbeat(Heartbeat { group_id, generation, member_id, instance_id })
            }
            Ask::Commit(offset) => {
                let partition = PARTITION;
                let partitions = vec![CommitPartition { partition, offset, ..Default::default() }];
                let topics =
                    vec![CommitTopic { name: "t".into(), partitions, ..Default::default() }];
                Request::OffsetCommit(Box::new(OffsetCommit {
                    group_id,
                    generation,
                    member_id,
                    instance_id,
                    topics,
                    ..Default::default()
                }))
            }
        }
    }

    /// It asked.
    pub fn asked(&mut self, ask: Ask, entitled: bool) {
        match ask {
            Ask::Join => {
                self.joins -= u8::from(self.phase != Phase::Handed);
                self.phase = Phase::Out;
            }
            // It asks with them once.
            Ask::Sync => self.phase = Phase::Joined(Vec::new()),
            Ask::Heartbeat | Ask::Commit(_) => {}
        }
        let anonymous = self.member.is_none();
        // A join is nothing that one must be entitled to.
        let entitled = entitled && ask != Ask::Join;
        self.open = Some(Open { ask, anonymous, entitled, behind: 0 });
    }

    /// It is answered.
    pub fn heard(&mut self, body: &Response) {
        self.open = None;
        match body {
            Response::JoinGroup(join) if join.error == ErrorCode::None => {
                self.member = Some(join.member_id.clone());
                self.generation = join.generation;
                let members = join.members.iter().map(|member| member.member_id.clone());
                self.phase = Phase::Joined(members.collect());
            }
            Response::JoinGroup(join) if join.error == ErrorCode::MemberIdRequired => {
                self.member = Some(join.member_id.clone());
                self.phase = Phase::Handed;
            }
            Response::SyncGroup(sync) if sync.error == ErrorCode::None => {
                self.phase = Phase::Stable;
            }
            body => self.failed(error(body)),
        }
    }

    fn failed(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::None => {}
            ErrorCode::FencedInstanceId => self.end(Phase::Dead),
            ErrorCode::UnknownMemberId => {
                self.member = None;
                self.out();
            }
            _ => self.out(),
        }
    }

    /// It keeps its id, and joins again if it may; if not, it is as good as dead.
    fn out(&mut self) {
        (self.generation, self.phase) = (Generation::NONE, Phase::Out);
        if self.joins == 0 {
            self.end(Phase::Dead);
        }
    }

    /// It forgets who it was.
    pub fn end(&mut self, phase: Phase) {
        (self.member, self.generation, self.phase) = (None, Generation::NONE, phase);
    }

    /// Its connection is gone: it may be that it was handed an id or asked again.
    pub fn lost(&mut self) {
        if self.open.take().is_some() {
            self.out();
        }
    }
}

/// The error of an answer.
pub fn error(body: &Response) -> ErrorCode {
    match body {
        Response::JoinGroup(join) => join.error,
        Response::SyncGroup(sync) => sync.error,
        Response::Heartbeat(error) => *error,
        Response::OffsetCommit(commit) => {
            let partitions = commit.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|(_, error)| *error).next().unwrap_or(ErrorCode::None)
        }
        Response::DeleteGroups(delete) => {
            delete.results.first().map_or(ErrorCode::None, |(_, error)| *error)
        }
        _ => ErrorCode::None,
    }
}
