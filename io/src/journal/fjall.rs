//! The journal on disk, in the database that it shares with the catalog.
//!
//! Epochs and offsets are given out when a call is made, under one lock that is also held while the
//! write is queued, so the order of the queue is the order that was decided, and the writer has
//! nothing to decide. That is sound because a write that fails ends the process.
//!
//! An append is one item for each shard (see [`tables`]), encoded by the thread that appends.
//! Replays are read by a few threads, each with shards of its own, folds by another; nothing is
//! kept in memory for each key.

mod fold;
mod live;
mod replay;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, available_parallelism};
use std::{io, mem};

use bytes::Bytes;
use fjall::OwnedWriteBatch;
use quorate_core::{Epoch, ShardId};

use self::replay::Request;
use self::tables::{Head, ReadError, Tables, epoch_key, log_key};
use super::packing::Packed;
use super::{Append, Completion, Journal, JournalStore, Outcome};
use crate::disk::{Database, Fatal, Mailbox, OnFatal, OpenError, Operation, Queue, Wake, locked};

pub use fold::Folding;

/// Threads that read are as many as there are processors, and no more than this: they have work to
/// do only while shards are loaded.
const MAX_READERS: usize = 4;

/// Counted for each row besides its own bytes.
const ROW_BYTES: usize = 64;

/// A journal in a database. Clones share it; its threads end with the last of them and of the
/// handles.
#[derive(Clone)]
pub struct FjallJournal {
    threads: Arc<Threads>,
}

impl FjallJournal {
    /// Opens the journal that is in `database`, or makes one.
    ///
    /// `queue` is that of the database's writer, which has to live longer. `on_fatal` is told of a
    /// row that cannot be read; a write that fails is reported by the writer.
    pub fn open(
        database: &Database,
        queue: Queue,
        folding: Folding,
        on_fatal: OnFatal,
    ) -> Result<FjallJournal, OpenError> {
        let tables = Tables::open(database)?;
        let heads = tables.heads().map_err(|error| match error {
            ReadError::Database(error) => database.failed(error),
            error @ ReadError::Damaged { .. } => database.damaged(error.to_string()),
        })?;
        let heads = Mutex::new(heads);
        let shared = Arc::new(Shared { tables, queue, folding, heads, on_fatal });
        let threads = Threads::start(shared).map_err(|error| database.failed(error.into()))?;
        Ok(FjallJournal { threads: Arc::new(threads) })
    }
}

impl JournalStore for FjallJournal {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        Box::new(Handle { journal: self.clone(), mailbox: Mailbox::new(wake) })
    }
}

/// What the handles and the threads share.
struct Shared {
    tables: Tables,
    queue: Queue,
    folding: Folding,
    /// As they will be when everything is written that is queued.
    heads: Mutex<BTreeMap<ShardId, Head>>,
    on_fatal: OnFatal,
}

impl Shared {
    fn fail(&self, error: &dyn Display) {
        let folder = self.tables.database.folder().to_owned();
        (self.on_fatal)(Fatal { folder, cause: error.to_string() });
    }
}

/// The reading threads and the folding one.
struct Threads {
    shared: Arc<Shared>,
    /// To each thread that reads; every so many-th shard is of one.
    replays: Vec<Sender<Request>>,
    folds: Option<Sender<ShardId>>,
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    fn start(shared: Arc<Shared>) -> io::Result<Threads> {
        let (folds, shards) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Threads {
            replays: Vec::new(),
            folds: Some(folds),
            stop: Arc::clone(&stop),
            running: Vec::new(),
            shared,
        };
        threads.fold_what_is_due();
        let processors = available_parallelism().map_or(1, usize::from);
        for reader in 0..processors.min(MAX_READERS) {
            let (replays, requests) = mpsc::channel();
            let name = format!("journal-read-{reader}");
            threads.spawn(name, move |shared| replay::run(shared, &requests))?;
            threads.replays.push(replays);
        }
        threads.spawn("journal-fold", move |shared| fold::run(shared, &shards, &stop))?;
        Ok(threads)
    }

