//! The log on disk: a database of its own, with one writer thread and a few readers.
//!
//! Three keyspaces: `records` holds the batches, with values in files of their own so that
//! compaction moves keys only; `partitions` a row for each partition, with its start and epochs;
//! `producers` the snapshots of producers' state. The end of a partition is in its last key.

mod recover;
mod retain;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use fjall::compaction::Leveled;
use fjall::config::FilterPolicy;
use fjall::{Keyspace, KeyspaceCreateOptions, KvSeparationOptions};
use uuid::Uuid;

use self::retain::Retained;
use self::write::Write;
use super::entry::{Entry, first_key, last_key};
use super::readers::{Jobs, Readers};
use super::search::{self, Batches, Cause, Source};
use super::{
    Completion, Epochs, Log, LogStore, Operation, Outcome, PartitionKey, Recovered, compact,
};
use crate::disk::{
    Database, Durability, Mailbox, OnFatal, OpenError, Options, Queue, Wake, Writer,
};

const RECORDS: &str = "records";
/// Batches come in their order, so there is nothing to be gained from compacting their keys often,
/// which are all written again each time.
const RECORDS_MEMTABLE_BYTES: u64 = 32 << 20;
const RECORDS_TABLES: u8 = 8;
const ROWS_MEMTABLE_BYTES: u64 = 1 << 20;
const CACHE_BYTES: u64 = 4 << 20;
const CACHED_FILES: usize = 256;

/// How the log is opened.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// When an append counts as stored.
    pub durability: Durability,
    /// Threads that read.
    pub readers: usize,
}

/// The log of a data folder. Its handles have to be dropped before the folder is free again.
pub struct FjallLog {
    store: Store,
    readers: Readers,
    writer: Writer,
}

/// What handles, readers and the writer share.
#[derive(Clone)]
struct Store {
    records: Keyspace,
    partitions: Keyspace,
    producers: Keyspace,
    retained: Arc<Retained>,
    written: Arc<Mutex<Written>>,
}

/// The partitions as of the last operation that the writer was given. Only it uses them.
#[derive(Default)]
struct Written {
    partitions: BTreeMap<PartitionKey, Partition>,
    deleted: BTreeSet<Uuid>,
}

struct Partition {
    start: i64,
    end: i64,
    epochs: Epochs,
}

impl FjallLog {
    /// Opens the log in `folder`: forgets topics that are not `live`, begins `leader_epoch`, and
    /// gives what there is. `on_fatal` is called at most once, from the writer's thread.
    pub fn open(
        folder: &Path,
        options: LogOptions,
        live: &BTreeSet<Uuid>,
        leader_epoch: i32,
        on_fatal: OnFatal,
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let retained = Arc::new(Retained::default());
        let database = Database::open(
            folder,
            Options {
                durability: options.durability,
                cache_bytes: CACHE_BYTES,
                cached_files: CACHED_FILES,
                filters: Some(retained.filters(RECORDS)),
            },
        )?;
        let rows = || {
            KeyspaceCreateOptions::default()
                .manual_journal_persist(true)
                .max_memtable_size(ROWS_MEMTABLE_BYTES)
        };
        // A file of values is rewritten once half of it is stale, however old it is; one that is
        // all stale is removed.
        let separation = KvSeparationOptions::default().staleness_threshold(0.5).age_cutoff(1.0);
        // Batches are only ever looked for by range, which the filters do not serve.
        let records = rows()
            .max_memtable_size(RECORDS_MEMTABLE_BYTES)
            .filter_policy(FilterPolicy::disabled())
            .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(RECORDS_TABLES)))
            .with_kv_separation(Some(separation));
        let store = Store {
            records: database.keyspace(RECORDS, records)?,
            partitions: database.keyspace("partitions", rows())?,
            producers: database.keyspace("producers", rows())?,
            retained,
            written: Arc::default(),
        };
        let recovered = store.recover(&database, live, leader_epoch)?;
        let failed = |error: std::io::Error| database.failed(error.into());
        let readers = Readers::start(options.readers).map_err(failed)?;
        let writer = Writer::start(database.clone(), on_fatal).map_err(failed)?;
        Ok((Self { store, readers, writer }, recovered))
    }

    /// Gives back the space of what was truncated and deleted, as compaction does by and by when
    /// more is appended. It can take long, and is for a thread that may wait.
    pub fn compact(&self) -> fjall::Result<()> {
        // An empty memtable is not written, and then those under way are not waited for.
        self.store.records.remove(NO_KEY)?;
        self.store.records.rotate_memtable_and_wait()?;
        // The first one finds out what is stale, the second rewrites files that partly are, and
        // each removes those that were found to be before it.
        for _ in 0..3 {
            self.store.records.major_compact()?;
        }
        Ok(())
    }

    /// Bytes of records on disk, without what is in the database's journal only.
    pub fn records_bytes(&self) -> u64 {
        self.store.records.disk_space()
    }
}

