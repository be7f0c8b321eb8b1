//! For tests of observers: one shard and its journal, whose events may be told otherwise than
//! they were.

use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::request::{
    CommitPartition, CommitTopic, FetchGroup, Heartbeat, JoinGroup, OffsetCommit, OffsetFetch,
    Protocol, SyncGroup,
};
use quorate_core::{
    Batch, Config, Effect, Effects, Epoch, Generation, GroupId, Input, Instant, Loader, MemberId,
    Millis, Now, Offset, Origin, Record, Request, Response, Seed, Shard, ShardId, Token, Topic,
    Topics, TopicsVersion, WallTime,
};
use uuid::Uuid;

use crate::event::{Context, End, Ended, Event, Groups, Place, What};
use crate::oracle::{Found, Oracle};
use crate::plan::{Ending, Knobs, NodeIndex, NodeSpec, Plan};

/// Makes the oracles of a family.
pub(crate) type Makes = fn(&Plan) -> Vec<Box<dyn Oracle + Send>>;

/// See the module.
pub(crate) struct Rig {
    oracles: Vec<Box<dyn Oracle + Send>>,
    pub(crate) plan: Plan,
    pub(crate) found: Found,
    pub(crate) shard: Shard,
    pub(crate) place: Place,
    pub(crate) log: Vec<(Offset, Record)>,
    groups: Groups,
    pub(crate) at: Duration,
    tokens: u64,
    pub(crate) topics: Arc<Topics>,
}

pub(crate) const TOPIC: Uuid = Uuid::from_u128(7);

fn plan() -> Plan {
    Plan {
        seed: 1,
        knobs: Knobs { initial_delay: Duration::ZERO, ..Knobs::default() },
        nodes: vec![NodeSpec::default()],
        shards: 1,
        topics: Vec::new(),
        clients: Vec::new(),
        steps: Vec::new(),
        ending: Ending::At(Duration::from_secs(60)),
        only: Vec::new(),
    }
}

fn load(
    config: &Config,
    place: Place,
    log: &[(Offset, Record)],
    now: Now,
    topics: &Arc<Topics>,
) -> (Shard, Vec<Effect>) {
    let seed = Seed { node_secret: [3; 32], load: place.load };
    let next = log.last().map_or(Offset(0), |(at, _)| Offset(at.0 + 1));
    let mut loader = Loader::new(config.clone(), place.shard, place.epoch, &seed, next);
    for (at, record) in log {
        loader.replay(*at, record.clone()).expect("what a shard wrote");
    }
    let mut out = Effects::new();
    let shard = loader.activate(now, topics.clone(), &mut out);
    (shard, out.drain().collect())
}

impl Rig {
    /// A shard that serves.
    pub(crate) fn new(makes: Makes) -> Rig {
        let plan = plan();
        let (node, shard) = (NodeIndex(0), ShardId(0));
        let place = Place { node, shard, epoch: Epoch(0), load: 0 };
        let topic = Topic { name: "t".into(), id: TOPIC, partitions: 4 };
        let topics = Arc::new(Topics::new(TopicsVersion(1), [topic]));
        let mut rig = Rig {
            oracles: makes(&plan),
            found: Found::default(),
            shard: load(&Config::default(), place, &[], Now::default(), &topics).0,
            place,
            log: Vec::new(),
            groups: Groups::new(),
            at: Duration::from_secs(1),
            tokens: 0,
            plan,
            topics,
        };
        let view = rig.topics.clone();
        rig.event(What::Topics { view });
        rig.reload();
        rig
    }

    pub(crate) fn now(&self) -> Now {
        let wall = i64::try_from(self.at.as_millis()).expect("it is short");
        Now { mono: Instant::after_start(self.at), wall: WallTime(wall) }
    }

    pub(crate) fn event(&mut self, what: What) {
        self.see(what, None);
    }

    fn see(&mut self, what: What, shard: Option<&Shard>) {
        let event = Event { at: self.at, what };
        let after = self.shard.groups();
        let context = shard.map(|shard| Context { before: &self.groups, after: &after, shard });
        for oracle in &mut self.oracles {
            oracle.see(&event, context, &mut self.found);
        }
        self.groups = after;
    }

    /// Another incarnation takes over from what is stored.
    pub(crate) fn reload(&mut self) {
        self.reload_after(|_| ());
    }

    /// As `reload`, from a log that is changed behind the journal's back.
    pub(crate) fn reload_after(&mut self, change: impl FnOnce(&mut Vec<(Offset, Record)>)) {
        if self.place.load > 0 {
            self.event(What::Ended { place: self.place, why: Ended::Killed });
        }
        self.place.load += 1;
        self.place.epoch.0 += 1;
        let Place { node, shard, epoch, .. } = self.place;
        let next = self.log.last().map_or(Offset(0), |(at, _)| Offset(at.0 + 1));
        self.event(What::Acquired { shard, node, epoch, next });
        change(&mut self.log);
        let config = crate::oracle::durability::load::config(&self.plan.knobs);
        let (shard, effects) = load(&config, self.place, &self.log, self.now(), &self.topics);
        self.shard = shard.clone();
        self.groups = Groups::new();
        let what = What::Loaded { place: self.place, now: self.now(), effects };
        self.see(what, Some(&shard));
    }

