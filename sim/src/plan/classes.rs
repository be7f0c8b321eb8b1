//! Of which kind a fault is, and which kinds a plan has.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Action, Fault, NodeSpec, Op, Plan, Step};

/// The kinds of faults; a seed draws some of them (see `swarm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FaultClass {
    /// Between clients and brokers.
    Network,
    /// Of clients: crashes, pauses, zombies, stale and leaked ids.
    Client,
    /// Of brokers.
    Coordinator,
    /// Two leaders of one shard.
    SplitBrain,
    /// Of the store.
    Journal,
    /// Of clocks.
    Clock,
    /// Topics change, or are known late.
    Metadata,
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub fn class(&self) -> FaultClass {
        match self {
            Fault::Slow { .. }
            | Fault::Cut(_)
            | Fault::LoseReply(_)
            | Fault::Partition { .. }
            | Fault::Hold { .. }
            | Fault::Trickle { .. }
            | Fault::HalfFrame(_)
            | Fault::Malformed { .. } => FaultClass::Network,
            Fault::Kill { .. }
            | Fault::PowerLoss { .. }
            | Fault::RestartWith { .. }
            | Fault::Pause { .. }
            | Fault::Resign(_) => FaultClass::Coordinator,
            Fault::Move { .. } => FaultClass::SplitBrain,
            Fault::Stall { .. }
            | Fault::Refuse { .. }
            | Fault::Unknown { .. }
            | Fault::Compact { .. }
            | Fault::SlowLoad { .. }
            | Fault::FailLoad(_) => FaultClass::Journal,
            Fault::WallJump { .. } | Fault::WallFreeze { .. } => FaultClass::Clock,
            Fault::StaleMetadata { .. }
            | Fault::CreateTopic(_)
            | Fault::DeleteTopic(_)
            | Fault::RecreateTopic(_)
            | Fault::GrowTopic(..) => FaultClass::Metadata,
        }
    }
}

impl Plan {
    /// The kinds of faults that are in it.
    #[must_use]
    pub fn classes(&self) -> BTreeSet<FaultClass> {
        let of = |step: &Step| match &step.what {
            Action::Fault(fault) => Some(fault.class()),
            Action::Op(_, Op::Start | Op::Leave) => None,
            Action::Op(..) => Some(FaultClass::Client),
        };
        let skewed = self.nodes.iter().any(|node| *node != NodeSpec::default());
        self.steps.iter().filter_map(of).chain(skewed.then_some(FaultClass::Clock)).collect()
    }
}
