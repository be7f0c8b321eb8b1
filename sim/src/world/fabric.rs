//! The network: connections between clients and brokers, and what can happen to them.
//!
//! Decided here: what is sent over one connection arrives in order; a connection that lost
//! something is dead for ever in that direction, and neither end hears of it. A broker executes
//! the requests of a connection one at a time, so that one that waits holds up the later ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{Request, Response};

use super::node::Process;
use crate::event::Call;
use crate::plan::{ClientId, Latency, NodeIndex, Way};
use crate::random::Stream;

/// A connection; numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnId(pub u32);

/// What is on its way to a broker.
#[derive(Debug, Clone)]
pub(super) enum Up {
    Request(Call, Arc<Request>),
    /// The client's end is closed.
    Closed,
}

/// What is on its way to a client.
#[derive(Debug, Clone)]
pub(super) enum Down {
    Response(Call, Arc<Response>),
    /// The broker's end is closed, or was never there.
    Closed,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub client: ClientId,
    pub node: NodeIndex,
    /// The process that it was opened to, or that took its first request.
    pub process: Option<Process>,
    /// Whether the client listens.
    pub heard: bool,
    /// Whether requests no longer arrive.
    pub dead_up: bool,
    /// Whether answers no longer arrive.
    pub dead_down: bool,
    /// Whether the broker's end is closed.
    pub closed: bool,
    /// Whether a request of it is being executed, or never will be answered.
    pub busy: bool,
    /// Requests behind that one.
    pub waiting: VecDeque<(Call, Arc<Request>)>,
    last_up: Duration,
    last_down: Duration,
}

/// The network.
#[derive(Debug)]
pub(super) struct Fabric {
    conns: LiteMap<ConnId, Conn>,
    opened: u32,
    links: LiteMap<(ClientId, NodeIndex), Link>,
    seed: u64,
    speed: Latency,
    slow: Option<(Latency, Duration)>,
}

/// Between a client and a broker.
#[derive(Debug)]
struct Link {
    up: Stream,
    down: Stream,
    held_until: Duration,
    no_up_until: Duration,
    no_down_until: Duration,
}

impl Fabric {
    pub fn new(seed: u64, speed: Latency) -> Fabric {
        let (conns, links) = (LiteMap::new(), LiteMap::new());
        Fabric { conns, opened: 0, links, seed, speed, slow: None }
    }

    fn link(&mut self, client: ClientId, node: NodeIndex) -> &mut Link {
        let (seed, number) = (self.seed, u64::from(client.0) << 16 | u64::from(node.0));
        self.links.entry((client, node)).or_insert_with(|| Link {
            up: Stream::new(seed, "up", number),
            down: Stream::new(seed, "down", number),
            held_until: Duration::ZERO,
            no_up_until: Duration::ZERO,
            no_down_until: Duration::ZERO,
        })
    }

