//! Compaction: of each key the last record stays, and of a deleted one nothing after a while.
//!
//! It goes in three steps, so that neither reading nor writing is done by a thread that has
//! anything else to do: [`index`] finds the last offset of each key, [`thin`] says what becomes of
//! batches, and the writer puts those in place of the old ones. Offsets and the last offset of each
//! batch stay as they are. Tombstones get a time until which they stay when they are first gone
//! through (KIP-534).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::entry::Entry;
use super::search::{Cause, Source};
use super::{Batch, Outcome, PartitionKey};
use crate::guard::batch::{
    BatchHeader, COMPRESSION, Compression, DELETE_HORIZON, HEADER_BYTES, seal,
};
use crate::guard::packing::pack;
use crate::guard::record::{Record, Records};

/// Counted for each key besides its bytes.
const KEY_OVERHEAD: usize = 64;

/// A search for the last offset of each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// The partition.
    pub partition: PartitionKey,
    /// Offset of the first record that is looked at.
    pub from: i64,
    /// Nothing from this offset on.
    pub end: i64,
    /// Nothing from the first batch on that has a record of this time or later.
    pub before: i64,
    /// Bytes of memory for keys. Where they are used up the search ends.
    pub max_bytes: usize,
}

/// The last offset of each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    offsets: HashMap<Bytes, i64, FixedState>,
    /// The offset that the search came to.
    pub end: i64,
}

/// What is to become of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thin {
    /// The partition.
    pub partition: PartitionKey,
    /// Offset of the first record that is looked at.
    pub from: i64,
    /// The last offsets; nothing from its end on.
    pub latest: Arc<Latest>,
    /// Base offsets of batches that stay, though they may be empty: producers are known by them.
    pub kept: Arc<BTreeSet<i64>>,
    /// The time, in milliseconds since 1970.
    pub now: i64,
    /// How long tombstones stay, in milliseconds.
    pub delete_retention: i64,
    /// Bytes of batches that are looked at, about.
    pub max_bytes: usize,
}

/// A batch, and what takes its place; none if it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As it is.
    pub old: Entry,
    /// As it is to be.
    pub new: Option<Batch>,
}

/// Completes a search for the last offset of each key.
pub fn index(source: &impl Source, index: Index) -> Outcome {
    match try_index(source, index) {
        Ok(latest) => Outcome::Indexed(Arc::new(latest)),
        Err(cause) => Outcome::Failed { cause },
    }
}

fn try_index(source: &impl Source, index: Index) -> Result<Latest, Cause> {
    let mut latest = Latest { end: index.from, ..Latest::default() };
    let mut room = index.max_bytes;
    for batch in source.batches(index.partition, index.from, &|_| true)? {
        let (entry, bytes) = batch?;
        if entry.last() >= index.end || entry.max_timestamp >= index.before {
            break;
        }
        let header = BatchHeader::parse(&bytes).map_err(|error| error.to_string())?;
        let body = header.unpacked(&bytes).map_err(|error| error.to_string())?;
        for record in Records::new(&header, &body) {
            let record = record.map_err(|fault| format!("batch {}: {fault}", entry.base))?;
            let Some(key) = record.key else { continue };
            let offset = entry.base + i64::from(record.offset_delta);
            if let Some(last) = latest.offsets.get_mut(key) {
                *last = offset;
                continue;
            }
            room = room.saturating_sub(key.len() + KEY_OVERHEAD);
            latest.offsets.insert(Bytes::copy_from_slice(key), offset);
        }
        latest.end = entry.last() + 1;
        if room == 0 {
            break;
        }
    }
    Ok(latest)
}

/// Completes a look at what is to become of batches.
pub fn thin(source: &impl Source, thin: &Thin) -> Outcome {
    match try_thin(source, thin) {
        Ok((changes, next)) => Outcome::Thinned { changes, next },
        Err(cause) => Outcome::Failed { cause },
    }
}

fn try_thin(source: &impl Source, thin: &Thin) -> Result<(Vec<Change>, Option<i64>), Cause> {
    let mut changes = Vec::new();
    let mut looked_at = 0;
    for batch in source.batches(thin.partition, thin.from, &|_| true)? {
        let (entry, bytes) = batch?;
        if entry.last() >= thin.latest.end {
            return Ok((changes, None));
        }
        if looked_at >= thin.max_bytes {
            return Ok((changes, Some(entry.base)));
        }
        looked_at += bytes.len();
        if let Some(new) = thin_batch(thin, &entry, &bytes)? {
            changes.push(Change { old: entry, new });
        }
    }
    Ok((changes, None))
}

/// What takes the place of a batch: none if it stays, `Some(None)` if it goes.
fn thin_batch(thin: &Thin, entry: &Entry, bytes: &[u8]) -> Result<Option<Option<Batch>>, Cause> {
    let header = BatchHeader::parse(bytes).map_err(|error| error.to_string())?;
    let body = header.unpacked(bytes).map_err(|error| error.to_string())?;
    let horizon = header.delete_horizon();
    let (mut stay, mut tombstones) = (Vec::new(), false);
    for record in Records::new(&header, &body) {
        let record = record.map_err(|fault| format!("batch {}: {fault}", entry.base))?;
        let offset = entry.base + i64::from(record.offset_delta);
        let last = record.key.and_then(|key| thin.latest.offsets.get(key));
        let is_last = record.key.is_some() && last.is_none_or(|last| *last <= offset);
        let is_over = record.value.is_none() && horizon.is_some_and(|at| at <= thin.now);
        if is_last && !is_over {
            tombstones |= record.value.is_none();
            stay.push(record);
        }
    }
    let marks = tombstones && horizon.is_none();
    if stay.len() == usize::try_from(header.record_count).unwrap_or(0) && !marks {
        return Ok(None);
    }
    if stay.is_empty() && !thin.kept.contains(&entry.base) {
        return Ok(Some(None));
    }
    let horizon = marks.then(|| thin.now.saturating_add(thin.delete_retention));
    Ok(Some(Some(rewritten(entry, &header, &stay, horizon))))
}

/// The batch with only these records, and with a time until which its tombstones stay.
fn rewritten(
    entry: &Entry,
    header: &BatchHeader,
    records: &[Record<'_>],
    horizon: Option<i64>,
) -> Batch {
    // One that is empty is packed in no way, as there is nothing to unpack.
    let compression = match records.is_empty() {
        true => Compression::None,
        false => header.compression().unwrap_or(Compression::None),
    };
    let base_timestamp = horizon.unwrap_or(header.base_timestamp);
    let greatest = records.iter().map(|record| record.timestamp).max();
    let max_timestamp = greatest.unwrap_or(header.max_timestamp);
    let mut plain = Vec::new();
    records.iter().for_each(|record| record.write(base_timestamp, &mut plain));
    let body = pack(compression, &plain);
    let mut batch = BytesMut::with_capacity(HEADER_BYTES + body.len());
    let header = BatchHeader {
        batch_length: 0,
        base_timestamp,
        max_timestamp,
        attributes: header.attributes & !COMPRESSION
            | compression as i16
            | if horizon.is_some() { DELETE_HORIZON } else { 0 },
        record_count: i32::try_from(records.len()).unwrap_or(i32::MAX),
        ..*header
    };
    header.write(&mut batch);
    batch.put_slice(&body);
    seal(&mut batch);
    Batch { base: entry.base, last: entry.last(), max_timestamp, bytes: batch.freeze() }
}
