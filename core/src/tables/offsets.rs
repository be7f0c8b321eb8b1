//! Committed offsets of one group, by topic and partition.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::id::TopicName;
use crate::record::OffsetAndMetadata;

/// The offset rows of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Offsets {
    topics: BTreeMap<TopicName, BTreeMap<i32, OffsetAndMetadata>>,
}

impl Offsets {
    /// Writes or removes a row; the row it displaced.
    pub(super) fn put(
        &mut self,
        topic: &TopicName,
        partition: i32,
        value: Option<OffsetAndMetadata>,
    ) -> Option<OffsetAndMetadata> {
        match value {
            Some(value) => match self.topics.get_mut(topic) {
                Some(partitions) => partitions.insert(partition, value),
                None => {
                    self.topics.entry(topic.clone()).or_default().insert(partition, value);
                    None
                }
            },
            None => {
                let Entry::Occupied(mut entry) = self.topics.entry(topic.clone()) else {
                    return None;
                };
                let old = entry.get_mut().remove(&partition);
                if entry.get().is_empty() {
                    entry.remove();
                }
                old
            }
        }
    }

    pub(crate) fn get(&self, topic: &TopicName, partition: i32) -> Option<&OffsetAndMetadata> {
        self.topics.get(topic)?.get(&partition)
    }

    /// The group's own copy of a topic's name, if it has a row of that topic.
    pub(crate) fn name(&self, topic: &TopicName) -> Option<&TopicName> {
        self.topics.get_key_value(topic).map(|(name, _)| name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TopicName, i32, &OffsetAndMetadata)> {
        self.topics.iter().flat_map(|(name, partitions)| {
            partitions.iter().map(move |(partition, row)| (name, *partition, row))
        })
    }
}
