//! A plan is data: what a run is made of, what clients do and what goes wrong, each at its time.
//!
//! Decided here: the vocabulary. A seed makes a plan before the run (see `swarm`), a scenario is a
//! plan by hand, and shrinking leaves parts of one out; both simulators take the same plans. What
//! is random while a plan runs (latencies) comes from streams of its `seed`, one for each link,
//! client and journal, so that leaving a part out does not change the rest.

mod classes;
mod refusal;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use classes::FaultClass;
pub use refusal::Refusal;

/// A client of a plan, by its place in [`Plan::clients`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct ClientId(pub u16);

/// A broker of a plan, by its place in [`Plan::nodes`]; as a Kafka node it is one more.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct NodeIndex(pub u16);

/// A run, decided before it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Where randomness while it runs comes from.
    pub seed: u64,
    /// Settings and speeds.
    pub knobs: Knobs,
    /// The brokers. Shard `n` starts on broker `n mod nodes`.
    pub nodes: Vec<NodeSpec>,
    /// How many shards there are.
    pub shards: u32,
    /// The topics that exist at the start.
    pub topics: Vec<TopicSpec>,
    /// The clients.
    pub clients: Vec<ClientSpec>,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
    /// How it ends.
    pub ending: Ending,
    /// Ids of the properties whose violations count; all, if there are none.
    #[serde(default)]
    pub only: Vec<String>,
}

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When, from the start of the run.
    pub at: Duration,
    /// What.
    pub what: Action,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// A client does something.
    Op(ClientId, Op),
    /// Something goes wrong, or the world changes.
    Fault(Fault),
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// When nothing is left of the script and this much time has passed since its start.
    At(Duration),
    /// At `after` all faults stop. The core of the world is healed and stays so, the rest of it is
    /// dead from then on. Within the bound of `oracle::liveness` the core must be well.
    Heal {
        /// When, from the start of the run.
        after: Duration,
        /// The brokers that live on. At least one; all shards are led by them from then on.
        nodes: Vec<NodeIndex>,
        /// The clients that live on.
        clients: Vec<ClientId>,
        /// What becomes of the other clients.
        #[serde(default)]
        outside: Outside,
    },
}

/// What becomes of clients that are not in the core when it is healed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    /// They end.
    #[default]
    Dead,
    /// They go on, and nothing reaches them any more.
    Deaf,
    /// They go on, and nothing of theirs arrives any more.
    Mute,
}

/// Settings of the brokers, and how fast things are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knobs {
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay: Duration,
    /// `group.max.size`.
    pub max_group_size: usize,
    /// `message.max.bytes` of a batch.
    pub max_batch_bytes: usize,
    /// Batches in flight, of a shard.
    pub max_in_flight: usize,
    /// Of these, for timers only.
    pub in_flight_reserve: usize,
    /// Timers that one step runs.
    pub timers_per_step: usize,
    /// Keys that one step of a sweep looks at.
    pub sweep_keys_per_step: usize,
    /// `offsets.retention.minutes`.
    pub retention: Duration,
    /// `offsets.retention.check.interval.ms`.
    pub sweep_interval: Duration,
    /// `offsets.commit.timeout.ms`.
    pub write_timeout: Duration,
    /// `group.min.session.timeout.ms`.
    pub min_session: Duration,
    /// Whether the server assigns when a leader does not (design deviation 4).
    pub server_assigns: bool,
    /// From one end of the network to the other.
    pub network: Latency,
    /// From an append to its fate.
    pub journal: Latency,
    /// How long the load of a shard takes.
    pub load: Latency,
    /// From a change of leaders or topics to each broker's knowing of it.
    pub metadata: Latency,
    /// After which a client gives an answer up (JoinGroup: and the rebalance timeout more).
    pub request_timeout: Duration,
    /// Between two tries of a client.
    pub retry_backoff: Duration,
    /// Whether the broker's own process and sockets are slow and short of breath (shell only).
    #[serde(default)]
    pub unruly: bool,
}

/// How long something takes: `min`, and something random on top whose mean is `mean - min`, at most
/// `max`. The same for each use if all three are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// At least.
    pub min: Duration,
    /// On average.
    pub mean: Duration,
    /// At most.
    pub max: Duration,
}

impl Latency {
    /// Always the same.
    #[must_use]
    pub const fn fixed(takes: Duration) -> Latency {
        Latency { min: takes, mean: takes, max: takes }
    }
}

impl Default for Knobs {
    fn default() -> Knobs {
        let ms = Duration::from_millis;
        Knobs {
            initial_delay: ms(3_000),
            max_group_size: 1_000,
            max_batch_bytes: 1_048_588,
            max_in_flight: 4_096,
            in_flight_reserve: 64,
            timers_per_step: 1_000,
            sweep_keys_per_step: 1_000,
            retention: Duration::from_secs(7 * 86_400),
            sweep_interval: Duration::from_secs(600),
            write_timeout: ms(5_000),
            min_session: ms(6_000),
            server_assigns: true,
            network: Latency::fixed(ms(1)),
            journal: Latency::fixed(ms(6)),
            load: Latency::fixed(ms(20)),
            metadata: Latency::fixed(ms(5)),
            request_timeout: ms(30_000),
            retry_backoff: ms(100),
            unruly: false,
        }
    }
}

