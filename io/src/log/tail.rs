//! The newest batches of a partition, kept in memory so that a Fetch at its end reads no disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::Batch;
use super::search::Taken;

/// Most bytes that one partition keeps, but for its last batch.
pub const PARTITION_TAIL_BYTES: usize = 1 << 20;
/// Counted for each batch besides its bytes.
const BATCH_OVERHEAD: usize = 64;

/// Bytes that the tails of all partitions may keep together. Clones share one budget.
#[derive(Clone, Debug)]
pub struct TailBudget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl TailBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Bytes that are used.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The tail of one partition. What it holds is given back to the budget when it is dropped.
#[derive(Debug)]
pub struct Tail {
    batches: VecDeque<Batch>,
    bytes: usize,
    budget: TailBudget,
}

impl Tail {
    /// An empty tail.
    pub fn new(budget: TailBudget) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, budget }
    }

    /// Adds the newest batch. Over its limit, or that of all together, older ones go; the last one
    /// stays in any case.
    pub fn push(&mut self, batch: Batch) {
        self.charge(size(&batch));
        self.batches.push_back(batch);
        while self.batches.len() > 1 && self.is_over() {
            self.pop_front();
        }
    }

    /// Forgets batches in front that end before `start`.
    pub fn truncate_before(&mut self, start: i64) {
        while self.batches.front().is_some_and(|batch| batch.last < start) {
            self.pop_front();
        }
    }

    /// Forgets batches from `base` on.
    pub fn truncate_from(&mut self, base: i64) {
        while self.batches.back().is_some_and(|batch| batch.base >= base) {
            let batch = self.batches.pop_back();
            self.release(batch.as_ref().map_or(0, size));
        }
    }

    /// Batches from `offset` on, of those that end before `end`; none if they begin later.
    pub fn read(
        &self,
        offset: i64,
        end: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Option<Vec<Bytes>> {
        if self.batches.front()?.base > offset {
            return None;
        }
        let first = self.batches.partition_point(|batch| batch.last < offset);
        let mut taken = Taken::new(max_bytes, min_one);
        for batch in self.batches.range(first..).take_while(|batch| batch.last < end) {
            if !taken.wants_more() {
                break;
            }
            taken.add(batch.bytes.clone());
        }
        Some(taken.finish())
    }

    fn is_over(&self) -> bool {
        self.bytes > PARTITION_TAIL_BYTES || self.budget.used() > self.budget.limit
    }

    fn pop_front(&mut self) {
        let batch = self.batches.pop_front();
        self.release(batch.as_ref().map_or(0, size));
    }

    fn charge(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

fn size(batch: &Batch) -> usize {
    batch.bytes.len() + BATCH_OVERHEAD
}
