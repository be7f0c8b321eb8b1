//! Folding: the live rows of a shard are packed into chunks, and the appends they came from go.
//!
//! A fold is written in slices, one after the other, through the writer that appends use, so that
//! an append waits for a slice at most. First come the chunks, then with the last of them the row
//! that makes them the fold, then everything that this row makes a rest is taken away. Whatever
//! comes between, the rows are there once: either in the old fold and the log, or in the new one.
//!
//! A shard is folded when its log has grown by more than [`Folding::log_bytes`] and by more than
//! its live rows have, so a row is packed at most about once for each time that it was written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};
use quorate_core::ShardId;

use super::Shared;
use super::live::LiveRows;
use super::tables::{Folded, Head, ReadError, Tables, chunk_key, folded_key};
use crate::disk::{Operation, Queue, locked};

/// Counted for each row besides its own bytes.
const ROW_BYTES: usize = 32;

/// When a shard is folded, and into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folding {
    /// Growth of the log, at least, before a shard is folded.
    pub log_bytes: u64,
    /// Size of a chunk, about: one row that is larger has a chunk of its own.
    pub chunk_bytes: usize,
    /// Bytes that are written at once, about.
    pub slice_bytes: usize,
    /// Rows that are taken away at once.
    pub slice_keys: usize,
}

impl Default for Folding {
    fn default() -> Folding {
        Folding {
            log_bytes: 4 << 20,
            chunk_bytes: 64 << 10,
            slice_bytes: 256 << 10,
            slice_keys: 1_000,
        }
    }
}

impl Folding {
    /// Whether a shard is to be folded now.
    pub(super) fn due(&self, head: &Head) -> bool {
        let grown = head.log_bytes - head.folded.log_bytes;
        !head.folding && grown > self.log_bytes.max(head.folded.row_bytes)
    }
}

/// Writes that belong together, a bounded number of bytes and rows.
#[derive(Default)]
pub(super) struct Slice {
    puts: Vec<(Keyspace, Vec<u8>, Bytes)>,
    removes: Vec<(Keyspace, Bytes)>,
    bytes: usize,
}

impl Slice {
    fn put(&mut self, keyspace: &Keyspace, key: Vec<u8>, value: Bytes) {
        self.bytes += key.len() + value.len() + ROW_BYTES;
        self.puts.push((keyspace.clone(), key, value));
    }

    fn remove(&mut self, keyspace: Keyspace, key: Bytes) {
        self.bytes += key.len() + ROW_BYTES;
        self.removes.push((keyspace, key));
    }

    /// Writes it, and waits until it is durable; false when the writer has ended.
    pub fn write(self, queue: &Queue) -> bool {
        let (done, written) = mpsc::channel();
        queue.submit(Box::new(WriteSlice { slice: self, done }));
        written.recv().is_ok()
    }
}

struct WriteSlice {
    slice: Slice,
    done: Sender<()>,
}

impl Operation for WriteSlice {
    fn bytes(&self) -> usize {
        self.slice.bytes
    }

    fn write(&mut self, batch: &mut OwnedWriteBatch) -> fjall::Result<()> {
        for (keyspace, key, value) in self.slice.puts.drain(..) {
            batch.insert(&keyspace, key, value);
        }
        for (keyspace, key) in self.slice.removes.drain(..) {
            batch.remove(&keyspace, key);
        }
        Ok(())
    }

    fn written(self: Box<Self>) {
        // The folding thread always waits; one that has panicked is reported by itself.
        let _ = self.done.send(());
    }
}

/// A fold of one shard, as the slices to be written.
pub(super) struct Fold {
    tables: Tables,
    shard: ShardId,
    folding: Folding,
    rows: Option<LiveRows>,
    folded: Folded,
    chunk: Vec<u8>,
}

impl Fold {
    /// Begins with what is stored now.
    pub fn new(tables: &Tables, shard: ShardId, folding: Folding) -> Result<Fold, ReadError> {
        let rows = LiveRows::new(tables, shard)?;
        let folded = Folded { end: rows.end(), log_bytes: rows.log_bytes(), ..Folded::default() };
        let (rows, folded) = match rows.folded() {
            old if old.end == folded.end => (None, old),
            _ => (Some(rows), folded),
        };
        Ok(Fold { tables: tables.clone(), shard, folding, rows, folded, chunk: Vec::new() })
    }

