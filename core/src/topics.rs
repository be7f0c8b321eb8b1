//! What the coordinator knows of topics: names, ids, partition counts, and how they change.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::id::TopicName;

/// Numbers the changes of the catalog; a view is of one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicsVersion(pub u64);

/// A topic as a group coordinator needs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Its id, new for each creation.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
}

/// One change of the catalog. All shards get the same ones in the same order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TopicsDelta {
    /// The version that the change leads to, one more than before.
    pub version: TopicsVersion,
    /// Topics that are new or have more partitions.
    pub changed: Vec<Topic>,
    /// Topics that are gone.
    pub deleted: Vec<Topic>,
}

/// All topics at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Topics {
    version: TopicsVersion,
    by_name: BTreeMap<TopicName, Topic>,
}

impl Topics {
    /// The topics that exist at `version`.
    #[must_use]
    pub fn new(version: TopicsVersion, topics: impl IntoIterator<Item = Topic>) -> Topics {
        let by_name = topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
        Topics { version, by_name }
    }

    /// The version of this view.
    #[must_use]
    pub fn version(&self) -> TopicsVersion {
        self.version
    }

    /// The topic of that name.
    #[must_use]
    pub fn get(&self, name: &TopicName) -> Option<&Topic> {
        self.by_name.get(name)
    }

    /// All topics, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    /// Brings the view to the delta's version.
    pub fn apply(&mut self, delta: &TopicsDelta) {
        for gone in &delta.deleted {
            if self.by_name.get(&gone.name).is_some_and(|known| known.id == gone.id) {
                self.by_name.remove(&gone.name);
            }
        }
        for topic in &delta.changed {
            self.by_name.insert(topic.name.clone(), topic.clone());
        }
        self.version = delta.version;
    }
}
