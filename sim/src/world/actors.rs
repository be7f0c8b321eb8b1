//! Clients in the world: their connections, and what arrives over them.
//!
//! Decided here: which connection a request takes, and when a client no longer hears an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::Request;

use super::fabric::{ConnId, Down, Up};
use super::node::Item;
use super::{Wake, World};
use crate::client::{Client, ClientEffect, ClientInput};
use crate::event::{Call, ClientNote, Unheard, What};
use crate::plan::{Ask, ClientId, NodeIndex, Op, Who};

/// A client and what the world keeps for it.
#[derive(Debug)]
pub(super) struct Actor {
    pub client: Client,
    /// Whether its process lives.
    pub runs: bool,
    /// Until when it sleeps, if it does.
    pub sleeps: bool,
    pub conns: LiteMap<NodeIndex, ConnId>,
    /// Over which connection an answer is awaited, and since when.
    pub calls: BTreeMap<Call, (ConnId, Duration)>,
    pub loses_reply: bool,
    armed: Option<Duration>,
}

impl Actor {
    pub fn new(client: Client) -> Actor {
        Actor {
            client,
            runs: false,
            sleeps: false,
            conns: LiteMap::new(),
            calls: BTreeMap::new(),
            loses_reply: false,
            armed: None,
        }
    }
}

