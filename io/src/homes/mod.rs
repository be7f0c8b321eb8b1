//! The partitions of one thread: what is asked of them, what the log completes, and who waits.
//!
//! Decided here: how a partition and the log go together. Appends and reads are decided at once, on
//! the partition's home thread; what the log completes is taken in by the turn, which moves the
//! high watermark and tells those who wait for it: producers for their own append, a waiting Fetch
//! for any partition of its own, once for each home.
//!
//! A partition is here from the first time that something is asked of it: whether it exists is for
//! the catalog to say, and one that was never written to costs nothing.

#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use quorate_core::{Instant, Now, WallTime};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::guard::check::{BatchError, ProduceRules, check};
use crate::log::partition::{Appended, OutOfRange, ReadFrom};
use crate::log::producers::SequenceError;
use crate::log::{
    Completion, Log, Operation, Outcome, Partition, PartitionKey, Recovered, Rejection, TailBudget,
    Wanted,
};

use self::watch::Watchers;
pub use self::watch::{Seen, WatchId};

/// How long a producer may be silent until its sequence numbers are forgotten, Kafka's
/// `producer.id.expiration.ms`.
const PRODUCER_EXPIRATION: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the silent ones are looked for, Kafka's `producer.id.expiration.check.interval.ms`.
const EXPIRATION_CHECK: Duration = Duration::from_secs(10 * 60);

/// The partitions whose home is one thread. See the [module](self) for what it decides.
pub struct Homes {
    log: Box<dyn Log>,
    leader_epoch: i32,
    budget: TailBudget,
    homes: BTreeMap<PartitionKey, Home>,
    asked: BTreeMap<u64, Asked>,
    last_token: u64,
    completed: Vec<Completion>,
    storing_bytes: usize,
    watchers: Watchers,
    producer_ids: Range<i64>,
    expire_at: Option<Instant>,
    stopping: bool,
}

/// A partition, and who waits until its appends are stored, by the last offset.
struct Home {
    partition: Partition,
    storing: BTreeMap<i64, Vec<oneshot::Sender<Result<(), ResponseError>>>>,
}

/// What an operation was asked for.
enum Asked {
    Append { key: PartitionKey, bytes: usize },
    Answer(oneshot::Sender<Outcome>),
    Nothing,
}

/// Told when an append is stored, or what is answered as it is not. It is dropped if the partition
/// is deleted.
pub type Stored = oneshot::Receiver<Result<(), ResponseError>>;

/// An append that was taken.
#[derive(Debug)]
pub struct Appending {
    /// Offset of the first record.
    pub base: i64,
    /// The time that the records have got by the append, or that of the append which this one
    /// repeats, in milliseconds since 1970; -1 for a new one whose records have their own.
    pub append_time: i64,
    /// The partition's start.
    pub log_start: i64,
    /// Told when it is stored.
    pub stored: Stored,
}

/// An append that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The batch is not one that may be appended.
    #[error(transparent)]
    Batch {
        /// What is wrong with it.
        #[from]
        fault: BatchError,
    },
    /// Its sequence number or its producer's epoch is not the one that is next.
    #[error(transparent)]
    Sequence {
        /// What is wrong with it.
        #[from]
        fault: SequenceError,
    },
}

/// A read, and what the partition was like when it was decided.
#[derive(Debug)]
pub struct Reading {
    /// The high watermark.
    pub high_watermark: i64,
    /// Offset of the first record.
    pub log_start: i64,
    /// The batches, or where they will come from.
    pub batches: Batches,
}

/// The batches of a read.
#[derive(Debug)]
pub enum Batches {
    /// From memory.
    Here(Vec<Bytes>),
    /// From the store: [`Outcome::Read`], or that it failed.
    Coming(oneshot::Receiver<Outcome>),
}

impl Homes {
    /// The partitions that were found at a start, and all that are yet to come.
    #[must_use]
    pub fn new(
        log: Box<dyn Log>,
        leader_epoch: i32,
        budget: TailBudget,
        recovered: Vec<Recovered>,
    ) -> Homes {
        let home = |found: Recovered| {
            let key = found.partition;
            let partition = Partition::recover(found, leader_epoch, budget.clone());
            (key, Home { partition, storing: BTreeMap::new() })
        };
        Homes {
            homes: recovered.into_iter().map(home).collect(),
            log,
            leader_epoch,
            budget,
            asked: BTreeMap::new(),
            last_token: 0,
            completed: Vec::new(),
            storing_bytes: 0,
            watchers: Watchers::default(),
            producer_ids: 0..0,
            expire_at: None,
            stopping: false,
        }
    }

    /// A partition, which is there.
    pub fn partition(&mut self, key: PartitionKey) -> &Partition {
        &self.home(key).partition
    }

