//! The second simulator: the same plans on the real broker shell, over simulated sockets.
//!
//! Each broker of a plan is a host that runs `quorate_io::broker::Broker` with its connections,
//! frames, codec, guard, turns and core threads (as tasks); each client is a host that drives the
//! same state machine as in the direct simulator over sockets. Brokers share one journal that goes
//! wrong ([`crate::faults`]) and one set of topics. What is in here:
//!
//! - [`stage`], [`watcher`]: who hears what happens;
//! - [`machine`], [`socket`], [`nodes`]: brokers; [`topics`]: their catalogs;
//! - [`actor`], [`connection`], [`wire`]: clients;
//! - [`network`], [`nonsense`], [`happens`], [`ending`]: what goes wrong, and how a run ends.
//!
//! Decided here: what a plan means to today's broker, which owns all shards or none. All shards
//! have one leader. It runs from the start; the other machines are on, with nothing that listens.
//!
//! - `Move` makes the other broker the leader of all shards and starts it anew: its start fences
//!   the one before, which does not know, and is stopped once `unaware` has passed. What it is
//!   fenced from it does not get again, and says NOT_COORDINATOR for.
//! - `Resign` and `RestartWith` are a stop in order, and a start: `Resign` at once.
//! - `FailLoad` leaves a shard away until the broker asks for it again.
//! - `StaleMetadata` holds changes of topics back; of leaders a broker hears from the journal only.
//! - `Compact` changes no replay: the memory journal has live rows only, in any order.
//! - Clocks are true: `WallJump`, `WallFreeze` and clock rates are not for the shell, nor are
//!   `max_in_flight`, `in_flight_reserve`, `timers_per_step` and `sweep_keys_per_step`, which are
//!   no settings of a broker.

mod actor;
mod connection;
mod ending;
mod happens;
mod machine;
mod network;
mod nodes;
mod nonsense;
mod socket;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod topics;
mod unruly;
mod watcher;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use ::turmoil::{Builder, Sim};
use quorate_core::ShardId;

use crate::client::{Client, ClientInput};
use crate::event::What;
use crate::faults::Journals;
use crate::plan::{Action, Ask, ClientId, NodeIndex, Op, Plan, Who};
use crate::random::Stream;
use crate::recorder::{Outcome, Recorder};
use actor::Actor;
use machine::Control;
use network::Network;
use nodes::Node;
use stage::{Stage, tick};
use topics::Controller;

/// When a run begins, as its wall clocks have it: some day in 2026.
const EPOCH: Duration = Duration::from_millis(1_780_000_000_000);
/// Segments that a socket holds, and connections that wait to be accepted. More is a panic.
const CAPACITY: usize = 1 << 14;

/// Runs a plan until it ends or fails.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let mut world = World::new(plan);
    while !world.over && !world.stage.has_failed() {
        world.tick();
    }
    world.end()
}

/// What is planned.
#[derive(Debug)]
enum Wake {
    Step(usize),
    Start(NodeIndex, u64),
    Superseded(NodeIndex, u64),
    ClientTopics(ClientId),
    Heal,
    Converged,
    End,
}

