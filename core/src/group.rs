//! A group of a shard: its rows, what lives beside them, and whether it must wait.

use crate::classic::ClassicGroup;
use crate::id::BatchId;
use crate::tables::Rows;
use crate::time::WallTime;

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// What is stored.
    pub(crate) rows: Rows,
    /// Members, parked requests and timers: never touched by writing a row.
    pub(crate) live: ClassicGroup,
    /// The newest batch in flight that has a row of this group.
    pub(crate) last_batch: Option<BatchId>,
    /// The batch that creates or removes the group. Until its fate is known, requests and timers
    /// of the group wait undecided.
    pub(crate) held_by: Option<BatchId>,
    /// Whether that batch creates it: then nobody else sees the group yet.
    pub(crate) is_being_created: bool,
}

impl Group {
    /// A group that nobody has joined.
    pub(crate) fn new(since: WallTime) -> Group {
        Group {
            rows: Rows::default(),
            live: ClassicGroup::new(since),
            last_batch: None,
            held_by: None,
            is_being_created: false,
        }
    }
}
