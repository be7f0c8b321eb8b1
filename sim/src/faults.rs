//! A journal that several brokers share and that goes wrong: `io`'s memory journal, with what a
//! plan wants to happen to it in between.
//!
//! Decided here: what is asked of a shard's log is decided in order, some time after it was asked,
//! and told to who asked some time after that; a higher epoch can come between. Only a shard's
//! leader gets it. Rows come in several parts and in any order, as the journal's contract allows.
//! What is decided outlives who asked for it. What there is of all records is kept beside, for the
//! oracles: the memory journal itself keeps live rows only, and is always compact.

mod shard;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{Epoch, Offset, Record, RejectCause, ShardId};
use quorate_io::disk::Wake;
use quorate_io::journal::{Append, Completion, Journal, JournalStore, MemoryJournal};

use crate::plan::{Knobs, NodeIndex};
use crate::turmoil::stage::Stage;
use shard::{Ask, Log};

/// One life of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Writer {
    pub node: NodeIndex,
    /// Counts the starts of all brokers.
    pub number: u64,
}

/// See the module. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Journals(Arc<Mutex<State>>);

struct State {
    stage: Stage,
    /// All handles' access to what is stored.
    inner: Box<dyn Journal>,
    logs: LiteMap<ShardId, Log>,
    mail: LiteMap<u64, Mail>,
    handles: u64,
}

/// What a handle is told.
struct Mail {
    writer: Writer,
    wake: Wake,
    ready: Vec<Completion>,
    coming: VecDeque<(Duration, Completion)>,
}

impl Journals {
    pub fn new(seed: u64, shards: u32, knobs: &Knobs, stage: Stage) -> Journals {
        let log = |shard| (ShardId(shard), Log::new(seed, shard, knobs));
        Journals(Arc::new(Mutex::new(State {
            stage,
            // It completes within its calls, after which it is polled.
            inner: MemoryJournal::new().handle(Arc::new(|| {})),
            logs: (0..shards).map(log).collect(),
            mail: LiteMap::new(),
            handles: 0,
        })))
    }

    /// The journal as one life of a broker has it.
    pub fn store(&self, writer: Writer) -> Arc<dyn JournalStore> {
        Arc::new(Store { journals: self.clone(), writer })
    }

    /// Decides and tells what is due.
    pub fn tick(&self, at: Duration) {
        let mut state = self.state();
        let State { stage, inner, logs, mail, .. } = &mut *state;
        for (shard, log) in logs {
            log.decide(*shard, at, &mut shard::World { stage, inner, mail });
        }
        for (_, mail) in mail.iter_mut() {
            let before = mail.ready.len();
            while let Some((_, done)) = mail.coming.pop_front_if(|(due, _)| *due <= at) {
                mail.ready.push(done);
            }
            if mail.ready.len() > before {
                (mail.wake)();
            }
        }
    }

    /// A shard gets a leader.
    pub fn lead(&self, shard: ShardId, leader: NodeIndex) {
        self.of(shard, |log| log.leader = leader);
    }

    /// A broker has ended; what it asked is decided all the same.
    pub fn killed(&self, writer: Writer) {
        self.state().mail.retain(|_, mail| mail.writer != writer);
    }

    /// A broker loses power: of what is not decided, the first `kept` percent are stored all the
    /// same, and nobody is told of any.
    pub fn power_lost(&self, writer: Writer, kept: u8) {
        let mut state = self.state();
        let State { stage, inner, logs, mail, .. } = &mut *state;
        for (shard, log) in logs {
            log.power_lost(*shard, writer, kept, &mut shard::World { stage, inner, mail });
        }
        mail.retain(|_, mail| mail.writer != writer);
    }

    /// What is asked of the shard waits, and is then decided together.
    pub fn stall(&self, shard: ShardId, until: Duration) {
        self.of(shard, |log| log.stalled = log.stalled.max(until));
    }

    /// The next batches are refused.
    pub fn refuse(&self, shard: ShardId, batches: u8, cause: RejectCause) {
        self.of(shard, |log| log.refuse = (batches > 0).then_some((batches, cause)));
    }

    /// Nobody can tell what becomes of the next batch.
    pub fn forget_outcome(&self, shard: ShardId, stored: bool) {
        self.of(shard, |log| log.unknown = Some(stored));
    }

    /// The next load takes longer.
    pub fn slow_load(&self, shard: ShardId, by: Duration) {
        self.of(shard, |log| log.slow += by);
    }

    /// The next load fails half way.
    pub fn fail_load(&self, shard: ShardId) {
        self.of(shard, |log| log.fails = true);
    }

    /// Compacts what is kept for the oracles, as far as the memory journal has long done so.
    pub fn compact(&self, shard: ShardId, up_to: u8, tombstones: bool) {
        let mut state = self.state();
        let State { stage, logs, .. } = &mut *state;
        if let Some(log) = logs.get_mut(&shard) {
            let left = log.compact(up_to, tombstones);
            stage.see(crate::event::What::Compacted { shard, left });
        }
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state().logs.iter_mut().for_each(|(_, log)| log.heal());
    }

    /// All records of all shards.
    pub fn logs(&self) -> LiteMap<ShardId, Vec<(Offset, Record)>> {
        self.state().logs.iter().map(|(shard, log)| (*shard, log.records.clone())).collect()
    }

    fn of(&self, shard: ShardId, change: impl FnOnce(&mut Log)) {
        if let Some(log) = self.state().logs.get_mut(&shard) {
            change(log);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a run is single threaded, and over once it has panicked")
    }
}

impl State {
    fn ask(&mut self, shard: ShardId, handle: u64, ask: Ask) {
        let at = self.stage.at();
        if let Some(log) = self.logs.get_mut(&shard) {
            log.ask(at, handle, ask);
        }
    }
}

struct Store {
    journals: Journals,
    writer: Writer,
}

impl JournalStore for Store {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        let mut state = self.journals.state();
        state.handles += 1;
        let number = state.handles;
        let (ready, coming) = (Vec::new(), VecDeque::new());
        state.mail.insert(number, Mail { writer: self.writer, wake, ready, coming });
        Box::new(Handle { journals: self.journals.clone(), number })
    }
}

/// One thread's access.
struct Handle {
    journals: Journals,
    number: u64,
}

impl Journal for Handle {
    fn acquire(&mut self, shards: &[ShardId]) {
        let mut state = self.journals.state();
        for shard in shards {
            state.ask(*shard, self.number, Ask::Acquire);
        }
    }

    fn replay(&mut self, shard: ShardId, epoch: Epoch) {
        self.journals.state().ask(shard, self.number, Ask::Replay(epoch));
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut state = self.journals.state();
        for append in appends {
            state.ask(append.shard, self.number, Ask::Append(append));
        }
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        if let Some(mail) = self.journals.state().mail.get_mut(&self.number) {
            out.append(&mut mail.ready);
        }
    }
}