impl World<'_> {
    fn actor(&mut self, client: ClientId) -> &mut Actor {
        &mut self.actors[usize::from(client.0)]
    }

    /// The plan makes a client do something.
    pub(super) fn op(&mut self, client: ClientId, op: Op) {
        if usize::from(client.0) >= self.actors.len() {
            return;
        }
        let other = match &op {
            Op::Say(Ask::Remove(other), _)
            | Op::Say(_, Who::Other(other) | Who::OtherAs(other)) => {
                self.actors.get(usize::from(other.0)).and_then(|actor| actor.client.identity())
            }
            _ => None,
        };
        if op == Op::Start {
            let topics = Arc::clone(&self.topics);
            self.tell_client(client, ClientInput::Topics(topics));
        }
        self.tell_client(client, ClientInput::Op(op, other));
    }

    /// Steps a client, and does what it wants.
    pub(super) fn tell_client(&mut self, client: ClientId, input: ClientInput) {
        let at = self.at;
        let mut out = std::mem::take(&mut self.wanted);
        self.actor(client).client.step(at, input, &mut out);
        for effect in out.drain(..) {
            self.client_effect(client, effect);
        }
        self.wanted = out;
        self.arm_client(client);
    }

    fn arm_client(&mut self, client: ClientId) {
        let at = self.at;
        let actor = self.actor(client);
        let Some(due) = actor.client.next_deadline() else { return };
        // A client that has nothing to do at its own deadline does not hold up the world.
        let due = if due <= at { at + Duration::from_micros(10) } else { due };
        if actor.armed.is_none_or(|armed| due < armed) {
            actor.armed = Some(due);
            self.schedule.plan(due, Wake::Client(client));
        }
    }

    pub(super) fn client_wakes(&mut self, client: ClientId) {
        let at = self.at;
        let actor = self.actor(client);
        actor.armed = actor.armed.filter(|armed| *armed > at);
        if actor.client.next_deadline().is_some_and(|due| due <= at) {
            return self.tell_client(client, ClientInput::Deadline);
        }
        self.arm_client(client);
    }

    fn client_effect(&mut self, client: ClientId, effect: ClientEffect) {
        match effect {
            ClientEffect::Send { call, node, request } => self.send(client, call, node, request),
            ClientEffect::Detach(node) => {
                if let Some(id) = self.actor(client).conns.remove(&node) {
                    self.unheard(client, id, None);
                    if let Some(conn) = self.fabric.get(id) {
                        conn.heard = false;
                    }
                }
            }
            ClientEffect::Disconnect(node) => {
                if let Some(id) = self.actor(client).conns.remove(&node) {
                    self.unheard(client, id, None);
                    self.close(id);
                }
            }
            ClientEffect::DisconnectAll => {
                for id in self.fabric.select(|conn| conn.client == client && !conn.closed) {
                    self.unheard(client, id, None);
                    self.close(id);
                }
                self.actor(client).conns.clear();
            }
            ClientEffect::Note(note) => {
                let actor = self.actor(client);
                match &note {
                    ClientNote::Started => (actor.runs, actor.sleeps) = (true, false),
                    ClientNote::Stopped => (actor.runs, actor.sleeps) = (false, false),
                    ClientNote::Paused => actor.sleeps = true,
                    ClientNote::Resumed => actor.sleeps = false,
                    _ => {}
                }
                self.see(What::Client { client, note });
            }
        }
    }

    fn send(&mut self, client: ClientId, call: Call, node: NodeIndex, request: Arc<Request>) {
        let at = self.at;
        let id = match self.actor(client).conns.get(&node) {
            Some(id) => *id,
            None => {
                let id = self.fabric.open(at, client, node);
                self.actor(client).conns.insert(node, id);
                id
            }
        };
        self.actor(client).calls.insert(call, (id, at));
        self.see(What::Sent { client, call, node, request: Arc::clone(&request) });
        if let Some(arrives) = self.fabric.up(at, id) {
            self.schedule.plan(arrives, Wake::Up(id, Up::Request(call, request)));
        }
    }

    /// A client closes its end.
    fn close(&mut self, id: ConnId) {
        let arrives = self.fabric.up(self.at, id);
        let Some(conn) = self.fabric.get(id) else { return };
        conn.heard = false;
        match arrives {
            Some(at) => self.schedule.plan(at, Wake::Up(id, Up::Closed)),
            // The broker never hears of it, and what it executes goes on.
            None if !conn.busy => self.fabric.remove(id),
            None => {}
        }
    }

    /// A client no longer hears what was asked over a connection. It knows already if it is its
    /// own doing, and else is told.
    fn unheard(&mut self, client: ClientId, id: ConnId, told: Option<Unheard>) {
        let (at, patience) = (self.at, self.plan.knobs.request_timeout);
        let actor = self.actor(client);
        let open: Vec<_> = actor.calls.extract_if(.., |_, (of, _)| *of == id).collect();
        for (call, (_, since)) in open {
            let own = if at >= since + patience { Unheard::TimedOut } else { Unheard::GivenUp };
            self.see(What::Unheard { client, call, why: told.unwrap_or(own) });
            if let Some(why) = told {
                self.tell_client(client, ClientInput::Unheard(call, why));
            }
        }
    }

    /// Both ends of a connection are told that it is over; what is on its way is lost.
    pub(super) fn end_conn(&mut self, id: ConnId) {
        let (up, down) = (self.fabric.up(self.at, id), self.fabric.down(self.at, id));
        let Some(conn) = self.fabric.get(id) else { return };
        if conn.closed {
            return;
        }
        (conn.dead_up, conn.dead_down) = (true, true);
        if let Some(at) = up {
            self.schedule.plan(at, Wake::Cut(id, true));
        }
        if let Some(at) = down {
            self.schedule.plan(at, Wake::Cut(id, false));
        }
    }

    /// One end hears that a connection was cut.
    pub(super) fn cut(&mut self, id: ConnId, broker: bool) {
        if broker {
            self.broker_hears_close(id);
        } else {
            self.client_hears_close(id);
        }
    }

    pub(super) fn arrives_up(&mut self, id: ConnId, up: Up) {
        if let Some(until) = self.fabric.held(self.at, id) {
            return self.schedule.plan(until, Wake::Up(id, up));
        }
        let Some(conn) = self.fabric.get(id).filter(|conn| !conn.dead_up && !conn.closed) else {
            return;
        };
        let (node, opened_to) = (conn.node, conn.process);
        let Some(process) = self.running(node).map(|running| running.id) else {
            // Nobody is there; where a process just ended the other end hears of that.
            return self.refuse_conn(id);
        };
        if opened_to.is_some_and(|opened| opened != process) {
            return self.refuse_conn(id);
        }
        match up {
            Up::Request(call, request) => {
                if let Some(conn) = self.fabric.get(id) {
                    conn.process = Some(process);
                    conn.waiting.push_back((call, request));
                }
                self.next_request(node, id);
            }
            Up::Closed => self.broker_hears_close(id),
        }
    }

    fn broker_hears_close(&mut self, id: ConnId) {
        let Some(conn) = self.fabric.get(id) else { return };
        conn.closed = true;
        conn.waiting.clear();
        let node = conn.node;
        match self.running(node) {
            Some(running) => {
                running.inbox.push_back(Item::Closed(id));
                self.wake(node);
            }
            None => self.fabric.remove(id),
        }
    }

    /// A host answers that there is nobody, unless it has no power.
    fn refuse_conn(&mut self, id: ConnId) {
        let Some(node) = self.fabric.get(id).map(|conn| conn.node) else { return };
        let is_dark = self.is_dark(node);
        let Some(conn) = self.fabric.get(id) else { return };
        (conn.dead_up, conn.closed) = (conn.dead_up || is_dark, !is_dark);
        if is_dark {
            return;
        }
        if let Some(at) = self.fabric.down(self.at, id) {
            self.schedule.plan(at, Wake::Down(id, Down::Closed));
        }
    }

    pub(super) fn arrives_down(&mut self, id: ConnId, down: Down) {
        if let Some(until) = self.fabric.held(self.at, id) {
            return self.schedule.plan(until, Wake::Down(id, down));
        }
        let Some(conn) = self.fabric.get(id).filter(|conn| !conn.dead_down) else { return };
        let (client, heard) = (conn.client, conn.heard);
        match down {
            Down::Response(call, response) if heard => {
                let actor = self.actor(client);
                if actor.calls.get(&call).is_some_and(|(of, _)| *of == id) {
                    actor.calls.remove(&call);
                    self.see(What::Heard { client, call, response: Arc::clone(&response) });
                    self.tell_client(client, ClientInput::Heard(call, response));
                }
            }
            Down::Response(..) => {}
            Down::Closed => self.client_hears_close(id),
        }
    }

    /// A client hears that a connection is over.
    fn client_hears_close(&mut self, id: ConnId) {
        let Some(conn) = self.fabric.get(id) else { return };
        let (client, heard, closed) = (conn.client, conn.heard, conn.closed);
        conn.heard = false;
        if closed {
            self.fabric.remove(id);
        }
        if heard {
            self.actor(client).conns.retain(|_, of| *of != id);
            self.unheard(client, id, Some(Unheard::Disconnected));
        }
    }
}
