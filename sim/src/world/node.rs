//! A broker: its process, its clocks, its shards, and what it has not looked at yet.
//!
//! Decided here: what ends with a process and what does not, and what a broker knows of leaders
//! and topics: a change reaches each broker at its own time, in order; one that starts knows all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::config::ServerAssignor;
use quorate_core::router::GatherId;
use quorate_core::{
    Config, Effects, Epoch, Loader, NodeId, NoteKinds, Offset, Record, Request, Router, Shard,
    ShardId, Token, Topics, TopicsDelta,
};

use super::clock::Clock;
use super::fabric::ConnId;
use super::journal::Fate;
use crate::event::{Call, Place};
use crate::plan::{Knobs, NodeIndex, NodeSpec};
use crate::random::Stream;

/// One life of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Process {
    pub node: NodeIndex,
    /// Counts the starts of all brokers.
    pub number: u64,
}

/// Who leads a shard. Of two answers the one of the higher term is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leader {
    pub node: NodeIndex,
    pub term: u64,
}

/// A change of the world that brokers hear of.
#[derive(Debug, Clone)]
pub(super) enum News {
    Topics(TopicsDelta),
    Leader(ShardId, Leader),
}

/// What the journal tells a broker.
#[derive(Debug)]
pub(super) enum Completion {
    Acquired { shard: ShardId, term: u64, epoch: Epoch, next: Offset },
    NotAcquired { shard: ShardId, term: u64 },
    Rows { shard: ShardId, epoch: Epoch, rows: Vec<(Offset, Record)>, last: bool },
    Unavailable { shard: ShardId, epoch: Epoch },
    LoadFailed { shard: ShardId, epoch: Epoch },
    Fate { shard: ShardId, epoch: Epoch, fate: Fate },
}

/// What waits at a broker's door.
#[derive(Debug)]
pub(super) enum Item {
    Request(ConnId, Call, Arc<Request>),
    Closed(ConnId),
    News(News),
    Resign(ShardId),
}

/// A request that is with a shard.
#[derive(Debug)]
pub(super) struct Asked {
    pub conn: ConnId,
    pub call: Call,
    pub shard: ShardId,
    pub gather: Option<(GatherId, usize)>,
}

/// A shard that a broker leads, or believes that it does.
#[derive(Debug)]
pub(super) struct Seat {
    pub term: u64,
    pub state: State,
    /// Whether it is loaded again once it is over.
    pub again: bool,
}

/// Where a shard is between being wanted and serving.
#[derive(Debug)]
pub(super) enum State {
    Waiting,
    Loading(Box<Loading>),
    Active(Box<Serving>),
}

#[derive(Debug)]
pub(super) struct Loading {
    pub place: Place,
    pub loader: Loader,
    /// Where the next rows begin, and how many are read at once.
    pub from: Offset,
    pub chunk: usize,
    /// From one read to the next.
    pub pace: Duration,
    /// After how many reads it fails.
    pub fails: Option<u8>,
}

#[derive(Debug)]
pub(super) struct Serving {
    pub place: Place,
    pub shard: Shard,
}

/// A process that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub id: Process,
    pub secret: [u8; 32],
    pub config: Config,
    pub router: Router,
    pub topics: Arc<Topics>,
    pub seats: LiteMap<ShardId, Seat>,
    /// Counts the loads since it started.
    pub loads: u64,
    pub completions: VecDeque<Completion>,
    pub inbox: VecDeque<Item>,
    pub asked: LiteMap<Token, Asked>,
    pub effects: Effects,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Node {
    pub clock: Clock,
    pub running: Option<Running>,
    pub max_group_size: usize,
    pub paused_until: Duration,
    /// When it is to wake next.
    pub armed: Option<Duration>,
    /// What it has not heard of yet.
    pub news: VecDeque<(Duration, News)>,
    pub stale_until: Duration,
    /// Ends the freeze of the wall clock that began last.
    pub thaws: Duration,
    pub hears: Stream,
    /// Counts what was to start it again; only the newest does.
    pub starts: u64,
}

impl Node {
    pub fn new(seed: u64, number: u64, spec: &NodeSpec, max_group_size: usize) -> Node {
        Node {
            clock: Clock::new(spec),
            running: None,
            max_group_size,
            paused_until: Duration::ZERO,
            armed: None,
            news: VecDeque::new(),
            stale_until: Duration::ZERO,
            thaws: Duration::ZERO,
            hears: Stream::new(seed, "news", number),
            starts: 0,
        }
    }

    /// A process starts that knows these leaders and topics.
    pub fn start(
        &mut self,
        id: Process,
        seed: u64,
        knobs: &Knobs,
        leaders: &[Leader],
        topics: &Arc<Topics>,
    ) -> &mut Running {
        let mut secret = [0; 32];
        Stream::new(seed, "secret", id.number).fill(&mut secret);
        let config = config(knobs, self.max_group_size);
        let known = leaders.iter().map(|leader| Some(node_id(leader.node))).collect();
        let router = Router::new(config.clone(), known, Arc::clone(topics));
        self.news.clear();
        self.running.insert(Running {
            id,
            secret,
            config,
            router,
            topics: Arc::clone(topics),
            seats: LiteMap::new(),
            loads: 0,
            completions: VecDeque::new(),
            inbox: VecDeque::new(),
            asked: LiteMap::new(),
            effects: Effects::wanting(NoteKinds::ALL),
        })
    }
}

impl Seat {
    pub fn new(term: u64) -> Seat {
        Seat { term, state: State::Waiting, again: false }
    }
}

impl Running {
    /// The shard, if this incarnation of it serves.
    pub fn serving(&mut self, shard: ShardId, epoch: Option<Epoch>) -> Option<&mut Serving> {
        match &mut self.seats.get_mut(&shard)?.state {
            State::Active(serving) if epoch.is_none_or(|epoch| serving.place.epoch == epoch) => {
                Some(serving)
            }
            _ => None,
        }
    }

    /// The load of the shard, if it is of this epoch.
    pub fn loading(&mut self, shard: ShardId, epoch: Epoch) -> Option<&mut Loading> {
        match &mut self.seats.get_mut(&shard)?.state {
            State::Loading(loading) if loading.place.epoch == epoch => Some(loading),
            _ => None,
        }
    }
}

/// A broker as a Kafka node.
pub(super) fn node_id(node: NodeIndex) -> NodeId {
    NodeId(i32::from(node.0) + 1)
}

fn config(knobs: &Knobs, max_group_size: usize) -> Config {
    Config {
        min_session_timeout: knobs.min_session,
        initial_rebalance_delay: knobs.initial_delay,
        max_group_size,
        offsets_retention: knobs.retention,
        retention_check_interval: knobs.sweep_interval,
        write_timeout: knobs.write_timeout,
        server_assignor: match knobs.server_assigns {
            true => ServerAssignor::RoundRobin,
            false => ServerAssignor::None,
        },
        max_batch_bytes: knobs.max_batch_bytes,
        max_in_flight: knobs.max_in_flight,
        in_flight_reserve: knobs.in_flight_reserve,
        timers_per_step: knobs.timers_per_step,
        sweep_keys_per_step: knobs.sweep_keys_per_step,
        ..Config::default()
    }
}