    /// A step, told as it was.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        self.step_as(input, |_| ())
    }

    /// A step, told with other effects than it had; those are returned.
    pub(crate) fn step_as(
        &mut self,
        input: Input,
        lie: impl FnOnce(&mut Vec<Effect>),
    ) -> Vec<Effect> {
        let mut out = Effects::new();
        let now = self.now();
        self.shard.step(now, input.clone(), &mut out);
        let mut effects: Vec<Effect> = out.drain().collect();
        lie(&mut effects);
        let what = What::Stepped { place: self.place, now, input, effects: effects.clone() };
        let shard = self.shard.clone();
        self.see(what, Some(&shard));
        effects
    }

    /// An input that is told, and that the shard does not hear of.
    pub(crate) fn step_unheard(&mut self, input: Input) {
        let (place, now, effects) = (self.place, self.now(), Vec::new());
        let shard = self.shard.clone();
        self.see(What::Stepped { place, now, input, effects }, Some(&shard));
    }

    /// The next token.
    pub(crate) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// An input of a request.
    pub(crate) fn asks(&mut self, body: Request) -> Input {
        let token = self.token();
        Input::Request { token, origin: Origin::default(), body }
    }

    /// Asks, and stores what is written for it.
    pub(crate) fn ask(&mut self, body: Request) -> Vec<Effect> {
        let asked = self.asks(body);
        let effects = self.step(asked);
        self.store(&effects)
    }

    /// Stores what effects wrote and tells the shard; what came of it is added.
    pub(crate) fn store(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let mut all = effects.to_vec();
        let batches: Vec<Batch> = batches(effects);
        for batch in batches {
            self.put(&batch);
            let after = self.step(Input::Appended { through: batch.id });
            all.extend(self.store(&after));
        }
        all
    }

    /// The journal has a batch.
    pub(crate) fn put(&mut self, batch: &Batch) {
        let records = batch.records.iter().enumerate();
        let records = records.map(|(n, record)| (Offset(batch.base.0 + n as u64), record.clone()));
        self.log.extend(records);
        self.event(What::Stored { shard: self.place.shard, batch: batch.clone() });
    }

    /// The id of the property that does not hold.
    pub(crate) fn broken(&self) -> Option<&'static str> {
        self.found.first().map(|violation| violation.property.id)
    }

    /// The run ends; the id of the property that does not hold.
    pub(crate) fn end(mut self) -> Option<&'static str> {
        let end = End {
            at: self.at,
            plan: &self.plan,
            shards: Vec::new(),
            logs: LiteMap::from_iter([(self.place.shard, self.log.clone())]),
            clients: Vec::new(),
            topics: self.topics.clone(),
            leaders: LiteMap::new(),
        };
        for oracle in &mut self.oracles {
            oracle.end(&end, &mut self.found);
        }
        self.broken()
    }

    /// A group `g` with one member that is Stable; the member.
    pub(crate) fn stable(&mut self) -> MemberId {
        let joined = self.ask(join(""));
        let time_is_up = self.step(Input::Deadline);
        let all: Vec<Effect> = joined.into_iter().chain(time_is_up).collect();
        let member = all.iter().find_map(|effect| match effect {
            Effect::Reply { body: Response::JoinGroup(body), .. } => Some(body.member_id.clone()),
            _ => None,
        });
        let member = member.expect("the join is answered");
        self.ask(sync(&member, 1));
        member
    }
}

/// The batches among effects.
pub(crate) fn batches(effects: &[Effect]) -> Vec<Batch> {
    let batches = effects.iter().filter_map(|effect| match effect {
        Effect::Append(batch) => Some(batch.clone()),
        _ => None,
    });
    batches.collect()
}

pub(crate) fn group() -> GroupId {
    GroupId::from("g")
}

pub(crate) fn join(member: &str) -> Request {
    Request::JoinGroup(Box::new(JoinGroup {
        group_id: group(),
        session_timeout: Millis(10_000),
        rebalance_timeout: Millis(20_000),
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: "m".into() }],
        ..JoinGroup::default()
    }))
}

pub(crate) fn sync(member: &MemberId, generation: i32) -> Request {
    Request::SyncGroup(Box::new(SyncGroup {
        group_id: group(),
        generation: Generation(generation),
        member_id: member.clone(),
        ..SyncGroup::default()
    }))
}

pub(crate) fn beat(member: &MemberId, generation: i32) -> Request {
    Request::Heartbeat(Heartbeat {
        group_id: group(),
        generation: Generation(generation),
        member_id: member.clone(),
        instance_id: None,
    })
}

pub(crate) fn commit(member: &MemberId, generation: i32, offset: i64) -> Request {
    let partitions = vec![CommitPartition { offset, ..CommitPartition::default() }];
    let topics = vec![CommitTopic { name: "t".into(), topic_id: TOPIC, partitions }];
    Request::OffsetCommit(Box::new(OffsetCommit {
        group_id: group(),
        generation: Generation(generation),
        member_id: member.clone(),
        topics,
        ..OffsetCommit::default()
    }))
}

pub(crate) fn fetch(require_stable: bool) -> Request {
    let groups = vec![FetchGroup { group_id: group(), ..FetchGroup::default() }];
    Request::OffsetFetch(OffsetFetch { groups, require_stable, errors_on_partitions: false })
}