    /// The partitions that were ever asked for something, as those that were written to are.
    #[must_use]
    pub fn written(&self) -> Vec<PartitionKey> {
        self.homes.keys().copied().collect()
    }

    /// Checks a record set and appends it. The thread is to take a turn soon.
    pub fn append(
        &mut self,
        key: PartitionKey,
        records: &[u8],
        rules: &ProduceRules,
        now: WallTime,
    ) -> Result<Appending, AppendError> {
        let checked = check(records, rules)?;
        let token = self.next_token();
        let home = self.home(key);
        let appended = home.partition.append(token, &checked, now.0)?;
        let log_start = home.partition.start();
        let (tell, stored) = oneshot::channel();
        match appended {
            Appended::New(batch) => {
                home.storing.entry(batch.last).or_default().push(tell);
                let snapshot = home.partition.snapshot(false);
                let base = batch.base;
                let bytes = batch.bytes.len();
                self.storing_bytes += bytes;
                self.asked.insert(token, Asked::Append { key, bytes });
                self.log.submit(token, Operation::Append { partition: key, batch });
                if let Some(snapshot) = snapshot {
                    self.submit(snapshot, Asked::Nothing);
                }
                let append_time = checked.append_time.unwrap_or(-1);
                Ok(Appending { base, append_time, log_start, stored })
            }
            Appended::Repeated(written) => {
                if written.last() < home.partition.high_watermark() {
                    // Who asked has the other end in its hands.
                    let _ = tell.send(Ok(()));
                } else {
                    home.storing.entry(written.last()).or_default().push(tell);
                }
                let (base, append_time) = (written.base, written.max_timestamp);
                Ok(Appending { base, append_time, log_start, stored })
            }
        }
    }

    /// Bytes of appends that are not stored yet.
    #[must_use]
    pub fn storing_bytes(&self) -> usize {
        self.storing_bytes
    }

    /// Reads from `offset`, at most `max_bytes`; the first batch comes whole if `min_one` is set.
    pub fn read(
        &mut self,
        key: PartitionKey,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<Reading, OutOfRange> {
        let partition = self.partition(key);
        let (high_watermark, log_start) = (partition.high_watermark(), partition.start());
        let batches = match partition.read(offset, max_bytes, min_one)? {
            ReadFrom::Memory(batches) => Batches::Here(batches),
            ReadFrom::Store(read) => Batches::Coming(self.ask(Operation::Read(read))),
        };
        Ok(Reading { high_watermark, log_start, batches })
    }

    /// Looks for a record: [`Outcome::Found`], or that it failed.
    pub fn find(&mut self, key: PartitionKey, what: Wanted) -> oneshot::Receiver<Outcome> {
        let find = self.partition(key).find(what);
        self.ask(find)
    }

    /// Counts the bytes of a partition, from its start or from an offset: [`Outcome::Size`], or
    /// that it failed. None of one that was never written to.
    pub fn measure(
        &mut self,
        key: PartitionKey,
        from: Option<i64>,
    ) -> Option<oneshot::Receiver<Outcome>> {
        let measure = self.homes.get(&key)?.partition.measure(from);
        Some(self.ask(measure))
    }

    /// A partition was compacted up to an offset.
    pub fn compacted(&mut self, key: PartitionKey, to: i64) {
        if let Some(home) = self.homes.get_mut(&key) {
            home.partition.compacted(to);
        }
    }

    /// Moves the start of a partition to an offset, -1 for the high watermark, and tells when that
    /// is stored: [`Outcome::Done`]. There is nothing to store if it begins there or later.
    pub fn truncate_before(
        &mut self,
        key: PartitionKey,
        offset: i64,
    ) -> Result<Option<oneshot::Receiver<Outcome>>, OutOfRange> {
        let truncated = self.home(key).partition.truncate_before(offset)?;
        Ok(truncated.map(|operation| self.ask(operation)))
    }

    /// Tells a Fetch when the high watermark of one of its partitions moves on from where it has
    /// seen it, or a partition is gone; at once if that is so already.
    pub fn watch(&mut self, id: WatchId, seen: Vec<Seen>, wake: watch::Wake) {
        let moved = |seen: &Seen| {
            self.homes.get(&seen.partition).map_or(0, |home| home.partition.high_watermark())
                != seen.high_watermark
        };
        if seen.iter().any(moved) {
            wake.notify_one();
        } else {
            self.watchers.add(id, seen.iter().map(|seen| seen.partition).collect(), wake);
        }
    }

    /// The Fetch does not wait any more.
    pub fn unwatch(&mut self, id: WatchId) {
        self.watchers.remove(id);
    }

    /// Takes a producer id from those that this thread has.
    pub fn take_producer_id(&mut self) -> Option<i64> {
        self.producer_ids.next()
    }

    /// Gives this thread producer ids to take. What was left of others is not used.
    pub fn add_producer_ids(&mut self, ids: Range<i64>) {
        self.producer_ids = ids;
    }

    /// A topic is deleted: its partitions are gone, and who waits for them is told. One thread of
    /// all tells the log.
    pub fn delete(&mut self, topic_id: Uuid, tell_log: bool) {
        let of_topic =
            PartitionKey { topic_id, index: i32::MIN }..=PartitionKey { topic_id, index: i32::MAX };
        let gone: Vec<PartitionKey> = self.homes.range(of_topic).map(|(key, _)| *key).collect();
        for key in gone {
            self.homes.remove(&key);
            self.watchers.wake(key);
        }
        if tell_log {
            self.submit(Operation::Delete { topic_id }, Asked::Nothing);
        }
    }

    /// Takes in what the log completed, and does what is due.
    pub fn turn(&mut self, now: Now) {
        self.take_completed();
        let due = self.expire_at.get_or_insert(now.mono + EXPIRATION_CHECK);
        if *due <= now.mono {
            *due = now.mono + EXPIRATION_CHECK;
            let before = now.wall.0 - PRODUCER_EXPIRATION.as_millis() as i64;
            self.homes.values_mut().for_each(|home| home.partition.expire_producers(before));
        }
    }

    /// When the next turn is due by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.expire_at
    }

