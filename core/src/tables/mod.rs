//! Rows: what is stored, and what a write displaced.
//!
//! One function writes a row, [`Rows::put`], on load and live. What it displaced is kept until the
//! write is durable: that is the undo, and that is what a read of committed state looks at.

mod offsets;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
pub(crate) use offsets::Offsets;

use crate::id::{BatchId, GroupId, TopicName};
use crate::record::{GroupMetadata, OffsetAndMetadata, Record, RecordKey, RecordValue};

/// The rows of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rows {
    pub(crate) group: Option<Box<GroupMetadata>>,
    pub(crate) offsets: Offsets,
    undo: VecDeque<Displaced>,
}

/// What a write that is not yet durable displaced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Displaced {
    by: BatchId,
    place: Place,
    value: Option<RecordValue>,
}

/// Which of the rows of its group one is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Group,
    Offset(TopicName, i32),
}

/// A wrapping sum of the hashes of all rows of a shard. Each write keeps it in builds with debug
/// assertions, where it is held against the rows; elsewhere nobody pays for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct RowsHash(u64);

impl RowsHash {
    fn of(key: &RecordKey, value: &RecordValue) -> u64 {
        FixedState::default().hash_one((key, value))
    }

    fn replace(&mut self, key: &RecordKey, old: Option<&RecordValue>, new: Option<&RecordValue>) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.swap(key, old, new);
    }

    fn swap(&mut self, key: &RecordKey, old: Option<&RecordValue>, new: Option<&RecordValue>) {
        let hash = |value: Option<&RecordValue>| value.map_or(0, |v| RowsHash::of(key, v));
        self.0 = self.0.wrapping_sub(hash(old)).wrapping_add(hash(new));
    }

    /// The same sum, from the rows themselves.
    pub(crate) fn recomputed(rows: &[(RecordKey, RecordValue)]) -> RowsHash {
        let mut sum = RowsHash::default();
        rows.iter().for_each(|(key, value)| sum.swap(key, None, Some(value)));
        sum
    }
}

impl Rows {
    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.group.is_none() && self.offsets.is_empty()
    }

    /// Writes a row; the value it displaced. The record's value is of its key's kind.
    pub(crate) fn put(&mut self, record: &Record, sum: &mut RowsHash) -> Option<RecordValue> {
        let Record { key, value } = record;
        let old = match (key, value) {
            (RecordKey::Group(_), Some(RecordValue::Group(row))) => {
                self.group.replace(row.clone()).map(RecordValue::Group)
            }
            (RecordKey::Group(_), _) => self.group.take().map(RecordValue::Group),
            (RecordKey::Offset { topic, partition, .. }, value) => {
                let row = match value {
                    Some(RecordValue::Offset(row)) => Some(row.clone()),
                    _ => None,
                };
                self.offsets.put(topic, *partition, row).map(RecordValue::Offset)
            }
        };
        sum.replace(key, old.as_ref(), value.as_ref());
        old
    }

    /// Writes a row that belongs to a batch which is not yet durable.
    pub(crate) fn put_in_flight(&mut self, by: BatchId, record: &Record, sum: &mut RowsHash) {
        let value = self.put(record, sum);
        let place = match &record.key {
            RecordKey::Group(_) => Place::Group,
            RecordKey::Offset { topic, partition, .. } => Place::Offset(topic.clone(), *partition),
        };
        self.undo.push_back(Displaced { by, place, value });
    }

    /// All batches up to this one are durable: what they displaced is forgotten.
    pub(crate) fn settle(&mut self, through: BatchId) {
        while self.undo.front().is_some_and(|displaced| displaced.by <= through) {
            self.undo.pop_front();
        }
        if self.undo.is_empty() {
            self.undo = VecDeque::new();
        }
    }

    /// This batch and later ones are not stored: what they displaced comes back, newest first.
    pub(crate) fn undo(&mut self, id: &GroupId, from: BatchId, sum: &mut RowsHash) {
        while self.undo.back().is_some_and(|displaced| displaced.by >= from) {
            let Some(Displaced { place, value, .. }) = self.undo.pop_back() else { break };
            let group = id.clone();
            let key = match place {
                Place::Group => RecordKey::Group(group),
                Place::Offset(topic, partition) => RecordKey::Offset { group, topic, partition },
            };
            self.put(&Record { key, value }, sum);
        }
    }

    /// Gives batches other numbers.
    pub(crate) fn renumber(&mut self, to: impl Fn(BatchId) -> BatchId) {
        self.undo.iter_mut().for_each(|displaced| displaced.by = to(displaced.by));
    }

    /// Whether a write is not yet durable.
    pub(crate) fn in_flight(&self) -> bool {
        !self.undo.is_empty()
    }

    /// The offset as it is stored for certain: the oldest value that a write in flight displaced.
    pub(crate) fn committed(
        &self,
        topic: &TopicName,
        partition: i32,
    ) -> Option<&OffsetAndMetadata> {
        let displaced = self.undo.iter().find(|displaced| {
            matches!(&displaced.place, Place::Offset(t, p) if *p == partition && t == topic)
        });
        match displaced {
            Some(Displaced { value: Some(RecordValue::Offset(row)), .. }) => Some(row),
            Some(_) => None,
            None => self.offsets.get(topic, partition),
        }
    }

    /// All offsets as they are stored for certain.
    pub(crate) fn all_committed(&self) -> BTreeMap<(&TopicName, i32), &OffsetAndMetadata> {
        let mut all: BTreeMap<_, _> =
            self.offsets.iter().map(|(topic, partition, row)| ((topic, partition), row)).collect();
        for displaced in self.undo.iter().rev() {
            let Place::Offset(topic, partition) = &displaced.place else { continue };
            match &displaced.value {
                Some(RecordValue::Offset(row)) => all.insert((topic, *partition), row),
                _ => all.remove(&(topic, *partition)),
            };
        }
        all
    }
}
