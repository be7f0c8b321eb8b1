//! Where a shard's items are: keyspaces, keys, and what a shard needs to be known of at opening.
//!
//! Keyspace `journal` holds the appends, by shard and base. Keyspace `shards` holds for each shard,
//! by its number and a letter, its epoch (`e`), what it is folded to (`f`), and the chunks of that
//! fold (`r`, by the offset the fold ends at and a number). A fold is what its `f` row says: chunks
//! of another end, and appends below the end, are rests that a sweep takes away.
//!
//! Large values are in files of their own, which compaction does not write again: appends and
//! chunks soon go as a whole. That halves what is written, and takes a third off the CPU.

use std::collections::BTreeMap;

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Guard, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Readable, Snapshot};
use quorate_core::{Epoch, Offset, ShardId};

use crate::disk::codec::{Decoder, Encoder};
use crate::disk::{Database, OpenError};
use crate::journal::packing::Item;

/// Idle memory is budgeted: appends collect in this much of it before they become a sorted file.
const LOG_MEMTABLE_BYTES: u64 = 8 << 20;
const SHARDS_MEMTABLE_BYTES: u64 = 4 << 20;
/// Both are read in runs, never row by row.
const BLOCK_BYTES: u32 = 16 << 10;

/// A stored row cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Database(#[from] fjall::Error),
    #[error("{what} of shard {shard} is damaged; restore the data folder from a copy")]
    Damaged { shard: ShardId, what: String },
}

/// What a shard is folded to: all rows that are live before `end`, in so many chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub end: Offset,
    pub chunks: u32,
    /// Bytes of the chunks.
    pub row_bytes: u64,
    /// Size that the log had at `end`, counted from its beginning.
    pub log_bytes: u64,
}

impl Folded {
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Encoder::default();
        row.raw(&self.end.0.to_be_bytes()).raw(&self.chunks.to_be_bytes());
        row.raw(&self.row_bytes.to_be_bytes()).raw(&self.log_bytes.to_be_bytes());
        row.finish()
    }

    fn decode(bytes: &[u8]) -> Option<Folded> {
        let mut row = Decoder::new(bytes);
        let mut number = || row.i64().map(|number| number as u64);
        let end = Offset(number()?);
        let chunks = row.i32()? as u32;
        let mut number = || row.i64().map(|number| number as u64);
        let (row_bytes, log_bytes) = (number()?, number()?);
        row.end()?;
        Some(Folded { end, chunks, row_bytes, log_bytes })
    }
}

/// What is known of a shard without reading its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub epoch: Epoch,
    pub next: Offset,
    /// Size of the log with all that was appended, counted from its beginning.
    pub log_bytes: u64,
    pub folded: Folded,
    /// Whether it waits to be folded, or is being folded.
    pub folding: bool,
}

/// The keyspaces of the journal.
#[derive(Clone)]
pub(super) struct Tables {
    pub database: Database,
    pub log: Keyspace,
    pub shards: Keyspace,
}

impl Tables {
    pub fn open(database: &Database) -> Result<Tables, OpenError> {
        let options = KeyspaceCreateOptions::default()
            .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
            .with_kv_separation(Some(KvSeparationOptions::default()))
            .manual_journal_persist(true);
        let log = options
            .clone()
            .filter_policy(FilterPolicy::disabled())
            .max_memtable_size(LOG_MEMTABLE_BYTES);
        Ok(Tables {
            database: database.clone(),
            log: database.keyspace("journal", log)?,
            shards: database
                .keyspace("shards", options.max_memtable_size(SHARDS_MEMTABLE_BYTES))?,
        })
    }

    /// The shards that were ever acquired.
    pub fn heads(&self) -> Result<BTreeMap<ShardId, Head>, ReadError> {
        let snapshot = self.database.snapshot();
        let mut heads = BTreeMap::new();
        let mut from = Some(0);
        while let Some(first) = from.take() {
            let Some(row) = snapshot.range(&self.shards, shard_key(ShardId(first))..).next() else {
                break;
            };
            let key = row.key()?;
            let shard = Decoder::new(&key).i32().map(|shard| ShardId(shard as u32));
            let Some(shard) = shard else {
                let what = format!("the key {key:02x?}");
                return Err(ReadError::Damaged { shard: ShardId(first), what });
            };
            heads.insert(shard, self.head(&snapshot, shard)?);
            from = shard.0.checked_add(1);
        }
        Ok(heads)
    }

