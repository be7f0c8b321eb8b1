//! The journal in memory: for `--ephemeral`, tests and simulation.
//!
//! Everything completes within the call, on the caller's thread, so a simulation needs no threads.
//! Only live rows are kept. A store that is cloned, or that outlives its handles, still has them:
//! that is what a reopened one is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use quorate_core::{Epoch, Offset, Record, ShardId};

use super::packing::{Item, Names, Packed, Row};
use super::{Append, Completion, Journal, JournalStore, Outcome, REPLAY_CHUNK};
use crate::disk::{Wake, locked};

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

/// What is kept of a shard: its rows as bytes, so that they are no other than those on disk.
#[derive(Default)]
struct Stored {
    epoch: Epoch,
    next: Offset,
    /// By key. The order has no meaning, and depends only on what was appended.
    rows: IndexMap<Bytes, Row, RandomState>,
}

impl Stored {
    fn append(&mut self, packed: Packed) -> Outcome {
        if let Some(outcome) = packed.refused(self.epoch, self.next) {
            return outcome;
        }
        let outcome = packed.outcome();
        self.next = packed.end();
        let item = Item::new(packed.base, packed.finish(0)).expect("a header that was just made");
        for row in item.rows().expect("rows that were just made") {
            self.put(row);
        }
        outcome
    }

    fn put(&mut self, row: Row) {
        if row.value.is_none() {
            self.rows.swap_remove(&row.key);
            return;
        }
        let row = row.detached();
        self.rows.insert(row.key.clone(), row);
    }

    fn chunk(&self, from: usize) -> Vec<(Offset, Record)> {
        let rows = self.rows.values().skip(from).take(REPLAY_CHUNK);
        let mut names = Names::default();
        let known = rows.filter_map(|row| {
            let record = row.record(&mut names).expect("bytes that this process has made");
            Some((row.at, record?))
        });
        known.collect()
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
        for packed in appends.iter().filter_map(Packed::new) {
            let (shard, epoch) = (packed.shard, packed.epoch);
            let outcome = locked(&self.store.shards).entry(shard).or_default().append(packed);
            self.complete(Completion::Append { shard, epoch, outcome });
        }
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut self.completed);
    }
}
