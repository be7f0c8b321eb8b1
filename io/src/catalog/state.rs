//! What an operation does to the catalog: decided here, the same for every store.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{
    Configs, Delta, Operation, Outcome, PRODUCER_ID_BLOCK, Refusal, Resource, Topic, Topics,
};

/// The catalog as it is once everything that was submitted is stored.
#[derive(Clone, Debug, Default)]
pub struct State {
    topics: Topics,
    configs: Configs,
    /// Topics whose names have a period or an underscore, by the name with only underscores.
    similar: BTreeMap<String, Arc<str>>,
    next_producer_id: i64,
}

/// What has to be stored for an outcome to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The topic's row, new or changed.
    Put(Arc<Topic>),
    /// There is no such topic any more.
    Remove(Uuid),
    /// All configs of a broker or group that are set; there may be none.
    Configs(Resource, BTreeMap<String, String>),
    /// The first producer id that was not handed out.
    NextProducerId(i64),
    /// The stop was clean.
    Clean,
}

impl State {
    /// The state that is stored.
    pub fn new(topics: Topics, configs: Configs, next_producer_id: i64) -> Self {
        let names = topics.iter().map(|topic| &topic.name);
        let similar = names.filter_map(|name| Some((similar_name(name)?, Arc::clone(name))));
        Self { similar: similar.collect(), topics, configs, next_producer_id }
    }

    /// The topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The configs of brokers and groups.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// The first producer id that was not handed out.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Does an operation, if it can be done, and says what has to be stored for it.
    pub fn apply(&mut self, operation: Operation) -> (Outcome, Option<Row>) {
        let changed = match operation {
            Operation::Create(topic) => self.create(topic),
            Operation::Delete { id } => self.topic(id).map(|topic| (Some(topic), None)),
            Operation::SetPartitions { id, partitions } => self.set_partitions(id, partitions),
            Operation::ChangeConfigs { of: Resource::Topic(id), changes } => {
                self.topic(id).map(|topic| {
                    let mut after = (*topic).clone();
                    change(&mut after.configs, changes);
                    (Some(topic), Some(after))
                })
            }
            Operation::ChangeConfigs { of, changes } => return self.configure(of, changes),
            Operation::ProducerIds => {
                let first = self.next_producer_id;
                self.next_producer_id += PRODUCER_ID_BLOCK;
                let ids = first..self.next_producer_id;
                return (
                    Outcome::ProducerIds(ids),
                    Some(Row::NextProducerId(self.next_producer_id)),
                );
            }
            Operation::CleanStop => return (Outcome::Stopped, Some(Row::Clean)),
        };
        match changed {
            Ok((before, after)) => self.change(before, after.map(Arc::new)),
            Err(refusal) => (Outcome::Refused(refusal), None),
        }
    }

    fn configure(
        &mut self,
        of: Resource,
        changes: BTreeMap<String, Option<String>>,
    ) -> (Outcome, Option<Row>) {
        let mut configs = self.configs.remove(&of).unwrap_or_default();
        change(&mut configs, changes);
        if !configs.is_empty() {
            self.configs.insert(of.clone(), configs.clone());
        }
        let row = Row::Configs(of.clone(), configs.clone());
        (Outcome::Configured { of, configs }, Some(row))
    }

    fn topic(&self, id: Uuid) -> Result<Arc<Topic>, Refusal> {
        self.topics.by_id(id).cloned().ok_or(Refusal::UnknownTopic { id })
    }

    fn create(&self, topic: Topic) -> Result<(Option<Arc<Topic>>, Option<Topic>), Refusal> {
        if self.topics.by_name(&topic.name).is_some() {
            return Err(Refusal::NameTaken { name: topic.name });
        }
        if self.topics.by_id(topic.id).is_some() {
            return Err(Refusal::IdTaken { id: topic.id });
        }
        match similar_name(&topic.name).and_then(|name| self.similar.get(&name)) {
            Some(with) => Err(Refusal::NameCollides { name: topic.name, with: Arc::clone(with) }),
            None => Ok((None, Some(topic))),
        }
    }

    fn set_partitions(
        &self,
        id: Uuid,
        partitions: i32,
    ) -> Result<(Option<Arc<Topic>>, Option<Topic>), Refusal> {
        let topic = self.topic(id)?;
        if partitions <= topic.partitions {
            let current = topic.partitions;
            return Err(Refusal::NotMorePartitions { current, asked: partitions });
        }
        let after = Topic { partitions, ..(*topic).clone() };
        Ok((Some(topic), Some(after)))
    }

    fn change(
        &mut self,
        before: Option<Arc<Topic>>,
        after: Option<Arc<Topic>>,
    ) -> (Outcome, Option<Row>) {
        if let Some(topic) = &before {
            similar_name(&topic.name).map(|name| self.similar.remove(&name));
        }
        if let Some(topic) = &after {
            similar_name(&topic.name)
                .map(|name| self.similar.insert(name, Arc::clone(&topic.name)));
        }
        let row = match (&before, &after) {
            (_, Some(topic)) => Some(Row::Put(Arc::clone(topic))),
            (Some(topic), None) => Some(Row::Remove(topic.id)),
            (None, None) => None,
        };
        let delta = Delta { number: self.topics.number() + 1, before, after };
        self.topics.apply(&delta);
        (Outcome::Changed(delta), row)
    }
}

fn change(configs: &mut BTreeMap<String, String>, changes: BTreeMap<String, Option<String>>) {
    for (name, value) in changes {
        match value {
            Some(value) => configs.insert(name, value),
            None => configs.remove(&name),
        };
    }
}

/// What two names that collide have in common; none for a name that collides with no other.
fn similar_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}
