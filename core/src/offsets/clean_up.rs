//! Offsets of topics that are gone (spec classic 16, design 14).
//!
//! A row keeps the topic's id as it was when it was committed, so that offsets of a deleted topic
//! are never those of a topic that is made anew. Their rows are removed a bounded number a step;
//! until the last of them is gone for certain they are not told to anyone, and a removal that the
//! journal refused is tried again.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::id::{BatchId, TopicName};
use crate::record::OffsetAndMetadata;
use crate::timers::Timer;

/// The topics whose offsets go, and how far that has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct CleanUp {
    pub(crate) timer: Timer,
    gone: BTreeSet<(TopicName, Uuid)>,
    /// Groups at lower places are still to be looked at.
    pub(crate) cursor: usize,
    /// The newest batch of tombstones, while it is in flight.
    last: Option<BatchId>,
}

impl CleanUp {
    /// A topic is gone: all of `groups` groups are to be looked at.
    pub(crate) fn add(&mut self, topic: TopicName, id: Uuid, groups: usize) {
        self.gone.insert((topic, id));
        self.cursor = groups;
    }

    /// Whether a row is of a topic that is gone. One without an id is if its name is.
    pub(crate) fn covers(&self, topic: &TopicName, row: &OffsetAndMetadata) -> bool {
        if self.gone.is_empty() {
            return false;
        }
        if row.topic_id.is_nil() {
            let first = (topic.clone(), Uuid::nil());
            self.gone.range(first..).next().is_some_and(|(name, _)| name == topic)
        } else {
            self.gone.contains(&(topic.clone(), row.topic_id))
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_done(&self) -> bool {
        self.gone.is_empty()
    }

    /// A batch of tombstones is on its way.
    pub(crate) fn wrote(&mut self, batch: BatchId) {
        self.last = Some(batch);
    }

    /// All groups have been looked at, or all batches up to this one are durable. Once both is so
    /// for all of its own, nothing is left.
    pub(crate) fn settle(&mut self, through: Option<BatchId>) {
        self.last = self.last.filter(|last| through.is_none_or(|through| *last > through));
        if self.cursor == 0 && self.last.is_none() {
            self.gone.clear();
        }
    }

    /// This batch and later ones are not stored. Whether tombstones were among them: then all of
    /// `groups` groups are to be looked at again.
    pub(crate) fn undo(&mut self, from: BatchId, groups: usize) -> bool {
        let is_hit = self.last.is_some_and(|last| last >= from);
        if is_hit {
            (self.last, self.cursor) = (None, groups);
        }
        is_hit
    }

    /// Gives batches other numbers.
    pub(crate) fn renumber(&mut self, to: impl Fn(BatchId) -> BatchId) {
        self.last = self.last.map(to);
    }
}