    /// The broker stops: every Fetch that waits is told to answer with what there is.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.watchers.wake_all();
    }

    /// Whether the broker stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// For a stop, once there are no connections: whether nothing is to be done any more. The first
    /// time it stores the producers' state, so that the next start need not find it out.
    pub fn is_quiet(&mut self) -> bool {
        let homes = self.homes.values_mut();
        let snapshots: Vec<_> = homes.filter_map(|home| home.partition.snapshot(true)).collect();
        snapshots.into_iter().for_each(|snapshot| self.submit(snapshot, Asked::Nothing));
        self.take_completed();
        self.asked.is_empty()
    }

    fn home(&mut self, key: PartitionKey) -> &mut Home {
        self.homes.entry(key).or_insert_with(|| {
            let partition = Partition::new(key, self.leader_epoch, self.budget.clone());
            Home { partition, storing: BTreeMap::new() }
        })
    }

    fn take_completed(&mut self) {
        self.log.poll(&mut self.completed);
        let mut completed = std::mem::take(&mut self.completed);
        for Completion { token, outcome } in completed.drain(..) {
            match self.asked.remove(&token) {
                Some(Asked::Append { key, bytes }) => {
                    self.storing_bytes -= bytes;
                    self.append_ended(key, token, outcome);
                }
                Some(Asked::Answer(tell)) => {
                    // Who asked may have stopped waiting.
                    let _ = tell.send(outcome);
                }
                Some(Asked::Nothing) | None => {}
            }
        }
        self.completed = completed;
    }

    fn append_ended(&mut self, key: PartitionKey, token: u64, outcome: Outcome) {
        // The home of a partition that is deleted is gone, and everybody was told.
        let Some(home) = self.homes.get_mut(&key) else { return };
        match outcome {
            Outcome::Appended { last, .. } => {
                if home.partition.appended(last) {
                    let waiting = home.storing.split_off(&home.partition.high_watermark());
                    let stored = std::mem::replace(&mut home.storing, waiting);
                    tell_all(stored, Ok(()));
                    self.watchers.wake(key);
                }
            }
            refused => {
                tracing::warn!("an append to {key:?} was not stored: {refused:?}");
                home.partition.rejected(token);
                let refused_from = home.storing.split_off(&home.partition.end());
                tell_all(refused_from, Err(refusal(&refused)));
            }
        }
    }

    /// Asks the log for an operation that changes nothing of what a partition knows of itself.
    pub(crate) fn ask(&mut self, operation: Operation) -> oneshot::Receiver<Outcome> {
        let (tell, answer) = oneshot::channel();
        self.submit(operation, Asked::Answer(tell));
        answer
    }

    fn submit(&mut self, operation: Operation, asked: Asked) {
        let token = self.next_token();
        self.asked.insert(token, asked);
        self.log.submit(token, operation);
    }

    fn next_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }
}

type Waiting = BTreeMap<i64, Vec<oneshot::Sender<Result<(), ResponseError>>>>;

fn tell_all(waiting: Waiting, result: Result<(), ResponseError>) {
    for tell in waiting.into_values().flatten() {
        // A producer may have stopped waiting.
        let _ = tell.send(result);
    }
}

/// What a producer is told of an append that was not stored: to look for the leader again.
fn refusal(outcome: &Outcome) -> ResponseError {
    match outcome {
        Outcome::Rejected(Rejection::Deleted { .. }) => ResponseError::UnknownTopicOrPartition,
        _ => ResponseError::NotLeaderOrFollower,
    }
}
