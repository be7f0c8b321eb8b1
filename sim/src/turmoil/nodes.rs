//! Brokers as the world has them: their processes begin and end.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::WallTime;
use quorate_io::broker::{Alarm, Stores};
use quorate_io::catalog::{Boot, Configs, FORMAT, Identity};
use quorate_io::cli::{ClassicServerAssignor, Settings};
use quorate_io::clock::Wall;
use quorate_io::core_thread::Entropy;
use quorate_io::log::MemoryLog;

use super::machine::{Control, Life, Start};
use super::stage::Stage;
use super::unruly::Unruly;
use super::watcher::Watcher;
use super::{EPOCH, Wake, World};
use crate::faults::Writer;
use crate::plan::{Knobs, NodeIndex};
use crate::random::Stream;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Its connections end with it.
    Kill,
    /// Nobody hears of it; so many percent of what was not stored are all the same.
    PowerLoss(u8),
}

/// A broker.
pub(super) struct Node {
    control: Control,
    pub running: Option<Running>,
    pub max_group_size: usize,
    paused_until: Duration,
    /// The machine has no power.
    is_dark: bool,
    /// Counts what was to start it again; only the newest does.
    starts: u64,
}

/// A process that runs.
pub(super) struct Running {
    pub number: u64,
    watcher: Arc<Watcher>,
    pub life: Rc<Life>,
    /// How long it is away, once it has stopped in order.
    then: Duration,
}

impl Node {
    pub fn new(control: Control, max_group_size: usize) -> Node {
        Node {
            control,
            running: None,
            max_group_size,
            paused_until: Duration::ZERO,
            is_dark: false,
            starts: 0,
        }
    }
}

/// A broker's host.
pub(super) fn name(node: NodeIndex) -> String {
    format!("broker-{}", node.0 + 1)
}

