//! A log that lives as long as the process: for `--ephemeral`, tests and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use uuid::Uuid;

use super::entry::Entry;
use super::search::{self, Batches, Cause, Source};
use super::{
    Change, Completion, Epochs, Log, LogStore, Operation, Outcome, PartitionKey, Producers,
    Recovered, Rejection, Snapshot, compact,
};
use crate::disk::{Wake, locked};

/// The stored log. Clones are the same one; each [`open`](Self::open) is a start of a broker.
///
/// Operations complete in place, so that there is nothing to wake a thread for.
#[derive(Clone, Default)]
pub struct MemoryLog {
    stored: Arc<Mutex<Stored>>,
}

#[derive(Default)]
struct Stored {
    partitions: BTreeMap<PartitionKey, Partition>,
    deleted: BTreeSet<Uuid>,
}

struct Partition {
    start: i64,
    end: i64,
    epochs: Epochs,
    snapshot: Option<Snapshot>,
    batches: BTreeMap<i64, (Entry, Bytes)>,
}

impl MemoryLog {
    /// Opens it, as a broker does when it starts: forgets topics that are not `live`, begins
    /// `leader_epoch`, and gives what there is.
    pub fn open(&self, live: &BTreeSet<Uuid>, leader_epoch: i32) -> Vec<Recovered> {
        let mut stored = locked(&self.stored);
        stored.partitions.retain(|partition, _| live.contains(&partition.topic_id));
        let partitions = stored.partitions.iter_mut();
        partitions.map(|(key, partition)| partition.recover(*key, leader_epoch)).collect()
    }
}

impl LogStore for MemoryLog {
    fn handle(&self, _wake: Wake) -> Box<dyn Log> {
        Box::new(Handle { stored: Arc::clone(&self.stored), completed: Vec::new() })
    }
}

impl Partition {
    fn recover(&mut self, partition: PartitionKey, leader_epoch: i32) -> Recovered {
        self.epochs.begin(leader_epoch, self.end);
        let (mut producers, from) = match &self.snapshot {
            Some(snapshot) => (snapshot.producers.clone(), snapshot.end),
            None => (Producers::default(), 0),
        };
        let mut since_snapshot = 0;
        for (entry, _) in self.batches.range(from..).map(|(_, batch)| batch) {
            producers.recover(entry);
            since_snapshot += entry.size;
        }
        let (start, end, epochs) = (self.start, self.end, self.epochs.clone());
        Recovered { partition, start, end, epochs, producers, since_snapshot }
    }
}

struct Handle {
    stored: Arc<Mutex<Stored>>,
    completed: Vec<Completion>,
}

impl Log for Handle {
    fn submit(&mut self, token: u64, operation: Operation) {
        let outcome = locked(&self.stored).run(operation);
        self.completed.push(Completion { token, outcome });
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut self.completed);
    }
}

impl Stored {
    fn run(&mut self, operation: Operation) -> Outcome {
        let done = match operation {
            Operation::Append { partition, batch } => {
                let Some(entry) = Entry::of(&batch) else {
                    return Outcome::Failed { cause: "a batch without a header".to_owned() };
                };
                self.append(partition, entry, batch.bytes)
            }
            Operation::Snapshot { partition, snapshot } => self.snapshot(partition, snapshot),
            Operation::TruncateBefore { partition, start } => self.truncate(partition, start),
            Operation::Delete { topic_id } => {
                self.partitions.retain(|partition, _| partition.topic_id != topic_id);
                self.deleted.insert(topic_id);
                Ok(Outcome::Done)
            }
            Operation::Read(read) => Ok(search::read(self, read)),
            Operation::Find(find) => Ok(search::find(self, find)),
            Operation::Measure(measure) => Ok(search::measure(self, measure)),
            Operation::Index(index) => Ok(compact::index(self, index)),
            Operation::Thin(thin) => Ok(compact::thin(self, &thin)),
            Operation::Rewrite { partition, changes } => self.rewrite(partition, changes),
        };
        done.unwrap_or_else(Outcome::Rejected)
    }

    fn append(
        &mut self,
        partition: PartitionKey,
        entry: Entry,
        bytes: Bytes,
    ) -> Result<Outcome, Rejection> {
        if self.deleted.contains(&partition.topic_id) {
            return Err(Rejection::Deleted { partition });
        }
        let end = self.partitions.get(&partition).map_or(0, |stored| stored.end);
        if entry.base != end {
            return Err(Rejection::NotAtEnd { partition, offset: entry.base, end });
        }
        let stored = self.partitions.entry(partition).or_insert_with(|| {
            let mut epochs = Epochs::default();
            epochs.begin(entry.leader_epoch, 0);
            Partition { start: 0, end: 0, epochs, snapshot: None, batches: BTreeMap::new() }
        });
        stored.end = entry.last() + 1;
        stored.batches.insert(entry.base, (entry, bytes));
        Ok(Outcome::Appended { partition, last: entry.last() })
    }

    fn snapshot(
        &mut self,
        partition: PartitionKey,
        snapshot: Snapshot,
    ) -> Result<Outcome, Rejection> {
        let stored = self.partition(partition)?;
        if snapshot.end != stored.end {
            let (offset, end) = (snapshot.end, stored.end);
            return Err(Rejection::NotAtEnd { partition, offset, end });
        }
        stored.snapshot = Some(snapshot);
        Ok(Outcome::Done)
    }

    fn rewrite(
        &mut self,
        partition: PartitionKey,
        changes: Vec<Change>,
    ) -> Result<Outcome, Rejection> {
        let stored = self.partition(partition)?;
        for Change { old, new } in changes {
            if old.last() < stored.start {
                continue;
            }
            stored.batches.remove(&old.base);
            if let Some((entry, batch)) = new.and_then(|new| Some((Entry::of(&new)?, new))) {
                stored.batches.insert(entry.base, (entry, batch.bytes));
            }
        }
        Ok(Outcome::Done)
    }

    fn truncate(&mut self, partition: PartitionKey, start: i64) -> Result<Outcome, Rejection> {
        let stored = self.partition(partition)?;
        if start > stored.end {
            return Err(Rejection::NotAtEnd { partition, offset: start, end: stored.end });
        }
        stored.start = stored.start.max(start);
        stored.batches.retain(|_, (entry, _)| entry.last() >= stored.start);
        Ok(Outcome::Done)
    }

    fn partition(&mut self, partition: PartitionKey) -> Result<&mut Partition, Rejection> {
        self.partitions.get_mut(&partition).ok_or(Rejection::Deleted { partition })
    }
}

impl Source for Stored {
    fn batches<'a>(
        &'a self,
        partition: PartitionKey,
        offset: i64,
        _wanted: &'a dyn Fn(&Entry) -> bool,
    ) -> Result<Batches<'a>, Cause> {
        let Some(stored) = self.partitions.get(&partition) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let holds = stored.batches.range(..=offset).next_back();
        let from = holds.map_or(
            offset,
            |(base, (entry, _))| {
                if entry.last() >= offset { *base } else { offset }
            },
        );
        let batches = stored.batches.range(from..);
        Ok(Box::new(batches.map(|(_, (entry, bytes))| Ok((*entry, bytes.clone())))))
    }
}
