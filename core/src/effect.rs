//! What goes into a shard and what comes out.

use crate::error::ErrorCode;
use crate::id::{BatchId, Epoch, Offset, Token};
use crate::note::{Note, NoteKind, NoteKinds, TimerEvent, TimerOf};
use crate::record::Record;
use crate::request::{Origin, Request};
use crate::response::Response;
use crate::timers::TimerKey;
use crate::topics::TopicsDelta;

/// Something that happened, for [`Shard::step`](crate::Shard::step).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A client asks.
    Request {
        /// Comes back with the answer; not in use by another open request of this shard.
        token: Token,
        /// Whose connection.
        origin: Origin,
        /// What is asked, of groups of this shard only.
        body: Request,
    },
    /// Nobody reads the answer any more. No group changes by it; no reply will come.
    Abandoned {
        /// The request.
        token: Token,
    },
    /// All batches up to this one are durable.
    Appended {
        /// The newest of them.
        through: BatchId,
    },
    /// This batch and all later ones are certainly not stored, and the caller sends none of them.
    Rejected {
        /// The oldest of them.
        from: BatchId,
        /// Why.
        cause: RejectCause,
    },
    /// A newer epoch has the shard, or the fate of an append cannot be known: this one is dead.
    Fenced {
        /// The newer epoch, where it is known.
        by: Option<Epoch>,
    },
    /// The catalog changed.
    Topics(TopicsDelta),
    /// [`Shard::next_deadline`](crate::Shard::next_deadline) has passed. Early is harmless.
    Deadline,
    /// Take no new work; when the appends in flight are done, answer NOT_COORDINATOR.
    Resign,
}

/// Why a journal refused a batch (spec classic 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectCause {
    /// It is larger than the journal takes.
    TooLarge,
    /// The journal has no room or too few replicas now; a retry may succeed.
    NotEnoughReplicas,
    /// The journal cannot write here.
    Storage,
    /// The journal's leader is elsewhere.
    NotLeader,
    /// An earlier batch of the shard was refused.
    Earlier,
}

impl RejectCause {
    /// What a client is told.
    #[must_use]
    pub fn error(self) -> ErrorCode {
        match self {
            RejectCause::TooLarge => ErrorCode::UnknownServerError,
            RejectCause::NotEnoughReplicas => ErrorCode::CoordinatorNotAvailable,
            RejectCause::Storage | RejectCause::NotLeader | RejectCause::Earlier => {
                ErrorCode::NotCoordinator
            }
        }
    }
}

/// Something to do, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Answer a request.
    Reply {
        /// The request.
        token: Token,
        /// The answer.
        body: Response,
    },
    /// A request is never answered, as Kafka does: its connection stays as it is.
    Dropped {
        /// The request.
        token: Token,
        /// Why.
        why: Dropped,
    },
    /// Append to the shard's log; answer with `Appended`, `Rejected` or `Fenced`.
    Append(Batch),
    /// Something worth telling; only of the kinds that the sink wants.
    Note(Note),
}

/// Why a request gets no answer (spec classic 3.3, 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// The member sent the same kind of request again.
    Replaced,
    /// The member left while its SyncGroup was parked.
    MemberLeft,
}

/// Records that are stored together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Its number in this incarnation.
    pub id: BatchId,
    /// The incarnation.
    pub epoch: Epoch,
    /// Position of the first record.
    pub base: Offset,
    /// The records, at consecutive positions.
    pub records: Vec<Record>,
}

/// Where a step leaves its effects; the caller owns and empties it.
#[derive(Debug, Default)]
pub struct Effects {
    effects: Vec<Effect>,
    wanted: NoteKinds,
}

impl Effects {
    /// A sink that wants no notes.
    #[must_use]
    pub fn new() -> Effects {
        Effects::default()
    }

    /// A sink that wants notes of these kinds.
    #[must_use]
    pub fn wanting(wanted: NoteKinds) -> Effects {
        Effects { effects: Vec::new(), wanted }
    }

    /// Takes all effects out, oldest first; the sink keeps its memory.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.effects.drain(..)
    }

    /// The effects so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Effect] {
        &self.effects
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Tells what a timer of a group did.
    pub(crate) fn note_timer(&mut self, key: &TimerKey, event: TimerEvent) {
        let (group, timer) = match key {
            TimerKey::Session(group, member) => (group, TimerOf::Session(member.clone())),
            TimerKey::Join(group) => (group, TimerOf::Join),
            TimerKey::Sync(group) => (group, TimerOf::Sync),
            TimerKey::Sweep | TimerKey::Cleanup => return,
        };
        self.note(NoteKind::Timer, || Note::Timer { group: group.clone(), timer, event });
    }

    pub(crate) fn note(&mut self, kind: NoteKind, note: impl FnOnce() -> Note) {
        if self.wanted.contains(kind) {
            let note = note();
            debug_assert_eq!(note.kind(), kind);
            self.effects.push(Effect::Note(note));
        }
    }
}
