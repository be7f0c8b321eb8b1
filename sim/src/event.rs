//! What happens in a run, as typed events: oracles judge them, marks count them, traces show them.
//!
//! Both simulators tell the same events. What a shard does comes as whole steps: the input, the
//! effects, and beside the event a [`Context`] with its groups before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{
    Batch, BatchId, Effect, Epoch, ErrorCode, Generation, GroupId, GroupView, Input, InstanceId,
    MemberId, Now, Offset, Record, RejectCause, Request, Response, Shard, ShardId, Topics,
};

use crate::plan::{ClientId, Fault, NodeIndex, Plan};

/// Something that happened. Times are the world's own: clocks of brokers may differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// When, from the start of the run.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// Numbers the requests of a client, over all its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Call(pub u32);

/// One load of a shard: an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The broker.
    pub node: NodeIndex,
    /// The shard.
    pub shard: ShardId,
    /// The epoch.
    pub epoch: Epoch,
    /// Counts all loads of a run, from 1.
    pub load: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// A line of a script, in words.
    Script(String),
    /// A fault begins, or is over at once. Its debug form is hashed, since a plan has no hash.
    Fault(FaultText),
    /// The run goes into its next part.
    Phase(Phase),

    /// A client sends.
    Sent {
        /// Who.
        client: ClientId,
        /// Its number of the request; the same again in a retry on another connection.
        call: Call,
        /// To whom.
        node: NodeIndex,
        /// What.
        request: Arc<Request>,
    },
    /// A request is at the door of a broker, which may be asleep, with no other of its connection
    /// before it (direct only).
    Arrived {
        /// Whose.
        client: ClientId,
        /// Which.
        call: Call,
        /// Where.
        node: NodeIndex,
    },
    /// A client hears the answer.
    Heard {
        /// Who.
        client: ClientId,
        /// To which request.
        call: Call,
        /// What.
        response: Arc<Response>,
    },
    /// A client will not hear the answer.
    Unheard {
        /// Who.
        client: ClientId,
        /// To which request.
        call: Call,
        /// Why.
        why: Unheard,
    },
    /// Something of note within a client.
    Client {
        /// Who.
        client: ClientId,
        /// What.
        note: ClientNote,
    },
    /// A broker answers for a shard that does not serve there (direct only).
    TurnedAway {
        /// The broker.
        node: NodeIndex,
        /// The shard.
        shard: ShardId,
        /// Whose request.
        client: ClientId,
        /// Which.
        call: Call,
        /// As what.
        error: ErrorCode,
    },

    /// A shard serves, with this context.
    Loaded {
        /// Which.
        place: Place,
        /// Its broker's clocks.
        now: Now,
        /// What activation led to.
        effects: Vec<Effect>,
    },
    /// A shard took a step, with this context.
    Stepped {
        /// Which.
        place: Place,
        /// Its broker's clocks.
        now: Now,
        /// What it was told.
        input: Input,
        /// What it did.
        effects: Vec<Effect>,
    },
    /// An incarnation is gone.
    Ended {
        /// Which.
        place: Place,
        /// Why.
        why: Ended,
    },

    /// A broker acquired a shard in the journal, whose loads from now on begin with this log.
    Acquired {
        /// The shard.
        shard: ShardId,
        /// By whom.
        node: NodeIndex,
        /// The new epoch.
        epoch: Epoch,
        /// Where the log goes on.
        next: Offset,
    },
    /// A batch is in the journal for good. Who wrote it need not know yet, or ever.
    Stored {
        /// The shard.
        shard: ShardId,
        /// The batch.
        batch: Batch,
    },
    /// The journal refused an append.
    Refused {
        /// The shard.
        shard: ShardId,
        /// Whose append.
        epoch: Epoch,
        /// The first batch that is not stored.
        from: BatchId,
        /// Why.
        why: NotStored,
    },
    /// A log was compacted.
    Compacted {
        /// The shard.
        shard: ShardId,
        /// What is left of it.
        left: Vec<(Offset, Record)>,
    },

    /// The topics have changed; brokers will hear of it.
    Topics {
        /// All topics from now on.
        view: Arc<Topics>,
    },
    /// A shard has a leader; brokers and clients will hear of it.
    Leader {
        /// The shard.
        shard: ShardId,
        /// Its leader.
        node: NodeIndex,
    },
}

