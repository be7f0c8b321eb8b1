//! A client: a process with connections, open requests and, while it lives, a memory.
//!
//! Decided here: what starts and ends a process, what a pause holds back, which requests a lost
//! connection takes with it, and when an answer is given up. What is said and how answers are
//! taken is in the files beside.

use std::collections::BTreeMap;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::response::JoinedMember;
use quorate_core::{
    Generation, GroupId, InstanceId, MemberId, Request, Response, Text, TopicName, Topics,
};

use super::{ClientEffect, ClientInput, Identity};
use crate::event::{Call, ClientNote, ClientView, Unheard};
use crate::plan::{ClientId, ClientSpec, ClientVersion, Drive, Knobs, NodeIndex, Op};
use crate::random::Stream;

/// A client. [`Client::step`] takes one input in; [`Client::next_deadline`] says when it wants to
/// be told [`ClientInput::Deadline`]. It has no clock: times are those of its caller.
#[derive(Debug)]
pub struct Client {
    pub(super) spec: ClientSpec,
    pub(super) id: ClientId,
    nodes: u16,
    request_timeout: Duration,
    retry_backoff: Duration,
    random: Stream,
    pub(super) topics: Arc<Topics>,
    next_call: u32,
    /// Which broker is asked next who coordinates.
    next_asked: u16,
    /// Counts its commits over all its lives, so that no offset is committed twice.
    pub(super) commits: i64,
    /// The member that it was before.
    pub(super) old: Option<Member>,
    pub(super) runs: bool,
    paused_until: Option<Duration>,
    /// What came while it was paused.
    held: VecDeque<ClientInput>,
    pub(super) life: Life,
}

/// Who it is in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) generation: Generation,
}

impl Default for Member {
    fn default() -> Member {
        Member { id: MemberId::default(), generation: Generation::NONE }
    }
}

/// All that a process forgets when it ends.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) open: BTreeMap<Call, Open>,
    /// Who coordinates, as far as it knows.
    pub(super) coordinator: Option<NodeIndex>,
    pub(super) me: Member,
    pub(super) protocol: Option<Text>,
    /// If it leads, the members.
    pub(super) members: Vec<JoinedMember>,
    pub(super) leads: bool,
    pub(super) phase: Phase,
    /// Why it has to join again.
    pub(super) rejoin: Option<&'static str>,
    pub(super) owned: BTreeSet<(String, i32)>,
    /// The topics that it told the group it wants.
    pub(super) joined_with: Vec<String>,
    /// As a leader: the topics of the group when it dealt them.
    pub(super) watched: Option<LiteMap<String, i32>>,
    /// The request that its phase waits for.
    pub(super) main: Option<Call>,
    /// Before which it tries no more to find the coordinator or to join.
    pub(super) retry_at: Option<Duration>,
    pub(super) heartbeat_at: Option<Duration>,
    /// When its session ends, as it sees it.
    pub(super) session_at: Option<Duration>,
    pub(super) commit_at: Option<Duration>,
    pub(super) read_at: Option<Duration>,
    /// It is ending; until when it tries to do so with a word.
    pub(super) closing: Option<Duration>,
}

/// Where a consumer is with its membership, as the states of Kafka's AbstractCoordinator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is no member, or has to join before it is one again.
    #[default]
    Unjoined,
    /// It commits before it joins.
    Preparing,
    /// Its JoinGroup is open.
    Joining,
    /// Its SyncGroup is open.
    Syncing,
    /// It has its assignment.
    Stable,
}

/// A request without an answer so far.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) node: NodeIndex,
    pub(super) request: Arc<Request>,
    pub(super) purpose: Purpose,
    /// Who it was when it asked.
    pub(super) by: Member,
    gives_up_at: Duration,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Find,
    Join,
    Sync,
    Heartbeat,
    Commit,
    ReadBack,
    Leave,
    /// Said beside what it does otherwise.
    Aside,
}

impl Client {
    /// A client that does not run yet, of a world with `nodes` brokers.
    #[must_use]
    pub fn new(spec: &ClientSpec, id: ClientId, nodes: u16, knobs: &Knobs, seed: u64) -> Client {
        let mut random = Stream::new(seed, "client", u64::from(id.0));
        Client {
            spec: spec.clone(),
            id,
            nodes,
            request_timeout: knobs.request_timeout,
            retry_backoff: knobs.retry_backoff,
            topics: Arc::default(),
            next_call: 0,
            next_asked: random.below(u64::from(nodes)) as u16,
            random,
            commits: 0,
            old: None,
            runs: false,
            paused_until: None,
            held: VecDeque::new(),
            life: Life::default(),
        }
    }

