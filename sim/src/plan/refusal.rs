//! As what a journal refuses, in the words of a plan.

use quorate_core::RejectCause;
use serde::{Deserialize, Serialize};

/// As what an append is refused; [`RejectCause`] as a plan has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It is too large.
    TooLarge,
    /// There is no room, or there are too few replicas.
    NotEnoughReplicas,
    /// The journal cannot write.
    Storage,
    /// The journal's leader is elsewhere.
    NotLeader,
}

impl Refusal {
    /// What the shard is told.
    #[must_use]
    pub fn cause(self) -> RejectCause {
        match self {
            Refusal::TooLarge => RejectCause::TooLarge,
            Refusal::NotEnoughReplicas => RejectCause::NotEnoughReplicas,
            Refusal::Storage => RejectCause::Storage,
            Refusal::NotLeader => RejectCause::NotLeader,
        }
    }
}
