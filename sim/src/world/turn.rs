//! A turn of a broker: what it does when it wakes.
//!
//! Decided here, as in the shell: what the journal completed comes first, then what waits at the
//! door, then deadlines. A broker that is paused lets all of it wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use quorate_core::router::refuse;
use quorate_core::{
    Effect, ErrorCode, Input, Instant, Origin, Request, Response, Routed, ShardId, Status, Token,
};

use super::fabric::{ConnId, Down};
use super::journal::Fate;
use super::node::{Asked, Completion, Item, Leader, News, Running, Seat, State, node_id};
use super::{Wake, World};
use crate::event::{Call, Ended, What};
use crate::plan::NodeIndex;

impl World<'_> {
    pub(super) fn running(&mut self, node: NodeIndex) -> Option<&mut Running> {
        self.nodes[usize::from(node.0)].running.as_mut()
    }

    /// A broker has something to look at.
    pub(super) fn wake(&mut self, node: NodeIndex) {
        self.arm(node, self.at);
    }

    fn arm(&mut self, node: NodeIndex, at: std::time::Duration) {
        let state = &mut self.nodes[usize::from(node.0)];
        if state.armed.is_none_or(|armed| at < armed) {
            state.armed = Some(at);
            self.schedule.plan(at, Wake::Turn(node));
        }
    }

    pub(super) fn turn(&mut self, node: NodeIndex) {
        let state = &mut self.nodes[usize::from(node.0)];
        state.armed = state.armed.filter(|armed| *armed > self.at);
        if state.paused_until > self.at {
            return;
        }
        while let Some(done) = self.running(node).and_then(|r| r.completions.pop_front()) {
            let done = self.coalesced(node, done);
            self.completed(node, done);
        }
        // What comes while this runs is for the next turn.
        let waiting = self.running(node).map_or(0, |running| running.inbox.len());
        for _ in 0..waiting {
            let Some(item) = self.running(node).and_then(|r| r.inbox.pop_front()) else { break };
            self.item(node, item);
        }
        for shard in self.active(node) {
            let now = self.nodes[usize::from(node.0)].clock.now(self.at);
            if self.deadline(node, shard).is_some_and(|due| due <= now.mono) {
                self.step(node, shard, Input::Deadline);
            }
        }
        self.arm_next(node);
    }

    fn active(&mut self, node: NodeIndex) -> Vec<ShardId> {
        let Some(running) = self.running(node) else { return Vec::new() };
        let active = |seat: &Seat| matches!(seat.state, State::Active(_));
        running.seats.iter().filter(|(_, seat)| active(seat)).map(|(id, _)| *id).collect()
    }

    fn deadline(&mut self, node: NodeIndex, shard: ShardId) -> Option<Instant> {
        self.running(node)?.serving(shard, None)?.shard.next_deadline()
    }

    fn arm_next(&mut self, node: NodeIndex) {
        let due =
            self.active(node).into_iter().filter_map(|shard| self.deadline(node, shard)).min();
        let Some(due) = due else { return };
        let when = self.nodes[usize::from(node.0)].clock.when(due);
        // What one step has left over is for the next turn, a moment later.
        self.arm(node, when.max(self.at + std::time::Duration::from_micros(10)));
    }

    /// Fates of appends that have come together are told together.
    fn coalesced(&mut self, node: NodeIndex, mut done: Completion) -> Completion {
        let Some(running) = self.running(node) else { return done };
        while let Completion::Fate { shard, epoch, fate: Fate::Appended { through } } = &mut done
            && let Some(Completion::Fate {
                shard: s,
                epoch: e,
                fate: Fate::Appended { through: t },
            }) = running.completions.front()
            && (s, e) == (&*shard, &*epoch)
        {
            *through = *t;
            running.completions.pop_front();
        }
        done
    }

    fn completed(&mut self, node: NodeIndex, done: Completion) {
        match done {
            Completion::Acquired { shard, term, epoch, next } => {
                self.begin_load(node, shard, term, epoch, next);
            }
            Completion::NotAcquired { shard, term } => {
                let Some(running) = self.running(node) else { return };
                // Another was made leader since; of that this broker hears in time.
                if running.seats.get(&shard).is_some_and(|seat| seat.term == term) {
                    running.seats.remove(&shard);
                }
            }
            Completion::Rows { shard, epoch, rows, last } => {
                self.rows(node, shard, epoch, rows, last);
            }
            Completion::Unavailable { shard, epoch } => {
                let Some(running) = self.running(node) else { return };
                if running.loading(shard, epoch).is_some() {
                    running.seats.remove(&shard);
                }
            }
            Completion::LoadFailed { shard, epoch } => {
                let Some(running) = self.running(node) else { return };
                if running.loading(shard, epoch).is_some() {
                    self.acquire_again(node, shard);
                }
            }
            Completion::Fate { shard, epoch, fate } => {
                let Some(running) = self.running(node) else { return };
                if running.serving(shard, Some(epoch)).is_some() {
                    self.fate(node, shard, fate);
                }
            }
        }
    }

    fn fate(&mut self, node: NodeIndex, shard: ShardId, fate: Fate) {
        match fate {
            Fate::Appended { through } => self.step(node, shard, Input::Appended { through }),
            Fate::Rejected { from, cause } => {
                self.step(node, shard, Input::Rejected { from, cause });
            }
            Fate::Fenced { by } => {
                let again = self.running(node).and_then(|running| running.seats.get_mut(&shard));
                if let Some(seat) = again {
                    // Nobody else has it if only the outcome is unknown.
                    seat.again |= by.is_none();
                }
                self.step(node, shard, Input::Fenced { by });
            }
        }
    }

    fn item(&mut self, node: NodeIndex, item: Item) {
        match item {
            Item::Request(conn, call, request) => self.request(node, conn, call, &request),
            Item::Closed(conn) => self.closed_by_client(node, conn),
            Item::News(News::Topics(delta)) => {
                let Some(running) = self.running(node) else { return };
                running.topics = Arc::clone(&delta.view);
                running.router.apply(&delta);
                for shard in self.active(node) {
                    self.step(node, shard, Input::Topics(delta.clone()));
                }
            }
            Item::News(News::Leader(shard, leader)) => self.hears_of_leader(node, shard, leader),
            Item::Resign(shard) => self.resign(node, shard, true),
        }
    }

    fn hears_of_leader(&mut self, node: NodeIndex, shard: ShardId, leader: Leader) {
        let Some(running) = self.running(node) else { return };
        running.router.set_leader(shard, Some(node_id(leader.node)));
        let mine = leader.node == node;
        match running.seats.get_mut(&shard) {
            Some(seat) if matches!(seat.state, State::Active(_)) => {
                seat.term = leader.term;
                self.resign(node, shard, mine);
            }
            _ if mine => {
                running.seats.insert(shard, Seat::new(leader.term));
                self.acquire(node, shard);
            }
            _ => {
                running.seats.remove(&shard);
            }
        }
    }

    fn resign(&mut self, node: NodeIndex, shard: ShardId, again: bool) {
        let Some(running) = self.running(node) else { return };
        let Some(seat) = running.seats.get_mut(&shard) else { return };
        seat.again = again;
        self.step(node, shard, Input::Resign);
    }

    fn request(&mut self, node: NodeIndex, conn: ConnId, call: Call, request: &Request) {
        let Some(running) = self.running(node) else { return };
        let router = &mut running.router;
        let routed = match catch_unwind(AssertUnwindSafe(|| router.request(request.clone()))) {
            Ok(routed) => routed,
            Err(panic) => return self.recorder.crashed(panic_message(&*panic)),
        };
        match routed {
            Routed::Done(answer) => self.answer(node, conn, call, answer),
            Routed::Shard(shard, body) => {
                self.ask(node, Asked { conn, call, shard, gather: None }, body)
            }
            Routed::Gather(id, parts) => {
                for (part, (shard, body)) in parts.into_iter().enumerate() {
                    let gather = Some((id, part));
                    self.ask(node, Asked { conn, call, shard, gather }, body);
                }
            }
        }
    }

    fn ask(&mut self, node: NodeIndex, asked: Asked, body: Request) {
        let (conn, call, shard) = (asked.conn, asked.call, asked.shard);
        let Some(client) = self.fabric.get(conn).map(|conn| conn.client) else { return };
        self.tokens += 1;
        let token = Token(self.tokens);
        let Some(running) = self.running(node) else { return };
        running.asked.insert(token, asked);
        let error = match running.seats.get(&shard).map(|seat| &seat.state) {
            Some(State::Active(_)) => {
                let origin = Origin {
                    client_id: format!("c{}", client.0 + 1).into(),
                    client_host: format!("/10.0.0.{}", client.0 + 1).into(),
                };
                return self.step(node, shard, Input::Request { token, origin, body });
            }
            Some(_) => ErrorCode::CoordinatorLoadInProgress,
            None => ErrorCode::NotCoordinator,
        };
        self.see(What::TurnedAway { node, shard, client, call, error });
        self.resolve(node, token, refuse(&body, error));
    }

    /// Steps a shard, if it is there, and does what it says.
    pub(super) fn step(&mut self, node: NodeIndex, shard: ShardId, input: Input) {
        let at = self.at;
        let state = &mut self.nodes[usize::from(node.0)];
        let now = state.clock.now(at);
        let Some(running) = state.running.as_mut() else { return };
        let Some(State::Active(serving)) = running.seats.get_mut(&shard).map(|s| &mut s.state)
        else {
            return;
        };
        let (place, told) = (serving.place, input.clone());
        let (body, effects) = (&mut serving.shard, &mut running.effects);
        let stepped = catch_unwind(AssertUnwindSafe(|| body.step(now, told, effects)));
        let effects: Vec<Effect> = running.effects.drain().collect();
        if let Err(panic) = stepped {
            let why = Ended::Panicked(panic_message(&*panic));
            return self.recorder.see(at, What::Ended { place, why });
        }
        let fenced = matches!(input, Input::Fenced { .. });
        let is_over = body.status() == Status::Fenced;
        let what = What::Stepped { place, now, input, effects: effects.clone() };
        self.recorder.see_shard(at, what, body);
        if is_over {
            let why = if fenced { Ended::Fenced } else { Ended::Resigned };
            self.recorder.see(at, What::Ended { place, why });
            self.leave_seat(node, shard);
        }
        self.effects(node, shard, effects);
    }

    /// An incarnation is over: it is loaded again, or not.
    fn leave_seat(&mut self, node: NodeIndex, shard: ShardId) {
        let Some(running) = self.running(node) else { return };
        match running.seats.get(&shard) {
            Some(seat) if seat.again => self.acquire_again(node, shard),
            _ => {
                running.seats.remove(&shard);
            }
        }
    }

    pub(super) fn effects(&mut self, node: NodeIndex, shard: ShardId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { token, body } => self.resolve(node, token, body),
                Effect::Dropped { token, .. } => {
                    // Its connection waits for ever.
                    let Some(running) = self.running(node) else { return };
                    running.asked.remove(&token);
                }
                Effect::Append(batch) => self.append(node, shard, batch),
                Effect::Note(_) => {}
            }
        }
    }

    /// A token has its answer.
    fn resolve(&mut self, node: NodeIndex, token: Token, body: Response) {
        let Some(running) = self.running(node) else { return };
        let Some(asked) = running.asked.remove(&token) else { return };
        let whole = match asked.gather {
            Some((id, part)) => running.router.gather(id, part, body),
            None => Some(body),
        };
        if let Some(whole) = whole {
            self.answer(node, asked.conn, asked.call, whole);
        }
    }

    /// A request has its answer; the next one of its connection can come.
    fn answer(&mut self, node: NodeIndex, id: ConnId, call: Call, body: Response) {
        let Some(conn) = self.fabric.get(id) else { return };
        conn.busy = false;
        let client = conn.client;
        if std::mem::take(&mut self.actors[usize::from(client.0)].loses_reply) {
            return self.end_conn(id);
        }
        if let Some(at) = self.fabric.down(self.at, id) {
            self.schedule.plan(at, Wake::Down(id, Down::Response(call, Arc::new(body))));
        }
        self.next_request(node, id);
    }

    /// Takes the next request of a connection in, if none is being executed.
    pub(super) fn next_request(&mut self, node: NodeIndex, id: ConnId) {
        let Some(conn) = self.fabric.get(id).filter(|conn| !conn.busy) else { return };
        let Some((call, request)) = conn.waiting.pop_front() else { return };
        conn.busy = true;
        let client = conn.client;
        self.see(What::Arrived { client, call, node });
        if let Some(running) = self.running(node) {
            running.inbox.push_back(Item::Request(id, call, request));
        }
        self.wake(node);
    }

    /// A broker hears that a connection is no more: nobody reads what is asked over it.
    fn closed_by_client(&mut self, node: NodeIndex, conn: ConnId) {
        let Some(running) = self.running(node) else { return };
        running.inbox.retain(|item| !matches!(item, Item::Request(of, ..) if *of == conn));
        let open = running.asked.iter().filter(|(_, asked)| asked.conn == conn);
        let open: Vec<Token> = open.map(|(token, _)| *token).collect();
        for token in open {
            let Some(running) = self.running(node) else { return };
            let Some(asked) = running.asked.remove(&token) else { continue };
            if let Some((id, _)) = asked.gather {
                running.router.forget(id);
            }
            self.step(node, asked.shard, Input::Abandoned { token });
        }
        self.fabric.remove(conn);
    }
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned())
}