impl World<'_> {
    pub(super) fn node(&mut self, node: NodeIndex) -> Option<&mut Node> {
        self.nodes.get_mut(usize::from(node.0))
    }

    /// A process starts, unless one runs.
    pub(super) fn start_process(&mut self, index: NodeIndex) {
        self.processes += 1;
        let number = self.processes;
        let writer = Writer { node: index, number };
        let journal = self.journals.store(writer);
        let (controller, stage) = (self.controller.clone(), self.stage.clone());
        let (seed, knobs, shards) = (self.plan.seed, &self.plan.knobs, self.plan.shards);
        let Some(node) = self.nodes.get_mut(usize::from(index.0)) else { return };
        if node.running.is_some() {
            return;
        }
        if std::mem::take(&mut node.is_dark) {
            self.sim.bounce(name(index));
        }
        let watcher = Arc::new(Watcher::new(index, stage.clone()));
        let life = Rc::new(Life::default());
        let alarm = Alarm::default();
        let (catalog, topics) = controller.open(index, &alarm);
        let identity = Identity {
            cluster_id: "simulated".to_owned(),
            node_id: i32::from(index.0) + 1,
            format: FORMAT,
        };
        let stores = Stores {
            journal,
            catalog,
            boot: Boot { identity, topics, configs: Configs::new(), leader_epoch: 0, clean: true },
            log: Arc::new(MemoryLog::default()),
            partitions: Vec::new(),
            folder: None,
            alarm,
            sync: Box::new(|| Ok(())),
            keep: Box::new(()),
            tap: Some(Arc::clone(&watcher) as Arc<dyn quorate_io::tap::Tap>),
        };
        node.control.start(Start {
            settings: Settings {
                // In some worlds connections that are silent for long are closed.
                connections_max_idle: Some(Duration::from_secs(if seed % 4 == 1 {
                    20
                } else {
                    600
                })),
                ..settings(knobs, shards, node.max_group_size)
            },
            // Shards and connections are spread over as many threads, which are tasks here.
            cores: 1 + (seed % 3) as usize,
            stores,
            wall: wall(stage.clone()),
            entropy: entropy(seed, number),
            unruly: Unruly::new(knobs.unruly, seed, number),
            stage,
            life: Rc::clone(&life),
        });
        node.running = Some(Running { number, watcher, life, then: Duration::ZERO });
    }

    /// A process ends, and starts again after a while.
    pub(super) fn end_process(&mut self, index: NodeIndex, death: Death, down: Option<Duration>) {
        let at = self.stage.at();
        let Some(node) = self.node(index) else { return };
        let Some(running) = node.running.take() else { return };
        node.paused_until = Duration::ZERO;
        node.control.pause(false);
        node.starts += 1;
        let start = node.starts;
        match death {
            Death::Kill => node.control.kill(),
            Death::PowerLoss(_) => {
                node.control.forget();
                node.is_dark = true;
                self.power_lost(index);
            }
        }
        running.watcher.process_ended();
        let writer = Writer { node: index, number: running.number };
        match death {
            Death::Kill => self.journals.killed(writer),
            Death::PowerLoss(kept) => self.journals.power_lost(writer, kept),
        }
        self.controller.close(index);
        if let Some(down) = down {
            self.plan(at + down, Wake::Start(index, start));
        }
    }

    /// A broker stops in order, and starts again after a while.
    pub(super) fn stop_process(&mut self, index: NodeIndex, down: Duration) {
        let Some(running) = self.node(index).and_then(|node| node.running.as_mut()) else { return };
        running.then = down;
        running.life.stop();
    }

    /// A broker does nothing for a while.
    pub(super) fn pause_process(&mut self, index: NodeIndex, until: Duration) {
        let Some(node) = self.node(index).filter(|node| node.running.is_some()) else { return };
        node.paused_until = node.paused_until.max(until);
        node.control.pause(true);
    }

    pub(super) fn starts_again(&mut self, index: NodeIndex, start: u64) {
        // Who is no leader any more stays away: today's broker has all shards or none.
        let leads = self.leader == index;
        if leads && self.node(index).is_some_and(|node| node.starts == start) {
            self.start_process(index);
        }
    }

    /// The old leader is told, by being stopped, that there is another.
    pub(super) fn superseded(&mut self, index: NodeIndex, process: u64) {
        let leads = self.leader == index;
        let running = self.node(index).and_then(|node| node.running.as_ref());
        if !leads && running.is_some_and(|running| running.number == process) {
            self.end_process(index, Death::Kill, None);
        }
    }

    /// Processes that have ended in order, and pauses that are over.
    pub(super) fn look_after_nodes(&mut self) {
        let at = self.stage.at();
        for index in (0..self.nodes.len() as u16).map(NodeIndex) {
            let Some(node) = self.node(index) else { continue };
            if !node.paused_until.is_zero() && node.paused_until <= at {
                node.paused_until = Duration::ZERO;
                node.control.pause(false);
            }
            let ended = node.running.as_ref().filter(|running| running.life.has_stopped());
            if let Some(then) = ended.map(|running| running.then) {
                self.end_process(index, Death::Kill, Some(then));
            }
        }
    }

    /// Nothing of a broker reaches anybody; what was on its way is lost.
    fn power_lost(&mut self, index: NodeIndex) {
        for client in 0..self.actors.len() as u16 {
            let client = super::network::name(crate::plan::ClientId(client));
            self.sim.partition(client, name(index));
        }
        self.sim.crash(name(index));
        for client in 0..self.actors.len() as u16 {
            let client = super::network::name(crate::plan::ClientId(client));
            self.sim.repair(client, name(index));
        }
        self.network.repaired(index);
    }

    /// A pause is over.
    pub(super) fn wake_process(&mut self, index: NodeIndex) {
        let Some(node) = self.node(index) else { return };
        node.paused_until = Duration::ZERO;
        node.control.pause(false);
    }
}

fn settings(knobs: &Knobs, shards: u32, max_group_size: usize) -> Settings {
    Settings {
        message_max_bytes: knobs.max_batch_bytes,
        group_min_session_timeout: knobs.min_session,
        group_initial_rebalance_delay: knobs.initial_delay,
        group_max_size: max_group_size,
        classic_server_assignor: match knobs.server_assigns {
            true => ClassicServerAssignor::RoundRobin,
            false => ClassicServerAssignor::None,
        },
        offsets_retention: knobs.retention,
        offsets_retention_check_interval: knobs.sweep_interval,
        offsets_topic_num_partitions: shards,
        offsets_commit_timeout: knobs.write_timeout,
        ..Settings::default()
    }
}

/// Wall clocks are true, to a tick.
fn wall(stage: Stage) -> Wall {
    Arc::new(move || WallTime((EPOCH + stage.at()).as_millis() as i64))
}

fn entropy(seed: u64, process: u64) -> Entropy {
    let stream = Mutex::new(Stream::new(seed, "secret", process));
    Arc::new(move |bytes| {
        stream.lock().expect("a run is single threaded").fill(bytes);
    })
}