    fn head(&self, snapshot: &Snapshot, shard: ShardId) -> Result<Head, ReadError> {
        let epoch = snapshot.get(&self.shards, epoch_key(shard))?;
        let epoch = epoch.and_then(|epoch| Decoder::new(&epoch).i64());
        let epoch = epoch
            .ok_or_else(|| ReadError::Damaged { shard, what: "the epoch".to_owned() })
            .map(|epoch| Epoch(epoch as u64))?;
        let folded = self.folded(snapshot, shard)?;
        let (mut next, mut log_bytes) = (folded.end, folded.log_bytes);
        let mut log = snapshot.range(&self.log, log_key(shard, folded.end)..=log_end(shard));
        if let Some(row) = log.next_back() {
            let item = item(shard, row)?;
            (next, log_bytes) = (item.end(), item.log_bytes);
        }
        Ok(Head { epoch, next, log_bytes, folded, folding: false })
    }

    pub fn folded(&self, snapshot: &Snapshot, shard: ShardId) -> Result<Folded, ReadError> {
        let Some(row) = snapshot.get(&self.shards, folded_key(shard))? else {
            return Ok(Folded::default());
        };
        Folded::decode(&row)
            .ok_or_else(|| ReadError::Damaged { shard, what: "the row of its fold".to_owned() })
    }

    /// The appends that are not folded, in order.
    pub fn tail(
        &self,
        snapshot: &Snapshot,
        shard: ShardId,
        folded: &Folded,
    ) -> impl Iterator<Item = Result<Item, ReadError>> {
        snapshot
            .range(&self.log, log_key(shard, folded.end)..=log_end(shard))
            .map(move |row| item(shard, row))
    }

    /// Keys of appends that are folded, and of chunks of other folds.
    pub fn rests(
        &self,
        snapshot: &Snapshot,
        shard: ShardId,
        folded: &Folded,
    ) -> impl Iterator<Item = Result<(Keyspace, Bytes), ReadError>> + use<> {
        let below = |keyspace: &Keyspace, keys: std::ops::Range<Vec<u8>>| {
            let keyspace = keyspace.clone();
            let rows = snapshot.range(&keyspace, keys);
            rows.map(move |row| Ok((keyspace.clone(), row.key()?.into())))
        };
        let log = below(&self.log, log_key(shard, Offset(0))..log_key(shard, folded.end));
        let current = chunk_key(shard, folded.end, 0);
        let older = below(&self.shards, chunk_key(shard, Offset(0), 0)..current);
        let behind = chunk_key(shard, folded.end, folded.chunks);
        let newer = behind..chunk_key(shard, Offset(u64::MAX), u32::MAX);
        log.chain(older).chain(below(&self.shards, newer))
    }
}

fn item(shard: ShardId, row: Guard) -> Result<Item, ReadError> {
    let (key, value) = row.into_inner()?;
    let mut parts = Decoder::new(&key);
    let base = parts.i32().and_then(|_| parts.i64()).map(|base| Offset(base as u64));
    base.and_then(|base| Item::new(base, value.into()))
        .ok_or_else(|| ReadError::Damaged { shard, what: format!("the append {key:02x?}") })
}

fn shard_key(shard: ShardId) -> Vec<u8> {
    shard.0.to_be_bytes().to_vec()
}

pub(super) fn epoch_key(shard: ShardId) -> Vec<u8> {
    [&shard_key(shard)[..], b"e"].concat()
}

pub(super) fn folded_key(shard: ShardId) -> Vec<u8> {
    [&shard_key(shard)[..], b"f"].concat()
}

pub(super) fn chunk_key(shard: ShardId, end: Offset, chunk: u32) -> Vec<u8> {
    [&shard_key(shard)[..], b"r", &end.0.to_be_bytes(), &chunk.to_be_bytes()].concat()
}

pub(super) fn log_key(shard: ShardId, base: Offset) -> Vec<u8> {
    [shard.0.to_be_bytes().as_slice(), &base.0.to_be_bytes()].concat()
}

/// The last key that an append of the shard could have.
fn log_end(shard: ShardId) -> Vec<u8> {
    log_key(shard, Offset(u64::MAX))
}
