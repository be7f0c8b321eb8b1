//! The catalog's changes: one thread owns it, all have its view.
//!
//! Decided here: when a change is answered. Only after it is durable and every thread has applied
//! it, so that what a client was told is true wherever it asks next.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use quorate_core::{Topic, TopicName, TopicsDelta, TopicsVersion};
use tokio::sync::oneshot;

use super::{Shared, Stopped, Thread};
use crate::catalog::{self, Catalog, Configs, Delta, Operation, Outcome, Resource, Topics};
use crate::cli::{Settings, Source};
use crate::message::Message;

/// The catalog on the thread that owns it.
pub(super) struct Owner {
    catalog: Box<dyn Catalog>,
    asked: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Outcome>>,
    completed: Vec<catalog::Completion>,
}

impl Owner {
    pub fn new(catalog: Box<dyn Catalog>) -> Owner {
        Owner { catalog, asked: 0, waiting: BTreeMap::new(), completed: Vec::new() }
    }
}

/// The topic whose partitions are the coordinator's shards.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The settings, with as many shards as `__consumer_offsets` has partitions once it exists: a group
/// is found by their number, so that another one would lose the offsets of nearly all groups.
pub(crate) fn with_existing_shards(mut settings: Settings, topics: &Topics) -> Settings {
    let existing = topics.by_name(OFFSETS_TOPIC).map(|topic| topic.partitions.unsigned_abs());
    let shards = existing.unwrap_or(settings.offsets_topic_num_partitions);
    if shards != settings.offsets_topic_num_partitions {
        tracing::warn!(
            "offsets.topic.num.partitions={} has no effect: {OFFSETS_TOPIC} exists, with {shards} \
             partitions",
            settings.offsets_topic_num_partitions
        );
        settings.offsets_topic_num_partitions = shards;
    }
    settings
}
/// What Kafka sets on it.
const OFFSETS_CONFIGS: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("compression.type", "producer"),
    ("segment.bytes", "104857600"),
];

/// The thread that owns the catalog.
pub(super) const OWNER: usize = 0;

impl Thread {
    /// Changes the catalog, or takes producer ids from it.
    pub async fn change_catalog(self: &Rc<Self>, operation: Operation) -> Result<Outcome, Stopped> {
        let asked = |thread: Rc<Thread>| async move {
            let done = thread.submit(operation);
            done.await.map_err(|_| Stopped)
        };
        self.on(OWNER, asked).await?
    }

    /// Creates `__consumer_offsets`, if this is the first start: it is listed from then on, as
    /// Kafka lists it once it is used, so that nobody is told to wait for it.
    pub(super) fn create_offsets_topic(self: &Rc<Self>) {
        if self.index != OWNER || self.topics.borrow().by_name(OFFSETS_TOPIC).is_some() {
            return;
        }
        let id = catalog::random_id(&mut |bytes| (self.shared.entropy)(bytes));
        let partitions = self.settings().offsets_topic_num_partitions;
        let partitions = i32::try_from(partitions).expect("checked when the settings were read");
        let configs = OFFSETS_CONFIGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let topic = catalog::Topic {
            name: OFFSETS_TOPIC.into(),
            id,
            partitions,
            configs: configs.into(),
            internal: true,
        };
        // Nobody waits for it: a start that is cut short does it again at the next.
        drop(self.submit(Operation::Create(topic)));
    }

