//! Who waits for records: one entry for each Fetch and home, however many partitions it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::log::PartitionKey;

/// Wakes a Fetch, from any thread; a wake that comes before it sleeps is not lost.
pub type Wake = Arc<Notify>;

/// Names a waiting Fetch: the thread that has its connection, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId {
    /// The thread.
    pub core: usize,
    /// The number.
    pub number: u64,
}

/// Where a Fetch has seen a partition's high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The partition.
    pub partition: PartitionKey,
    /// Its high watermark then.
    pub high_watermark: i64,
}

/// The Fetches that wait for partitions of one thread.
#[derive(Default)]
pub(super) struct Watchers {
    all: BTreeMap<WatchId, Watcher>,
    of: BTreeMap<PartitionKey, BTreeSet<WatchId>>,
}

struct Watcher {
    partitions: Vec<PartitionKey>,
    wake: Wake,
}

impl Watchers {
    pub fn add(&mut self, id: WatchId, partitions: Vec<PartitionKey>, wake: Wake) {
        for partition in &partitions {
            self.of.entry(*partition).or_default().insert(id);
        }
        self.all.insert(id, Watcher { partitions, wake });
    }

    pub fn remove(&mut self, id: WatchId) -> Option<Wake> {
        let Watcher { partitions, wake } = self.all.remove(&id)?;
        for partition in partitions {
            if let Some(ids) = self.of.get_mut(&partition) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.of.remove(&partition);
                }
            }
        }
        Some(wake)
    }

    /// Wakes those that wait for a partition. They look again, and come back if they must.
    pub fn wake(&mut self, partition: PartitionKey) {
        for id in self.of.get(&partition).cloned().unwrap_or_default() {
            self.remove(id).inspect(|wake| wake.notify_one());
        }
    }

    pub fn wake_all(&mut self) {
        self.of.clear();
        for watcher in std::mem::take(&mut self.all).into_values() {
            watcher.wake.notify_one();
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.all.is_empty(), self.of.is_empty());
        self.all.len()
    }
}
