//! How records are packed into the items that a journal keeps: the batches of an append into one,
//! and the live rows of a shard into chunks.
//!
//! A row is its key's length, the key, the value's length and one (0 is a tombstone), the value;
//! key and value are the bytes of [`quorate_core::record::encode`], lengths are varints. An append
//! is a header and its rows, at consecutive offsets. A chunk is rows with their offsets in front.

use bytes::{Buf, Bytes, BytesMut};
use quorate_core::record::decode::{DecodeError, Decoded, decode};
use quorate_core::record::encode::encode_into;
use quorate_core::{Batch, BatchId, Epoch, Offset, Record, RejectCause, ShardId};

use super::{Append, MAX_BATCH_BYTES, Outcome};

/// First byte of an append's item; another one is from a later version.
const VERSION: u8 = 1;

/// Bytes of the header: version, epoch, number of records, and bytes of the log through this item.
const HEADER: usize = 1 + 8 + 4 + 8;

/// A record's bytes at its place in the log; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub at: Offset,
    pub key: Bytes,
    pub value: Option<Bytes>,
}

impl Row {
    /// The record, which shares nothing with the item it was in; none if its type is not known.
    pub fn record(&self) -> Result<Option<Record>, DecodeError> {
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
        put_varint(chunk, self.at.0);
        put_row(chunk, &self.key, self.value.as_deref());
    }

    /// Takes the first row from a chunk; none where it is damaged.
    pub fn unpack(chunk: &mut Bytes) -> Option<Row> {
        let at = Offset(varint(chunk)?);
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
        let (mut key, mut value) = (BytesMut::new(), BytesMut::new());
        for record in &batch.records {
            key.clear();
            value.clear();
            let size = encode_into(record, &mut key, &mut value).map(|is_written| {
                put_row(&mut self.item, &key, is_written.then_some(&value[..]));
                self.item.len() - before
            });
            match size {
                Ok(size) if size <= MAX_BATCH_BYTES => {}
                _ => {
                    self.item.truncate(before);
                    return Err(RejectCause::TooLarge);
                }
            }
        }
        self.records += batch.records.len() as u32;
        self.through = Some(batch.id);
        Ok(())
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
    rows: Bytes,
}

impl Item {
    /// Reads the header; none where it is damaged.
    pub fn new(base: Offset, mut item: Bytes) -> Option<Item> {
        if item.len() < HEADER || item.get_u8() != VERSION {
            return None;
        }
        let (epoch, records) = (Epoch(item.get_u64()), item.get_u32());
        let log_bytes = item.get_u64();
        Some(Item { epoch, base, records, log_bytes, rows: item })
    }

    /// Where the log goes on behind it.
    pub fn end(&self) -> Offset {
        Offset(self.base.0 + u64::from(self.records))
    }

    /// The rows in order; `None` stands for what is damaged.
    pub fn rows(&self) -> impl Iterator<Item = Option<Row>> {
        let mut rest = self.rows.clone();
        (self.base.0..self.end().0).map(move |at| {
            let (key, value) = row(&mut rest)?;
            Some(Row { at: Offset(at), key, value })
        })
    }
}

fn put_row(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    put_varint(out, key.len() as u64);
    out.extend_from_slice(key);
    put_varint(out, value.map_or(0, |value| value.len() as u64 + 1));
    out.extend_from_slice(value.unwrap_or_default());
}

fn row(rest: &mut Bytes) -> Option<(Bytes, Option<Bytes>)> {
    let length = varint(rest)?;
    let key = part(rest, length)?;
    match varint(rest)? {
        0 => Some((key, None)),
        length => Some((key, Some(part(rest, length - 1)?))),
    }
}

fn part(rest: &mut Bytes, length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(rest: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
