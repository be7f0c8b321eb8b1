//! Clients in the world: their connections, and what arrives over them.
//!
//! Decided here: which connection a request takes, when a client no longer hears an answer, and
//! what of the faults of a client's network happens at its own end. The world and the client's
//! host both step a client; only the host touches sockets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use litemap::LiteMap;
use quorate_core::{Request, Response};
use tokio::sync::{Notify, mpsc};

use super::connection::Frame;
use super::stage::Stage;
use super::wire::{self, Asked};
use crate::client::{Client, ClientEffect, ClientInput};
use crate::event::{Call, ClientNote, ClientView, Unheard, What};
use crate::plan::{ClientId, ClientVersion, NodeIndex};

/// Names a connection of a client, over all its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnId(u64);

/// A client and what the world keeps for it.
pub(super) struct Actor {
    id: ClientId,
    version: ClientVersion,
    patience: Duration,
    nodes: Vec<SocketAddr>,
    stage: Stage,
    state: RefCell<State>,
    /// Wakes its host.
    pub bell: Notify,
}

struct State {
    client: Client,
    runs: bool,
    sleeps: bool,
    conns: LiteMap<NodeIndex, ConnId>,
    links: LiteMap<ConnId, Link>,
    calls: BTreeMap<Call, (ConnId, Duration)>,
    opened: u64,
    dials: VecDeque<Dial>,
    blurts: VecDeque<(SocketAddr, Bytes)>,
    loses_reply: bool,
    halves_frame: bool,
    trickles_until: Duration,
}

/// A connection, as long as it is not closed at this end.
struct Link {
    frames: mpsc::UnboundedSender<Frame>,
    /// What was asked and not answered, oldest first.
    open: VecDeque<(Call, Asked)>,
}

/// A connection that is to be opened.
pub(super) struct Dial {
    pub id: ConnId,
    pub to: SocketAddr,
    pub frames: mpsc::UnboundedReceiver<Frame>,
}

impl Actor {
    pub fn new(
        client: Client,
        id: ClientId,
        version: ClientVersion,
        patience: Duration,
        nodes: Vec<SocketAddr>,
        stage: Stage,
    ) -> Actor {
        let state = State {
            client,
            runs: false,
            sleeps: false,
            conns: LiteMap::new(),
            links: LiteMap::new(),
            calls: BTreeMap::new(),
            opened: 0,
            dials: VecDeque::new(),
            blurts: VecDeque::new(),
            loses_reply: false,
            halves_frame: false,
            trickles_until: Duration::ZERO,
        };
        let (state, bell) = (RefCell::new(state), Notify::new());
        Actor { id, version, patience, nodes, stage, state, bell }
    }

    /// Steps the client, and does what it wants.
    pub fn tell(&self, input: ClientInput) {
        let mut wanted = Vec::new();
        let now = self.now();
        self.state.borrow_mut().client.step(now, input, &mut wanted);
        wanted.into_iter().for_each(|effect| self.effect(effect));
        self.bell.notify_one();
    }

    /// The time as this client has it: within its host more exact than a tick.
    pub fn now(&self) -> Duration {
        let at = self.stage.at();
        ::turmoil::sim_elapsed().map_or(at, |exact| exact.clamp(at, self.stage.next()))
    }

    pub fn next_deadline(&self) -> Option<Duration> {
        self.state.borrow().client.next_deadline()
    }

    pub fn next_dial(&self) -> Option<Dial> {
        self.state.borrow_mut().dials.pop_front()
    }

    pub fn identity(&self) -> Option<crate::client::Identity> {
        self.state.borrow().client.identity()
    }

    pub fn view(&self) -> ClientView {
        let state = self.state.borrow();
        state.client.view(state.runs)
    }

    /// Whether its process lives, and whether it sleeps.
    pub fn runs(&self) -> (bool, bool) {
        let state = self.state.borrow();
        (state.runs, state.sleeps)
    }

    /// The next answer is lost with its connection.
    pub fn lose_reply(&self, loses: bool) {
        self.state.borrow_mut().loses_reply = loses;
    }

    /// Its connection ends in the middle of its next frame.
    pub fn halve_frame(&self, halves: bool) {
        self.state.borrow_mut().halves_frame = halves;
    }

    /// It writes and reads byte by byte until then.
    pub fn trickle(&self, until: Duration) {
        self.state.borrow_mut().trickles_until = until;
    }

    /// Somebody on its host sends a broker these bytes.
    pub fn blurt(&self, node: NodeIndex, bytes: Bytes) {
        let Some(to) = self.nodes.get(usize::from(node.0)) else { return };
        self.state.borrow_mut().blurts.push_back((*to, bytes));
        self.bell.notify_one();
    }

    pub fn next_blurt(&self) -> Option<(SocketAddr, Bytes)> {
        self.state.borrow_mut().blurts.pop_front()
    }

    /// Whether it does so now.
    pub fn trickles(&self) -> bool {
        self.state.borrow().trickles_until > self.now()
    }

    /// All its connections end.
    pub fn cut(&self) {
        let all: Vec<ConnId> = self.state.borrow().links.keys().copied().collect();
        all.into_iter().for_each(|id| self.closed(id));
    }

