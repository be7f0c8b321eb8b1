//! How records are packed into the items that a journal keeps: the batches of an append into one,
//! and the live rows of a shard into chunks.
//!
//! A row is its key's length, the key, the value's length and one (0 is a tombstone), the value;
//! key and value are the bytes of [`quorate_core::record::encode`], lengths are varints. A chunk is
//! rows with their offsets in front.
//!
//! An append is a header and its rows, at consecutive offsets. There a row does not repeat what it
//! has in common with the one before it, the front of the key and the end of the value, and has the
//! number of those bytes instead: of a commit of many partitions, a third or less is left.

#[cfg(test)]
mod tests;

use std::mem;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use quorate_core::record::decode::{DecodeError, Decoded, decode};
use quorate_core::record::encode::encode_into;
use quorate_core::record::{OffsetAndMetadata, RecordKey, RecordValue};
use quorate_core::{
    Batch, BatchId, Epoch, GroupId, Offset, Record, RejectCause, ShardId, TopicName,
};

use super::{Append, MAX_BATCH_BYTES, Outcome};
use crate::varint;

/// First byte of an append's item; another one is from a later version.
const VERSION: u8 = 2;
/// First byte of an item whose rows have nothing in common.
const UNSHARED: u8 = 1;

/// Bytes of the header: version, epoch, number of records, and bytes of the log through this item.
const HEADER: usize = 1 + 8 + 4 + 8;

/// A record's bytes at its place in the log; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub at: Offset,
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Names that the rows of a run have in common: each is copied once for all of them.
#[derive(Debug, Default)]
pub(super) struct Names {
    group: GroupId,
    topic: TopicName,
}

impl Row {
    /// The record, which shares nothing with the item it was in; none if its type is not known.
    pub fn record(&self, names: &mut Names) -> Result<Option<Record>, DecodeError> {
        let Decoded::Record(record) = decode(&self.key, self.value.as_ref())? else {
            return Ok(None);
        };
        let RecordKey::Offset { group, topic, partition } = record.key else {
            return self.copied();
        };
        if names.group != group {
            names.group = group.detached();
        }
        if names.topic != topic {
            names.topic = topic.detached();
        }
        let (group, topic) = (names.group.clone(), names.topic.clone());
        let mut value = record.value;
        if let Some(RecordValue::Offset(row)) = &mut value {
            row.metadata = row.metadata.detached();
        }
        Ok(Some(Record { key: RecordKey::Offset { group, topic, partition }, value }))
    }

    /// The record, in a copy of the row.
    fn copied(&self) -> Result<Option<Record>, DecodeError> {
        let value = self.value.as_deref().unwrap_or_default();
        let mut both = BytesMut::with_capacity(self.key.len() + value.len());
        both.extend_from_slice(&self.key);
        both.extend_from_slice(value);
        let mut value = both.freeze();
        let key = value.split_to(self.key.len());
        match decode(&key, self.value.as_ref().map(|_| &value))? {
            Decoded::Record(record) => Ok(Some(record)),
            Decoded::Unknown { .. } => Ok(None),
        }
    }

    /// A copy that does not keep the item alive.
    pub fn detached(&self) -> Row {
        let value = self.value.as_ref().map(|value| Bytes::copy_from_slice(value));
        Row { at: self.at, key: Bytes::copy_from_slice(&self.key), value }
    }

    /// Adds the row to a chunk.
    pub fn pack(&self, chunk: &mut Vec<u8>) {
        varint::put(chunk, self.at.0);
        put_row(chunk, &self.key, self.value.as_deref());
    }

    /// Takes the first row from a chunk; none where it is damaged.
    pub fn unpack(chunk: &mut Bytes) -> Option<Row> {
        let at = Offset(varint::take(chunk)?);
        let (key, value) = row(chunk)?;
        Some(Row { at, key, value })
    }
}

/// The batches of one append, packed, and how far that went.
pub(super) struct Packed {
    pub shard: ShardId,
    pub epoch: Epoch,
    pub base: Offset,
    pub records: u32,
    first: BatchId,
    /// The last batch that is in it.
    through: Option<BatchId>,
    /// The first that is not.
    stopped: Option<(BatchId, RejectCause)>,
    item: Vec<u8>,
    /// Key and value of the last row.
    last: (BytesMut, BytesMut),
    /// Memory for those of the next one.
    next: (BytesMut, BytesMut),
}

impl Packed {
    /// Packs the batches up to one that cannot be stored; none if there are no batches.
    pub fn new(append: &Append) -> Option<Packed> {
        let first = append.batches.first()?;
        let mut packed = Packed {
            shard: append.shard,
            epoch: first.epoch,
            base: first.base,
            records: 0,
            first: first.id,
            through: None,
            stopped: None,
            item: vec![0; HEADER],
            last: Default::default(),
            next: Default::default(),
        };
        for batch in &append.batches {
            if let Err(cause) = packed.push(batch) {
                packed.stopped = Some((batch.id, cause));
                break;
            }
        }
        Some(packed)
    }

