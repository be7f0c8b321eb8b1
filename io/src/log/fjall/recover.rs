//! What a log finds at its start.

use std::collections::BTreeSet;

use fjall::OwnedWriteBatch;
use uuid::Uuid;

use super::{Partition, Store};
use crate::disk::codec::Decoder;
use crate::disk::{Database, OpenError, locked};
use crate::log::entry::{Entry, first_key, last_key, parse_partition_key, partition_key};
use crate::log::{Epochs, PartitionKey, Producers, Recovered, Snapshot};

impl Store {
    /// Gives every partition of a live topic, and forgets the others.
    pub(super) fn recover(
        &self,
        database: &Database,
        live: &BTreeSet<Uuid>,
        leader_epoch: i32,
    ) -> Result<Vec<Recovered>, OpenError> {
        let mut changes = database.batch();
        let mut recovered = Vec::new();
        for row in self.partitions.iter() {
            let (key, value) = row.into_inner().map_err(|error| database.failed(error))?;
            let partition = parse_partition_key(&key);
            let (partition, row) = partition
                .zip(decode(&value))
                .ok_or_else(|| database.damaged(format!("partition row {key:02x?}")))?;
            if live.contains(&partition.topic_id) {
                let found = self.recover_one(partition, row, leader_epoch, &mut changes);
                recovered.push(found.map_err(|error| database.failed(error))?);
            } else {
                changes.remove(&self.partitions, key.clone());
                changes.remove(&self.producers, key);
            }
        }
        database.commit(changes)?;
        let starts = recovered.iter().map(|found| (found.partition, found.start)).collect();
        self.retained.begin(starts);
        locked(&self.written).partitions = recovered
            .iter()
            .map(|found| {
                let (start, end, epochs) = (found.start, found.end, found.epochs.clone());
                (found.partition, Partition { start, end, epochs })
            })
            .collect();
        Ok(recovered)
    }

    fn recover_one(
        &self,
        partition: PartitionKey,
        (start, mut epochs): (i64, Epochs),
        leader_epoch: i32,
        changes: &mut OwnedWriteBatch,
    ) -> fjall::Result<Recovered> {
        let last = self.entry_before(partition, i64::MAX)?;
        let end = last.map_or(start, |last| start.max(last.last() + 1));
        if epochs.begin(leader_epoch, end) {
            self.put_partition(
                changes,
                partition,
                &Partition { start, end, epochs: epochs.clone() },
            );
        }
        let key = partition_key(partition);
        let snapshot = self.producers.get(key)?.and_then(|row| Snapshot::decode(&row));
        // A snapshot of what is not there was of records that a power failure took.
        let (mut producers, from) = match snapshot.filter(|snapshot| snapshot.end <= end) {
            Some(snapshot) => (snapshot.producers, snapshot.end),
            None => (Producers::default(), 0),
        };
        let mut since_snapshot = 0;
        let after = first_key(partition, from.max(start))..=last_key(partition, i64::MAX);
        for batch in self.records.range(after) {
            if let Some((_, entry)) = Entry::parse(&batch.key()?) {
                producers.recover(&entry);
                since_snapshot += entry.size;
            }
        }
        Ok(Recovered { partition, start, end, epochs, producers, since_snapshot })
    }
}

fn decode(row: &[u8]) -> Option<(i64, Epochs)> {
    let mut row = Decoder::new(row);
    let (start, epochs) = (row.i64()?, Epochs::decode(&mut row)?);
    row.end()?;
    Some((start, epochs))
}