    /// What the shard is folded to, once all slices are written.
    pub fn folded(&self) -> Folded {
        self.folded
    }

    /// The next slice of the chunks, the last of them with the row that makes them the fold.
    pub fn next(&mut self) -> Result<Option<Slice>, ReadError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let mut slice = Slice::default();
        while slice.bytes < self.folding.slice_bytes {
            let row = rows.next()?;
            if let Some(row) = &row {
                row.pack(&mut self.chunk);
            }
            let full = self.chunk.len() >= self.folding.chunk_bytes;
            if full || (row.is_none() && !self.chunk.is_empty()) {
                let key = chunk_key(self.shard, self.folded.end, self.folded.chunks);
                let chunk = Bytes::from(std::mem::take(&mut self.chunk));
                self.folded.chunks += 1;
                self.folded.row_bytes += chunk.len() as u64;
                slice.put(&self.tables.shards, key, chunk);
            }
            if row.is_none() {
                let fold = self.folded.encode();
                slice.put(&self.tables.shards, folded_key(self.shard), fold.into());
                self.rows = None;
                break;
            }
        }
        Ok(Some(slice))
    }
}

/// Takes away what a fold has made a rest of, as the slices to be written.
pub(super) struct Sweep {
    rests: Box<dyn Iterator<Item = Result<(Keyspace, Bytes), ReadError>>>,
    slice_keys: usize,
}

impl Sweep {
    /// Begins with what is stored now.
    pub fn new(tables: &Tables, shard: ShardId, folding: Folding) -> Result<Sweep, ReadError> {
        let snapshot = tables.database.snapshot();
        let folded = tables.folded(&snapshot, shard)?;
        let rests = Box::new(tables.rests(&snapshot, shard, &folded));
        Ok(Sweep { rests, slice_keys: folding.slice_keys })
    }

    /// The next slice.
    pub fn next(&mut self) -> Result<Option<Slice>, ReadError> {
        let mut slice = Slice::default();
        for rest in self.rests.by_ref().take(self.slice_keys) {
            let (keyspace, key) = rest?;
            slice.remove(keyspace, key);
        }
        Ok(Some(slice).filter(|slice| !slice.removes.is_empty()))
    }
}

/// The folding thread: sweeps what an end in the middle left, then folds what it is told to.
pub(super) fn run(shared: &Shared, shards: &Receiver<ShardId>, stop: &AtomicBool) {
    let stopped = || stop.load(Ordering::Relaxed);
    let known: Vec<ShardId> = locked(&shared.heads).keys().copied().collect();
    let mut left = known.into_iter();
    let swept = left.try_for_each(|shard| sweep(shared, shard, &stopped));
    let folded = swept.and_then(|()| {
        shards.iter().try_for_each(|shard| {
            fold(shared, shard, &stopped)?;
            sweep(shared, shard, &stopped)
        })
    });
    if let Err(Ended::Failed(error)) = folded {
        shared.fail(&error);
    }
}

/// Why the folding thread ends.
enum Ended {
    /// The journal is closed, or the writer has ended.
    Stopped,
    Failed(ReadError),
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Ended {
        Ended::Failed(error)
    }
}

fn fold(shared: &Shared, shard: ShardId, stopped: &dyn Fn() -> bool) -> Result<(), Ended> {
    let mut fold = Fold::new(&shared.tables, shard, shared.folding)?;
    while let Some(slice) = fold.next()? {
        if stopped() || !slice.write(&shared.queue) {
            return Err(Ended::Stopped);
        }
    }
    let mut heads = locked(&shared.heads);
    if let Some(head) = heads.get_mut(&shard) {
        head.folded = fold.folded();
        head.folding = false;
    }
    Ok(())
}

fn sweep(shared: &Shared, shard: ShardId, stopped: &dyn Fn() -> bool) -> Result<(), Ended> {
    let mut sweep = Sweep::new(&shared.tables, shard, shared.folding)?;
    while let Some(slice) = sweep.next()? {
        if stopped() || !slice.write(&shared.queue) {
            return Err(Ended::Stopped);
        }
    }
    Ok(())
}
