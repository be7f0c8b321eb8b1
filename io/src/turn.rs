//! The turn: what a thread does with its shards each time it wakes.
//!
//! Decided here: the order (design 8). What the journal completed comes first, then what clients
//! ask, then the deadlines, and at the end one append for all shards that have something to store.
//! A turn is a plain function over plain state: it reads no clock, waits for nothing, and leaves
//! what is to be done in [`Out`].
//!
//! Also decided here: when a shard is loaded, how many load at once, what is answered meanwhile,
//! that one which panics is loaded again, until it has panicked three times within a minute, and
//! that a journal which does not give a shard is asked for it again.

mod place;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use quorate_core::router::refuse;
use quorate_core::{
    Census, Config, Effect, Effects, ErrorCode, Input, Instant, Loader, Note, NoteKinds, Now, Seed,
    Shard, ShardId, Token, Topics, TopicsDelta,
};

use crate::journal::{Append, Completion, Outcome as Stored};
use crate::metrics::Snapshot;
use crate::open::Outcome;
use crate::tap::{Ended, Tap};
use place::{Active, Place, State};

/// Shards of a thread whose rows are read at once: the journal holds memory for each.
const LOADS_AT_ONCE: usize = 2;
/// A shard that panics this often within [`PANIC_WINDOW`] is not loaded again.
const PANICS: usize = 3;
const PANIC_WINDOW: Duration = Duration::from_secs(60);
/// After so long a journal that did not give a shard is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The shards of one thread. See the module for what it decides.
#[derive(Debug)]
pub struct Turn {
    config: Config,
    node_secret: [u8; 32],
    cores: u32,
    places: Vec<Place>,
    inbox: VecDeque<(ShardId, Input)>,
    effects: Effects,
    to_load: VecDeque<ShardId>,
    loading: usize,
    resigning: bool,
    tap: Option<Arc<dyn Tap>>,
}

/// What is to be done after a turn. Kept and emptied by the caller, so that it costs nothing.
#[derive(Debug, Default)]
pub struct Out {
    /// What became of requests.
    pub outcomes: Vec<(Token, Outcome)>,
    /// To be appended in one call.
    pub appends: Vec<Append>,
    /// How long appends took that have ended.
    pub append_times: Vec<Duration>,
    /// To be acquired in one call.
    pub acquire: Vec<ShardId>,
    /// Shards whose next rows are to be asked for.
    pub replay: Vec<(ShardId, quorate_core::Epoch)>,
    /// Shards that are gone with all their requests.
    pub lost: Vec<ShardId>,
    /// What is worth telling.
    pub notes: Vec<(ShardId, Note)>,
    /// What is worth telling an operator of shards that fail.
    pub faults: Vec<(ShardId, Fault)>,
}

impl Out {
    /// Whether anything is to be done but to tell what became of requests.
    fn has_more_than_outcomes(&self) -> bool {
        let Out { outcomes: _, appends, append_times, acquire, replay, lost, notes, faults } = self;
        !(appends.is_empty()
            && append_times.is_empty()
            && acquire.is_empty()
            && replay.is_empty()
            && lost.is_empty()
            && notes.is_empty()
            && faults.is_empty())
    }
}

/// What went wrong with a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It panicked.
    #[error("panicked: {message}; it is loaded again")]
    Panicked {
        /// The panic's words.
        message: String,
    },
    /// It panicked too often, and stays away until the broker is started again.
    #[error("panicked {PANICS} times within a minute: {message}; it stays NOT_COORDINATOR")]
    PanickedTooOften {
        /// The panic's words.
        message: String,
    },
    /// It cannot be loaded.
    #[error("cannot be loaded: {reason}; it stays NOT_COORDINATOR")]
    NotLoaded {
        /// Why.
        reason: String,
    },
    /// The journal does not give it. Told once, until it does.
    #[error(
        "is not given by the journal, which is asked again and again; until it is given it is \
             NOT_COORDINATOR"
    )]
    Away,
    /// Another incarnation has it, or nobody can tell what is stored.
    #[error("lost its journal: {reason}; it is loaded again")]
    Fenced {
        /// Why.
        reason: String,
    },
}

impl Fault {
    /// Whether it is a fault of this program's.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Fault::Panicked { .. } | Fault::PanickedTooOften { .. })
    }
}

