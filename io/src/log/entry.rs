//! What a log knows of a batch without reading it, and the key that this is kept in.
//!
//! A key is topic id, partition and base offset, which order it, and then last offset, greatest
//! time, producer and size, which are the entry's content. Values are in files of their own, so a
//! scan over keys answers for ends, times, producers and sizes at a fraction of the log's bytes.

use uuid::Uuid;

use super::{Batch, PartitionKey};
use crate::disk::codec::{Decoder, Encoder};
use crate::guard::batch::BatchHeader;

/// A batch in the log's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Offset of the first record.
    pub base: i64,
    /// Offset of the last record less that of the first.
    pub delta: i32,
    /// Greatest time of the records.
    pub max_timestamp: i64,
    /// Producer id, or -1.
    pub producer_id: i64,
    /// Epoch of the producer id.
    pub producer_epoch: i16,
    /// Sequence number of the first record.
    pub base_sequence: i32,
    /// Bytes of the batch.
    pub size: usize,
    /// Leader epoch it was appended in.
    pub leader_epoch: i32,
}

impl Entry {
    /// The entry of a batch that the partition's home has made; its header was checked there.
    pub fn of(batch: &Batch) -> Option<Self> {
        let header = BatchHeader::parse(&batch.bytes).ok()?;
        Some(Self {
            base: batch.base,
            delta: header.last_offset_delta,
            max_timestamp: batch.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            size: batch.bytes.len(),
            leader_epoch: header.partition_leader_epoch,
        })
    }

    /// Offset of the last record.
    pub fn last(&self) -> i64 {
        self.base + i64::from(self.delta)
    }

    /// The key of the batch.
    pub fn key(&self, partition: PartitionKey) -> Vec<u8> {
        let mut key = Encoder::default();
        key.raw(&partition_key(partition)).i64(self.base);
        key.i32(self.delta).i64(self.max_timestamp);
        key.i64(self.producer_id).i16(self.producer_epoch).i32(self.base_sequence);
        key.count(self.size).i32(self.leader_epoch).finish()
    }

    /// Takes a key apart.
    pub fn parse(key: &[u8]) -> Option<(PartitionKey, Self)> {
        let mut key = Decoder::new(key);
        let partition = PartitionKey { topic_id: key.uuid()?, index: key.i32()? };
        let entry = Self {
            base: key.i64()?,
            delta: key.i32()?,
            max_timestamp: key.i64()?,
            producer_id: key.i64()?,
            producer_epoch: key.i16()?,
            base_sequence: key.i32()?,
            size: usize::try_from(key.i32()?).ok()?,
            leader_epoch: key.i32()?,
        };
        key.end()?;
        Some((partition, entry))
    }
}

/// Bytes that the keys of a partition begin with, in the order of topics and partitions.
pub fn partition_key(partition: PartitionKey) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(partition.topic_id.as_bytes());
    key[16..].copy_from_slice(&partition.index.to_be_bytes());
    key
}

/// Takes the key of a row that belongs to a partition apart.
pub fn parse_partition_key(key: &[u8]) -> Option<PartitionKey> {
    let key: &[u8; 20] = key.try_into().ok()?;
    let (id, index) = key.split_first_chunk::<16>()?;
    let index = i32::from_be_bytes(index.try_into().ok()?);
    Some(PartitionKey { topic_id: Uuid::from_bytes(*id), index })
}

/// Where the batches begin whose base is `offset` or more.
pub fn first_key(partition: PartitionKey, offset: i64) -> Vec<u8> {
    let mut key = Encoder::default();
    key.raw(&partition_key(partition)).i64(offset.max(0)).finish()
}

/// After all batches whose base is `offset` or less.
pub fn last_key(partition: PartitionKey, offset: i64) -> Vec<u8> {
    let mut key = first_key(partition, offset);
    // Greater than any entry's content, which begins with an offset delta from 0.
    key.push(0xff);
    key
}
