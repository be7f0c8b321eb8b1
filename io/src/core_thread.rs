//! A core thread: its shards, partitions and connections, and one sleep to the next deadline.
//!
//! Decided here: what belongs to a thread and who may touch it. Everything in a [`Thread`] is
//! single threaded; a request of a group whose shard is here takes no lock and no channel. What is
//! for another thread goes into its box ([`Message`]), and never waits.

mod catalog;
mod group;
mod run;

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Waker;

use quorate_core::{Instant, Now, Router, ShardId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::admission::Admission;
use crate::api::TopicRules;
use crate::api::fetch_session::Sessions;
use crate::budget::Budget;
use crate::catalog::{Configs, Identity, Topic, Topics};
use crate::cli::Settings;
use crate::clock::Clock;
use crate::connections::Connections;
use crate::homes::{Homes, WatchId};
use crate::log::PartitionKey;
use crate::message::Message;
use crate::metrics::{Counters, Snapshot};
use crate::open::Open;
use crate::turn::{Out, Turn};

pub use catalog::core_topics;
pub(crate) use catalog::with_existing_shards;
pub use group::Asked;
pub(crate) use run::{Core, run};

/// Fills a slice with random bytes.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Bytes that a connection reads at once.
pub(crate) const SCRATCH: usize = 64 << 10;

/// What all threads know of the broker.
pub struct Shared {
    /// What it was started with.
    pub settings: Settings,
    /// Who it is.
    pub identity: Identity,
    /// The data folder; none in memory.
    pub folder: Option<PathBuf>,
    /// Leader epoch of all partitions.
    pub leader_epoch: i32,
    /// Both clocks.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Panics that were caught, of shards and of requests. Zero is what is expected.
    pub panics: AtomicU64,
    /// Who is let in.
    pub admission: Arc<Admission>,
    /// Memory for requests and unsent answers.
    pub budget: Arc<Budget>,
    /// One box a thread.
    pub boxes: Vec<mpsc::UnboundedSender<Message>>,
}

/// What everything on a thread shares. Never borrowed over an await.
pub struct Thread {
    index: usize,
    shared: Arc<Shared>,
    router: RefCell<Router>,
    open: RefCell<Open>,
    turn: RefCell<Turn>,
    /// What is left to be done for the shards.
    out: RefCell<Out>,
    topics: RefCell<Topics>,
    configs: RefCell<Configs>,
    settings: RefCell<Settings>,
    /// What the topics' configs come to, for those that were asked for since the last change.
    rules: RefCell<BTreeMap<Uuid, Rc<TopicRules>>>,
    coordinator_topics: RefCell<Arc<quorate_core::Topics>>,
    owner: RefCell<Option<catalog::Owner>>,
    homes: RefCell<Homes>,
    watches: Cell<u64>,
    pub(crate) counters: Counters,
    pub(crate) fetch_sessions: RefCell<Sessions>,
    pub(crate) connections: RefCell<Connections>,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    /// The tasks that accept connections, on the thread that does.
    pub(crate) acceptors: RefCell<Vec<AbortHandle>>,
    bell: Bell,
}

/// The broker stops, and with it what was asked of another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker stops")]
pub struct Stopped;

impl Thread {
    /// Which thread this is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many threads there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.shared.boxes.len()
    }

    /// What the broker runs with, changes while it runs included. Never hold it over an await.
    pub fn settings(&self) -> Ref<'_, Settings> {
        self.settings.borrow()
    }

    /// The configs of brokers and groups that were set while they run. Never hold it over an await.
    pub fn configs(&self) -> Ref<'_, Configs> {
        self.configs.borrow()
    }

    /// What all threads know.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        self.shared.clock.now()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Sleeps until a moment of the monotonic clock.
    pub async fn sleep_until(&self, at: Instant) {
        self.shared.clock.sleep_until(at).await;
    }

    /// The topics as this thread knows them. Never hold it over an await.
    pub fn topics(&self) -> Ref<'_, Topics> {
        self.topics.borrow()
    }

    /// What a topic's configs come to.
    #[must_use]
    pub fn rules_of(&self, topic: &Topic) -> Rc<TopicRules> {
        let mut rules = self.rules.borrow_mut();
        let of_topic = || Rc::new(TopicRules::of(topic, &self.settings()));
        Rc::clone(rules.entry(topic.id).or_insert_with(of_topic))
    }

    /// 16 random bytes.
    #[must_use]
    pub fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        (self.shared.entropy)(&mut bytes);
        bytes
    }

    /// The thread that is a partition's home.
    #[must_use]
    pub fn home_of(&self, topic: Uuid, partition: i32) -> usize {
        home_of(topic, partition, self.cores())
    }

    /// The partitions whose home is this thread. Never hold it over an await. What was asked of
    /// them is seen to in the thread's next turn, for which it is to be woken.
    #[must_use]
    pub fn homes(&self) -> &RefCell<Homes> {
        &self.homes
    }

    /// A name for a Fetch of this thread that waits.
    pub(crate) fn next_watch(&self) -> WatchId {
        self.watches.set(self.watches.get() + 1);
        WatchId { core: self.index, number: self.watches.get() }
    }

    /// Whether there is such a partition, as far as this thread knows.
    #[must_use]
    pub fn has_partition(&self, key: PartitionKey) -> bool {
        let topics = self.topics.borrow();
        topics.by_id(key.topic_id).is_some_and(|topic| (0..topic.partitions).contains(&key.index))
    }

    /// The thread that has a shard.
    #[must_use]
    pub fn core_of_shard(&self, shard: ShardId) -> usize {
        shard.0 as usize % self.cores()
    }

    /// Runs work on another thread, or here, and gives its result. Who stops waiting does not stop
    /// the work.
    pub async fn on<T, F, Fut>(self: &Rc<Self>, core: usize, work: F) -> Result<T, Stopped>
    where
        F: FnOnce(Rc<Thread>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        if core == self.index {
            return Ok(work(Rc::clone(self)).await);
        }
        let (done, result) = oneshot::channel();
        self.send(
            core,
            Message::Run(Box::new(move |thread| {
                let work = work(Rc::clone(thread));
                tokio::task::spawn_local(async move {
                    // Nobody listens where the connection that asked is gone.
                    let _ = done.send(work.await);
                });
            })),
        );
        result.await.map_err(|_| Stopped)
    }

    /// What this thread has counted, and what it has.
    #[must_use]
    pub fn count(&self) -> Snapshot {
        let mut snapshot = self.counters.read();
        self.turn.borrow().count(&mut snapshot);
        snapshot.connections = self.connections.borrow().len() as u64;
        snapshot.partitions = self.homes.borrow().written().len() as u64;
        snapshot
    }

    /// Makes the thread take a turn.
    pub(crate) fn wake(&self) {
        self.bell.ring();
    }

    /// Puts a message into a thread's box; into one's own it is taken out in the next turn.
    pub(crate) fn send(&self, core: usize, message: Message) {
        // A thread that has ended took part in a stop: nobody is left to care.
        let _ = self.shared.boxes[core].send(message);
    }
}

/// The thread that is a partition's home, of so many threads.
#[must_use]
pub fn home_of(topic: Uuid, partition: i32, cores: usize) -> usize {
    // Ids are random, so any of their bits are as good as a hash.
    let spread = topic.as_u64_pair().1.wrapping_add(u64::from(partition.unsigned_abs()));
    (spread % cores as u64) as usize
}

/// Wakes the turn from its own thread, without a lock.
#[derive(Debug, Default)]
struct Bell {
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.replace(true)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Whether it was rung since it was last asked; if not, the waker hears the next ring.
    fn heard(&self, waker: &Waker) -> bool {
        if self.rung.replace(false) {
            return true;
        }
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        false
    }
}
