//! A shard that is told things by hand, and an oracle that watches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use litemap::LiteMap;
use quorate_core::request;
use quorate_core::{
    Batch, Config, Effect, Effects, Epoch, Generation, GroupId, Input, Instant, Loader, MemberId,
    Millis, NoteKinds, Now, Offset, Origin, Record, RejectCause, Request, Response, Seed, Shard,
    ShardId, Token, Topics, TopicsVersion, WallTime,
};

use crate::event::{Context, Ended, Event, Groups, Place, What};
use crate::oracle::{Found, Oracle};
use crate::plan::{Ending, Knobs, NodeIndex, NodeSpec, Plan};

pub(super) struct Bench {
    plan: Plan,
    oracle: Box<dyn Oracle + Send>,
    pub(super) found: Found,
    pub(super) shard: Shard,
    before: Groups,
    place: Place,
    at: Duration,
    next: u64,
    pub(super) open: LiteMap<Token, Request>,
    pub(super) answers: LiteMap<Token, Response>,
    pub(super) heard: Vec<(MemberId, i32)>,
    in_flight: VecDeque<Batch>,
    log: Vec<Record>,
    pub(super) events: Vec<String>,
}

pub(super) fn plan() -> Plan {
    Plan {
        seed: 1,
        knobs: Knobs { initial_delay: Duration::ZERO, ..Knobs::default() },
        nodes: vec![NodeSpec::default()],
        shards: 1,
        topics: Vec::new(),
        clients: Vec::new(),
        steps: Vec::new(),
        ending: Ending::At(Duration::from_secs(1)),
        only: Vec::new(),
    }
}

fn load(plan: &Plan, place: Place, at: Duration, log: &[Record], out: &mut Effects) -> Shard {
    let knobs = &plan.knobs;
    let config = Config {
        initial_rebalance_delay: knobs.initial_delay,
        max_group_size: knobs.max_group_size,
        timers_per_step: knobs.timers_per_step,
        max_in_flight: knobs.max_in_flight,
        in_flight_reserve: knobs.in_flight_reserve,
        ..Config::default()
    };
    let seed = Seed { node_secret: [7; 32], load: place.load };
    let mut loader = Loader::new(config, place.shard, place.epoch, &seed, Offset(0));
    for (at, record) in (0..).zip(log) {
        loader.replay(Offset(at), record.clone()).expect("it was written by a shard");
    }
    loader.activate(now(at), Arc::new(Topics::new(TopicsVersion(1), [])), out)
}

fn now(at: Duration) -> Now {
    let wall = WallTime(1_700_000_000_000 + at.as_millis() as i64);
    Now { mono: Instant::after_start(at), wall }
}

impl Bench {
    pub(super) fn new(plan: Plan) -> Bench {
        let place = Place { node: NodeIndex(0), shard: ShardId(0), epoch: Epoch(1), load: 1 };
        let at = Duration::from_secs(100);
        let mut out = Effects::wanting(NoteKinds::ALL);
        let shard = load(&plan, place, at, &[], &mut out);
        let mut bench = Bench {
            oracle: super::super::new(&plan),
            plan,
            found: Found::default(),
            shard,
            before: Groups::new(),
            place,
            at,
            next: 0,
            open: LiteMap::new(),
            answers: LiteMap::new(),
            heard: Vec::new(),
            in_flight: VecDeque::new(),
            log: Vec::new(),
            events: Vec::new(),
        };
        let effects = out.drain().collect();
        bench.tell_shard(What::Loaded { place, now: now(at), effects });
        bench
    }

    pub(super) fn tell(&mut self, what: What) {
        self.oracle.see(&Event { at: self.at, what }, None, &mut self.found);
    }

    fn tell_shard(&mut self, what: What) {
        let after = self.shard.groups();
        let context = Context { before: &self.before, after: &after, shard: &self.shard };
        self.events.push(format!("{:?} {what:?}\n    {after:?}", self.at));
        self.oracle.see(&Event { at: self.at, what }, Some(context), &mut self.found);
        self.before = after;
    }

    pub(super) fn step(&mut self, input: Input) {
        let effects = self.act(input.clone());
        self.witness(input, effects);
    }

    /// Lets the shard act, and tells nobody yet.
    pub(super) fn act(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Effects::wanting(NoteKinds::ALL);
        self.shard.step(now(self.at), input, &mut out);
        out.drain().collect()
    }

    /// Tells what the shard did, or something else.
    pub(super) fn witness(&mut self, input: Input, effects: Vec<Effect>) {
        if let Input::Abandoned { token } = &input {
            self.open.remove(token);
        }
        for effect in &effects {
            match effect {
                Effect::Reply { token, body } => {
                    self.open.remove(token);
                    if let Response::JoinGroup(join) = body {
                        self.heard.push((join.member_id.clone(), join.generation.0));
                    }
                    self.answers.insert(*token, body.clone());
                }
                Effect::Dropped { token, .. } => {
                    self.open.remove(token);
                }
                Effect::Append(batch) => self.in_flight.push_back(batch.clone()),
                Effect::Note(_) => {}
            }
        }
        self.tell_shard(What::Stepped { place: self.place, now: now(self.at), input, effects });
    }