    /// Takes an input in at a time since the start of the run, and says what it wants done.
    pub fn step(&mut self, at: Duration, input: ClientInput, out: &mut Vec<ClientEffect>) {
        let Some(until) = self.paused_until else { return self.take(at, input, out) };
        match input {
            ClientInput::Op(Op::Crash, _) => self.take(at, input, out),
            ClientInput::Op(Op::Pause(lasts), _) => self.paused_until = Some(until.max(at + lasts)),
            ClientInput::Deadline => {}
            _ => self.held.push_back(input),
        }
        if self.paused_until.is_some_and(|until| until <= at) {
            self.resume(at, out);
        }
    }

    /// When it wants to be told [`ClientInput::Deadline`], if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if !self.runs || self.paused_until.is_some() {
            return self.paused_until;
        }
        let open = self.life.open.values().map(|open| open.gives_up_at).min();
        let own = match self.spec.drive {
            Drive::Consumer => self.consumer_deadline(),
            Drive::Script => None,
        };
        open.into_iter().chain(own).chain(self.life.closing).min()
    }

    /// What it believes; `runs` is whether the world lets it live.
    #[must_use]
    pub fn view(&self, runs: bool) -> ClientView {
        let me = &self.life.me;
        ClientView {
            client: self.id,
            runs: runs && self.runs && self.paused_until.is_none(),
            member: (!me.id.is_empty()).then(|| me.id.clone()),
            generation: me.generation,
            is_stable: self.life.phase == Phase::Stable,
            owned: self.life.owned.clone(),
        }
    }

    /// Who it is, or was before it forgot; `None` if it never was a member.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let me = Some(&self.life.me).filter(|me| !me.id.is_empty()).or(self.old.as_ref())?;
        let Member { id: member, generation } = me.clone();
        Some(Identity { member, generation, instance: self.instance() })
    }

    /// Its instance id; old clients do not have one.
    pub(super) fn instance(&self) -> Option<InstanceId> {
        let instance = self.spec.instance.as_deref().map(InstanceId::from);
        instance.filter(|_| self.is_new())
    }

    pub(super) fn is_new(&self) -> bool {
        self.spec.version == ClientVersion::New
    }

    pub(super) fn group(&self) -> GroupId {
        GroupId::from(self.spec.group.as_str())
    }

    /// The partitions that a topic has, as far as it knows.
    pub(super) fn partitions(&self, topic: &str) -> i32 {
        self.topics.get(&TopicName::from(topic)).map_or(0, |topic| topic.partitions)
    }

    fn take(&mut self, at: Duration, input: ClientInput, out: &mut Vec<ClientEffect>) {
        match input {
            ClientInput::Op(op, other) => self.op(at, op, other, out),
            ClientInput::Topics(topics) => self.topics = topics,
            ClientInput::Heard(call, response) => self.heard(at, call, &response, out),
            // It does not wait for what it has given up, but for the same request elsewhere.
            ClientInput::Unheard(_, Unheard::GivenUp) => {}
            ClientInput::Unheard(call, _) => {
                if let Some(open) = self.life.open.remove(&call) {
                    self.lost(at, call, &open, out);
                }
            }
            ClientInput::Deadline => self.give_up(at, out),
        }
        if self.runs && self.paused_until.is_none() && self.spec.drive == Drive::Consumer {
            self.drive(at, out);
        }
    }

    fn op(&mut self, at: Duration, op: Op, other: Option<Identity>, out: &mut Vec<ClientEffect>) {
        match op {
            Op::Start if self.runs => {}
            Op::Start => self.start(out),
            Op::Say(ask, who) => {
                if !self.runs && self.spec.drive == Drive::Script {
                    self.start(out);
                }
                self.say(at, ask, who, other.as_ref(), out);
            }
            Op::Subscribe(topics) => self.spec.topics = topics,
            _ if !self.runs => {}
            Op::Crash => self.end(out),
            Op::Leave => self.close(at, out),
            Op::Pause(lasts) => {
                self.paused_until = Some(at + lasts);
                out.push(ClientEffect::Note(ClientNote::Paused));
            }
            Op::Rejoin if self.spec.drive == Drive::Script => {
                self.say(at, crate::plan::Ask::Join, crate::plan::Who::Itself, None, out);
            }
            Op::Rejoin => self.life.rejoin = Some("told to"),
            Op::RetryElsewhere => self.retry_elsewhere(at, out),
        }
    }

    fn start(&mut self, out: &mut Vec<ClientEffect>) {
        self.runs = true;
        out.push(ClientEffect::Note(ClientNote::Started));
    }

    /// The process is over, and with it all that it knew.
    pub(super) fn end(&mut self, out: &mut Vec<ClientEffect>) {
        self.retire();
        self.life = Life::default();
        self.runs = false;
        self.paused_until = None;
        let told = std::mem::take(&mut self.held).into_iter();
        for input in told {
            match input {
                ClientInput::Topics(topics) => self.topics = topics,
                ClientInput::Op(Op::Subscribe(topics), _) => self.spec.topics = topics,
                _ => {}
            }
        }
        out.extend([ClientEffect::DisconnectAll, ClientEffect::Note(ClientNote::Stopped)]);
    }

    /// What it is becomes what it was.
    pub(super) fn retire(&mut self) {
        if !self.life.me.id.is_empty() {
            self.old = Some(self.life.me.clone());
        }
    }

    /// A zombie first does what has become due, as who it was, and then takes in what it missed.
    fn resume(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        self.paused_until = None;
        out.push(ClientEffect::Note(ClientNote::Resumed));
        if self.spec.drive == Drive::Consumer {
            self.wake(at, out);
        }
        while let Some(input) = self.held.pop_front() {
            if self.paused_until.is_some() {
                self.held.push_front(input);
                return;
            }
            self.take(at, input, out);
        }
        if self.runs {
            self.take(at, ClientInput::Deadline, out);
        }
    }

    /// Sends, and waits for the answer.
    pub(super) fn send(
        &mut self,
        at: Duration,
        node: NodeIndex,
        request: Request,
        purpose: Purpose,
        out: &mut Vec<ClientEffect>,
    ) -> Call {
        let call = Call(self.next_call);
        self.next_call += 1;
        let gives_up_at = at + self.patience(&request);
        let request = Arc::new(request);
        out.push(ClientEffect::Send { call, node, request: request.clone() });
        let by = self.life.me.clone();
        self.life.open.insert(call, Open { node, request, purpose, by, gives_up_at });
        call
    }

    /// A JoinGroup waits for the others: Kafka's clients give it 5 s more than they have, which
    /// is less here if nothing else is given so much.
    fn patience(&self, request: &Request) -> Duration {
        let more = self.request_timeout.min(Duration::from_secs(5));
        match request {
            Request::JoinGroup(_) => self.request_timeout.max(self.spec.rebalance + more),
            _ => self.request_timeout,
        }
    }

    /// Ends a connection, and with it all that is open on it.
    pub(super) fn disconnect(
        &mut self,
        at: Duration,
        node: NodeIndex,
        out: &mut Vec<ClientEffect>,
    ) {
        out.push(ClientEffect::Disconnect(node));
        let lost: Vec<_> = self.life.open.extract_if(.., |_, open| open.node == node).collect();
        for (call, open) in lost {
            self.lost(at, call, &open, out);
        }
    }

    /// A broker that does not answer in time is hung up on.
    fn give_up(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        while let Some(node) =
            self.life.open.values().find_map(|open| (open.gives_up_at <= at).then_some(open.node))
        {
            self.disconnect(at, node, out);
        }
        if self.runs && self.life.closing.is_some_and(|by| by <= at) {
            self.end(out);
        }
    }

    /// What is open at the broker of its newest request goes out again on a second connection.
    fn retry_elsewhere(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        let weight = |open: &Open| !matches!(open.purpose, Purpose::Heartbeat | Purpose::Find);
        let newest = self.life.open.iter().max_by_key(|(call, open)| (weight(open), **call));
        let Some(node) = newest.map(|(_, open)| open.node) else { return };
        out.push(ClientEffect::Detach(node));
        let mut open = std::mem::take(&mut self.life.open);
        for (call, open) in open.iter_mut().filter(|(_, open)| open.node == node) {
            open.gives_up_at = at + self.patience(&open.request);
            let request = open.request.clone();
            out.push(ClientEffect::Send { call: *call, node, request });
        }
        self.life.open = open;
    }

    fn heard(
        &mut self,
        at: Duration,
        call: Call,
        response: &Response,
        out: &mut Vec<ClientEffect>,
    ) {
        let Some(open) = self.life.open.remove(&call) else { return };
        match self.spec.drive {
            Drive::Script => {
                self.remember(&open, response, out);
                if open.purpose == Purpose::Leave {
                    self.end(out);
                }
            }
            Drive::Consumer => self.answered(at, call, &open, response, out),
        }
    }

    /// The broker to ask next who coordinates: one after the other.
    pub(super) fn asked(&mut self) -> NodeIndex {
        self.next_asked = (self.next_asked + 1) % self.nodes.max(1);
        NodeIndex(self.next_asked)
    }

    /// A broker by its number as a Kafka node.
    pub(super) fn node(&self, id: quorate_core::NodeId) -> Option<NodeIndex> {
        let index = u16::try_from(id.0.checked_sub(1)?).ok()?;
        (index < self.nodes).then_some(NodeIndex(index))
    }

    /// When to try again: the back-off with a fifth more or less, as Kafka's clients have it.
    pub(super) fn backed_off(&mut self, at: Duration) -> Duration {
        at + self.retry_backoff * (80 + self.random.below(41) as u32) / 100
    }

    /// Until when it tries to end in order.
    pub(super) fn closes_by(&self, at: Duration) -> Duration {
        at + self.request_timeout
    }
}
