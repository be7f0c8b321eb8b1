//! The journal in memory: for `--ephemeral`, tests and simulation.
//!
//! Everything completes within the call, on the caller's thread, so a simulation needs no threads.
//! Only live rows are kept. A store that is cloned, or that outlives its handles, still has them:
//! that is what a reopened one is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use quorate_core::{Epoch, Offset, Record, RecordKey, RecordValue, RejectCause, ShardId};

use super::{Append, Completion, Journal, JournalStore, Outcome, REPLAY_CHUNK, Wake};

/// A journal that is gone with the process. Clones share what is stored.
#[derive(Clone, Default)]
pub struct MemoryJournal {
    shards: Arc<Mutex<BTreeMap<ShardId, Stored>>>,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> MemoryJournal {
        MemoryJournal::default()
    }
}

impl JournalStore for MemoryJournal {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        Box::new(Handle {
            store: self.clone(),
            replays: BTreeMap::new(),
            completed: Vec::new(),
            wake,
        })
    }
}

/// What is kept of a shard.
#[derive(Default)]
struct Stored {
    epoch: Epoch,
    next: Offset,
    /// In no order of meaning, but one that depends only on what was appended.
    rows: IndexMap<RecordKey, (Offset, RecordValue), RandomState>,
}

impl Stored {
    fn append(&mut self, append: Append) -> Option<(Epoch, Outcome)> {
        let epoch = append.batches.first()?.epoch;
        if epoch != self.epoch || epoch == Epoch::default() {
            return Some((epoch, Outcome::Fenced { by: self.epoch }));
        }
        let mut stored = None;
        for batch in append.batches {
            if batch.base != self.next {
                let from = batch.id;
                return Some((
                    epoch,
                    Outcome::Rejected { stored, from, cause: RejectCause::Earlier },
                ));
            }
            stored = Some(batch.id);
            batch.records.into_iter().for_each(|record| self.put(record));
        }
        Some((epoch, Outcome::Appended { through: stored? }))
    }

    fn put(&mut self, record: Record) {
        match record.value {
            Some(value) => {
                self.rows.insert(record.key, (self.next, value));
            }
            None => {
                self.rows.swap_remove(&record.key);
            }
        }
        self.next = Offset(self.next.0 + 1);
    }

    fn chunk(&self, from: usize) -> Vec<(Offset, Record)> {
        let rows = self.rows.iter().skip(from).take(REPLAY_CHUNK);
        rows.map(|(key, (at, value))| {
            (*at, Record { key: key.clone(), value: Some(value.clone()) })
        })
        .collect()
    }
}

struct Handle {
    store: MemoryJournal,
    /// How many rows were given, of the replays that have begun and not ended.
    replays: BTreeMap<ShardId, (Epoch, usize)>,
    completed: Vec<Completion>,
    wake: Wake,
}

impl Handle {
    fn complete(&mut self, completion: Completion) {
        self.completed.push(completion);
        if self.completed.len() == 1 {
            (self.wake)();
        }
    }
}

impl Journal for Handle {
    fn acquire(&mut self, shards: &[ShardId]) {
        for &shard in shards {
            let mut all = locked(&self.store.shards);
            let stored = all.entry(shard).or_default();
            stored.epoch = Epoch(stored.epoch.0 + 1);
            let (epoch, next) = (stored.epoch, stored.next);
            drop(all);
            self.complete(Completion::Acquired { shard, epoch, next });
        }
    }

    fn replay(&mut self, shard: ShardId, epoch: Epoch) {
        let from = match self.replays.get(&shard) {
            Some(&(begun, from)) if begun == epoch => from,
            _ => 0,
        };
        let all = locked(&self.store.shards);
        let Some(stored) = all.get(&shard).filter(|stored| stored.epoch == epoch) else {
            drop(all);
            return self.complete(Completion::Unavailable { shard });
        };
        let rows = stored.chunk(from);
        let given = from + rows.len();
        let last = given == stored.rows.len();
        drop(all);
        if last {
            self.replays.remove(&shard);
        } else {
            self.replays.insert(shard, (epoch, given));
        }
        self.complete(Completion::Rows { shard, epoch, rows, last });
    }

    fn append(&mut self, appends: Vec<Append>) {
        for append in appends {
            let shard = append.shard;
            let done = locked(&self.store.shards).entry(shard).or_default().append(append);
            if let Some((epoch, outcome)) = done {
                self.complete(Completion::Append { shard, epoch, outcome });
            }
        }
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut self.completed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
