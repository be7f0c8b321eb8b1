//! A broker: core threads over stores, behind a listener.
//!
//! Decided here: what a broker is made of, in which order it comes up (it listens first and loads
//! after) and how it stops. Nothing here names a thread, a socket or a signal: the loops of the
//! threads are given to `spawn`, and are threads in production and tasks in a simulation.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quorate_core::config::ServerAssignor;
use quorate_core::{Config, NoteKinds};
use tokio::sync::{mpsc, oneshot};

use crate::admission::Admission;
use crate::budget::Budget;
use crate::catalog::{Boot, Catalog, Operation, Outcome};
use crate::cli::{ClassicServerAssignor, Settings};
use crate::clock::Clock;
use crate::core_thread::{Core, Entropy, Shared, Thread, home_of, run, with_existing_shards};
use crate::disk::Wake;
use crate::journal::JournalStore;
use crate::listener::accept;
use crate::log::{LogStore, PartitionKey, Recovered, TailBudget};
use crate::message::Message;
use crate::metrics::Snapshot;
use crate::net::Listener;
use crate::tap::Tap;
use crate::telemetry;

/// How long a stop waits for what is in flight.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of the newest records of all partitions that are kept in memory, so that readers at the
/// end of a partition need no disk.
const TAIL_BYTES: usize = 32 << 20;

/// A future that stays on its thread.
pub type LocalBoxFuture = Pin<Box<dyn Future<Output = ()>>>;
/// Makes the loop of a thread, on that thread.
pub type Loop = Box<dyn FnOnce() -> LocalBoxFuture + Send>;

/// Wakes the thread that owns the catalog: made before there is a thread, for a store that wants it
/// when it is opened.
#[derive(Clone, Default)]
pub struct Alarm(Arc<OnceLock<mpsc::UnboundedSender<Message>>>);

impl Alarm {
    /// The function to wake with. It does nothing until the broker starts.
    #[must_use]
    pub fn wake(&self) -> Wake {
        let alarm = Arc::clone(&self.0);
        Arc::new(move || {
            if let Some(owner) = alarm.get() {
                // A thread that has ended takes no completions.
                let _ = owner.send(Message::Wake);
            }
        })
    }
}

/// The stores of a broker.
pub struct Stores {
    /// Of the coordinator.
    pub journal: Arc<dyn JournalStore>,
    /// Of topics.
    pub catalog: Box<dyn Catalog>,
    /// What the catalog held when it was opened.
    pub boot: Boot,
    /// Of records.
    pub log: Arc<dyn LogStore>,
    /// The partitions that were found in it.
    pub partitions: Vec<Recovered>,
    /// The data folder; none in memory.
    pub folder: Option<PathBuf>,
    /// What wakes the catalog's thread.
    pub alarm: Alarm,
    /// Makes everything that was acknowledged survive a power failure. Called once, when the broker
    /// has stopped, before the clean stop is written; it may block.
    pub sync: Sync,
    /// What has to live until all threads have ended: the writers.
    pub keep: Box<dyn Any + Send>,
    /// Who is told what the shards do with their stores; nobody but in a simulation.
    pub tap: Option<Arc<dyn Tap>>,
}

/// See [`Stores::sync`].
pub type Sync = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// A broker that runs.
pub struct Broker {
    shared: Arc<Shared>,
    listening: Option<oneshot::Receiver<io::Result<Vec<SocketAddr>>>>,
    ended: mpsc::UnboundedReceiver<()>,
    sync: Sync,
    keep: Box<dyn Any + Send>,
}