    /// Where the log goes on behind it.
    pub fn end(&self) -> Offset {
        Offset(self.base.0 + u64::from(self.records))
    }

    /// What becomes of it where nothing of it can be stored, for a shard of that epoch whose log
    /// goes on at `next`.
    pub fn refused(&self, epoch: Epoch, next: Offset) -> Option<Outcome> {
        if self.epoch != epoch || epoch == Epoch::default() {
            Some(Outcome::Fenced { by: epoch })
        } else if self.base != next {
            let cause = RejectCause::Earlier;
            Some(Outcome::Rejected { stored: None, from: self.first, cause })
        } else {
            None
        }
    }

    /// What has become of it once it is stored.
    pub fn outcome(&self) -> Outcome {
        match self.stopped {
            Some((from, cause)) => Outcome::Rejected { stored: self.through, from, cause },
            None => Outcome::Appended { through: self.through.unwrap_or(self.first) },
        }
    }

    /// Bytes of the item.
    pub fn bytes(&self) -> u64 {
        self.item.len() as u64
    }

    /// The item, where `log_bytes` is the size of the log with it.
    pub fn finish(mut self, log_bytes: u64) -> Bytes {
        self.item[0] = VERSION;
        self.item[1..9].copy_from_slice(&self.epoch.0.to_be_bytes());
        self.item[9..13].copy_from_slice(&self.records.to_be_bytes());
        self.item[13..HEADER].copy_from_slice(&log_bytes.to_be_bytes());
        // It is kept until it becomes a file: without the room that growing left.
        self.item.shrink_to_fit();
        self.item.into()
    }

    fn push(&mut self, batch: &Batch) -> Result<(), RejectCause> {
        if batch.epoch != self.epoch || batch.base != self.end() {
            return Err(RejectCause::Earlier);
        }
        let before = self.item.len();
        let (mut size, mut last) = (0, None);
        for record in &batch.records {
            let bytes = match last.and_then(|last| Step::between(last, record)) {
                Some(step) => Some(self.put_step(&step)),
                None => self.put(record),
            };
            let Some(bytes) = bytes.filter(|bytes| size + bytes <= MAX_BATCH_BYTES) else {
                self.item.truncate(before);
                return Err(RejectCause::TooLarge);
            };
            size += bytes;
            last = Some(record);
        }
        self.records += batch.records.len() as u32;
        self.through = Some(batch.id);
        Ok(())
    }

    /// Adds a row, and gives its bytes as if it shared nothing; none if it cannot be written.
    fn put(&mut self, record: &Record) -> Option<usize> {
        let (key, value) = &mut self.next;
        key.clear();
        value.clear();
        let is_written = encode_into(record, key, value).ok()?;
        let bytes = key.len() + value.len();
        let (last_key, last_value) = &mut self.last;
        put_shared(&mut self.item, key, last_key, is_written.then_some((&*value, &*last_value)));
        mem::swap(key, last_key);
        if is_written {
            mem::swap(value, last_value);
        }
        Some(bytes)
    }

    /// Adds the row that is this far from the last one: the same bytes as by [`put`](Self::put),
    /// without finding out again what they share.
    fn put_step(&mut self, step: &Step) -> usize {
        let (key, value) = &mut self.last;
        let place = key.len() - PARTITION_BYTES;
        key[place..].copy_from_slice(&step.to.0.to_be_bytes());
        value[OFFSET].copy_from_slice(&step.to.1.to_be_bytes());
        let common = place + ((step.from.0 ^ step.to.0).leading_zeros() / u8::BITS) as usize;
        put_front(&mut self.item, key, common);
        let common = match ((step.from.1 ^ step.to.1).trailing_zeros() / u8::BITS) as usize {
            n if n == OFFSET.len() => value.len(),
            n => value.len() - OFFSET.end + n,
        };
        put_end(&mut self.item, value, common);
        key.len() + value.len()
    }
}

/// Bytes of the partition, with which the key of an offset ends.
const PARTITION_BYTES: usize = 4;
/// Where the value of an offset has the offset, whatever its version.
const OFFSET: Range<usize> = 2..10;

/// From one row to another of the same topic that has another partition and another offset, and all
/// else in common, as most rows of a commit have.
struct Step {
    from: (i32, i64),
    to: (i32, i64),
}

impl Step {
    fn between(from: &Record, to: &Record) -> Option<Step> {
        let Record { key: RecordKey::Offset { group, topic, partition }, value } = from else {
            return None;
        };
        let RecordKey::Offset { group: to_group, topic: to_topic, partition: to_partition } =
            &to.key
        else {
            return None;
        };
        let (Some(RecordValue::Offset(row)), Some(RecordValue::Offset(to_row))) =
            (value, &to.value)
        else {
            return None;
        };
        let OffsetAndMetadata {
            offset,
            leader_epoch,
            metadata,
            committed_at,
            expires_at,
            topic_id,
        } = row;
        let same = (leader_epoch, committed_at, expires_at, topic_id)
            == (&to_row.leader_epoch, &to_row.committed_at, &to_row.expires_at, &to_row.topic_id)
            && (metadata, topic, group) == (&to_row.metadata, to_topic, to_group);
        same.then_some(Step { from: (*partition, *offset), to: (*to_partition, to_row.offset) })
    }
}