    fn spawn(
        &mut self,
        name: impl Into<String>,
        run: impl FnOnce(&Shared) + Send + 'static,
    ) -> io::Result<()> {
        let (name, shared) = (name.into(), Arc::clone(&self.shared));
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| run(&shared))).is_err() {
                shared.fail(&format!("the thread {name} panicked"));
            }
        })?;
        self.running.push(thread);
        Ok(())
    }

    fn fold_what_is_due(&self) {
        for (&shard, head) in locked(&self.shared.heads).iter_mut() {
            self.fold_if_due(shard, head);
        }
    }

    fn fold_if_due(&self, shard: ShardId, head: &mut Head) {
        if self.shared.folding.due(head) {
            head.folding = true;
            if let Some(folds) = &self.folds {
                // A folding thread that has failed is reported, and the process ends.
                let _ = folds.send(shard);
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.replays.clear();
        self.folds = None;
        for thread in mem::take(&mut self.running) {
            // The thread reports its own panics.
            let _ = thread.join();
        }
    }
}

struct Handle {
    journal: FjallJournal,
    mailbox: Arc<Mailbox<Completion>>,
}

impl Journal for Handle {
    fn acquire(&mut self, shards: &[ShardId]) {
        let shared = &self.journal.threads.shared;
        let mut heads = locked(&shared.heads);
        let acquired = shards.iter().map(|&shard| {
            let head = heads.entry(shard).or_default();
            head.epoch = Epoch(head.epoch.0 + 1);
            Completion::Acquired { shard, epoch: head.epoch, next: head.next }
        });
        let acquired = acquired.collect();
        let (tables, mailbox) = (shared.tables.clone(), Arc::clone(&self.mailbox));
        shared.queue.submit(Box::new(Acquire { tables, acquired, mailbox }));
    }

    fn replay(&mut self, shard: ShardId, epoch: Epoch) {
        let mailbox = Arc::clone(&self.mailbox);
        let request = Request { shard, epoch, mailbox };
        let replays = &self.journal.threads.replays;
        let reader = &replays[shard.0 as usize % replays.len()];
        if reader.send(request).is_err() {
            self.mailbox.push(Completion::Unavailable { shard });
        }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let packed: Vec<Packed> = appends.iter().filter_map(Packed::new).collect();
        let threads = &self.journal.threads;
        let shared = &threads.shared;
        let mut write = Write {
            tables: shared.tables.clone(),
            items: Vec::with_capacity(packed.len()),
            bytes: 0,
            completions: Vec::with_capacity(packed.len()),
            mailbox: Arc::clone(&self.mailbox),
        };
        let mut heads = locked(&shared.heads);
        for packed in packed {
            let head = heads.entry(packed.shard).or_default();
            write.add(packed, head);
        }
        for append in &appends {
            if let Some(head) = heads.get_mut(&append.shard) {
                threads.fold_if_due(append.shard, head);
            }
        }
        shared.queue.submit(Box::new(write));
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        self.mailbox.take(out);
    }
}

/// Makes new epochs durable.
struct Acquire {
    tables: Tables,
    acquired: Vec<Completion>,
    mailbox: Arc<Mailbox<Completion>>,
}

impl Operation for Acquire {
    fn bytes(&self) -> usize {
        self.acquired.len() * ROW_BYTES
    }

    fn write(&mut self, batch: &mut OwnedWriteBatch) -> fjall::Result<()> {
        for acquired in &self.acquired {
            if let Completion::Acquired { shard, epoch, .. } = acquired {
                batch.insert(&self.tables.shards, epoch_key(*shard), epoch.0.to_be_bytes());
            }
        }
        Ok(())
    }

    fn written(mut self: Box<Self>) {
        for acquired in mem::take(&mut self.acquired) {
            self.mailbox.push(acquired);
        }
    }
}

impl Drop for Acquire {
    /// What is left was not written.
    fn drop(&mut self) {
        for acquired in mem::take(&mut self.acquired) {
            if let Completion::Acquired { shard, .. } = acquired {
                self.mailbox.push(Completion::Unavailable { shard });
            }
        }
    }
}

/// The appends of one call. What is refused goes the same way as what is stored, so that it does
/// not overtake it.
struct Write {
    tables: Tables,
    items: Vec<(Vec<u8>, Bytes)>,
    bytes: usize,
    completions: Vec<(ShardId, Epoch, Outcome)>,
    mailbox: Arc<Mailbox<Completion>>,
}

impl Write {
    fn add(&mut self, packed: Packed, head: &mut Head) {
        let (shard, epoch) = (packed.shard, packed.epoch);
        if let Some(refused) = packed.refused(head.epoch, head.next) {
            self.completions.push((shard, epoch, refused));
            return;
        }
        self.completions.push((shard, epoch, packed.outcome()));
        if packed.records == 0 {
            return;
        }
        head.next = packed.end();
        head.log_bytes += packed.bytes();
        self.bytes += packed.bytes() as usize + ROW_BYTES;
        self.items.push((log_key(shard, packed.base), packed.finish(head.log_bytes)));
    }
}

impl Operation for Write {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn write(&mut self, batch: &mut OwnedWriteBatch) -> fjall::Result<()> {
        for (key, item) in self.items.drain(..) {
            batch.insert(&self.tables.log, key, item);
        }
        Ok(())
    }

    fn written(mut self: Box<Self>) {
        for (shard, epoch, outcome) in mem::take(&mut self.completions) {
            self.mailbox.push(Completion::Append { shard, epoch, outcome });
        }
    }
}

impl Drop for Write {
    /// What is left may or may not be written. What was refused certainly is not.
    fn drop(&mut self) {
        for (shard, epoch, outcome) in mem::take(&mut self.completions) {
            let outcome = match outcome {
                Outcome::Appended { .. } | Outcome::Rejected { stored: Some(_), .. } => {
                    Outcome::Unknown
                }
                refused => refused,
            };
            self.mailbox.push(Completion::Append { shard, epoch, outcome });
        }
    }
}
