//! A partition as its home thread sees it: decides on appends and reads, and asks for nothing.
//!
//! Everything is decided at once, and then the caller submits what comes of it to its
//! [`Log`](super::Log):
//! 1. [`append`](Partition::append) gives a batch its offsets; the caller submits it, and answers
//!    once [`high_watermark`](Partition::high_watermark) is past the batch's last offset.
//! 2. [`appended`](Partition::appended) or [`rejected`](Partition::rejected) is told how it ended.
//! 3. [`read`](Partition::read) answers from memory, or says what to read from the store.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::entry::Entry;
use super::producers::{Producer, SequenceError, Written};
use super::tail::{Tail, TailBudget};
use super::{
    Batch, Epochs, Find, Measure, Operation, PartitionKey, Producers, Read, Recovered, Snapshot,
    Wanted,
};
use crate::guard::batch::set_max_timestamp;
use crate::guard::check::Checked;

/// Bytes of log after which the producers' state is stored again.
pub const SNAPSHOT_BYTES: usize = 16 << 20;

/// What an append comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The batch has its offsets, and is to be submitted.
    New(Batch),
    /// It is there already: answered with the offset and the time it has there, and not before
    /// the high watermark is past its [`last`](Written::last).
    Repeated(Written),
}

/// What a read comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The batches; none at the high watermark.
    Memory(Vec<Bytes>),
    /// This is to be submitted.
    Store(Read),
}

/// The offset is before the partition's start or after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("offset {offset} is not from {start} to {end}")]
pub struct OutOfRange {
    /// The offset asked for.
    pub offset: i64,
    /// The partition's start.
    pub start: i64,
    /// The greatest offset that may be asked for.
    pub end: i64,
}

/// One partition.
#[derive(Debug)]
pub struct Partition {
    key: PartitionKey,
    leader_epoch: i32,
    epochs: Epochs,
    start: i64,
    end: i64,
    high_watermark: i64,
    producers: Producers,
    in_flight: VecDeque<InFlight>,
    tail: Tail,
    since_snapshot: usize,
}

/// An append that is not durable yet.
#[derive(Debug)]
struct InFlight {
    token: u64,
    base: i64,
    last: i64,
    producer: Option<(i64, Option<Producer>)>,
}

impl Partition {
    /// A partition that has never been written to.
    pub fn new(key: PartitionKey, leader_epoch: i32, budget: TailBudget) -> Self {
        let mut epochs = Epochs::default();
        epochs.begin(leader_epoch, 0);
        let producers = Producers::default();
        let (start, end, since_snapshot) = (0, 0, 0);
        let recovered = Recovered { partition: key, start, end, epochs, producers, since_snapshot };
        Self::recover(recovered, leader_epoch, budget)
    }

    /// A partition that was found at a start. `leader_epoch` is that of this start.
    pub fn recover(recovered: Recovered, leader_epoch: i32, budget: TailBudget) -> Self {
        Self {
            key: recovered.partition,
            leader_epoch,
            epochs: recovered.epochs,
            start: recovered.start,
            end: recovered.end,
            high_watermark: recovered.end,
            producers: recovered.producers,
            in_flight: VecDeque::new(),
            tail: Tail::new(budget),
            since_snapshot: recovered.since_snapshot,
        }
    }

    /// Which partition it is.
    pub fn key(&self) -> PartitionKey {
        self.key
    }

    /// Epoch of its leader, since this start.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Its leader epochs.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The producers that it remembers.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Offset of its first record.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The offset up to which its records are durable, and can be read.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Decides on a batch that [`check`](crate::guard::check::check) has let through, at `now` in
    /// milliseconds since 1970, and gives it its offsets.
    ///
    /// Only base offset and leader epoch are set, which the checksum does not cover; and the
    /// greatest time, where the producer's is wrong or the topic wants that of the append. `token`
    /// is the one that the append is submitted with, and must not be in use.
    pub fn append(
        &mut self,
        token: u64,
        checked: &Checked<'_>,
        now: i64,
    ) -> Result<Appended, SequenceError> {
        let entry = self.entry_of(checked);
        let mut producer = None;
        if entry.producer_id >= 0 {
            if let Some(written) = self.producers.check(&entry)? {
                return Ok(Appended::Repeated(written));
            }
            producer = Some((entry.producer_id, self.producers.append(&entry, now)));
        }
        let mut bytes = BytesMut::from(checked.bytes);
        bytes[..8].copy_from_slice(&entry.base.to_be_bytes());
        bytes[12..16].copy_from_slice(&entry.leader_epoch.to_be_bytes());
        let is_append = checked.append_time.is_some();
        let claims_append = checked.header.has_append_time();
        if is_append || claims_append || checked.header.max_timestamp != checked.max_timestamp {
            set_max_timestamp(&mut bytes, checked.max_timestamp, is_append);
        }
        let (base, last) = (entry.base, entry.last());
        let batch = Batch { base, last, max_timestamp: entry.max_timestamp, bytes: bytes.freeze() };
        self.end = last + 1;
        self.since_snapshot += entry.size;
        self.in_flight.push_back(InFlight { token, base, last, producer });
        self.tail.push(batch.clone());
        Ok(Appended::New(batch))
    }

