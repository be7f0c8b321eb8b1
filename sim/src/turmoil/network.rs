//! Links between clients and brokers: parted, held and slow for a while.

use std::time::Duration;

use litemap::LiteMap;

use ::turmoil::Sim;

use super::nodes;
use crate::plan::{ClientId, Latency, NodeIndex, Plan, Way};

/// See the module.
pub(super) struct Network {
    links: LiteMap<(ClientId, NodeIndex), Link>,
    usual: Latency,
    slow: Option<(Latency, Duration)>,
    is_slow: bool,
}

#[derive(Debug, Default)]
struct Link {
    /// Until when nothing passes, to the broker and to the client.
    up: Duration,
    down: Duration,
    held: Duration,
    now: State,
}

/// What turmoil was told of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    up: bool,
    down: bool,
    held: bool,
}

/// A client's host.
pub(super) fn name(client: ClientId) -> String {
    format!("client-{}", client.0 + 1)
}

impl Network {
    pub fn new(plan: &Plan) -> Network {
        let mut links = LiteMap::new();
        for client in (0..plan.clients.len() as u16).map(ClientId) {
            for node in (0..plan.nodes.len() as u16).map(NodeIndex) {
                links.insert((client, node), Link::default());
            }
        }
        Network { links, usual: plan.knobs.network, slow: None, is_slow: false }
    }

    /// The network's speed changes for a while.
    pub fn slow(&mut self, latency: Latency, until: Duration) {
        (self.slow, self.is_slow) = (Some((latency, until)), false);
    }

    /// Nothing passes between these for a while.
    pub fn part(&mut self, client: ClientId, node: NodeIndex, way: Way, until: Duration) {
        let Some(link) = self.links.get_mut(&(client, node)) else { return };
        if way != Way::ToClients {
            link.up = link.up.max(until);
        }
        if way != Way::ToNodes {
            link.down = link.down.max(until);
        }
    }

    /// What is sent waits, and then comes all at once.
    pub fn hold(&mut self, client: ClientId, node: NodeIndex, until: Duration) {
        if let Some(link) = self.links.get_mut(&(client, node)) {
            link.held = link.held.max(until);
        }
    }

    /// All is well from now on.
    pub fn heal(&mut self) {
        for (_, link) in self.links.iter_mut() {
            (link.up, link.down, link.held) = Default::default();
        }
        if let Some((_, until)) = &mut self.slow {
            *until = Duration::ZERO;
        }
    }

    /// The links of a broker were repaired for another reason.
    pub fn repaired(&mut self, node: NodeIndex) {
        let links = self.links.iter_mut().filter(|((_, of), _)| *of == node);
        links.for_each(|(_, link)| link.now = State::default());
    }

    /// Tells turmoil what has changed.
    pub fn tick(&mut self, at: Duration, sim: &Sim<'_>) {
        for ((client, node), link) in &mut self.links {
            let (up, down) = (link.up > at, link.down > at);
            // What is parted is not held too: turmoil does not have both.
            let next = State { up, down, held: link.held > at && !up && !down };
            if next != link.now {
                change(sim, &name(*client), &nodes::name(*node), link.now, next);
                link.now = next;
            }
        }
        let Some((latency, until)) = self.slow else { return };
        if until <= at {
            self.slow = None;
            return self.set(self.usual, sim);
        }
        if !std::mem::replace(&mut self.is_slow, true) {
            self.set(latency, sim);
        }
    }

    fn set(&self, latency: Latency, sim: &Sim<'_>) {
        for (client, node) in self.links.keys() {
            let (client, node) = (name(*client), nodes::name(*node));
            sim.set_link_latency(client.as_str(), node.as_str(), latency.min);
            let max = latency.max.max(latency.min);
            sim.set_link_max_message_latency(client.as_str(), node.as_str(), max);
        }
    }
}

fn change(sim: &Sim<'_>, client: &str, node: &str, now: State, next: State) {
    if now.held {
        sim.release(client, node);
    }
    if now.up && !next.up {
        sim.repair_oneway(client, node);
    }
    if now.down && !next.down {
        sim.repair_oneway(node, client);
    }
    if next.up && next.down {
        sim.partition(client, node);
    } else if next.up {
        sim.partition_oneway(client, node);
    } else if next.down {
        sim.partition_oneway(node, client);
    }
    if next.held {
        sim.hold(client, node);
    }
}
