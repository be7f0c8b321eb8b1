//! The states of a classic group, and the only ways between them (spec classic 5.2).

use super::ClassicGroup;
use crate::env::Cx;
use crate::note::{Cause, Note, NoteKind};

/// Where a classic group is in its life. A group that is gone has no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// No members; there may be offsets. Joins start an initial rebalance.
    Empty,
    /// JoinGroups are collected and parked. Heartbeats get REBALANCE_IN_PROGRESS, as do syncs;
    /// commits of the old generation are taken.
    PreparingRebalance,
    /// JoinGroups are answered; syncs are parked until the leader's assignment is stored. Commits
    /// get REBALANCE_IN_PROGRESS.
    CompletingRebalance,
    /// The assignment is handed out.
    Stable,
}

impl State {
    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    /// From where the state can be entered.
    pub(crate) fn predecessors(self) -> &'static [State] {
        match self {
            State::Empty | State::CompletingRebalance => &[State::PreparingRebalance],
            State::PreparingRebalance => &[State::Stable, State::CompletingRebalance, State::Empty],
            State::Stable => &[State::CompletingRebalance],
        }
    }
}

impl ClassicGroup {
    /// Goes to another state and tells why.
    pub(super) fn transition(&mut self, cx: &mut Cx<'_>, to: State, cause: Cause) {
        let from = self.state;
        debug_assert!(to.predecessors().contains(&from), "no way from {from:?} to {to:?}");
        (self.previous, self.state, self.since) = (from, to, Some(cx.now.wall));
        let (generation, members) = (self.generation, self.members.len());
        cx.note(NoteKind::Transition, |group| Note::Transition {
            group: group.clone(),
            from: Some(from.name()),
            to: Some(to.name()),
            generation,
            members,
            cause,
        });
    }
}