    fn submit(&self, operation: Operation) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        let mut owner = self.owner.borrow_mut();
        let owner = owner.as_mut().expect("the catalog is asked on its thread");
        owner.asked += 1;
        owner.waiting.insert(owner.asked, done);
        owner.catalog.submit(owner.asked, operation);
        self.bell.ring();
        outcome
    }

    /// Takes what the catalog completed to all threads, in order.
    pub(super) fn poll_catalog(&self) {
        let mut owner = self.owner.borrow_mut();
        let Some(owner) = owner.as_mut() else { return };
        owner.catalog.poll(&mut owner.completed);
        for done in owner.completed.drain(..) {
            let waiting = owner.waiting.remove(&done.token);
            let applied = match &done.outcome {
                Outcome::Changed(delta) => {
                    let core = Arc::new(core_delta(&self.coordinator_topics.borrow(), delta));
                    let delta = delta.clone();
                    self.spread(move |thread| thread.apply(&delta, &core))
                }
                Outcome::Configured { of, configs } => {
                    let (of, configs) = (of.clone(), configs.clone());
                    self.spread(move |thread| thread.configure(&of, &configs))
                }
                _ => Vec::new(),
            };
            tokio::task::spawn_local(async move {
                for thread in applied {
                    // One that does not answer has ended.
                    let _ = thread.await;
                }
                if let Some(waiting) = waiting {
                    // The connection that asked may be gone.
                    let _ = waiting.send(done.outcome);
                }
            });
        }
    }

    /// Has every thread apply a change, this one at once.
    fn spread(
        &self,
        change: impl Fn(&Thread) + Clone + Send + 'static,
    ) -> Vec<oneshot::Receiver<()>> {
        let others = (0..self.cores()).filter(|other| *other != self.index);
        let sent = others.map(|other| {
            let change = change.clone();
            let (done, applied) = oneshot::channel();
            let work = move |thread: &Rc<Thread>| {
                change(thread);
                let _ = done.send(());
            };
            self.send(other, Message::Run(Box::new(work)));
            applied
        });
        let sent = sent.collect();
        change(self);
        sent
    }

    fn apply(&self, delta: &Delta, core: &TopicsDelta) {
        self.topics.borrow_mut().apply(delta);
        self.rules.borrow_mut().clear();
        self.router.borrow_mut().apply(core);
        *self.coordinator_topics.borrow_mut() = Arc::clone(&core.view);
        self.turn.borrow_mut().topics_changed(core);
        if let (Some(gone), None) = (&delta.before, &delta.after) {
            self.homes.borrow_mut().delete(gone.id, self.index == OWNER);
        }
        self.bell.ring();
    }
}

impl Thread {
    fn configure(&self, of: &Resource, set: &BTreeMap<String, String>) {
        let mut configs = self.configs.borrow_mut();
        if set.is_empty() {
            configs.remove(of);
        } else {
            configs.insert(of.clone(), set.clone());
        }
        if matches!(of, Resource::Brokers | Resource::Broker(_)) {
            let settings = dynamic_settings(&self.shared, &configs);
            self.shared.admission.configure(&settings);
            *self.settings.borrow_mut() = settings;
            self.rules.borrow_mut().clear();
        }
    }
}

/// A setting that a Kafka of today has set for all brokers since its first start, so that it can
/// know which replicas may lead (KIP-966). Tools compare with that.
const SET_FOR_ALL_BROKERS: (&str, &str) = ("min.insync.replicas", "1");

/// The settings that the broker was started with, and over them those that were set since.
pub(super) fn dynamic_settings(shared: &Shared, configs: &Configs) -> Settings {
    let (name, value) = SET_FOR_ALL_BROKERS;
    let mut for_all = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for_all.extend(configs.get(&Resource::Brokers).cloned().unwrap_or_default());
    let settings = shared.settings.clone().with(Source::DynamicDefault, &for_all);
    match configs.get(&Resource::Broker(shared.identity.node_id)) {
        Some(own) => settings.with(Source::Dynamic, own),
        None => settings,
    }
}

/// The coordinator's view of the catalog.
#[must_use]
pub fn core_topics(topics: &catalog::Topics) -> quorate_core::Topics {
    let version = TopicsVersion(topics.number());
    quorate_core::Topics::new(version, topics.iter().map(|topic| core_topic(topic)))
}

fn core_topic(topic: &catalog::Topic) -> Topic {
    Topic { name: TopicName::from(&*topic.name), id: topic.id, partitions: topic.partitions }
}

fn core_delta(before: &quorate_core::Topics, delta: &Delta) -> TopicsDelta {
    let changed = delta.after.iter().map(|topic| core_topic(topic)).collect();
    let gone = delta.before.iter().filter(|_| delta.after.is_none());
    let gone: Vec<TopicName> = gone.map(|topic| TopicName::from(&*topic.name)).collect();
    before.change(changed, &gone)
}