impl Broker {
    /// Starts a broker of `cores` threads. `spawn` is called once for each of them, with its number
    /// and what is to run on it, within a tokio runtime and a `LocalSet`. `listeners` are those of
    /// [`Settings::listeners`], in their order.
    pub fn start<L: Listener>(
        settings: Settings,
        cores: usize,
        mut spawn: impl FnMut(usize, Loop),
        listeners: Vec<L::Detached>,
        stores: Stores,
        clock: Clock,
        entropy: Entropy,
    ) -> Broker {
        assert!(cores > 0, "a broker has at least one thread");
        let Stores { journal, catalog, boot, log, partitions, folder, alarm, sync, keep, tap } =
            stores;
        let Boot { identity, topics, configs, leader_epoch, .. } = boot;
        let settings = with_existing_shards(settings, &topics);
        let (boxes, inboxes): (Vec<_>, Vec<_>) =
            (0..cores).map(|_| mpsc::unbounded_channel()).unzip();
        // A second broker over the same stores is a fault of the caller, who opens them anew.
        let _ = alarm.0.set(boxes[0].clone());
        let mut node_secret = [0; 32];
        entropy(&mut node_secret);
        let config = core_config(&settings);
        let mut homes: BTreeMap<usize, Vec<Recovered>> = BTreeMap::new();
        for found in partitions {
            let PartitionKey { topic_id, index } = found.partition;
            homes.entry(home_of(topic_id, index, cores)).or_default().push(found);
        }
        let tails = TailBudget::new(TAIL_BYTES);
        let panics = AtomicU64::new(0);
        let admission = Admission::new(&settings);
        let budget = Arc::new(Budget::new(settings.queued_max_request_bytes));
        let shared = Arc::new(Shared {
            settings,
            identity,
            folder,
            leader_epoch,
            clock,
            entropy,
            panics,
            admission,
            budget,
            boxes,
        });
        let (ends, ended) = mpsc::unbounded_channel();
        let (heard, listening) = oneshot::channel();
        let mut first = Some((catalog, listeners, heard));
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let (catalog, listeners) = match first.take() {
                Some((catalog, listeners, heard)) => (Some(catalog), Some((listeners, heard))),
                None => (None, None),
            };
            let core = Core {
                index,
                shared: Arc::clone(&shared),
                inbox,
                journal: Arc::clone(&journal),
                log: Arc::clone(&log),
                partitions: homes.remove(&index).unwrap_or_default(),
                tails: tails.clone(),
                catalog,
                topics: topics.clone(),
                configs: configs.clone(),
                config: config.clone(),
                node_secret,
                notes: if tap.is_some() { NoteKinds::ALL } else { telemetry::LOGGED },
                tap: tap.clone(),
            };
            let end = ends.clone();
            spawn(index, Box::new(move || Box::pin(core_loop::<L>(core, listeners, end))));
        }
        Broker { shared, listening: Some(listening), ended, sync, keep }
    }

    /// Waits until the broker listens: the address of each listener, or why it cannot.
    pub async fn listening(&mut self) -> io::Result<Vec<SocketAddr>> {
        let listening = self.listening.take().expect("it is asked once");
        listening.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Who may ask what is counted, for as long as the broker runs.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer { shared: Arc::clone(&self.shared) }
    }

    /// How many panics were caught so far. Zero is what is expected.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Stops accepting, finishes what is in flight, answers what is parked, writes that the stop
    /// was clean, and ends the threads.
    pub async fn stop(mut self) -> Result<(), StopError> {
        let (grace, clean) = (self.shared.clock.mono() + GRACE, &self.shared);
        let quiet = self.quiet();
        let until = clean.clock.sleep_until(grace);
        let quiet = tokio::select! {
            biased;
            () = quiet => Ok(()),
            () = until => Err(StopError::TooSlow(GRACE)),
        };
        let stopped = match (quiet, (self.sync)()) {
            (Ok(()), Ok(())) => clean_stop(&self.shared).await,
            (_, Err(reason)) => Err(StopError::NotSynced(reason)),
            (Err(slow), Ok(())) => Err(slow),
        };
        for core in &self.shared.boxes {
            // A thread that has ended needs no telling.
            let _ = core.send(Message::Quit);
        }
        while self.ended.recv().await.is_some() {}
        drop(self.keep);
        stopped
    }

    /// Tells all threads to stop, and waits until they have nothing left to do.
    fn quiet(&self) -> impl Future<Output = ()> + use<> {
        let quiet: Vec<_> = self
            .shared
            .boxes
            .iter()
            .map(|core| {
                let (quiet, is_quiet) = oneshot::channel();
                // A thread that has ended is quiet.
                let _ = core.send(Message::Stop(quiet));
                is_quiet
            })
            .collect();
        async move {
            for quiet in quiet {
                let _ = quiet.await;
            }
        }
    }
}