    fn effect(&self, effect: ClientEffect) {
        match effect {
            ClientEffect::Send { call, node, request } => self.send(call, node, &request),
            ClientEffect::Detach(node) => {
                // Its answers find nobody who waits for them.
                let detached = self.state.borrow_mut().conns.remove(&node);
                detached.into_iter().for_each(|id| self.unheard(id, None));
            }
            ClientEffect::Disconnect(node) => {
                let id = self.state.borrow_mut().conns.remove(&node);
                id.into_iter().for_each(|id| self.end(id));
            }
            ClientEffect::DisconnectAll => {
                let all: Vec<ConnId> = self.state.borrow().links.keys().copied().collect();
                all.into_iter().for_each(|id| self.end(id));
                self.state.borrow_mut().conns.clear();
            }
            ClientEffect::Note(note) => self.note(note),
        }
    }

    fn note(&self, note: ClientNote) {
        let state = &mut *self.state.borrow_mut();
        match &note {
            ClientNote::Started => (state.runs, state.sleeps) = (true, false),
            ClientNote::Stopped => (state.runs, state.sleeps) = (false, false),
            ClientNote::Paused => state.sleeps = true,
            ClientNote::Resumed => state.sleeps = false,
            _ => {}
        }
        self.stage.see(What::Client { client: self.id, note });
    }

    fn send(&self, call: Call, node: NodeIndex, request: &Arc<Request>) {
        let now = self.now();
        let request = wire::as_said(request, self.version);
        let name = format!("c{}", self.id.0 + 1);
        let (bytes, asked) = wire::frame(&request, self.version, call.0 as i32, &name);
        self.stage.see(What::Sent { client: self.id, call, node, request });
        let state = &mut *self.state.borrow_mut();
        let id = match state.conns.get(&node) {
            Some(id) => *id,
            None => state.open(node, self.nodes[usize::from(node.0)]),
        };
        let halves = std::mem::take(&mut state.halves_frame);
        let trickles = state.trickles_until > now;
        state.calls.insert(call, (id, now));
        let Some(link) = state.links.get_mut(&id) else { return };
        link.open.push_back((call, asked));
        // One whose host is at its end hears of that soon.
        let _ = link.frames.send(Frame { bytes, trickles, halves });
    }

    /// The client ends a connection.
    fn end(&self, id: ConnId) {
        self.unheard(id, None);
        self.state.borrow_mut().links.remove(&id);
    }

    /// A connection is over, and not by the client's own doing.
    pub fn closed(&self, id: ConnId) {
        if !self.state.borrow_mut().forget(id) {
            return;
        }
        self.unheard(id, Some(Unheard::Disconnected));
    }

    /// The client no longer hears what was asked over a connection. It knows already if it is its
    /// own doing, and else is told.
    fn unheard(&self, id: ConnId, told: Option<Unheard>) {
        let now = self.now();
        let open: Vec<_> =
            self.state.borrow_mut().calls.extract_if(.., |_, (of, _)| *of == id).collect();
        for (call, (_, since)) in open {
            let gave_up = now >= since + self.patience;
            let own = if gave_up { Unheard::TimedOut } else { Unheard::GivenUp };
            let why = told.unwrap_or(own);
            self.stage.see(What::Unheard { client: self.id, call, why });
            if told.is_some() {
                self.tell(ClientInput::Unheard(call, why));
            }
        }
    }

    /// A frame has come, without its length.
    pub fn frame(&self, id: ConnId, frame: Bytes) {
        let asked = {
            let state = &mut *self.state.borrow_mut();
            let Some(link) = state.links.get_mut(&id) else { return };
            link.open.pop_front()
        };
        let Some((call, asked)) = asked else {
            return self.stage.crashed("an answer to nothing that was asked".to_owned());
        };
        match wire::answer(&asked, frame) {
            Ok(response) => self.answer(id, call, response),
            Err(error) => self.stage.crashed(format!("a client cannot read its answer: {error}")),
        }
    }

    fn answer(&self, id: ConnId, call: Call, response: Response) {
        if std::mem::take(&mut self.state.borrow_mut().loses_reply) {
            return self.closed(id);
        }
        if !self.state.borrow_mut().awaited(call, id) {
            return;
        }
        let response = Arc::new(response);
        let what = What::Heard { client: self.id, call, response: Arc::clone(&response) };
        self.stage.see(what);
        self.tell(ClientInput::Heard(call, response));
    }
}

impl State {
    /// Forgets a connection. Whether there was one.
    fn forget(&mut self, id: ConnId) -> bool {
        self.conns.retain(|_, of| *of != id);
        self.links.remove(&id).is_some()
    }

    /// Whether an answer is awaited on that connection; it is not any more.
    fn awaited(&mut self, call: Call, id: ConnId) -> bool {
        let is_awaited = self.calls.get(&call).is_some_and(|(of, _)| *of == id);
        if is_awaited {
            self.calls.remove(&call);
        }
        is_awaited
    }

    fn open(&mut self, node: NodeIndex, to: SocketAddr) -> ConnId {
        self.opened += 1;
        let id = ConnId(self.opened);
        let (sender, frames) = mpsc::unbounded_channel();
        self.links.insert(id, Link { frames: sender, open: VecDeque::new() });
        self.conns.insert(node, id);
        self.dials.push_back(Dial { id, to, frames });
        id
    }
}