/// An append as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub epoch: Epoch,
    pub base: Offset,
    pub records: u32,
    /// Size of the log with this item.
    pub log_bytes: u64,
    shared: bool,
    rows: Bytes,
}

impl Item {
    /// Reads the header; none where it is damaged.
    pub fn new(base: Offset, mut item: Bytes) -> Option<Item> {
        if item.len() < HEADER {
            return None;
        }
        let shared = match item.get_u8() {
            UNSHARED => false,
            VERSION => true,
            _ => return None,
        };
        let (epoch, records) = (Epoch(item.get_u64()), item.get_u32());
        let log_bytes = item.get_u64();
        Some(Item { epoch, base, records, log_bytes, shared, rows: item })
    }

    /// Where the log goes on behind it.
    pub fn end(&self) -> Offset {
        Offset(self.base.0 + u64::from(self.records))
    }

    /// The rows in order; none if they are damaged.
    pub fn rows(&self) -> Option<Vec<Row>> {
        let places = self.base.0..self.end().0;
        let mut rest = self.rows.clone();
        if !self.shared {
            let row = |at| row(&mut rest).map(|(key, value)| Row { at: Offset(at), key, value });
            return places.map(row).collect();
        }
        let mut whole = Whole::default();
        let spans: Option<Vec<_>> = places.clone().map(|_| whole.add(&mut rest)).collect();
        let (spans, bytes) = (spans?, Bytes::from(whole.bytes));
        let row = |(at, (key, value)): (u64, (Span, Option<Span>))| Row {
            at: Offset(at),
            key: bytes.slice(key),
            value: value.map(|value| bytes.slice(value)),
        };
        Some(places.zip(spans).map(row).collect())
    }
}

type Span = Range<usize>;

/// Rows with what they have in common, one after another.
#[derive(Default)]
struct Whole {
    bytes: Vec<u8>,
    last_key: Span,
    last_value: Span,
}

impl Whole {
    /// Takes the first row from an item, and tells where its key and value are; none where it is
    /// damaged.
    fn add(&mut self, rest: &mut Bytes) -> Option<(Span, Option<Span>)> {
        let start = self.bytes.len();
        let common =
            usize::try_from(varint::take(rest)?).ok().filter(|n| *n <= self.last_key.len())?;
        self.bytes.extend_from_within(self.last_key.start..self.last_key.start + common);
        let own = varint::take(rest)?;
        self.bytes.extend_from_slice(&part(rest, own)?);
        self.last_key = start..self.bytes.len();
        if rest.first() == Some(&0) {
            rest.advance(1);
            return Some((self.last_key.clone(), None));
        }
        let start = self.bytes.len();
        let own = varint::take(rest)?.checked_sub(1)?;
        let common =
            usize::try_from(varint::take(rest)?).ok().filter(|n| *n <= self.last_value.len())?;
        self.bytes.extend_from_slice(&part(rest, own)?);
        self.bytes.extend_from_within(self.last_value.end - common..self.last_value.end);
        self.last_value = start..self.bytes.len();
        Some((self.last_key.clone(), Some(self.last_value.clone())))
    }
}

/// Adds a row without what it has in common with the last key and the last value.
fn put_shared(out: &mut Vec<u8>, key: &[u8], last_key: &[u8], value: Option<(&[u8], &[u8])>) {
    put_front(out, key, self::common(key.iter(), last_key.iter()));
    match value {
        None => varint::put(out, 0),
        Some((value, last)) => {
            put_end(out, value, self::common(value.iter().rev(), last.iter().rev()));
        }
    }
}

/// Adds a key but for its front, of so many bytes.
fn put_front(out: &mut Vec<u8>, key: &[u8], common: usize) {
    varint::put(out, common as u64);
    varint::put(out, (key.len() - common) as u64);
    out.extend_from_slice(&key[common..]);
}

/// Adds a value but for its end, of so many bytes.
fn put_end(out: &mut Vec<u8>, value: &[u8], common: usize) {
    let own = &value[..value.len() - common];
    varint::put(out, own.len() as u64 + 1);
    varint::put(out, common as u64);
    out.extend_from_slice(own);
}

/// How many bytes are the same, from where both begin.
fn common<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

fn put_row(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    varint::put(out, key.len() as u64);
    out.extend_from_slice(key);
    varint::put(out, value.map_or(0, |value| value.len() as u64 + 1));
    out.extend_from_slice(value.unwrap_or_default());
}

fn row(rest: &mut Bytes) -> Option<(Bytes, Option<Bytes>)> {
    let length = varint::take(rest)?;
    let key = part(rest, length)?;
    match varint::take(rest)? {
        0 => Some((key, None)),
        length => Some((key, Some(part(rest, length - 1)?))),
    }
}

fn part(rest: &mut Bytes, length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}
