//! The topics of all brokers, and the catalogs that brokers have of them.
//!
//! Decided here: topics change in one place, as if a controller did it, and each broker hears of a
//! change through its own catalog: late, in order, later still while its metadata is stale. One
//! that starts knows all. What a broker itself asks of its catalog is refused, but its clean stop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use litemap::LiteMap;
use quorate_io::broker::Alarm;
use quorate_io::catalog::{Catalog, Completion, Delta, Operation, Outcome, Refusal, Topic, Topics};
use quorate_io::core_thread::core_topics;
use quorate_io::disk::Wake;
use uuid::Uuid;

use crate::plan::{Latency, NodeIndex, TopicSpec};
use crate::random::Stream;

const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// A token that no broker gives: what comes with it was asked by nobody there.
const UNASKED: u64 = u64::MAX;

/// See the module. Clones are the same one.
#[derive(Clone)]
pub(super) struct Controller(Arc<Mutex<State>>);

struct State {
    topics: Topics,
    ids: Stream,
    latency: Latency,
    /// The catalogs that are open, by broker.
    open: LiteMap<NodeIndex, Open>,
    stale: LiteMap<NodeIndex, Duration>,
    speeds: LiteMap<NodeIndex, Stream>,
}

struct Open {
    coming: VecDeque<(Duration, Delta)>,
    ready: Vec<Completion>,
    wake: Wake,
}

impl Controller {
    pub fn new(seed: u64, shards: u32, nodes: u16, specs: &[TopicSpec], latency: Latency) -> Self {
        let mut ids = Stream::new(seed, "topic", 0);
        let mut all: Vec<Topic> = specs.iter().map(|spec| topic(&mut ids, spec)).collect();
        all.push(Topic {
            name: OFFSETS_TOPIC.into(),
            id: Uuid::from_u128(u128::MAX / 3),
            partitions: i32::try_from(shards).expect("few shards"),
            configs: BTreeMap::new(),
            internal: true,
        });
        let speed = |node| (NodeIndex(node), Stream::new(seed, "news", u64::from(node)));
        Controller(Arc::new(Mutex::new(State {
            topics: Topics::new(all),
            ids,
            latency,
            open: LiteMap::new(),
            stale: LiteMap::new(),
            speeds: (0..nodes).map(speed).collect(),
        })))
    }

    /// The topics as a coordinator has them.
    pub fn view(&self) -> Arc<quorate_core::Topics> {
        Arc::new(core_topics(&self.state().topics))
    }

    /// A broker starts: its catalog, and what it knows.
    pub fn open(&self, node: NodeIndex, alarm: &Alarm) -> (Box<dyn Catalog>, Topics) {
        let mut state = self.state();
        let (coming, ready) = (VecDeque::new(), Vec::new());
        state.open.insert(node, Open { coming, ready, wake: alarm.wake() });
        (Box::new(Handle { of: self.clone(), node }), state.topics.clone())
    }

    /// A broker has ended.
    pub fn close(&self, node: NodeIndex) {
        self.state().open.remove(&node);
    }

    /// A broker hears of nothing until then.
    pub fn stale(&self, node: NodeIndex, until: Duration) {
        let mut state = self.state();
        let known = state.stale.entry(node).or_default();
        *known = (*known).max(until);
    }

    /// All brokers hear of what there is.
    pub fn heal(&self) {
        let mut state = self.state();
        state.stale.clear();
        let late = state.open.iter_mut().flat_map(|(_, open)| &mut open.coming);
        late.for_each(|(due, _)| *due = Duration::ZERO);
    }

    /// Creates a topic, unless it is there. Whether it did.
    pub fn create(&self, at: Duration, spec: &TopicSpec) -> bool {
        let mut state = self.state();
        if state.topics.by_name(&spec.name).is_some() {
            return false;
        }
        let topic = topic(&mut state.ids, spec);
        state.change(at, None, Some(topic));
        true
    }

    /// Deletes a topic, if it is there: what it was.
    pub fn delete(&self, at: Duration, name: &str) -> Option<TopicSpec> {
        let mut state = self.state();
        let old = Arc::clone(state.topics.by_name(name)?);
        let spec = TopicSpec { name: name.to_owned(), partitions: old.partitions };
        state.change(at, Some(old), None);
        Some(spec)
    }

    /// Gives a topic more partitions. Whether it is there.
    pub fn grow(&self, at: Duration, name: &str, by: i32) -> bool {
        let mut state = self.state();
        let Some(old) = state.topics.by_name(name).cloned() else { return false };
        let mut topic = Topic::clone(&old);
        topic.partitions += by;
        state.change(at, Some(old), Some(topic));
        true
    }

    /// Brokers hear of what is due.
    pub fn tick(&self, at: Duration) {
        let mut state = self.state();
        let State { open, stale, .. } = &mut *state;
        for (node, open) in open {
            let is_stale = stale.get(node).is_some_and(|until| *until > at);
            let mut came = false;
            while !is_stale
                && let Some((_, delta)) = open.coming.pop_front_if(|(due, _)| *due <= at)
            {
                open.ready.push(Completion { token: UNASKED, outcome: Outcome::Changed(delta) });
                came = true;
            }
            if came {
                (open.wake)();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a run is single threaded, and over once it has panicked")
    }
}

impl State {
    fn change(&mut self, at: Duration, before: Option<Arc<Topic>>, after: Option<Topic>) {
        let number = self.topics.number() + 1;
        let delta = Delta { number, before, after: after.map(Arc::new) };
        self.topics.apply(&delta);
        for (node, speed) in &mut self.speeds {
            let takes = speed.latency(&self.latency);
            let Some(open) = self.open.get_mut(node) else { continue };
            let last = open.coming.back().map_or(Duration::ZERO, |(due, _)| *due);
            open.coming.push_back(((at + takes).max(last), delta.clone()));
        }
    }
}

fn topic(ids: &mut Stream, spec: &TopicSpec) -> Topic {
    let mut bytes = [0; 16];
    ids.fill(&mut bytes);
    Topic {
        name: spec.name.as_str().into(),
        id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
        partitions: spec.partitions,
        configs: BTreeMap::new(),
        internal: false,
    }
}

/// A broker's catalog.
struct Handle {
    of: Controller,
    node: NodeIndex,
}

impl Catalog for Handle {
    fn submit(&mut self, token: u64, operation: Operation) {
        let outcome = match operation {
            Operation::CleanStop => Outcome::Stopped,
            _ => Outcome::Refused(Refusal::Unavailable { cause: "topics change elsewhere".into() }),
        };
        if let Some(open) = self.of.state().open.get_mut(&self.node) {
            open.ready.push(Completion { token, outcome });
        }
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        if let Some(open) = self.of.state().open.get_mut(&self.node) {
            out.append(&mut open.ready);
        }
    }
}