impl Turn {
    /// The shards of thread `core` of `cores`: every `cores`-th of `shards`. None is loaded yet.
    #[must_use]
    pub fn new(
        config: Config,
        node_secret: [u8; 32],
        core: u32,
        cores: u32,
        shards: u32,
        notes: NoteKinds,
    ) -> Turn {
        let mine = (core..shards).step_by(cores as usize).map(ShardId);
        Turn {
            config,
            node_secret,
            cores,
            places: mine.map(Place::new).collect(),
            inbox: VecDeque::new(),
            effects: Effects::wanting(notes),
            to_load: VecDeque::new(),
            loading: 0,
            resigning: false,
            tap: None,
        }
    }

    /// Tells this watcher of every step from now on.
    #[must_use]
    pub fn watched_by(mut self, tap: Option<Arc<dyn Tap>>) -> Turn {
        self.tap = tap;
        self
    }

    /// Begins to load all shards.
    pub fn start(&mut self, out: &mut Out) {
        out.acquire.extend(self.places.iter().map(|place| place.id));
    }

    /// Takes a request in, or that one is abandoned; the next [`run`](Self::run) does the rest.
    pub fn push(&mut self, shard: ShardId, input: Input) {
        self.inbox.push_back((shard, input));
    }

    /// Takes a request in and executes it, unless others wait already: then it waits with them.
    /// Says whether a [`run`](Self::run) is to follow soon. A request that only asks, as a
    /// heartbeat does, needs none, and is answered without a turn.
    pub fn at_once(&mut self, now: Now, shard: ShardId, input: Input, out: &mut Out) -> bool {
        if !self.inbox.is_empty() {
            self.push(shard, input);
            return true;
        }
        let index = self.index(shard);
        let before = self.places[index].deadline();
        self.input(now, shard, input, out);
        let place = &self.places[index];
        let is_earlier = match (place.deadline(), before) {
            (Some(after), Some(before)) => after < before,
            (after, before) => after.is_some() && before.is_none(),
        };
        is_earlier || out.has_more_than_outcomes() || place.wants_to_append()
    }

    /// Takes a change of the topics in. A shard that is still loading sees it in the view that it
    /// is activated with.
    pub fn topics_changed(&mut self, delta: &TopicsDelta) {
        for place in &self.places {
            if matches!(place.state, State::Active(_)) {
                self.inbox.push_back((place.id, Input::Topics(delta.clone())));
            }
        }
    }

    /// Takes no new work: shards finish their appends and then answer who is parked.
    pub fn resign(&mut self) {
        self.resigning = true;
        self.to_load.clear();
        for place in &mut self.places {
            match place.state {
                State::Active(_) => self.inbox.push_back((place.id, Input::Resign)),
                State::Loading(_) | State::Waiting | State::Away(_) => place.state = State::Gone,
                State::Gone => {}
            }
        }
    }

