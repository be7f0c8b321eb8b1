//! Reading and searching, the same for every store: from a source of batches in their order.

use bytes::Bytes;

use super::entry::Entry;
use super::{Find, Found, Measure, Outcome, PartitionKey, Read, Wanted};
use crate::guard::batch::BatchHeader;
use crate::guard::record::Records;

/// Why a source cannot give a batch.
pub type Cause = String;

/// Batches in their order, or why there is none where there should be one.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<(Entry, Bytes), Cause>> + 'a>;

/// Where batches come from.
pub trait Source {
    /// The batches of a partition, from the one that holds `offset`; the bytes of those that
    /// `wanted` wants.
    fn batches<'a>(
        &'a self,
        partition: PartitionKey,
        offset: i64,
        wanted: &'a dyn Fn(&Entry) -> bool,
    ) -> Result<Batches<'a>, Cause>;
}

/// Completes a read.
pub fn read(source: &impl Source, read: Read) -> Outcome {
    match try_read(source, read) {
        Ok(batches) => Outcome::Read(batches),
        Err(cause) => Outcome::Failed { cause },
    }
}

/// Completes a count.
pub fn measure(source: &impl Source, measure: Measure) -> Outcome {
    let Measure { partition, start, end } = measure;
    let batches = source.batches(partition, start, &|_| false);
    let counted = batches.and_then(|batches| {
        let mut bytes = 0;
        for batch in batches {
            let (entry, _) = batch?;
            if entry.last() >= end {
                break;
            }
            bytes += entry.size as u64;
        }
        Ok(bytes)
    });
    match counted {
        Ok(bytes) => Outcome::Size(bytes),
        Err(cause) => Outcome::Failed { cause },
    }
}

/// Completes a search.
pub fn find(source: &impl Source, find: Find) -> Outcome {
    let found = match find.what {
        Wanted::Time(timestamp) => first_at(source, find, timestamp),
        Wanted::Latest => latest(source, find),
        Wanted::Retention { older_than, keep_bytes } => {
            retained(source, find, older_than, keep_bytes).map(Some)
        }
    };
    match found {
        Ok(found) => Outcome::Found(found),
        Err(cause) => Outcome::Failed { cause },
    }
}

fn try_read(source: &impl Source, read: Read) -> Result<Vec<Bytes>, Cause> {
    let mut batches = source.batches(read.partition, read.offset, &|_| true)?;
    let mut taken = Taken::new(read.max_bytes, read.min_one);
    while taken.wants_more() {
        match batches.next().transpose()? {
            Some((entry, bytes)) if entry.last() < read.end => taken.add(bytes),
            _ => break,
        }
    }
    Ok(taken.finish())
}

/// Batches up to a number of bytes, the last one cut off there.
pub struct Taken {
    batches: Vec<Bytes>,
    left: usize,
    min_one: bool,
    full: bool,
}

impl Taken {
    /// Nothing yet.
    pub fn new(max_bytes: usize, min_one: bool) -> Self {
        Self { batches: Vec::new(), left: max_bytes, min_one, full: false }
    }

    /// Whether another batch is to be added.
    pub fn wants_more(&self) -> bool {
        !self.full && (self.left > 0 || (self.min_one && self.batches.is_empty()))
    }

    /// Adds the next batch.
    pub fn add(&mut self, batch: Bytes) {
        let fits = batch.len() <= self.left;
        match (self.batches.is_empty(), fits, self.min_one) {
            (true, false, false) => {}
            (true, false, true) | (_, true, _) => self.batches.push(batch.clone()),
            (false, false, _) => self.batches.push(batch.slice(..self.left)),
        }
        self.full = !fits;
        self.left = self.left.saturating_sub(batch.len());
    }

    /// What was added.
    pub fn finish(self) -> Vec<Bytes> {
        self.batches
    }
}

fn first_at(source: &impl Source, find: Find, timestamp: i64) -> Result<Option<Found>, Cause> {
    let late = |entry: &Entry| entry.max_timestamp >= timestamp;
    for batch in source.batches(find.partition, find.start, &late)? {
        let (entry, bytes) = batch?;
        if entry.last() >= find.end {
            break;
        }
        if !late(&entry) {
            continue;
        }
        let found = first_of_batch(&entry, &bytes, |offset, time| {
            offset >= find.start && time >= timestamp
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn latest(source: &impl Source, find: Find) -> Result<Option<Found>, Cause> {
    let mut latest: Option<Entry> = None;
    for batch in source.batches(find.partition, find.start, &|_| false)? {
        let (entry, _) = batch?;
        if entry.last() >= find.end {
            break;
        }
        if latest.is_none_or(|latest| entry.max_timestamp > latest.max_timestamp) {
            latest = Some(entry);
        }
    }
    let Some(latest) = latest else { return Ok(None) };
    let mut batches = source.batches(find.partition, latest.base, &|_| true)?;
    let Some((entry, bytes)) = batches.next().transpose()? else { return Ok(None) };
    first_of_batch(&entry, &bytes, |_, time| time >= latest.max_timestamp)
}

/// The first record of a batch that fits, by its offset and time.
fn first_of_batch(
    entry: &Entry,
    bytes: &[u8],
    fits: impl Fn(i64, i64) -> bool,
) -> Result<Option<Found>, Cause> {
    let header = BatchHeader::parse(bytes).map_err(|error| error.to_string())?;
    let leader_epoch = entry.leader_epoch;
    let body = header.unpacked(bytes).map_err(|error| error.to_string())?;
    for record in Records::new(&header, &body) {
        let record = record.map_err(|fault| format!("batch {}: {fault}", entry.base))?;
        let offset = entry.base + i64::from(record.offset_delta);
        if fits(offset, record.timestamp) {
            return Ok(Some(Found { offset, timestamp: record.timestamp, leader_epoch }));
        }
    }
    Ok(None)
}

fn retained(
    source: &impl Source,
    find: Find,
    older_than: Option<i64>,
    keep_bytes: Option<u64>,
) -> Result<Found, Cause> {
    let batches = || source.batches(find.partition, find.start, &|_| false);
    let mut surplus = 0;
    if let Some(keep) = keep_bytes {
        for batch in batches()? {
            surplus += batch?.0.size as u64;
        }
        surplus = surplus.saturating_sub(keep);
    }
    let mut start = find.start;
    for batch in batches()? {
        let (entry, _) = batch?;
        let old = older_than.is_some_and(|limit| entry.max_timestamp < limit);
        let size = entry.size as u64;
        if entry.last() >= find.end || !(old || size <= surplus) {
            break;
        }
        surplus = surplus.saturating_sub(size);
        start = entry.last() + 1;
    }
    Ok(Found { offset: start, timestamp: -1, leader_epoch: -1 })
}
