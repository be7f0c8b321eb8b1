//! The direct simulator: the core and sans-IO clients in a world that is nothing but data.
//!
//! One loop takes what is planned next from a schedule, by time and then by the order of planning;
//! there are no threads, tasks or clocks, and a run of a minute takes milliseconds. What is in the
//! world:
//!
//! - [`actors`]: clients, and [`fabric`]: their connections to brokers;
//! - [`node`], [`turn`]: brokers with a `Router` and `Shard`s, each with its own [`clock`];
//! - [`journal`], [`store`]: one log for each shard, which outlives all brokers;
//! - [`faults`], [`ending`]: what goes wrong, and how a run ends.
//!
//! Decided here: what is random. Speeds come from a stream for each direction of a link, each
//! journal and each broker's news, secrets from one for each process, so that equal plans make
//! equal runs, and leaving a part of a plan out does not change how fast the rest is.

mod actors;
mod clock;
mod ending;
mod fabric;
mod faults;
mod journal;
mod node;
mod schedule;
mod store;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Epoch, ShardId, Topics, TopicsVersion};

use crate::client::{Client, ClientEffect, ClientInput};
use crate::event::{Phase, What};
use crate::plan::{Action, ClientId, NodeIndex, Plan};
use crate::random::Stream;
use crate::recorder::{Outcome, Recorder};
use actors::Actor;
use fabric::{ConnId, Down, Fabric, Up};
use journal::{Journal, Told};
use node::{Leader, Node, Process};
use schedule::Schedule;

/// More than any plan needs: a run that takes more has a loop in no time.
const MAX_WAKES: u64 = 5_000_000;

/// Runs a plan until it ends or fails.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let mut world = World::new(plan);
    let mut wakes = 0;
    while !world.over && !world.recorder.has_failed() {
        let Some((at, wake)) = world.schedule.next() else { break };
        world.at = world.at.max(at);
        world.take(wake);
        wakes += 1;
        if wakes > MAX_WAKES {
            world.recorder.crashed("the run goes on and on".to_owned());
        }
    }
    world.end()
}

/// What is planned.
#[derive(Debug)]
enum Wake {
    Step(usize),
    Turn(NodeIndex),
    Start(NodeIndex, u64),
    News(NodeIndex),
    Thaw(NodeIndex),
    Client(ClientId),
    ClientTopics(ClientId),
    Up(ConnId, Up),
    Down(ConnId, Down),
    /// An end of a connection hears that it was cut; whether it is the broker's.
    Cut(ConnId, bool),
    Acquire {
        process: Process,
        shard: ShardId,
        term: u64,
    },
    Read {
        process: Process,
        shard: ShardId,
        epoch: Epoch,
    },
    Decide(ShardId),
    Told(ShardId, Told),
    Heal,
    Converged,
    End,
}

/// The journal of a shard, and how it does.
#[derive(Debug)]
struct Store {
    journal: Journal,
    speed: Stream,
    /// By how much the next load is slower.
    slow: Duration,
    /// Whether the next load fails.
    fails: bool,
    /// When the last fate is told; later ones are not told before.
    told: Duration,
}

struct World<'p> {
    plan: &'p Plan,
    at: Duration,
    schedule: Schedule<Wake>,
    recorder: Recorder,
    nodes: Vec<Node>,
    /// Brokers without power.
    dark: Vec<NodeIndex>,
    stores: Vec<Store>,
    fabric: Fabric,
    actors: Vec<Actor>,
    topics: Arc<Topics>,
    leaders: Vec<Leader>,
    topic_ids: Stream,
    client_news: Stream,
    tokens: u64,
    loads: u64,
    processes: u64,
    healed: bool,
    over: bool,
    /// What a client wants; kept for its memory.
    wanted: Vec<ClientEffect>,
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan) -> World<'p> {
        let (seed, knobs) = (plan.seed, &plan.knobs);
        let nodes = (0..).zip(&plan.nodes);
        let count = plan.nodes.len() as u16;
        let store = |shard: u32| Store {
            journal: Journal::default(),
            speed: Stream::new(seed, "journal", u64::from(shard)),
            slow: Duration::ZERO,
            fails: false,
            told: Duration::ZERO,
        };
        let actor =
            |(number, spec)| Actor::new(Client::new(spec, ClientId(number), count, knobs, seed));
        let leader =
            |shard: u32| Leader { node: NodeIndex((shard % u32::from(count)) as u16), term: 1 };
        let mut world = World {
            plan,
            at: Duration::ZERO,
            schedule: Schedule::new(),
            recorder: Recorder::of(plan),
            nodes: nodes.map(|(n, spec)| Node::new(seed, n, spec, knobs.max_group_size)).collect(),
            dark: Vec::new(),
            stores: (0..plan.shards).map(store).collect(),
            fabric: Fabric::new(seed, knobs.network),
            actors: (0..).zip(&plan.clients).map(actor).collect(),
            topics: Arc::default(),
            leaders: (0..plan.shards).map(leader).collect(),
            topic_ids: Stream::new(seed, "topic", 0),
            client_news: Stream::new(seed, "client news", 0),
            tokens: 0,
            loads: 0,
            processes: 0,
            healed: false,
            over: false,
            wanted: Vec::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = self.plan;
        let topics: Vec<_> = plan.topics.iter().map(|spec| self.new_topic(spec)).collect();
        self.topics = Arc::new(Topics::new(TopicsVersion(1), topics));
        self.see(What::Topics { view: Arc::clone(&self.topics) });
        for shard in 0..plan.shards {
            let node = self.leaders[shard as usize].node;
            self.see(What::Leader { shard: ShardId(shard), node });
        }
        for (at, step) in plan.steps.iter().enumerate() {
            self.schedule.plan(step.at, Wake::Step(at));
        }
        self.plan_ending();
        (0..plan.nodes.len()).for_each(|node| self.start_process(NodeIndex(node as u16)));
    }

    fn take(&mut self, wake: Wake) {
        match wake {
            Wake::Step(_) if self.healed => {}
            Wake::Step(at) => match &self.plan.steps[at].what {
                Action::Op(client, op) => self.op(*client, op.clone()),
                Action::Fault(fault) => self.fault(fault),
            },
            Wake::Turn(node) => self.turn(node),
            Wake::Start(node, start) => {
                if self.nodes[usize::from(node.0)].starts == start {
                    self.start_process(node);
                }
            }
            Wake::News(node) => self.news(node),
            Wake::Thaw(node) => {
                let node = &mut self.nodes[usize::from(node.0)];
                if node.thaws <= self.at {
                    node.clock.freeze(self.at, false);
                }
            }
            Wake::Client(client) => self.client_wakes(client),
            Wake::ClientTopics(client) => {
                let topics = Arc::clone(&self.topics);
                self.tell_client(client, ClientInput::Topics(topics));
            }
            Wake::Up(conn, up) => self.arrives_up(conn, up),
            Wake::Down(conn, down) => self.arrives_down(conn, down),
            Wake::Cut(conn, broker) => self.cut(conn, broker),
            Wake::Acquire { process, shard, term } => self.acquired(process, shard, term),
            Wake::Read { process, shard, epoch } => self.read(process, shard, epoch),
            Wake::Decide(shard) => self.decide(shard),
            Wake::Told(shard, told) => self.told(shard, told),
            Wake::Heal => self.heal(),
            Wake::Converged => self.see(What::Phase(Phase::Converged)),
            Wake::End => self.over = true,
        }
    }

    /// Tells the oracles what happens.
    fn see(&mut self, what: What) {
        self.recorder.see(self.at, what);
    }
}
