//! What a partition knows of its idempotent producers (KIP-98): decides whether a batch is next,
//! repeated, or out of order, from each producer's epoch and last five batches.

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::ResponseError;
use thiserror::Error;

use super::entry::Entry;
use crate::disk::codec::{Decoder, Encoder};

/// Batches of a producer that a repetition is recognised of, as in Kafka.
pub const REMEMBERED_BATCHES: usize = 5;
/// Producers of a partition that are remembered; beyond it a tenth, the longest silent, is
/// forgotten. A forgotten one may go on with any sequence, as one that is not known.
pub const MAX_PRODUCERS: usize = 50_000;

/// A batch that a producer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Sequence number of its first record.
    pub base_sequence: i32,
    /// Number of its records, less one.
    pub delta: i32,
    /// Offset of its first record.
    pub base: i64,
    /// Greatest time of its records.
    pub max_timestamp: i64,
}

impl Written {
    /// Sequence number of its last record; after 2^31-1 comes 0.
    fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.delta);
        (last & i64::from(i32::MAX)) as i32
    }

    /// Offset of its last record.
    pub fn last(&self) -> i64 {
        self.base + i64::from(self.delta)
    }
}

/// A producer as a partition knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    epoch: i16,
    /// When it last wrote, in milliseconds since 1970.
    seen: i64,
    /// Its last batches in this epoch, the oldest first; never empty.
    batches: VecDeque<Written>,
}

/// A producer that is remembered, and what it wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence number of its last record.
    pub last_sequence: i32,
    /// Greatest time of its last batch, in milliseconds since 1970.
    pub last_timestamp: i64,
}

/// Why a batch of an idempotent producer is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SequenceError {
    /// The batch is not the one that comes next.
    #[error("sequence {found} of producer {producer_id} where {expected} is next")]
    OutOfOrder {
        /// The producer's id.
        producer_id: i64,
        /// The batch's first sequence.
        found: i32,
        /// The sequence that is next.
        expected: i32,
    },
    /// The producer has gone on to a later epoch.
    #[error("epoch {found} of producer {producer_id} is older than {current}")]
    OldEpoch {
        /// The producer's id.
        producer_id: i64,
        /// The batch's epoch.
        found: i16,
        /// The epoch there is.
        current: i16,
    },
}

impl SequenceError {
    /// What Kafka answers.
    pub fn code(&self) -> ResponseError {
        match self {
            Self::OutOfOrder { .. } => ResponseError::OutOfOrderSequenceNumber,
            Self::OldEpoch { .. } => ResponseError::InvalidProducerEpoch,
        }
    }
}

/// All producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    known: BTreeMap<i64, Producer>,
}

/// The producers at an offset, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The partition's end that it was taken at.
    pub end: i64,
    /// The producers.
    pub producers: Producers,
}

impl Producers {
    /// Decides on a batch: `Ok(None)` if it is to be appended, the one it repeats if it does.
    ///
    /// Kafka's order: a repetition is recognised first, then the epoch is judged, then the
    /// sequence. A producer that is not known begins at any sequence; a new epoch begins at 0.
    pub fn check(&self, batch: &Entry) -> Result<Option<Written>, SequenceError> {
        let Some(producer) = self.known.get(&batch.producer_id) else { return Ok(None) };
        let (producer_id, found) = (batch.producer_id, batch.base_sequence);
        if producer.epoch == batch.producer_epoch {
            let repeated = producer
                .batches
                .iter()
                .rev()
                .find(|written| written.base_sequence == found && written.delta == batch.delta);
            if let Some(written) = repeated {
                return Ok(Some(*written));
            }
        }
        if batch.producer_epoch < producer.epoch {
            let current = producer.epoch;
            return Err(SequenceError::OldEpoch {
                producer_id,
                found: batch.producer_epoch,
                current,
            });
        }
        let expected = match producer.batches.back() {
            Some(last) if producer.epoch == batch.producer_epoch => {
                last.last_sequence().wrapping_add(1) & i32::MAX
            }
            _ => 0,
        };
        if found != expected && producer.epoch != NO_EPOCH {
            return Err(SequenceError::OutOfOrder { producer_id, found, expected });
        }
        Ok(None)
    }

    /// Notes a batch that is appended at `now`, milliseconds since 1970, and gives what was known
    /// of its producer before, for [`undo`](Self::undo).
    pub fn append(&mut self, batch: &Entry, now: i64) -> Option<Producer> {
        let written = Written {
            base_sequence: batch.base_sequence,
            delta: batch.delta,
            base: batch.base,
            max_timestamp: batch.max_timestamp,
        };
        if self.known.len() >= MAX_PRODUCERS && !self.known.contains_key(&batch.producer_id) {
            self.forget_the_longest_silent();
        }
        let epoch = batch.producer_epoch;
        let fresh = || Producer { epoch, seen: now, batches: VecDeque::new() };
        let before = self.known.get(&batch.producer_id).cloned();
        let producer = self.known.entry(batch.producer_id).or_insert_with(fresh);
        if producer.epoch != epoch {
            *producer = fresh();
        }
        producer.seen = now;
        producer.batches.push_back(written);
        if producer.batches.len() > REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        before
    }