/// A fault, with the words that say which.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultText(pub Fault);

impl Eq for FaultText {}

impl std::hash::Hash for FaultText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        format!("{:?}", self.0).hash(state);
    }
}

/// The parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Faults are over, and the core is whole: the bound of the liveness properties counts.
    Healed,
    /// The bound is over: from now on nothing changes without a cause.
    Converged,
}

/// Why a client does not hear an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unheard {
    /// Its connection ended.
    Disconnected,
    /// It waited long enough.
    TimedOut,
    /// It does not want to any more: it ended, or asked again elsewhere.
    GivenUp,
}

/// Why an append is not stored as far as its writer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotStored {
    /// It certainly is not.
    Rejected(RejectCause),
    /// A newer epoch has the shard.
    Fenced(Epoch),
    /// Nobody can tell.
    Unknown,
    /// Its writer lost power before it was synced; nobody is told.
    Lost,
}

/// Why an incarnation is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ended {
    /// Its process ended.
    Killed,
    /// It was fenced, or an append's outcome is unknown.
    Fenced,
    /// It gave the shard up in order.
    Resigned,
    /// It panicked. A fault of the code.
    Panicked(String),
}

/// What of note happens within a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientNote {
    /// A process started.
    Started,
    /// It ended, with or without a word to the group.
    Stopped,
    /// It sleeps.
    Paused,
    /// It goes on as if nothing had happened.
    Resumed,
    /// It is a member of a generation.
    Joined {
        /// Its id.
        member: MemberId,
        /// The generation.
        generation: Generation,
        /// Whether it leads.
        leads: bool,
    },
    /// It has its assignment.
    Assigned {
        /// The generation.
        generation: Generation,
        /// What it owns from now on.
        owned: BTreeSet<(String, i32)>,
    },
    /// It gave up what it owned, since it was told that it is no member any more.
    Lost,
    /// A static member was fenced, and ends for good.
    Fenced {
        /// Its instance id.
        instance: InstanceId,
    },
    /// Its own commit was acknowledged.
    Committed {
        /// What.
        offsets: LiteMap<(String, i32), i64>,
    },
    /// It read its group's offsets.
    ReadBack {
        /// What it found.
        offsets: LiteMap<(String, i32), i64>,
    },
}

/// The groups of a shard.
pub type Groups = BTreeMap<GroupId, GroupView>;

/// What goes with [`What::Loaded`] and [`What::Stepped`].
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The groups before; none before a load.
    pub before: &'a Groups,
    /// The groups after.
    pub after: &'a Groups,
    /// The shard after.
    pub shard: &'a Shard,
}

/// A client at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientView {
    /// Who.
    pub client: ClientId,
    /// Whether its process runs, and is awake.
    pub runs: bool,
    /// The member id that it goes by.
    pub member: Option<MemberId>,
    /// The generation that it is in.
    pub generation: Generation,
    /// Whether it has its assignment of that generation.
    pub is_stable: bool,
    /// What it owns.
    pub owned: BTreeSet<(String, i32)>,
}

/// An incarnation that serves at the end of a run.
#[derive(Debug, Clone)]
pub struct LastSeen {
    /// Which.
    pub place: Place,
    /// Its groups.
    pub groups: Groups,
    /// Its requests that wait.
    pub parked: usize,
    /// Its batches in flight.
    pub in_flight: usize,
    /// Its clocks when it last did something.
    pub now: Now,
}

/// The end of a run.
#[derive(Debug)]
pub struct End<'a> {
    /// When.
    pub at: Duration,
    /// What was to be done.
    pub plan: &'a Plan,
    /// Shards that serve.
    pub shards: Vec<LastSeen>,
    /// What the journal has of each shard, oldest first.
    pub logs: LiteMap<ShardId, Vec<(Offset, Record)>>,
    /// The clients.
    pub clients: Vec<ClientView>,
    /// The topics.
    pub topics: Arc<Topics>,
    /// Who leads which shard.
    pub leaders: LiteMap<ShardId, NodeIndex>,
}
