//! Typed observations: metrics, logs, histories and traces are all made from them.
//!
//! Wanting a note or not never changes what a shard does.

use crate::id::{Generation, GroupId, InstanceId, MemberId, Text};
use crate::time::Instant;

/// What a note tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Note {
    /// A group went from one state to another.
    Transition {
        /// The group.
        group: GroupId,
        /// The state before; `None` for a new group.
        from: Option<&'static str>,
        /// The state after; `None` for a group that is gone.
        to: Option<&'static str>,
        /// The generation after.
        generation: Generation,
        /// How many members there are.
        members: usize,
        /// Why.
        cause: Cause,
    },
    /// A member came, was replaced or went without a change of state.
    Member {
        /// The group.
        group: GroupId,
        /// What happened.
        cause: Cause,
    },
    /// The server dealt the partitions, since the leader sent no assignment (design deviation 4).
    ServerAssigned {
        /// The group.
        group: GroupId,
        /// The leader.
        leader: MemberId,
        /// The leader's client id: it may be a mistake of that client's.
        client_id: Text,
    },
    /// A leader was elected.
    Elected {
        /// The group.
        group: GroupId,
        /// The generation that it leads.
        generation: Generation,
        /// The leader.
        leader: MemberId,
    },
    /// Offsets expired or were cleaned up.
    OffsetsRemoved {
        /// The group.
        group: GroupId,
        /// How many.
        count: usize,
    },
    /// A retention sweep was put off: the wall clock ran ahead of the monotonic one.
    SweepPutOff {
        /// By how much it ran ahead, in milliseconds.
        ahead_ms: u64,
    },
    /// A timer of a group did something. Not told: a session that goes on, and timers that go
    /// with their member or group.
    Timer {
        /// The group.
        group: GroupId,
        /// Which.
        timer: TimerOf,
        /// What.
        event: TimerEvent,
    },
}

/// Which timer of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TimerOf {
    /// The session of a member, or of an id that was handed out (KIP-394).
    Session(MemberId),
    /// The time to join.
    Join,
    /// The time to sync.
    Sync,
}

/// What a timer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerEvent {
    /// It runs from now on.
    Armed {
        /// When it fires.
        at: Instant,
        /// What for.
        reason: ArmedFor,
    },
    /// It does not run any more.
    Cancelled,
    /// It fired.
    Fired,
    /// The join timer fired, and runs on: a member joined an initial rebalance (KIP-134).
    Extended {
        /// When it fires next.
        at: Instant,
    },
    /// A session timer was found overdue by so much that its member is given time to be heard.
    Graced {
        /// When it fires.
        at: Instant,
    },
}

/// What a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArmedFor {
    /// Members that come to a group that had none (KIP-134).
    Initial,
    /// All members to join again.
    Rebalance,
    /// Anybody to join who could lead: only silent static members are left.
    Leader,
    /// All members to sync.
    Syncs,
    /// The client that an id was handed out to (KIP-394).
    HandedOut,
}

/// Why a group changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The group came into being.
    Created,
    /// A member joined that the group did not have.
    MemberJoined {
        /// Who.
        member: MemberId,
        /// Its words (KIP-800).
        reason: Option<Text>,
    },
    /// A static member came back under a new id.
    StaticReplaced {
        /// The instance.
        instance: InstanceId,
        /// Its id before.
        old: MemberId,
        /// Its id now.
        new: MemberId,
    },
    /// The leader of a Stable group joined again.
    LeaderRejoined {
        /// Who.
        member: MemberId,
        /// Its words (KIP-800).
        reason: Option<Text>,
    },
    /// A member joined again with other protocols or metadata.
    ProtocolsChanged {
        /// Who.
        member: MemberId,
        /// Its words (KIP-800).
        reason: Option<Text>,
    },
    /// A member left or was removed by an administrator.
    MemberLeft {
        /// Who.
        member: MemberId,
        /// Its words (KIP-800).
        reason: Option<Text>,
    },
    /// A member was silent for its session timeout.
    SessionExpired {
        /// Who.
        member: MemberId,
    },
    /// A member that joined again was one too many for `group.max.size`, and is none any more.
    GroupFull {
        /// Who.
        member: MemberId,
    },
    /// Members got the JoinGroup answer and sent no SyncGroup in time.
    SyncTimeout {
        /// Who.
        members: Vec<MemberId>,
    },
    /// All members have joined.
    AllJoined,
    /// The last member is gone.
    NobodyLeft,
    /// The time to join is over; these did not.
    JoinTimeout {
        /// Who was dropped.
        dropped: Vec<MemberId>,
    },
    /// The leader's assignment is stored.
    Assigned,
    /// The leader's assignment could not be stored.
    AppendFailed,
    /// The group was loaded with more members than `group.max.size`.
    OverSize,
    /// An administrator deleted the group, or it was empty and had no offsets left.
    Removed,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $bit:literal),* $(,)?) => {
        /// The kinds of notes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum NoteKind { $($(#[$doc])* $variant = $bit,)* }

        impl NoteKinds {
            /// All kinds.
            pub const ALL: NoteKinds = NoteKinds(0 $(| $bit)*);
        }
    };
}

kinds! {
    /// [`Note::Transition`]
    Transition = 1,
    /// [`Note::Member`]
    Member = 2,
    /// [`Note::ServerAssigned`]
    ServerAssigned = 4,
    /// [`Note::Elected`]
    Elected = 8,
    /// [`Note::OffsetsRemoved`]
    OffsetsRemoved = 16,
    /// [`Note::SweepPutOff`]
    SweepPutOff = 32,
    /// [`Note::Timer`]
    Timer = 64,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NoteKinds(u32);

impl NoteKinds {
    /// No kind.
    pub const NONE: NoteKinds = NoteKinds(0);

    /// This set and one kind more.
    #[must_use]
    pub const fn with(self, kind: NoteKind) -> NoteKinds {
        NoteKinds(self.0 | kind as u32)
    }

    /// Whether the kind is in the set.
    #[must_use]
    pub const fn contains(self, kind: NoteKind) -> bool {
        self.0 & kind as u32 != 0
    }
}

impl Note {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> NoteKind {
        match self {
            Note::Transition { .. } => NoteKind::Transition,
            Note::Member { .. } => NoteKind::Member,
            Note::ServerAssigned { .. } => NoteKind::ServerAssigned,
            Note::Elected { .. } => NoteKind::Elected,
            Note::OffsetsRemoved { .. } => NoteKind::OffsetsRemoved,
            Note::SweepPutOff { .. } => NoteKind::SweepPutOff,
            Note::Timer { .. } => NoteKind::Timer,
        }
    }
}