    /// Whether nothing is left to do but what is asked for next.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.inbox.is_empty() && self.places.iter().all(Place::is_quiet)
    }

    /// Counts shards, those that serve, and what is in them.
    pub fn count(&self, snapshot: &mut Snapshot) {
        for place in &self.places {
            snapshot.shards += 1;
            let State::Active(active) = &place.state else { continue };
            snapshot.shards_active += 1;
            let Census { groups, members } = active.shard.census();
            snapshot.members += members;
            for (state, count) in groups {
                *snapshot.groups.entry(state).or_insert(0) += count;
            }
        }
    }

    /// When [`run`](Self::run) is next due without an input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.places.iter().filter_map(Place::deadline).min()
    }

    /// One turn. `topics` is the thread's view as it is now.
    pub fn run(
        &mut self,
        now: Now,
        completions: &mut Vec<Completion>,
        topics: &Arc<Topics>,
        out: &mut Out,
    ) {
        for completion in completions.drain(..) {
            self.completed(now, completion, topics, out);
        }
        // What is pushed while this runs is for the next turn.
        for _ in 0..self.inbox.len() {
            if let Some((shard, input)) = self.inbox.pop_front() {
                self.input(now, shard, input, out);
            }
        }
        for index in 0..self.places.len() {
            if self.places[index].deadline().is_some_and(|due| due <= now.mono) {
                self.due(now, index, out);
            }
        }
        for place in &mut self.places {
            if let State::Active(active) = &mut place.state {
                out.appends.extend(active.flush(place.id, now.mono));
            }
        }
    }

    fn due(&mut self, now: Now, index: usize, out: &mut Out) {
        let place = &mut self.places[index];
        if let State::Away(again) = &mut place.state {
            *again = None;
            return out.acquire.push(place.id);
        }
        self.step(now, index, Input::Deadline, out);
    }

    fn index(&self, shard: ShardId) -> usize {
        (shard.0 / self.cores) as usize
    }

    fn input(&mut self, now: Now, shard: ShardId, input: Input, out: &mut Out) {
        let index = self.index(shard);
        let error = match self.places[index].state {
            State::Active(_) => return self.step(now, index, input, out),
            State::Waiting | State::Loading(_) => ErrorCode::CoordinatorLoadInProgress,
            State::Away(_) | State::Gone => ErrorCode::NotCoordinator,
        };
        if let Input::Request { token, body, .. } = input {
            out.outcomes.push((token, Outcome::Reply(refuse(&body, error))));
        }
    }

    /// Steps a shard, and does what it says. One that panics is dropped.
    fn step(&mut self, now: Now, index: usize, input: Input, out: &mut Out) {
        let State::Active(active) = &mut self.places[index].state else { return };
        let (shard, effects) = (&mut active.shard, &mut self.effects);
        let watched = self.tap.as_deref().map(|tap| (tap, input.clone()));
        // After a panic neither the shard nor what it said is looked at again.
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            tests::panic_if_told_to();
            shard.step(now, input, effects);
        }));
        match stepped {
            Ok(()) => {
                if let Some((tap, input)) = watched {
                    tap.stepped(now, input, self.effects.as_slice(), &active.shard);
                }
                self.effects(index, out);
            }
            Err(panic) => self.panicked(now, index, panic_message(&*panic), out),
        }
    }

    fn effects(&mut self, index: usize, out: &mut Out) {
        let place = &mut self.places[index];
        let State::Active(active) = &mut place.state else { return };
        for effect in self.effects.drain() {
            match effect {
                Effect::Reply { token, body } => out.outcomes.push((token, Outcome::Reply(body))),
                Effect::Dropped { token, .. } => out.outcomes.push((token, Outcome::Dropped)),
                Effect::Append(batch) => active.queue.push(batch),
                Effect::Note(note) => out.notes.push((place.id, note)),
            }
        }
        active.deadline = active.shard.next_deadline();
    }

    fn panicked(&mut self, now: Now, index: usize, message: String, out: &mut Out) {
        self.effects.drain().for_each(drop);
        let place = &mut self.places[index];
        self.tap.iter().for_each(|tap| tap.ended(place.id, Ended::Panicked(&message)));
        place.panics.retain(|at| now.mono.since(*at) < PANIC_WINDOW);
        place.panics.push(now.mono);
        out.lost.push(place.id);
        if place.panics.len() >= PANICS || self.resigning {
            place.state = State::Gone;
            out.faults.push((place.id, Fault::PanickedTooOften { message }));
        } else {
            place.state = State::Waiting;
            out.acquire.push(place.id);
            out.faults.push((place.id, Fault::Panicked { message }));
        }
    }

    fn completed(&mut self, now: Now, done: Completion, topics: &Arc<Topics>, out: &mut Out) {
        match done {
            Completion::Acquired { shard, epoch, next } => self.acquired(shard, epoch, next, out),
            Completion::Rows { shard, epoch, rows, last } => {
                let index = self.index(shard);
                match &mut self.places[index].state {
                    State::Loading(loader) if loader.epoch == epoch => {}
                    _ => return,
                }
                self.rows(index, rows, out);
                match &self.places[index].state {
                    State::Loading(_) if !last => out.replay.push((shard, epoch)),
                    State::Loading(_) => self.activate(now, index, topics, out),
                    _ => {}
                }
            }
            Completion::Unavailable { shard } => self.not_given(now, self.index(shard), out),
            Completion::Append { shard, epoch, outcome } => {
                let index = self.index(shard);
                match &mut self.places[index].state {
                    State::Active(active) if active.shard.epoch() == epoch => {
                        let since = active.in_flight.take();
                        out.append_times.extend(since.map(|since| now.mono.since(since)));
                    }
                    _ => return,
                }
                self.appended(now, index, outcome, out);
            }
        }
    }

    fn appended(&mut self, now: Now, index: usize, outcome: Stored, out: &mut Out) {
        match outcome {
            Stored::Appended { through } => {
                self.step(now, index, Input::Appended { through }, out);
            }
            Stored::Rejected { stored, from, cause } => {
                if let Some(through) = stored {
                    self.step(now, index, Input::Appended { through }, out);
                }
                if let State::Active(active) = &mut self.places[index].state {
                    active.queue.clear();
                }
                self.step(now, index, Input::Rejected { from, cause }, out);
            }
            Stored::Fenced { by } => {
                self.step(now, index, Input::Fenced { by: Some(by) }, out);
                self.reload(index, format!("epoch {by} has it"), out);
            }
            Stored::Unknown => {
                self.step(now, index, Input::Fenced { by: None }, out);
                self.reload(index, "the outcome of an append is unknown".to_owned(), out);
            }
        }
    }

    fn reload(&mut self, index: usize, reason: String, out: &mut Out) {
        let place = &mut self.places[index];
        if !matches!(place.state, State::Active(_)) {
            return;
        }
        self.tap.iter().for_each(|tap| tap.ended(place.id, Ended::Fenced));
        out.faults.push((place.id, Fault::Fenced { reason }));
        place.state = if self.resigning { State::Gone } else { State::Waiting };
        if !self.resigning {
            out.acquire.push(place.id);
        }
    }

    fn acquired(
        &mut self,
        shard: ShardId,
        epoch: quorate_core::Epoch,
        next: quorate_core::Offset,
        out: &mut Out,
    ) {
        let index = self.index(shard);
        let place = &mut self.places[index];
        if !matches!(place.state, State::Waiting | State::Away(None)) {
            return;
        }
        place.loads += 1;
        let seed = Seed { node_secret: self.node_secret, load: place.loads };
        let loader = Loader::new(self.config.clone(), shard, epoch, &seed, next);
        place.state = State::Loading(Box::new(place::Loading { loader, epoch, asked: false }));
        self.to_load.push_back(shard);
        self.load_more(out);
    }

    fn load_more(&mut self, out: &mut Out) {
        while self.loading < LOADS_AT_ONCE
            && let Some(shard) = self.to_load.pop_front()
        {
            let index = self.index(shard);
            if let State::Loading(loading) = &mut self.places[index].state {
                loading.asked = true;
                self.loading += 1;
                out.replay.push((shard, loading.epoch));
            }
        }
    }

    fn rows(
        &mut self,
        index: usize,
        rows: Vec<(quorate_core::Offset, quorate_core::Record)>,
        out: &mut Out,
    ) {
        let State::Loading(loading) = &mut self.places[index].state else { return };
        let replayed = catch_unwind(AssertUnwindSafe(|| {
            rows.into_iter().try_for_each(|(at, record)| loading.loader.replay(at, record))
        }));
        match replayed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.not_loaded(index, error.to_string(), out),
            Err(panic) => self.not_loaded(index, panic_message(&*panic), out),
        }
    }

    fn activate(&mut self, now: Now, index: usize, topics: &Arc<Topics>, out: &mut Out) {
        let state = std::mem::replace(&mut self.places[index].state, State::Gone);
        let State::Loading(loading) = state else { return };
        let (topics, effects) = (Arc::clone(topics), &mut self.effects);
        let activated =
            catch_unwind(AssertUnwindSafe(|| loading.loader.activate(now, topics, effects)));
        self.loading -= 1;
        match activated {
            Ok(shard) => {
                let effects = self.effects.as_slice();
                self.tap.iter().for_each(|tap| tap.loaded(now, effects, &shard));
                self.places[index].state = State::Active(Box::new(Active::new(shard)));
                self.places[index].is_told_away = false;
                self.effects(index, out);
            }
            Err(panic) => {
                self.effects.drain().for_each(drop);
                let reason = panic_message(&*panic);
                out.faults.push((self.places[index].id, Fault::NotLoaded { reason }));
            }
        }
        self.load_more(out);
    }

    /// The journal does not give a shard, or not all of its rows.
    fn not_given(&mut self, now: Now, index: usize, out: &mut Out) {
        let place = &mut self.places[index];
        match &place.state {
            State::Loading(loading) => self.loading -= usize::from(loading.asked),
            State::Waiting | State::Away(None) => {}
            State::Active(_) | State::Away(Some(_)) | State::Gone => return,
        }
        place.state = State::Away(Some(now.mono + ASK_AGAIN));
        if !std::mem::replace(&mut place.is_told_away, true) {
            out.faults.push((place.id, Fault::Away));
        }
        self.load_more(out);
    }

    /// What the journal has of a shard is no shard.
    fn not_loaded(&mut self, index: usize, reason: String, out: &mut Out) {
        let place = &mut self.places[index];
        let State::Loading(loading) = &place.state else { return };
        self.loading -= usize::from(loading.asked);
        place.state = State::Gone;
        out.faults.push((place.id, Fault::NotLoaded { reason }));
        self.load_more(out);
    }

    /// The shards that serve, for tests and reports.
    pub fn active(&self) -> impl Iterator<Item = &Shard> {
        self.places.iter().filter_map(|place| match &place.state {
            State::Active(active) => Some(&active.shard),
            _ => None,
        })
    }

    /// How many shards are still to be loaded.
    #[must_use]
    pub fn not_yet_loaded(&self) -> usize {
        let waits = |place: &&Place| matches!(place.state, State::Waiting | State::Loading(_));
        self.places.iter().filter(waits).count()
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
