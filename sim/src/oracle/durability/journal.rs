//! The logs as the journal's events tell them.

use litemap::LiteMap;
use quorate_core::{Batch, Epoch, Offset, Record, RecordKey, RecordValue, ShardId};

use crate::event::{Event, What};

/// Rows by key.
pub type Rows = LiteMap<RecordKey, RecordValue>;

/// All logs.
#[derive(Debug, Default)]
pub struct Journal {
    logs: LiteMap<ShardId, Log>,
}

/// The log of a shard.
#[derive(Debug, Default)]
pub struct Log {
    /// What it holds, compactions done.
    pub records: Vec<(Offset, Record)>,
    /// What that comes to.
    pub rows: Rows,
    /// All that was ever written of a key, oldest first.
    pub history: LiteMap<RecordKey, Vec<(Offset, Option<RecordValue>)>>,
    /// Where it goes on.
    pub end: Offset,
    /// Whose it is.
    pub epoch: Epoch,
}

impl Journal {
    /// Takes an event in.
    pub fn see(&mut self, event: &Event) {
        match &event.what {
            What::Acquired { shard, epoch, .. } => self.log(*shard).epoch = *epoch,
            What::Stored { shard, batch } => self.log(*shard).store(batch),
            What::Compacted { shard, left } => self.log(*shard).records.clone_from(left),
            _ => {}
        }
    }

    /// The log of a shard.
    pub fn log(&mut self, shard: ShardId) -> &mut Log {
        self.logs.entry(shard).or_default()
    }

    /// All logs.
    pub fn logs(&self) -> impl Iterator<Item = (ShardId, &Log)> {
        self.logs.iter().map(|(shard, log)| (*shard, log))
    }
}

impl Log {
    fn store(&mut self, batch: &Batch) {
        for (n, record) in batch.records.iter().enumerate() {
            let at = Offset(batch.base.0 + n as u64);
            put(&mut self.rows, record);
            let history = self.history.entry(record.key.clone()).or_default();
            history.push((at, record.value.clone()));
            self.records.push((at, record.clone()));
            self.end = Offset(at.0 + 1);
        }
    }
}

/// Puts a record on top of rows.
pub fn put(rows: &mut Rows, record: &Record) {
    match &record.value {
        Some(value) => rows.insert(record.key.clone(), value.clone()),
        None => rows.remove(&record.key),
    };
}

/// What records come to.
pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Rows {
    let mut rows = Rows::new();
    records.into_iter().for_each(|record| put(&mut rows, record));
    rows
}

/// Says where two sets of rows differ first.
#[must_use]
pub fn difference(expected: &Rows, actual: &Rows) -> Option<String> {
    let keys = expected.keys().chain(actual.keys());
    keys.filter(|key| expected.get(*key) != actual.get(*key)).min().map(|key| {
        let (expected, actual) = (expected.get(key), actual.get(key));
        format!("{key:?}: expected {expected:?}, found {actual:?}")
    })
}
