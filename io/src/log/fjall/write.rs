//! What the writer does for each operation of the log.

use std::sync::Arc;

use fjall::OwnedWriteBatch;
use uuid::Uuid;

use super::{Partition, Store, Written};
use crate::disk::codec::Encoder;
use crate::disk::{self, Mailbox, locked};
use crate::log::entry::{Entry, partition_key};
use crate::log::{
    Batch, Change, Completion, Epochs, Operation, Outcome, PartitionKey, Rejection, Snapshot,
};

/// Bytes counted for each operation besides its content.
const OVERHEAD: usize = 128;
/// About how many bytes a producer takes in a snapshot.
const PRODUCER_BYTES: usize = 150;

/// An operation on its way through the writer.
pub struct Write {
    store: Store,
    token: u64,
    operation: Operation,
    mailbox: Arc<Mailbox<Completion>>,
    /// Set by `write`.
    result: Result<Outcome, Rejection>,
}

impl Write {
    /// An operation that is to be written.
    pub fn new(
        store: Store,
        token: u64,
        operation: Operation,
        mailbox: Arc<Mailbox<Completion>>,
    ) -> Self {
        Self { store, token, operation, mailbox, result: Ok(Outcome::Done) }
    }
}

impl disk::Operation for Write {
    fn bytes(&self) -> usize {
        OVERHEAD
            + match &self.operation {
                Operation::Append { batch, .. } => batch.bytes.len(),
                Operation::Snapshot { snapshot, .. } => snapshot.producers.len() * PRODUCER_BYTES,
                Operation::Rewrite { changes, .. } => {
                    let new = changes.iter().filter_map(|change| change.new.as_ref());
                    changes.len() * OVERHEAD + new.map(|batch| batch.bytes.len()).sum::<usize>()
                }
                _ => 0,
            }
    }

    fn write(&mut self, changes: &mut OwnedWriteBatch) -> fjall::Result<()> {
        let store = &self.store;
        let mut written = locked(&store.written);
        self.result = match &self.operation {
            Operation::Append { partition, batch } => {
                store.append(&mut written, changes, *partition, batch)
            }
            Operation::Snapshot { partition, snapshot } => {
                store.snapshot(&mut written, changes, *partition, snapshot)
            }
            Operation::TruncateBefore { partition, start } => {
                store.truncate(&mut written, changes, *partition, *start)
            }
            Operation::Rewrite { partition, changes: batches } => {
                store.rewrite(&mut written, changes, *partition, batches)
            }
            Operation::Delete { topic_id } => {
                store.delete(&mut written, changes, *topic_id);
                Ok(Outcome::Done)
            }
            // These are done by readers.
            Operation::Read(_)
            | Operation::Find(_)
            | Operation::Measure(_)
            | Operation::Index(_)
            | Operation::Thin(_) => Ok(Outcome::Done),
        };
        Ok(())
    }

    fn written(self: Box<Self>) {
        if self.result.is_ok() {
            match self.operation {
                Operation::TruncateBefore { partition, start } => {
                    self.store.retained.set(partition, start);
                }
                Operation::Delete { topic_id } => self.store.retained.remove(topic_id),
                _ => {}
            }
        }
        let outcome = self.result.unwrap_or_else(Outcome::Rejected);
        self.mailbox.push(Completion { token: self.token, outcome });
    }
}

impl Store {
    fn append(
        &self,
        written: &mut Written,
        changes: &mut OwnedWriteBatch,
        partition: PartitionKey,
        batch: &Batch,
    ) -> Result<Outcome, Rejection> {
        let Some(entry) = Entry::of(batch) else {
            return Ok(Outcome::Failed { cause: "a batch without a header".to_owned() });
        };
        if written.deleted.contains(&partition.topic_id) {
            return Err(Rejection::Deleted { partition });
        }
        let end = written.partitions.get(&partition).map_or(0, |stored| stored.end);
        if entry.base != end {
            return Err(Rejection::NotAtEnd { partition, offset: entry.base, end });
        }
        let stored = written.partitions.entry(partition).or_insert_with(|| {
            let mut epochs = Epochs::default();
            epochs.begin(entry.leader_epoch, 0);
            let stored = Partition { start: 0, end: 0, epochs };
            self.put_partition(changes, partition, &stored);
            self.retained.set(partition, 0);
            stored
        });
        stored.end = entry.last() + 1;
        changes.insert(&self.records, entry.key(partition), batch.bytes.clone());
        Ok(Outcome::Appended { partition, last: entry.last() })
    }

    fn snapshot(
        &self,
        written: &mut Written,
        changes: &mut OwnedWriteBatch,
        partition: PartitionKey,
        snapshot: &Snapshot,
    ) -> Result<Outcome, Rejection> {
        let stored = written.get(partition)?;
        if snapshot.end != stored.end {
            let (offset, end) = (snapshot.end, stored.end);
            return Err(Rejection::NotAtEnd { partition, offset, end });
        }
        changes.insert(&self.producers, partition_key(partition), snapshot.encode());
        Ok(Outcome::Done)
    }

    fn truncate(
        &self,
        written: &mut Written,
        changes: &mut OwnedWriteBatch,
        partition: PartitionKey,
        start: i64,
    ) -> Result<Outcome, Rejection> {
        let stored = written.get(partition)?;
        if start > stored.end {
            return Err(Rejection::NotAtEnd { partition, offset: start, end: stored.end });
        }
        stored.start = stored.start.max(start);
        self.put_partition(changes, partition, stored);
        Ok(Outcome::Done)
    }

    fn rewrite(
        &self,
        written: &mut Written,
        changes: &mut OwnedWriteBatch,
        partition: PartitionKey,
        batches: &[Change],
    ) -> Result<Outcome, Rejection> {
        let stored = written.get(partition)?;
        for Change { old, new } in batches.iter().filter(|change| change.old.last() >= stored.start)
        {
            let new = new.as_ref().and_then(|new| Some((Entry::of(new)?, new)));
            // A key may be the same if the batch is: then one write of it is all there may be.
            if new.is_none_or(|(entry, _)| entry != *old) {
                changes.remove(&self.records, old.key(partition));
            }
            if let Some((entry, batch)) = new {
                changes.insert(&self.records, entry.key(partition), batch.bytes.clone());
            }
        }
        Ok(Outcome::Done)
    }

    fn delete(&self, written: &mut Written, changes: &mut OwnedWriteBatch, topic_id: Uuid) {
        written.deleted.insert(topic_id);
        written.partitions.retain(|partition, _| {
            let goes = partition.topic_id == topic_id;
            if goes {
                changes.remove(&self.partitions, partition_key(*partition));
                changes.remove(&self.producers, partition_key(*partition));
            }
            !goes
        });
    }

    /// Adds the row of a partition.
    pub(super) fn put_partition(
        &self,
        changes: &mut OwnedWriteBatch,
        partition: PartitionKey,
        stored: &Partition,
    ) {
        let mut row = Encoder::default();
        row.i64(stored.start);
        stored.epochs.encode(&mut row);
        changes.insert(&self.partitions, partition_key(partition), row.finish());
    }
}

impl Written {
    fn get(&mut self, partition: PartitionKey) -> Result<&mut Partition, Rejection> {
        self.partitions.get_mut(&partition).ok_or(Rejection::Deleted { partition })
    }
}
