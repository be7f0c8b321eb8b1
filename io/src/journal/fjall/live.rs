//! The live rows of a shard, as of one moment: those of its fold that no later append has written,
//! then those of the appends.
//!
//! Only the appends are held in memory, by key. The chunks of the fold go by one at a time.

use std::mem;

use bytes::Bytes;
use fjall::{Readable, Snapshot};
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::IntoIter;
use quorate_core::{Offset, ShardId};

use super::tables::{Folded, ReadError, Tables, chunk_key};
use crate::journal::packing::Row;

/// Reads the live rows, each once.
pub(super) struct LiveRows {
    tables: Tables,
    snapshot: Snapshot,
    shard: ShardId,
    folded: Folded,
    /// What is not folded, by key.
    tail: IndexMap<Bytes, Last, RandomState>,
    end: Offset,
    log_bytes: u64,
    next_chunk: u32,
    chunk: Bytes,
    rest: Option<IntoIter<Bytes, Last>>,
}

/// Where the last row of a key is in the log, and its value, which is none if it is a tombstone.
type Last = (Offset, Option<Bytes>);

impl LiveRows {
    /// The rows as of now.
    pub fn new(tables: &Tables, shard: ShardId) -> Result<LiveRows, ReadError> {
        let snapshot = tables.database.snapshot();
        let folded = tables.folded(&snapshot, shard)?;
        let mut rows = LiveRows {
            tables: tables.clone(),
            shard,
            folded,
            tail: IndexMap::default(),
            end: folded.end,
            log_bytes: folded.log_bytes,
            next_chunk: 0,
            chunk: Bytes::new(),
            rest: None,
            snapshot,
        };
        rows.read_tail()?;
        Ok(rows)
    }

    /// What the shard was folded to before.
    pub fn folded(&self) -> Folded {
        self.folded
    }

    /// Where the log goes on behind the rows.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Size of the log up to there.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// The next row; none at the end.
    pub fn next(&mut self) -> Result<Option<Row>, ReadError> {
        while let Some(row) = self.next_folded()? {
            if !self.tail.contains_key(&row.key) {
                return Ok(Some(row));
            }
        }
        let tail = &mut self.tail;
        let rest = self.rest.get_or_insert_with(|| mem::take(tail).into_iter());
        let written = rest.find(|(_, (_, value))| value.is_some());
        Ok(written.map(|(key, (at, value))| Row { at, key, value }))
    }

    fn read_tail(&mut self) -> Result<(), ReadError> {
        for item in self.tables.tail(&self.snapshot, self.shard, &self.folded) {
            let item = item?;
            if item.base != self.end {
                return Err(self.damaged(format!("the log, which has a gap at {},", self.end)));
            }
            let damaged = || self.damaged(format!("the append at {}", item.base));
            for Row { at, key, value } in item.rows().ok_or_else(damaged)? {
                self.tail.insert(key, (at, value));
            }
            (self.end, self.log_bytes) = (item.end(), item.log_bytes);
        }
        Ok(())
    }

    fn next_folded(&mut self) -> Result<Option<Row>, ReadError> {
        while self.chunk.is_empty() {
            if self.next_chunk == self.folded.chunks {
                return Ok(None);
            }
            let key = chunk_key(self.shard, self.folded.end, self.next_chunk);
            let chunk = self.snapshot.get(&self.tables.shards, key)?;
            let missing = || self.damaged(format!("chunk {} of its fold", self.next_chunk));
            self.chunk = chunk.ok_or_else(missing)?.into();
            self.next_chunk += 1;
        }
        match Row::unpack(&mut self.chunk) {
            Some(row) => Ok(Some(row)),
            None => Err(self.damaged(format!("chunk {} of its fold", self.next_chunk - 1))),
        }
    }

    fn damaged(&self, what: String) -> ReadError {
        ReadError::Damaged { shard: self.shard, what }
    }
}
