//! Durability, fencing and replay: the properties D1 to D11.
//!
//! Decided here: which observers there are. The journal's own words (`Stored`, `Acquired`,
//! `Refused`, `Compacted`) are the truth, and what shards say is held against it.

pub mod acks;
pub mod ids;
pub mod journal;
pub mod load;
pub mod log;
pub mod refused;
pub mod restart;
pub mod tables;
#[cfg(test)]
mod tests;

use super::replies::book::Family;
use super::{Oracle, Property};
use crate::plan::Plan;

/// Tables are the fold of the log.
pub const D1: Property = Property {
    id: "D1",
    sentence: "the rows in memory are those of the log with the batches in flight put on top",
};
/// Undo restores.
pub const D2: Property = Property {
    id: "D2",
    sentence: "batches that are refused leave the rows as if they had never been written",
};
/// Compaction does not show.
pub const D3: Property = Property {
    id: "D3",
    sentence: "a compacted log loads as the whole one does, also if it is compacted during the \
               load, and in any order between keys",
};
/// Prefixes load.
pub const D4: Property = Property {
    id: "D4",
    sentence: "every prefix of a log loads, into a state in which what must hold holds",
};
/// Acknowledged commits stay.
pub const D5: Property = Property {
    id: "D5",
    sentence: "an acknowledged commit is in the log, and later loads and fetches have it or a \
               later write",
};
/// What is gone stays gone.
pub const D6: Property = Property {
    id: "D6",
    sentence: "what was deleted stays so until it is written again, and offsets of a deleted \
               topic are never seen under a new one of its name",
};
/// One writer an epoch.
pub const D7: Property = Property {
    id: "D7",
    sentence: "epochs in a log never decrease, and each has one incarnation that wrote all of it",
};
/// Refused is not acknowledged.
pub const D8: Property = Property {
    id: "D8",
    sentence: "nothing but an error is said of what was refused, or is uncertain",
};
/// A restart does not show.
pub const D9: Property = Property {
    id: "D9",
    sentence: "a shard that is loaded again answers as the one before did, but for soft state",
};
/// Loaded members are well.
pub const D10: Property = Property {
    id: "D10",
    sentence: "after a load groups are Stable or Empty (or over their size and rebalance), with \
               full sessions and static members bound",
};
/// Member ids are new.
pub const D11: Property = Property {
    id: "D11",
    sentence: "no member id is made twice, in no group and by no incarnation",
};

/// The properties of this family.
pub const PROPERTIES: &[Property] = &[D1, D2, D3, D4, D5, D6, D7, D8, D9, D10, D11];

/// The observers of this family, for a run of a plan.
#[must_use]
pub fn new(plan: &Plan) -> Vec<Box<dyn Oracle + Send>> {
    vec![Box::new(Family::new(vec![
        Box::new(log::Writers::default()),
        Box::new(refused::Refused::default()),
        Box::new(acks::Acknowledged::default()),
        Box::new(tables::Tables::default()),
        Box::new(ids::Created::default()),
        Box::new(load::Loads::new(plan)),
        Box::new(restart::Restarts::new(plan)),
    ]))]
}
