//! What the coordinator knows of topics: names, ids, partition counts, and how they change.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// All topics after the change; its version is one more than before.
    pub view: Arc<Topics>,
    /// Topics that are gone. Their offsets go too.
    pub deleted: Vec<Topic>,
}

/// All topics at one version. Shared by the shards and routers of all threads.
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

    /// The change that makes `changed` new or larger, and takes the topics named in `deleted` away.
    #[must_use]
    pub fn change(&self, changed: Vec<Topic>, deleted: &[TopicName]) -> TopicsDelta {
        let mut view = self.clone();
        view.version.0 += 1;
        let deleted = deleted.iter().filter_map(|name| view.by_name.remove(name)).collect();
        view.by_name.extend(changed.into_iter().map(|topic| (topic.name.clone(), topic)));
        TopicsDelta { view: Arc::new(view), deleted }
    }
}