struct World<'p> {
    plan: &'p Plan,
    sim: Sim<'p>,
    stage: Stage,
    planned: BTreeMap<(Duration, u64), Wake>,
    wakes: u64,
    journals: Journals,
    controller: Controller,
    nodes: Vec<Node>,
    actors: Vec<Rc<Actor>>,
    network: Network,
    leader: NodeIndex,
    client_news: Stream,
    processes: u64,
    healed: bool,
    over: bool,
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan) -> World<'p> {
        let (seed, knobs) = (plan.seed, &plan.knobs);
        let stage = Stage::new(Recorder::of(plan), tick(seed));
        let mut sim = builder(plan).build();
        let count = plan.nodes.len() as u16;
        let mut nodes = Vec::new();
        for node in (0..count).map(NodeIndex) {
            let control = Control::default();
            let of_host = control.clone();
            sim.host(nodes::name(node), move || machine::run(of_host.clone()));
            nodes.push(Node::new(control, knobs.max_group_size));
        }
        let to = |node| SocketAddr::new(sim.lookup(nodes::name(NodeIndex(node))), machine::PORT);
        let addresses: Vec<SocketAddr> = (0..count).map(to).collect();
        let mut actors = Vec::new();
        for (number, spec) in (0..).zip(&plan.clients) {
            let (id, stage) = (ClientId(number), stage.clone());
            let client = Client::new(spec, id, count, knobs, seed);
            let addresses = addresses.clone();
            let actor =
                Actor::new(client, id, spec.version, knobs.request_timeout, addresses, stage);
            let actor = Rc::new(actor);
            let of_host = Rc::clone(&actor);
            sim.host(network::name(id), move || connection::host(Rc::clone(&of_host)));
            actors.push(actor);
        }
        let mut world = World {
            plan,
            sim,
            planned: BTreeMap::new(),
            wakes: 0,
            journals: Journals::new(seed, plan.shards, knobs, stage.clone()),
            controller: Controller::new(seed, plan.shards, count, &plan.topics, knobs.metadata),
            stage,
            nodes,
            actors,
            network: Network::new(plan),
            leader: NodeIndex(0),
            client_news: Stream::new(seed, "client news", 0),
            processes: 0,
            healed: false,
            over: false,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = self.plan;
        self.stage.see(What::Topics { view: self.controller.view() });
        self.lead(NodeIndex(0));
        for (at, step) in plan.steps.iter().enumerate() {
            self.plan(step.at, Wake::Step(at));
        }
        self.plan_ending();
        self.start_process(NodeIndex(0));
    }

    /// All shards get a leader.
    fn lead(&mut self, node: NodeIndex) {
        self.leader = node;
        for shard in (0..self.plan.shards).map(ShardId) {
            self.journals.lead(shard, node);
            self.stage.see(What::Leader { shard, node });
        }
    }

    fn plan(&mut self, at: Duration, wake: Wake) {
        self.wakes += 1;
        self.planned.insert((at, self.wakes), wake);
    }

    /// What is due happens, and then all hosts run for a tick.
    fn tick(&mut self) {
        let at = self.stage.at();
        while let Some(first) = self.planned.first_entry().filter(|first| first.key().0 <= at) {
            let wake = first.remove();
            self.take(wake);
        }
        self.look_after_nodes();
        self.network.tick(at, &self.sim);
        self.controller.tick(at);
        self.journals.tick(at);
        if let Err(error) = self.sim.step() {
            self.stage.crashed(error.to_string());
        }
        self.stage.advance();
    }

    fn take(&mut self, wake: Wake) {
        match wake {
            Wake::Step(_) if self.healed => {}
            Wake::Step(at) => match &self.plan.steps[at].what {
                Action::Op(client, op) => self.op(*client, op.clone()),
                Action::Fault(fault) => self.fault(fault),
            },
            Wake::Start(node, start) => self.starts_again(node, start),
            Wake::Superseded(node, process) => self.superseded(node, process),
            Wake::ClientTopics(client) => {
                let topics = self.controller.view();
                self.actors[usize::from(client.0)].tell(ClientInput::Topics(topics));
            }
            Wake::Heal => self.heal(),
            Wake::Converged => self.converged(),
            Wake::End => self.over = true,
        }
    }

    /// The plan makes a client do something.
    fn op(&mut self, client: ClientId, op: Op) {
        let Some(actor) = self.actors.get(usize::from(client.0)) else { return };
        let other = match &op {
            Op::Say(Ask::Remove(other), _)
            | Op::Say(_, Who::Other(other) | Who::OtherAs(other)) => {
                self.actors.get(usize::from(other.0)).and_then(|actor| actor.identity())
            }
            _ => None,
        };
        if op == Op::Start {
            actor.tell(ClientInput::Topics(self.controller.view()));
        }
        actor.tell(ClientInput::Op(op, other));
    }
}

fn builder(plan: &Plan) -> Builder {
    let network = plan.knobs.network;
    let mut builder = Builder::new();
    builder
        .rng_seed(plan.seed)
        .epoch(SystemTime::UNIX_EPOCH + EPOCH)
        .tick_duration(tick(plan.seed))
        .simulation_duration(Duration::from_secs(86_400))
        .tcp_capacity(CAPACITY)
        .min_message_latency(network.min)
        .max_message_latency(network.max.max(network.min));
    if plan.seed % 2 == 1 {
        builder.enable_random_order();
    }
    builder
}