impl LogStore for FjallLog {
    fn handle(&self, wake: Wake) -> Box<dyn Log> {
        Box::new(Handle {
            store: self.store.clone(),
            queue: self.writer.queue(),
            jobs: self.readers.jobs(),
            mailbox: Mailbox::new(wake),
        })
    }
}

/// A key that no batch has: its tombstone changes nothing.
const NO_KEY: [u8; 1] = [0];

struct Handle {
    store: Store,
    queue: Queue,
    jobs: Jobs,
    mailbox: Arc<Mailbox<Completion>>,
}

impl Log for Handle {
    fn submit(&mut self, token: u64, operation: Operation) {
        let store = self.store.clone();
        let mailbox = Arc::clone(&self.mailbox);
        match operation {
            Operation::Read(read) => {
                let reply = Reply { token, mailbox, outcome: None };
                self.jobs.submit(Box::new(move || reply.send(search::read(&store, read))));
            }
            Operation::Find(find) => {
                let reply = Reply { token, mailbox, outcome: None };
                self.jobs.submit(Box::new(move || reply.send(search::find(&store, find))));
            }
            Operation::Index(index) => {
                let reply = Reply { token, mailbox, outcome: None };
                self.jobs.submit(Box::new(move || reply.send(compact::index(&store, index))));
            }
            Operation::Thin(thin) => {
                let reply = Reply { token, mailbox, outcome: None };
                self.jobs.submit(Box::new(move || reply.send(compact::thin(&store, &thin))));
            }
            Operation::Measure(measure) => {
                let reply = Reply { token, mailbox, outcome: None };
                self.jobs.submit(Box::new(move || reply.send(search::measure(&store, measure))));
            }
            operation => {
                self.queue.submit(Box::new(Write::new(store, token, operation, mailbox)));
            }
        }
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        self.mailbox.take(out);
    }
}

impl Source for Store {
    fn batches<'a>(
        &'a self,
        partition: PartitionKey,
        offset: i64,
        wanted: &'a dyn Fn(&Entry) -> bool,
    ) -> Result<Batches<'a>, Cause> {
        let from = self.entry_before(partition, offset).map_err(|error| error.to_string())?;
        let from = from.filter(|entry| entry.last() >= offset).map_or(offset, |entry| entry.base);
        let range = first_key(partition, from)..=last_key(partition, i64::MAX);
        let parsed = |key: &[u8]| Entry::parse(key).map(|(_, entry)| entry);
        Ok(Box::new(self.records.range(range).map(move |batch| {
            let batch = batch.into_inner_if(|key| parsed(key).is_some_and(|entry| wanted(&entry)));
            let (key, bytes) = batch.map_err(|error| error.to_string())?;
            let entry =
                parsed(&key).ok_or_else(|| format!("a record key of {} bytes", key.len()))?;
            Ok((entry, bytes.unwrap_or_default().into()))
        })))
    }
}

impl Store {
    /// The last batch whose base is `offset` or less.
    fn entry_before(&self, partition: PartitionKey, offset: i64) -> fjall::Result<Option<Entry>> {
        let range = first_key(partition, 0)..=last_key(partition, offset);
        let Some(batch) = self.records.range(range).next_back() else { return Ok(None) };
        Ok(Entry::parse(&batch.key()?).map(|(_, entry)| entry))
    }
}

/// The answer that a reader owes. Dropped without one, it says that the read failed.
struct Reply {
    token: u64,
    mailbox: Arc<Mailbox<Completion>>,
    outcome: Option<Outcome>,
}

impl Reply {
    fn send(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let failed = || Outcome::Failed { cause: "the reader was stopped".to_owned() };
        let outcome = self.outcome.take().unwrap_or_else(failed);
        self.mailbox.push(Completion { token: self.token, outcome });
    }
}
