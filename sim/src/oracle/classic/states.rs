//! C1, C2, C5: states, generations, and who leads with which protocol.

use quorate_core::{ErrorCode, GroupView, Text};

use super::step::{COMPLETING, Change, EMPTY, Observer, PREPARING, STABLE, Step, Way};
use crate::oracle::{Found, Property};

pub(super) const C1: Property = Property {
    id: "C1",
    sentence: "A group goes only the ways of classic 5.2: never from Empty to \
               CompletingRebalance, never from Stable to Empty.",
};
pub(super) const C2: Property = Property {
    id: "C2",
    sentence: "A generation rises by one for each join phase that completes, and never else; \
               after a load it is the last one stored.",
};
pub(super) const C5: Property = Property {
    id: "C5",
    sentence: "The protocol is the winner of a vote over those that all members support, and the \
               leader is a member, which had joined when it was elected.",
};

/// See the module.
pub(super) struct States;

impl Observer for States {
    fn see(&mut self, step: &Step<'_>, found: &mut Found) {
        for change in &step.changes {
            if step.input.is_none() {
                loaded(step, change, found);
            } else {
                ways(step, change, found);
            }
            if let Some(after) = change.after {
                led(step, change, after, found);
            }
        }
    }
}

/// A group as it is after a load: with members Stable (PreparingRebalance if it is too large).
fn loaded(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some(after) = change.after else { return };
    let expected = match after.members.len() {
        0 => EMPTY,
        count if count > step.max_size => PREPARING,
        _ => STABLE,
    };
    found.check(after.state == expected, C1, || {
        format!("{}: loaded as {}, not {expected}", change.id, after.state)
    });
    let row = step.rows.get(&(step.place.shard, change.id.clone()));
    let stored = row.map_or(0, |row| row.generation.0);
    found.check(after.generation.0 == stored, C2, || {
        let generation = after.generation.0;
        format!("{}: loaded with generation {generation}, stored is {stored}", change.id)
    });
}

fn ways(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let mut state = change.before.map(|group| group.state);
    let mut generation = change.before.map_or(0, |group| group.generation.0);
    let is_new = change.before.is_none_or(|group| group.is_being_created);
    for way in &change.ways {
        let goes = way.from == state && is_allowed(way, is_new);
        found.check(goes, C1, || format!("{}: was {state:?}, then {way:?}", change.id));
        if way.from.is_none() {
            generation = 0;
        }
        if way.completes() {
            generation = generation.checked_add(1).unwrap_or(1);
        }
        let counts = way.generation == generation;
        found.check(counts, C2, || {
            format!("{}: {way:?}, where generation {generation} is due", change.id)
        });
        state = way.to;
    }
    if step.ends() {
        return;
    }
    let after = change.after.map(|group| group.state);
    found.check(after == state, C1, || {
        format!("{}: is {after:?}, but told of {state:?} last", change.id)
    });
    if let Some(after) = change.after {
        found.check(after.generation.0 == generation, C2, || {
            format!("{}: generation {} unseen after {generation}", change.id, after.generation.0)
        });
        let is_empty = after.members.is_empty();
        let fits = after.state == PREPARING || is_empty == (after.state == EMPTY);
        found.check(fits, C1, || {
            format!("{}: {} with {} members", change.id, after.state, after.members.len())
        });
    }
}

fn is_allowed(way: &Way, is_new: bool) -> bool {
    match (way.from, way.to) {
        (None, Some(EMPTY)) => true,
        (Some(from), None) => from == EMPTY || is_new,
        (Some(EMPTY | STABLE | COMPLETING), Some(PREPARING)) => true,
        (Some(PREPARING), Some(COMPLETING | EMPTY)) => true,
        (Some(COMPLETING), Some(STABLE)) => true,
        _ => false,
    }
}

fn led(step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
    if !matches!(after.state, COMPLETING | STABLE) {
        return;
    }
    let leader = after.leader.as_ref().and_then(|leader| after.member(leader));
    found.check(leader.is_some(), C5, || {
        format!("{}: led by {:?}, which is no member", change.id, after.leader)
    });
    let lists = |name: &Text| {
        after.members.iter().all(|m| m.protocols.iter().any(|known| known.name == *name))
    };
    let by_all = after.protocol.as_ref().is_some_and(lists);
    found.check(by_all, C5, || {
        format!("{}: not all members support {:?}", change.id, after.protocol)
    });
    if !change.begins_generation() {
        return;
    }
    let chosen = vote(after);
    found.check(after.protocol.as_ref() == chosen, C5, || {
        format!("{}: chose {:?}, the vote was for {chosen:?}", change.id, after.protocol)
    });
    if change.simple().is_some() {
        let had_joined = after.leader.as_ref().is_some_and(|id| step.was_awaiting(change, id));
        found.check(had_joined, C5, || {
            format!("{}: elected {:?}, which had not joined", change.id, after.leader)
        });
        keeps_leader(step, change, after, found);
    }
}

/// A leader that has joined again leads on.
fn keeps_leader(step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
    let Some(old) = change.before.and_then(|before| before.leader.as_ref()) else { return };
    let is_there = after.member(old).is_some() && step.was_awaiting(change, old);
    found.check(!is_there || after.leader.as_ref() == Some(old), C5, || {
        format!("{}: {old} led and has joined, but {:?} leads", change.id, after.leader)
    });
}

/// Spec classic 5.7; of two with as many votes, the one that an older member voted for.
fn vote(group: &GroupView) -> Option<&Text> {
    let by_all = |name: &Text| {
        group.members.iter().all(|m| m.protocols.iter().any(|known| known.name == *name))
    };
    let mut votes: Vec<(&Text, usize)> = Vec::new();
    for member in &group.members {
        let choice = member.protocols.iter().map(|p| &p.name).find(|name| by_all(name))?;
        match votes.iter_mut().find(|(name, _)| *name == choice) {
            Some((_, count)) => *count += 1,
            None => votes.push((choice, 1)),
        }
    }
    let most = votes.iter().map(|(_, count)| *count).max()?;
    votes.iter().find(|(_, count)| *count == most).map(|(name, _)| *name)
}

/// Whether an answer says that the shard could not take the request at all, now or any more.
pub(super) fn is_unserved(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
}