    /// Opens a connection. While something does not pass it is dead from the start.
    pub fn open(&mut self, at: Duration, client: ClientId, node: NodeIndex) -> ConnId {
        let link = self.link(client, node);
        let dead = link.no_up_until > at || link.no_down_until > at;
        self.opened += 1;
        let conn = Conn {
            client,
            node,
            process: None,
            heard: true,
            dead_up: dead,
            dead_down: dead,
            closed: false,
            busy: false,
            waiting: VecDeque::new(),
            last_up: at,
            last_down: at,
        };
        self.conns.insert(ConnId(self.opened), conn);
        ConnId(self.opened)
    }

    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(&id)
    }

    /// Both ends have closed it, or one has and the other never will hear of it.
    pub fn remove(&mut self, id: ConnId) {
        self.conns.remove(&id);
    }

    /// The connections of which that is true, oldest first.
    pub fn select(&self, is: impl Fn(&Conn) -> bool) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| is(conn)).map(|(id, _)| *id).collect()
    }

    /// When what a client sends now arrives; never, if the connection is dead.
    pub fn up(&mut self, at: Duration, id: ConnId) -> Option<Duration> {
        let conn = self.conns.get(&id)?;
        let (client, node, speed) = (conn.client, conn.node, self.speed(at));
        let link = self.link(client, node);
        let arrives = at + link.up.latency(&speed);
        let cut = link.no_up_until > at;
        let conn = self.conns.get_mut(&id)?;
        conn.dead_up |= cut;
        conn.last_up = conn.last_up.max(arrives);
        (!conn.dead_up).then_some(conn.last_up)
    }

    /// When what a broker sends now arrives; never, if the connection is dead.
    pub fn down(&mut self, at: Duration, id: ConnId) -> Option<Duration> {
        let conn = self.conns.get(&id)?;
        let (client, node, speed) = (conn.client, conn.node, self.speed(at));
        let link = self.link(client, node);
        let arrives = at + link.down.latency(&speed);
        let cut = link.no_down_until > at;
        let conn = self.conns.get_mut(&id)?;
        conn.dead_down |= cut;
        conn.last_down = conn.last_down.max(arrives);
        (!conn.dead_down).then_some(conn.last_down)
    }

    fn speed(&self, at: Duration) -> Latency {
        self.slow.filter(|(_, until)| *until > at).map_or(self.speed, |(slow, _)| slow)
    }

    /// Until when what arrives now is held back.
    pub fn held(&self, at: Duration, id: ConnId) -> Option<Duration> {
        let conn = self.conns.get(&id)?;
        let until = self.links.get(&(conn.client, conn.node))?.held_until;
        (until > at).then_some(until)
    }

    pub fn slow(&mut self, latency: Latency, until: Duration) {
        self.slow = Some((latency, until));
    }

    pub fn hold(&mut self, client: ClientId, node: NodeIndex, until: Duration) {
        let link = self.link(client, node);
        link.held_until = link.held_until.max(until);
    }

    /// Nothing passes that way until then. What is on its way is lost, and connections die.
    pub fn part(&mut self, client: ClientId, node: NodeIndex, way: Way, until: Duration) {
        let link = self.link(client, node);
        let (up, down) = (way != Way::ToClients, way != Way::ToNodes);
        if up {
            link.no_up_until = link.no_up_until.max(until);
        }
        if down {
            link.no_down_until = link.no_down_until.max(until);
        }
        for (_, conn) in self.conns.iter_mut() {
            if (conn.client, conn.node) == (client, node) {
                conn.dead_up |= up;
                conn.dead_down |= down;
            }
        }
    }

    /// Everything passes, at its usual speed; what died stays dead.
    pub fn heal(&mut self) {
        self.slow = None;
        for (_, link) in self.links.iter_mut() {
            link.held_until = Duration::ZERO;
            (link.no_up_until, link.no_down_until) = (Duration::ZERO, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: ClientId = ClientId(0);
    const N: NodeIndex = NodeIndex(0);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_sent_over_a_connection_arrives_in_order() {
        let speed = Latency { min: ms(1), mean: ms(20), max: ms(200) };
        let mut fabric = Fabric::new(1, speed);
        let conn = fabric.open(ms(0), C, N);
        let arrivals: Vec<_> = (0..50).map(|at| fabric.up(ms(at), conn).unwrap()).collect();
        assert!(arrivals.is_sorted(), "{arrivals:?}");
        assert!((0..50).zip(&arrivals).all(|(at, arrives)| *arrives > ms(at)));
    }

    #[test]
    fn a_partition_one_way_kills_connections_that_way_and_new_ones_wholly() {
        let mut fabric = Fabric::new(1, Latency::fixed(ms(1)));
        let old = fabric.open(ms(0), C, N);
        fabric.part(C, N, Way::ToClients, ms(10));
        let new = fabric.open(ms(5), C, N);
        let late = fabric.open(ms(10), C, N);
        let mut passes = |conn| (fabric.up(ms(20), conn), fabric.down(ms(20), conn));
        assert_eq!(passes(old), (Some(ms(21)), None));
        assert_eq!(passes(new), (None, None));
        assert_eq!(passes(late), (Some(ms(21)), Some(ms(21))));
    }

    #[test]
    fn what_is_slow_or_held_is_so_only_for_a_while() {
        let mut fabric = Fabric::new(1, Latency::fixed(ms(1)));
        let conn = fabric.open(ms(0), C, N);
        fabric.slow(Latency::fixed(ms(50)), ms(10));
        fabric.hold(C, N, ms(30));
        assert_eq!(fabric.down(ms(9), conn), Some(ms(59)));
        assert_eq!(fabric.down(ms(60), conn), Some(ms(61)));
        assert_eq!(fabric.held(ms(29), conn), Some(ms(30)));
        assert_eq!(fabric.held(ms(30), conn), None);
    }
}
