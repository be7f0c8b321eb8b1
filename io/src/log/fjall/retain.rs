//! Which batches are kept: compaction drops those that end before their partition's start, and
//! those of partitions that are gone.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use uuid::Uuid;

use super::PartitionKey;
use crate::disk::Filters;
use crate::log::entry::Entry;

/// The start of every partition there is. Until they are known, everything is kept.
///
/// A partition is in here before its first batch is written, and out, or cut, only after that is
/// durable: so what is dropped is never needed again, also after a crash.
#[derive(Default)]
pub struct Retained {
    starts: RwLock<Option<BTreeMap<PartitionKey, i64>>>,
}

impl Retained {
    /// Gives the filter of the keyspace called `records`, and none for others.
    pub fn filters(self: &Arc<Self>, records: &'static str) -> Filters {
        let factory: Arc<dyn Factory> = Arc::new(Filter { retained: Arc::clone(self) });
        Arc::new(move |keyspace| (keyspace == records).then(|| Arc::clone(&factory)))
    }

    /// From here on only these are kept, and what is added.
    pub fn begin(&self, starts: BTreeMap<PartitionKey, i64>) {
        self.change(|all| *all = Some(starts));
    }

    /// Keeps a partition from `start` on, or from where it was kept if that is later.
    pub fn set(&self, partition: PartitionKey, start: i64) {
        self.change(|all| {
            if let Some(all) = all {
                let kept = all.entry(partition).or_insert(start);
                *kept = start.max(*kept);
            }
        });
    }

    /// Keeps nothing of a topic.
    pub fn remove(&self, topic_id: Uuid) {
        self.change(|all| {
            if let Some(all) = all {
                all.retain(|partition, _| partition.topic_id != topic_id);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Option<BTreeMap<PartitionKey, i64>>)) {
        change(&mut self.starts.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn keeps(&self, partition: PartitionKey, last: i64) -> bool {
        let starts = self.starts.read().unwrap_or_else(PoisonError::into_inner);
        let Some(starts) = &*starts else { return true };
        starts.get(&partition).is_some_and(|start| last >= *start)
    }
}

struct Filter {
    retained: Arc<Retained>,
}

impl Factory for Filter {
    fn name(&self) -> &str {
        "retained"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Filter { retained: Arc::clone(&self.retained) })
    }
}

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        // A key is written once, or again by compaction, and what could come back of it begins
        // before the partition does.
        Ok(match Entry::parse(item.key()) {
            Some((partition, entry)) if !self.retained.keeps(partition, entry.last()) => {
                Verdict::Destroy
            }
            _ => Verdict::Keep,
        })
    }
}