    fn entry_of(&self, checked: &Checked<'_>) -> Entry {
        let header = &checked.header;
        Entry {
            base: self.end,
            delta: header.last_offset_delta,
            max_timestamp: checked.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            size: checked.bytes.len(),
            leader_epoch: self.leader_epoch,
        }
    }

    /// An append is durable up to and with offset `last`: moves the high watermark, and says
    /// whether it moved, so that those who wait for it are told.
    pub fn appended(&mut self, last: i64) -> bool {
        while self.in_flight.front().is_some_and(|append| append.last <= last) {
            self.in_flight.pop_front();
        }
        let moved = last >= self.high_watermark;
        self.high_watermark = self.high_watermark.max(last + 1);
        moved
    }

    /// The append of this token was rejected, and so are all behind it: takes them back. Those who
    /// wait for an offset from the [`end`](Self::end) on are then refused.
    ///
    /// It may have been taken back already, with one in front of it: then this does nothing.
    pub fn rejected(&mut self, token: u64) {
        let Some(at) = self.in_flight.iter().position(|append| append.token == token) else {
            return;
        };
        for append in self.in_flight.drain(at..).rev() {
            self.end = append.base;
            if let Some((id, before)) = append.producer {
                self.producers.undo(id, before);
            }
        }
        self.tail.truncate_from(self.end);
    }

    /// Reads from `offset`, at most `max_bytes`; the first batch comes whole also if it is larger
    /// and `min_one` is set.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<ReadFrom, OutOfRange> {
        let (start, end) = (self.start, self.high_watermark);
        if offset < start || offset > self.end {
            return Err(OutOfRange { offset, start, end: self.end });
        }
        if offset >= end {
            return Ok(ReadFrom::Memory(Vec::new()));
        }
        if let Some(batches) = self.tail.read(offset, end, max_bytes, min_one) {
            return Ok(ReadFrom::Memory(batches));
        }
        Ok(ReadFrom::Store(Read { partition: self.key, offset, end, max_bytes, min_one }))
    }

    /// The search that is to be submitted for a record by time, or for where retention cuts; the
    /// latter's answer goes to [`truncate_before`](Self::truncate_before).
    pub fn find(&self, what: Wanted) -> Operation {
        let (start, end) = (self.start, self.high_watermark);
        Operation::Find(Find { partition: self.key, start, end, what })
    }

    /// What is to be submitted for the bytes of its records, of those from an offset on if one is
    /// given.
    pub fn measure(&self, from: Option<i64>) -> Operation {
        let (start, end) = (from.unwrap_or(self.start).max(self.start), self.high_watermark);
        Operation::Measure(Measure { partition: self.key, start, end })
    }

    /// Moves the start to `offset`, or to the high watermark if that is -1 (DeleteRecords), and
    /// gives what is to be submitted; nothing if the start is there already.
    pub fn truncate_before(&mut self, offset: i64) -> Result<Option<Operation>, OutOfRange> {
        let (start, end) = (self.start, self.high_watermark);
        let to = if offset == -1 { end } else { offset };
        if !(0..=end).contains(&to) {
            return Err(OutOfRange { offset, start, end });
        }
        if to <= start {
            return Ok(None);
        }
        self.start = to;
        self.tail.truncate_before(to);
        Ok(Some(Operation::TruncateBefore { partition: self.key, start: to }))
    }

    /// The snapshot that is to be submitted if enough was appended since the last one, or if
    /// anything was and the broker stops (`at_stop`).
    pub fn snapshot(&mut self, at_stop: bool) -> Option<Operation> {
        let least = if at_stop { 1 } else { SNAPSHOT_BYTES };
        if self.since_snapshot < least {
            return None;
        }
        self.since_snapshot = 0;
        let snapshot = Snapshot { end: self.end, producers: self.producers.clone() };
        Some(Operation::Snapshot { partition: self.key, snapshot })
    }

    /// It was compacted up to an offset: what is in memory of that is not as it is stored any more.
    pub fn compacted(&mut self, to: i64) {
        self.tail.truncate_before(to);
    }

    /// Forgets producers that have not written since `before`, milliseconds since 1970.
    pub fn expire_producers(&mut self, before: i64) {
        self.producers.expire(before);
    }
}