    /// Notes a batch that is found in the log at a start, which has no other time than its own.
    pub fn recover(&mut self, batch: &Entry) {
        if batch.producer_id >= 0 {
            self.append(batch, batch.max_timestamp);
        }
    }

    /// Takes an append back: what was known of the producer is what `before` says.
    pub fn undo(&mut self, producer_id: i64, before: Option<Producer>) {
        match before {
            Some(producer) => self.known.insert(producer_id, producer),
            None => self.known.remove(&producer_id),
        };
    }

    /// Forgets those that have not written since `before`, milliseconds since 1970
    /// (`producer.id.expiration.ms`).
    pub fn expire(&mut self, before: i64) {
        self.known.retain(|_, producer| producer.seen >= before);
    }

    /// The producers, for an operator, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = Active> {
        self.known.iter().filter_map(|(id, producer)| {
            let last = producer.batches.back()?;
            Some(Active {
                id: *id,
                epoch: producer.epoch,
                last_sequence: last.last_sequence(),
                last_timestamp: last.max_timestamp,
            })
        })
    }

    /// Base offsets of the batches that are remembered.
    pub fn batches(&self) -> impl Iterator<Item = i64> {
        self.known.values().flat_map(|producer| producer.batches.iter().map(|batch| batch.base))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn forget_the_longest_silent(&mut self) {
        let mut seen: Vec<i64> = self.known.values().map(|producer| producer.seen).collect();
        let tenth = seen.len() / 10;
        let (_, &mut limit, _) = seen.select_nth_unstable(tenth);
        let mut to_go = tenth + 1;
        self.known.retain(|_, producer| {
            let goes = producer.seen <= limit && to_go > 0;
            to_go -= usize::from(goes);
            !goes
        });
    }
}

/// The epoch of a batch whose producer has set none.
const NO_EPOCH: i16 = -1;

impl Snapshot {
    /// Its bytes in a row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Encoder::default();
        row.i64(self.end).count(self.producers.known.len());
        for (id, producer) in &self.producers.known {
            row.i64(*id).i16(producer.epoch).i64(producer.seen).count(producer.batches.len());
            for batch in &producer.batches {
                row.i32(batch.base_sequence).i32(batch.delta);
                row.i64(batch.base).i64(batch.max_timestamp);
            }
        }
        row.finish()
    }

    /// What [`encode`](Self::encode) wrote.
    pub fn decode(row: &[u8]) -> Option<Self> {
        let mut row = Decoder::new(row);
        let end = row.i64()?;
        let mut known = BTreeMap::new();
        for _ in 0..row.count()? {
            let (id, epoch, seen) = (row.i64()?, row.i16()?, row.i64()?);
            let batches = (0..row.count()?).map(|_| {
                Some(Written {
                    base_sequence: row.i32()?,
                    delta: row.i32()?,
                    base: row.i64()?,
                    max_timestamp: row.i64()?,
                })
            });
            let batches = batches.collect::<Option<_>>()?;
            known.insert(id, Producer { epoch, seen, batches });
        }
        row.end()?;
        Some(Self { end, producers: Producers { known } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(producer_id: i64) -> Entry {
        Entry {
            base: producer_id,
            delta: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            size: 70,
            leader_epoch: 0,
        }
    }

    #[test]
    fn beyond_the_limit_the_longest_silent_are_forgotten() {
        let mut producers = Producers::default();
        for id in 0..MAX_PRODUCERS as i64 {
            producers.append(&batch(id), 2 * id);
        }
        assert_eq!(producers.len(), MAX_PRODUCERS);
        producers.append(&batch(-7), 0);
        let tenth = MAX_PRODUCERS as i64 / 10;
        assert_eq!(producers.len(), MAX_PRODUCERS - tenth as usize);
        assert_eq!(producers.check(&batch(tenth)), Ok(None), "forgotten");
        assert!(matches!(producers.check(&batch(tenth + 1)), Ok(Some(_))), "still known");
    }

    #[test]
    fn those_that_have_not_written_for_long_expire() {
        let mut producers = Producers::default();
        producers.append(&batch(1), 99);
        producers.append(&batch(2), 100);
        producers.expire(100);
        assert_eq!(producers.check(&batch(1)), Ok(None));
        assert!(matches!(producers.check(&batch(2)), Ok(Some(_))));
    }
}