/// How long threads may take to say what they have counted.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the admin endpoint waits before it tries again what failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks a broker what it counts.
#[derive(Clone)]
pub struct Observer {
    shared: Arc<Shared>,
}

impl Observer {
    /// What all threads have counted; none if one of them does not answer.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let asked: Vec<_> = self
            .shared
            .boxes
            .iter()
            .map(|core| {
                let (told, count) = oneshot::channel();
                let work = move |thread: &Rc<Thread>| {
                    // Whoever asked may have given up.
                    let _ = told.send(thread.count());
                };
                // A thread that has ended does not answer.
                let _ = core.send(Message::Run(Box::new(work)));
                count
            })
            .collect();
        let until = self.shared.clock.sleep_until(self.shared.clock.mono() + PATIENCE);
        let counted = async {
            let mut all = Snapshot::default();
            for count in asked {
                all.merge(&count.await.ok()?);
            }
            all.panics = self.shared.panics.load(Ordering::Relaxed);
            Some(all)
        };
        tokio::select! {
            biased;
            counted = counted => counted,
            () = until => None,
        }
    }

    /// Waits a little.
    pub(crate) async fn pause(&self) {
        self.shared.clock.sleep_until(self.shared.clock.mono() + PAUSE).await;
    }
}

/// A stop that was not clean: the next start checks more, and nothing acknowledged is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// Something was in flight for too long.
    #[error("requests were still in flight after {0:?}; they got no answer")]
    TooSlow(Duration),
    /// The stores could not be synced.
    #[error("the stores could not be synced: {0}")]
    NotSynced(String),
    /// The catalog could not write that the stop was clean.
    #[error("the catalog could not write that the stop was clean")]
    NotWritten,
}

async fn clean_stop(shared: &Shared) -> Result<(), StopError> {
    let (done, written) = oneshot::channel();
    let work = move |thread: &Rc<Thread>| {
        let thread = Rc::clone(thread);
        tokio::task::spawn_local(async move {
            // The broker waits for it, unless it is gone itself.
            let _ = done.send(thread.change_catalog(Operation::CleanStop).await);
        });
    };
    let _ = shared.boxes[0].send(Message::Run(Box::new(work)));
    let until = shared.clock.sleep_until(shared.clock.mono() + GRACE);
    let written = tokio::select! {
        biased;
        written = written => matches!(written, Ok(Ok(Outcome::Stopped))),
        () = until => false,
    };
    if written { Ok(()) } else { Err(StopError::NotWritten) }
}

/// What to listen with, and who is told where that is.
type Listening<L> = (Vec<<L as Listener>::Detached>, oneshot::Sender<io::Result<Vec<SocketAddr>>>);

async fn core_loop<L: Listener>(
    core: Core,
    listeners: Option<Listening<L>>,
    _end: mpsc::UnboundedSender<()>,
) {
    run(core, |thread| {
        let Some((listeners, heard)) = listeners else { return };
        let listening = listeners.into_iter().enumerate().map(|(index, listener)| {
            let listener = L::attach(listener)?;
            let address = listener.local_addr()?;
            let accepting = tokio::task::spawn_local(accept(Rc::clone(thread), listener, index));
            thread.acceptors.borrow_mut().push(accepting.abort_handle());
            Ok(address)
        });
        // Who started the broker may not want to know.
        let _ = heard.send(listening.collect());
    })
    .await;
}

/// The coordinator's part of the settings.
#[must_use]
fn core_config(settings: &Settings) -> Config {
    Config {
        min_session_timeout: settings.group_min_session_timeout,
        max_session_timeout: settings.group_max_session_timeout,
        initial_rebalance_delay: settings.group_initial_rebalance_delay,
        max_group_size: settings.group_max_size,
        max_offset_metadata: settings.offset_metadata_max_bytes,
        offsets_retention: settings.offsets_retention,
        retention_check_interval: settings.offsets_retention_check_interval,
        write_timeout: settings.offsets_commit_timeout,
        server_assignor: match settings.classic_server_assignor {
            ClassicServerAssignor::RoundRobin => ServerAssignor::RoundRobin,
            ClassicServerAssignor::None => ServerAssignor::None,
        },
        max_batch_bytes: settings.message_max_bytes,
        ..Config::default()
    }
}