    pub(super) fn ask(&mut self, body: Request) -> Token {
        let (token, input) = self.request(body);
        self.step(input);
        token
    }

    pub(super) fn request(&mut self, body: Request) -> (Token, Input) {
        self.next += 1;
        let token = Token(self.next);
        self.open.insert(token, body.clone());
        let origin = Origin { client_id: "c".into(), client_host: "/127.0.0.1".into() };
        (token, Input::Request { token, origin, body })
    }

    pub(super) fn append(&mut self) {
        let Some(batch) = self.in_flight.pop_front() else { return };
        self.log.extend(batch.records.iter().cloned());
        let through = batch.id;
        self.tell(What::Stored { shard: self.place.shard, batch });
        self.step(Input::Appended { through });
    }

    pub(super) fn reject(&mut self, cause: RejectCause) {
        let Some(batch) = self.in_flight.front() else { return };
        let from = batch.id;
        self.in_flight.clear();
        self.step(Input::Rejected { from, cause });
    }

    pub(super) fn reload(&mut self) {
        self.in_flight.clear();
        self.step(Input::Fenced { by: None });
        self.tell(What::Ended { place: self.place, why: Ended::Fenced });
        self.open.clear();
        self.place.load += 1;
        self.place.epoch = Epoch(self.place.epoch.0 + 1);
        self.before = Groups::new();
        let mut out = Effects::wanting(NoteKinds::ALL);
        self.shard = load(&self.plan, self.place, self.at, &self.log, &mut out);
        let effects = out.drain().collect();
        self.tell_shard(What::Loaded { place: self.place, now: now(self.at), effects });
    }

    pub(super) fn tick(&mut self, by: Duration) {
        self.at += by;
    }
}

fn group() -> GroupId {
    "g".into()
}

/// Protocols as `name=metadata`; the session and rebalance timeouts in milliseconds.
pub(super) fn join(
    member: &MemberId,
    instance: Option<&str>,
    protocols: &[&str],
    (session, rebalance): (i32, i32),
    is_new: bool,
) -> Request {
    let protocol = |text: &&str| {
        let (name, metadata) = text.split_once('=').unwrap_or((text, ""));
        request::Protocol {
            name: name.into(),
            metadata: Bytes::copy_from_slice(metadata.as_bytes()),
        }
    };
    Request::JoinGroup(Box::new(request::JoinGroup {
        group_id: group(),
        session_timeout: Millis(session),
        rebalance_timeout: Millis(rebalance),
        member_id: member.clone(),
        instance_id: instance.map(Into::into),
        protocol_type: "consumer".into(),
        protocols: protocols.iter().map(protocol).collect(),
        reason: None,
        may_be_handed_an_id: is_new,
        may_skip_assignment: is_new,
    }))
}

pub(super) fn sync(
    member: &MemberId,
    generation: i32,
    instance: Option<&str>,
    gives: &[MemberId],
    tag: u8,
) -> Request {
    let give = |(place, id): (u8, &MemberId)| request::Assignment {
        member_id: id.clone(),
        assignment: Bytes::copy_from_slice(&[tag, place]),
    };
    Request::SyncGroup(Box::new(request::SyncGroup {
        group_id: group(),
        generation: Generation(generation),
        member_id: member.clone(),
        instance_id: instance.map(Into::into),
        assignments: (0..).zip(gives).map(give).collect(),
        ..request::SyncGroup::default()
    }))
}

pub(super) fn beat(member: &MemberId, generation: i32, instance: Option<&str>) -> Request {
    Request::Heartbeat(request::Heartbeat {
        group_id: group(),
        generation: Generation(generation),
        member_id: member.clone(),
        instance_id: instance.map(Into::into),
    })
}

pub(super) fn leave(member: &MemberId, instance: Option<&str>) -> Request {
    let instance_id = instance.map(Into::into);
    let leaver = request::Leaver { member_id: member.clone(), instance_id, reason: None };
    Request::LeaveGroup(request::LeaveGroup { group_id: group(), members: vec![leaver] })
}

pub(super) fn commit(member: &MemberId, generation: i32) -> Request {
    let partition = request::CommitPartition { offset: 7, ..Default::default() };
    let topic = request::CommitTopic {
        name: "t".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    Request::OffsetCommit(Box::new(request::OffsetCommit {
        group_id: group(),
        generation: Generation(generation),
        member_id: member.clone(),
        checked: TopicsVersion(1),
        topics: vec![topic],
        ..Default::default()
    }))
}
