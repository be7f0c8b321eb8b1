//! A seed makes a plan: a small world, what its clients do, and what goes wrong.
//!
//! Decided here: swarm testing. A seed does not do a little of everything. It draws a profile (what
//! it is after), a few kinds of operations and faults with weights of their own, and each setting
//! from tiny, default and huge, so that over many seeds odd combinations come up which one
//! average mixture never has.

mod cast;
mod faults;
mod knobs;
mod ops;

use std::time::Duration;

use crate::plan::{Action, ClientId, Drive, Ending, NodeIndex, NodeSpec, Outside, Plan, Step};
use crate::random::Stream;

/// What a seed is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Members come and go.
    Churn,
    /// Commits, while brokers crash and stores lose, refuse and compact.
    Durability,
    /// Pauses of about a session, heartbeats held and released, clocks that are off.
    Sessions,
    /// Two leaders of one shard, and clients spread over both.
    SplitBrain,
    /// Rejoins and changed subscriptions all the time.
    Storms,
    /// Commits in the name of old generations, others and nobody, while appends are stalled.
    Fencing,
    /// Tiny retention, and wall clocks that jump.
    Expiry,
    /// Whatever there is.
    Everything,
}

impl Profile {
    /// All of them.
    pub const ALL: [Profile; 8] = [
        Profile::Churn,
        Profile::Durability,
        Profile::Sessions,
        Profile::SplitBrain,
        Profile::Storms,
        Profile::Fencing,
        Profile::Expiry,
        Profile::Everything,
    ];
}

/// Which simulator a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Direct,
    Shell,
}

/// What all parts of a plan are drawn for.
#[derive(Debug, Clone, Copy)]
struct Draw {
    seed: u64,
    profile: Profile,
    simulator: For,
    /// Times are whole tenths of a second, so that deadlines fall together.
    is_rounded: bool,
    /// When faults and operations end.
    until: Duration,
}

/// The plan of a seed for the direct simulator.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    make(seed, For::Direct)
}

/// The plan of a seed for the shell: shorter, smaller, and with what it can do.
#[must_use]
pub fn shell_plan(seed: u64) -> Plan {
    make(seed, For::Shell)
}

/// What the seed is after; the same for both simulators.
#[must_use]
pub fn profile(seed: u64) -> Profile {
    *Stream::new(seed, "swarm", 0).pick(&Profile::ALL)
}

fn make(seed: u64, simulator: For) -> Plan {
    let mut stream = Stream::new(seed, "swarm", 1);
    let span = match simulator {
        For::Direct => 30_000 + stream.below(40_000),
        For::Shell => 12_000 + stream.below(13_000),
    };
    let draw = Draw {
        seed,
        profile: profile(seed),
        simulator,
        is_rounded: stream.chance(50),
        until: Duration::from_millis(span / 100 * 100),
    };
    let nodes = cast::nodes(&draw);
    let shards = 1 + stream.below(4) as u32;
    let topics = cast::topics(&draw);
    let clients = cast::clients(&draw, &topics);
    let knobs = knobs::knobs(&draw, &clients);
    let mut plan = Plan {
        seed,
        knobs,
        nodes,
        shards,
        topics,
        clients,
        steps: vec![],
        ending: Ending::At(draw.until),
        only: vec![],
    };
    let mut steps = ops::steps(&draw, &plan);
    steps.extend(faults::steps(&draw, &plan));
    steps.extend(ops::leaked_id(&draw, &plan));
    if draw.is_rounded {
        steps.iter_mut().for_each(|step| step.at = tenths(step.at));
    }
    steps.retain(|step| step.at <= draw.until);
    steps.sort_by_key(|step| step.at);
    plan.steps = steps;
    plan.ending = ending(&draw, &plan, &mut stream);
    plan
}

/// In most seeds a random core is healed.
fn ending(draw: &Draw, plan: &Plan, stream: &mut Stream) -> Ending {
    if stream.chance(15) || !is_reachable(plan) {
        return Ending::At(draw.until + Duration::from_secs(20));
    }
    let mut nodes: Vec<NodeIndex> =
        (0..plan.nodes.len() as u16).map(NodeIndex).filter(|_| stream.chance(70)).collect();
    if nodes.is_empty() {
        nodes.push(NodeIndex(stream.below(plan.nodes.len() as u64) as u16));
    }
    let mut clients: Vec<ClientId> =
        (0..plan.clients.len() as u16).map(ClientId).filter(|_| stream.chance(75)).collect();
    if !clients.iter().any(|&client| is_consumer(plan, client)) {
        let all = (0..plan.clients.len() as u16).map(ClientId);
        clients.extend(all.filter(|&client| is_consumer(plan, client)).take(1));
        clients.sort_unstable();
    }
    let outside = match stream.below(8) {
        0 => Outside::Deaf,
        1 => Outside::Mute,
        _ => Outside::Dead,
    };
    Ending::Heal { after: draw.until, nodes, clients, outside }
}

fn is_consumer(plan: &Plan, client: ClientId) -> bool {
    plan.clients[usize::from(client.0)].drive == Drive::Consumer
}

/// Whether each client can be a member of its group in the end: no limit keeps it out.
fn is_reachable(plan: &Plan) -> bool {
    use crate::plan::Fault;
    let limits = plan.steps.iter().filter_map(|step| match step.what {
        Action::Fault(Fault::RestartWith { max_group_size, .. }) => Some(max_group_size),
        _ => None,
    });
    let limit = limits.chain([plan.knobs.max_group_size]).min().unwrap_or_default();
    limit > plan.clients.len()
}

/// A time, in whole tenths of a second.
fn tenths(at: Duration) -> Duration {
    Duration::from_millis((at.as_millis() as u64 + 50) / 100 * 100)
}

impl Draw {
    fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, name, 0)
    }

    fn is_for_shell(&self) -> bool {
        self.simulator == For::Shell
    }
}

impl Stream {
    /// One of them, each with its weight; at least one weight is above zero.
    fn weighted<T: Copy>(&mut self, from: &[(T, u64)]) -> T {
        let mut left = self.below(from.iter().map(|(_, weight)| weight).sum());
        for (one, weight) in from {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        from[from.len() - 1].0
    }

    /// A random subset that is not empty, with weights of 1 to 100: swarm testing.
    fn swarm<T: Copy>(&mut self, from: &[T], percent: u8) -> Vec<(T, u64)> {
        let mut drawn: Vec<(T, u64)> = Vec::new();
        for one in from {
            let weight = 1 + self.below(100);
            if self.chance(percent) {
                drawn.push((*one, weight));
            }
        }
        if drawn.is_empty() {
            drawn.push((*self.pick(from), 1));
        }
        drawn
    }

    /// Between `from` and `to`, in whole milliseconds.
    fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let (from, to) = (from.as_millis() as u64, to.as_millis() as u64);
        Duration::from_millis(from + self.below(to.saturating_sub(from) + 1))
    }
}

/// Adds a step.
fn push(steps: &mut Vec<Step>, at: Duration, what: Action) {
    steps.push(Step { at, what });
}

/// The brokers as they are if nothing is wrong with their clocks.
fn true_clocks(count: u64) -> Vec<NodeSpec> {
    (0..count).map(|_| NodeSpec::default()).collect()
}

#[cfg(test)]
mod tests;
