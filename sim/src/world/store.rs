//! Brokers and the journal: acquiring, loading, appending.
//!
//! Decided here: how long each takes, and that a load reads in several parts between which other
//! things happen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Batch, Effect, Epoch, Loader, Offset, Record, Seed, ShardId};

use super::journal::{Decided, Decisions};
use super::node::{Completion, Loading, Process, Serving, State};
use super::turn::panic_message;
use super::{Wake, World};
use crate::event::{Place, What};
use crate::plan::NodeIndex;

/// Into how many parts a load is cut, but for a last and empty one.
const PARTS: u32 = 3;

impl World<'_> {
    /// A broker asks the journal for a shard that it leads.
    pub(super) fn acquire(&mut self, node: NodeIndex, shard: ShardId) {
        let Some(running) = self.running(node) else { return };
        let Some(term) = running.seats.get(&shard).map(|seat| seat.term) else { return };
        let process = running.id;
        let takes = self.stores[shard.0 as usize].speed.latency(&self.plan.knobs.journal);
        self.schedule.plan(self.at + takes, Wake::Acquire { process, shard, term });
    }

    /// A broker does so for another incarnation.
    pub(super) fn acquire_again(&mut self, node: NodeIndex, shard: ShardId) {
        let Some(running) = self.running(node) else { return };
        if let Some(seat) = running.seats.get_mut(&shard) {
            (seat.state, seat.again) = (State::Waiting, false);
        }
        self.acquire(node, shard);
    }

    fn lives(&mut self, process: Process) -> bool {
        self.running(process.node).is_some_and(|running| running.id == process)
    }

    fn tell(&mut self, process: Process, done: Completion) {
        if let Some(running) = self.running(process.node).filter(|r| r.id == process) {
            running.completions.push_back(done);
            self.wake(process.node);
        }
    }

    pub(super) fn acquired(&mut self, process: Process, shard: ShardId, term: u64) {
        if !self.lives(process) {
            return;
        }
        let Some((epoch, next, out)) = self.stores[shard.0 as usize].journal.acquire(term) else {
            return self.tell(process, Completion::NotAcquired { shard, term });
        };
        self.decided(shard, out);
        self.see(What::Acquired { shard, node: process.node, epoch, next });
        self.tell(process, Completion::Acquired { shard, term, epoch, next });
    }

    /// A broker hears that it is the writer of a shard now.
    pub(super) fn begin_load(
        &mut self,
        node: NodeIndex,
        shard: ShardId,
        term: u64,
        epoch: Epoch,
        next: Offset,
    ) {
        self.loads += 1;
        let place = Place { node, shard, epoch, load: self.loads };
        let store = &mut self.stores[shard.0 as usize];
        let takes = store.speed.latency(&self.plan.knobs.load) + std::mem::take(&mut store.slow);
        let fails = std::mem::take(&mut store.fails).then_some(1);
        let chunk = (store.journal.len() / PARTS as usize).max(1);
        let Some(running) = self.running(node) else { return };
        let Some(seat) = running.seats.get_mut(&shard) else { return };
        if seat.term != term || !matches!(seat.state, State::Waiting) {
            return;
        }
        running.loads += 1;
        let seed = Seed { node_secret: running.secret, load: running.loads };
        let loader = Loader::new(running.config.clone(), shard, epoch, &seed, next);
        let (from, pace) = (Offset(0), takes / (PARTS + 1));
        let loading = Loading { place, loader, from, chunk, pace, fails };
        seat.state = State::Loading(Box::new(loading));
        let process = running.id;
        self.schedule.plan(self.at + pace, Wake::Read { process, shard, epoch });
    }

    /// The journal reads the next rows of a load.
    pub(super) fn read(&mut self, process: Process, shard: ShardId, epoch: Epoch) {
        if !self.lives(process) {
            return;
        }
        let is_of = self.stores[shard.0 as usize].journal.is_of(epoch);
        let Some(loading) = self.running(process.node).and_then(|r| r.loading(shard, epoch)) else {
            return;
        };
        if !is_of {
            return self.tell(process, Completion::Unavailable { shard, epoch });
        }
        let (from, chunk) = (loading.from, loading.chunk);
        if let Some(left) = loading.fails {
            loading.fails = left.checked_sub(1);
            if left == 0 {
                return self.tell(process, Completion::LoadFailed { shard, epoch });
            }
        }
        let rows = self.stores[shard.0 as usize].journal.read(from, chunk);
        let last = rows.len() < chunk;
        self.tell(process, Completion::Rows { shard, epoch, rows, last });
    }

    /// A broker takes rows in; after the last ones it serves.
    pub(super) fn rows(
        &mut self,
        node: NodeIndex,
        shard: ShardId,
        epoch: Epoch,
        rows: Vec<(Offset, Record)>,
        last: bool,
    ) {
        let at = self.at;
        let Some(running) = self.running(node) else { return };
        let process = running.id;
        let Some(loading) = running.loading(shard, epoch) else { return };
        if let Some((newest, _)) = rows.last() {
            loading.from = Offset(newest.0 + 1);
        }
        let loader = &mut loading.loader;
        let replayed = catch_unwind(AssertUnwindSafe(|| {
            rows.into_iter().try_for_each(|(at, record)| loader.replay(at, record))
        }));
        let pace = loading.pace;
        match replayed {
            Ok(Ok(())) if last => self.activate(node, shard),
            Ok(Ok(())) => {
                self.schedule.plan(at + pace, Wake::Read { process, shard, epoch });
            }
            Ok(Err(error)) => self.recorder.crashed(error.to_string()),
            Err(panic) => self.recorder.crashed(panic_message(&*panic)),
        }
    }

    fn activate(&mut self, node: NodeIndex, shard: ShardId) {
        let now = self.nodes[usize::from(node.0)].clock.now(self.at);
        let Some(running) = self.running(node) else { return };
        let Some(seat) = running.seats.get_mut(&shard) else { return };
        let State::Loading(loading) = std::mem::replace(&mut seat.state, State::Waiting) else {
            return;
        };
        let Loading { place, loader, .. } = *loading;
        let (topics, out) = (Arc::clone(&running.topics), &mut running.effects);
        let activated = catch_unwind(AssertUnwindSafe(|| loader.activate(now, topics, out)));
        let effects: Vec<Effect> = running.effects.drain().collect();
        let shard_body = match activated {
            Ok(body) => body,
            Err(panic) => return self.recorder.crashed(panic_message(&*panic)),
        };
        let serving = Box::new(Serving { place, shard: shard_body });
        let seen = What::Loaded { place, now, effects: effects.clone() };
        self.recorder.see_shard(self.at, seen, &serving.shard);
        if let Some(seat) = self.running(node).and_then(|r| r.seats.get_mut(&shard)) {
            seat.state = State::Active(serving);
        }
        self.effects(node, shard, effects);
        self.wake(node);
    }

    /// A shard appends.
    pub(super) fn append(&mut self, node: NodeIndex, shard: ShardId, batch: Batch) {
        let Some(writer) = self.running(node).map(|running| running.id) else { return };
        let store = &mut self.stores[shard.0 as usize];
        let takes = store.speed.latency(&self.plan.knobs.journal) / 2;
        let due = store.journal.append(self.at, takes, writer, batch);
        self.schedule.plan(due, Wake::Decide(shard));
    }

    pub(super) fn decide(&mut self, shard: ShardId) {
        let (out, again) = self.stores[shard.0 as usize].journal.decide(self.at);
        self.decided(shard, out);
        if let Some(again) = again {
            self.schedule.plan(again, Wake::Decide(shard));
        }
    }

    /// The oracles see what was decided now, and the writers hear of it later, in order.
    fn decided(&mut self, shard: ShardId, out: Decisions) {
        out.decided.into_iter().for_each(|decided| self.see_decided(shard, decided));
        for told in out.told {
            let store = &mut self.stores[shard.0 as usize];
            let takes = store.speed.latency(&self.plan.knobs.journal) / 2;
            store.told = store.told.max(self.at + takes);
            self.schedule.plan(store.told, Wake::Told(shard, told));
        }
    }

    pub(super) fn see_decided(&mut self, shard: ShardId, decided: Decided) {
        self.see(match decided {
            Decided::Stored(batch) => What::Stored { shard, batch },
            Decided::Not { epoch, from, why } => What::Refused { shard, epoch, from, why },
        });
    }

    pub(super) fn told(&mut self, shard: ShardId, told: super::journal::Told) {
        let (epoch, fate) = (told.epoch, told.fate);
        self.tell(told.writer, Completion::Fate { shard, epoch, fate });
    }

    /// A load of a shard is under way somewhere.
    pub(super) fn is_loading(&self, shard: ShardId) -> bool {
        let loading = |seat: &super::node::Seat| matches!(seat.state, State::Loading(_));
        let mut running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        running.any(|running| running.seats.get(&shard).is_some_and(loading))
    }

    pub(super) fn slow_load(&mut self, shard: ShardId, by: Duration) {
        self.stores[shard.0 as usize].slow += by;
    }
}