/// A broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// By how much its monotonic clock is fast, in millionths; negative: slow.
    pub clock_ppm: i32,
    /// By how much its wall clock is ahead of the world's, in milliseconds.
    pub wall_offset_ms: i64,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A client: one process with one consumer, or one that only says what a plan makes it say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSpec {
    /// The group.
    pub group: String,
    /// The instance id of a static member.
    pub instance: Option<String>,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// Its assignors, best first.
    pub assignors: Vec<Assignor>,
    /// Its session timeout.
    pub session: Duration,
    /// Its rebalance timeout (`max.poll.interval.ms`).
    pub rebalance: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Between two commits of its own accord.
    pub commit_every: Option<Duration>,
    /// What it understands.
    pub version: ClientVersion,
    /// Whether, as a leader, it leaves the assignment to the server by sending none.
    pub leaves_assignment_to_server: bool,
    /// Who decides what it does.
    pub drive: Drive,
}

/// Who decides what a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Drive {
    /// It runs as a consumer does, once started: finds the coordinator, joins, syncs, heartbeats,
    /// commits, retries and rejoins.
    Consumer,
    /// It says only what the plan makes it say, and remembers what it is told.
    Script,
}

/// Which versions a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientVersion {
    /// Before KIP-394: it is not handed an id first (JoinGroup 3, SyncGroup 2, OffsetCommit 4).
    Old,
    /// The newest that the codec has.
    New,
}

/// How a leader deals partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Assignor {
    /// `range`.
    Range,
    /// `roundrobin`.
    RoundRobin,
    /// `cooperative-sticky` (KIP-429): keep, revoke, rejoin.
    CooperativeSticky,
}

/// What a client does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// It starts, or starts again after it crashed or left, as a new process: a static member
    /// with its old instance id, and all else forgotten.
    Start,
    /// It leaves its group (a static one does not say so) and ends.
    Leave,
    /// It ends without a word; its connections end with it.
    Crash,
    /// It stops for so long and then goes on as if nothing had happened: a long garbage
    /// collection, or a zombie if its session ends meanwhile.
    Pause(Duration),
    /// It is another subscription from now on.
    Subscribe(Vec<String>),
    /// It joins again, whatever its state.
    Rejoin,
    /// It sends its open request once more on a second connection, and forgets the first, which
    /// stays open.
    RetryElsewhere,
    /// It says this beside what it does otherwise.
    Say(Ask, Who),
}

/// What can be said beside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// FindCoordinator of its group.
    FindCoordinator,
    /// JoinGroup as its settings are.
    Join,
    /// JoinGroup with another protocol type.
    JoinAs {
        /// The type.
        protocol_type: String,
    },
    /// SyncGroup; with assignments for all that it knows of if it leads.
    Sync,
    /// Heartbeat.
    Heartbeat,
    /// LeaveGroup.
    LeaveGroup,
    /// OffsetCommit of one partition, or of several of one topic.
    Commit {
        /// The topic.
        topic: String,
        /// Partitions `0..partitions`.
        partitions: i32,
        /// The offset for all of them.
        offset: i64,
        /// How long the metadata is.
        metadata: usize,
    },
    /// OffsetFetch of all its group has.
    Fetch {
        /// Whether only stable offsets will do.
        stable: bool,
    },
    /// OffsetDelete of a topic's partitions `0..partitions`.
    DeleteOffsets {
        /// The topic.
        topic: String,
        /// How many partitions.
        partitions: i32,
    },
    /// DescribeGroups.
    Describe,
    /// ListGroups.
    List,
    /// DeleteGroups.
    DeleteGroup,
    /// LeaveGroup for another client, as an administrator does (KIP-345).
    Remove(ClientId),
}

/// In whose name something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Its own: the member id and generation that it knows.
    Itself,
    /// Its own id, with the generation before.
    OldGeneration,
    /// Its own id, with the generation after.
    NextGeneration,
    /// The member id that it had before its present one, with its generation.
    OldMember,
    /// Nobody: no member id, generation -1.
    Nobody,
    /// Another client's member id and generation: an id that leaked.
    Other(ClientId),
    /// Another client's member id and generation, under one's own instance id.
    OtherAs(ClientId),
    /// A member id that nobody was given.
    Stranger,
}

