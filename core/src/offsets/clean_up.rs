//! Offsets of topics that are gone (spec classic 16, design 14).
//!
//! A row keeps the topic's id as it was when it was committed, so that offsets of a deleted topic
//! are never those of a topic that is made anew. Their rows are removed a bounded number a step;
//! until then they are not told to anyone.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::id::TopicName;
use crate::record::OffsetAndMetadata;
use crate::timers::Timer;

/// The topics whose offsets go, and how far that has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct CleanUp {
    pub(crate) timer: Timer,
    gone: BTreeSet<(TopicName, Uuid)>,
    /// Groups at lower places are still to be looked at.
    pub(crate) cursor: usize,
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

    /// All groups have been looked at.
    pub(crate) fn finish(&mut self) {
        self.gone.clear();
    }
}