/// What goes wrong, or changes in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fault {
    /// The network's speed changes for a while.
    Slow {
        /// The speed.
        latency: Latency,
        /// For how long.
        lasts: Duration,
    },
    /// All connections of a client end (a lost segment); requests on their way are lost.
    Cut(ClientId),
    /// The next answer to a client is lost with its connection; the request was carried out.
    LoseReply(ClientId),
    /// Nothing passes between these for a while; connections between them are dead for ever, and
    /// neither end hears of it.
    Partition {
        /// The clients on one side.
        clients: Vec<ClientId>,
        /// The brokers on the other.
        nodes: Vec<NodeIndex>,
        /// Which way.
        way: Way,
        /// For how long.
        lasts: Duration,
    },
    /// What a client and a broker send each other waits, and then comes all at once.
    Hold {
        /// The client.
        client: ClientId,
        /// The broker.
        node: NodeIndex,
        /// For how long.
        lasts: Duration,
    },
    /// A client writes and reads byte by byte for a while (shell only).
    Trickle {
        /// The client.
        client: ClientId,
        /// For how long.
        lasts: Duration,
    },
    /// A client's connection ends in the middle of its next frame (shell only).
    HalfFrame(ClientId),
    /// Somebody on a client's machine sends a broker what is no request, over a connection of its
    /// own (shell only).
    Malformed {
        /// From where.
        client: ClientId,
        /// To whom.
        node: NodeIndex,
        /// What.
        what: Nonsense,
    },
    /// A broker's process ends; clients hear of it at once. It starts again after a while.
    Kill {
        /// The broker.
        node: NodeIndex,
        /// For how long it is away.
        down: Duration,
    },
    /// A broker loses power: nobody hears of it. What was not synced is lost.
    PowerLoss {
        /// The broker.
        node: NodeIndex,
        /// For how long it is away.
        down: Duration,
        /// Of the batches that were not acknowledged, how many the store has all the same, in
        /// percent: the rest, from a batch on, is lost.
        kept: u8,
    },
    /// A broker starts again with another `group.max.size`, cleanly.
    RestartWith {
        /// The broker.
        node: NodeIndex,
        /// For how long it is away.
        down: Duration,
        /// The limit from then on.
        max_group_size: usize,
    },
    /// A broker does nothing for a while, and then goes on.
    Pause {
        /// The broker.
        node: NodeIndex,
        /// For how long.
        lasts: Duration,
    },
    /// A shard's leader gives it up in order, and loads it again.
    Resign(ShardIndex),
    /// A shard gets another leader; the old one does not know for a while, and goes on.
    Move {
        /// The shard.
        shard: ShardIndex,
        /// The new leader.
        to: NodeIndex,
        /// For how long the old one does not know.
        unaware: Duration,
    },
    /// A broker hears of no change of leaders and topics for a while.
    StaleMetadata {
        /// The broker.
        node: NodeIndex,
        /// For how long.
        lasts: Duration,
    },
    /// Appends of a shard wait, and are then completed together.
    Stall {
        /// The shard.
        shard: ShardIndex,
        /// For how long.
        lasts: Duration,
    },
    /// The next appends of a shard are refused, and certainly not stored.
    Refuse {
        /// The shard.
        shard: ShardIndex,
        /// How many.
        appends: u8,
        /// As what.
        cause: Refusal,
    },
    /// Nobody can tell any more what became of the next append of a shard.
    Unknown {
        /// The shard.
        shard: ShardIndex,
        /// Whether it is in fact stored.
        stored: bool,
    },
    /// The log of a shard is compacted up to a dirty cut.
    Compact {
        /// The shard.
        shard: ShardIndex,
        /// Up to which part of the log, in percent.
        up_to: u8,
        /// Whether tombstones below the cut go too.
        tombstones: bool,
    },
    /// The next load of a shard takes so much longer.
    SlowLoad {
        /// The shard.
        shard: ShardIndex,
        /// By how much.
        by: Duration,
    },
    /// The next load of a shard fails half way, and is tried again.
    FailLoad(ShardIndex),
    /// A broker's wall clock jumps.
    WallJump {
        /// The broker.
        node: NodeIndex,
        /// By how much, in milliseconds.
        by_ms: i64,
    },
    /// A broker's wall clock stands still for a while, and then catches up.
    WallFreeze {
        /// The broker.
        node: NodeIndex,
        /// For how long.
        lasts: Duration,
    },
    /// A topic is created, if it is not there.
    CreateTopic(TopicSpec),
    /// A topic is deleted, if it is there.
    DeleteTopic(String),
    /// A topic is deleted and created again in one breath, with a new id.
    RecreateTopic(String),
    /// A topic gets this many partitions more.
    GrowTopic(String, i32),
}

/// A shard, by its number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct ShardIndex(pub u32);

/// Which way of a partition nothing passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Neither.
    Both,
    /// From clients to brokers.
    ToNodes,
    /// From brokers to clients.
    ToClients,
}

/// Bytes that are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nonsense {
    /// Of another protocol.
    Text,
    /// A frame whose length is negative.
    Negative,
    /// A frame that is longer than any request may be.
    Endless,
    /// A frame that is too short for a request.
    Short,
    /// An API that there is not.
    UnknownApi,
    /// A version that there is not.
    UnknownVersion,
    /// A JoinGroup that counts more members than it has bytes.
    Overcounted,
}

impl Nonsense {
    /// All of them.
    pub const ALL: [Nonsense; 7] = [
        Nonsense::Text,
        Nonsense::Negative,
        Nonsense::Endless,
        Nonsense::Short,
        Nonsense::UnknownApi,
        Nonsense::UnknownVersion,
        Nonsense::Overcounted,
    ];
}
