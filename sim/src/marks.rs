//! Marks: situations that the default seeds must reach, or the simulators have lost reach.
//!
//! Decided here: which there are, and what of them is remembered from one event to the next. What
//! one step of a shard shows is in the files beside.

mod joins;
mod steps;

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::{BatchId, GroupId, ShardId};

use crate::event::{Context, Event, Place, What};

/// All marks. The numbers are sections of the specification of classic groups.
pub const ALL: &[&str] = &[
    "a reply waits behind two batches",
    "a member leaves while the leader's assignment is on its way",
    "an append is refused in CompletingRebalance",
    "a shard is fenced with joins parked",
    "a shard ends with a group Empty and is loaded again",
    "a shard ends with a group in PreparingRebalance and is loaded again",
    "a shard ends with a group in CompletingRebalance and is loaded again",
    "a shard ends with a group Stable and is loaded again",
    "a session ends at the instant of a heartbeat",
    "two timers fire at one instant",
    "a join comes again while it is parked",
    "an id that was handed out expires",
    "the initial delay is extended twice",
    "the rebalance timeout drops some and not all",
    "the leader is lost in CompletingRebalance",
    "a static member is replaced in mid-rebalance",
    "a coordinator moves twice in one rebalance",
    "a shard ends with an id handed out",
    "a shard ends with joins parked",
    "a shard ends with syncs parked",
    "a log was compacted between two loads",
    "a fetch is answered while a newer commit is on its way",
    "a request is refused for the batches in flight",
    "a step runs as many timers as it may",
    "6.3 a join is refused for the size of its group",
    "6.4 an id is handed out",
    "6.5.2 the protocols of a join do not fit",
    "6.5.3 an id that was handed out joins",
    "6.5.3 an id that was handed out comes with an instance id",
    "6.5.4 an unknown id joins",
    "6.5.5 a member joins again in PreparingRebalance",
    "6.5.5 the same join is answered at once in CompletingRebalance",
    "6.5.5 other protocols start over from CompletingRebalance",
    "6.5.5 the leader of a Stable group joins again",
    "6.5.5 a follower of a Stable group joins with other protocols",
    "6.5.5 a follower of a Stable group joins again and is answered at once",
    "6.6 a member is added to an Empty group",
    "6.6 a member is added in PreparingRebalance",
    "6.6 a member is added in CompletingRebalance",
    "6.6 a member is added to a Stable group",
    "6.6 the record of a new group is refused",
    "6.7 a static member comes back to a Stable group without a rebalance",
    "6.7 a static member comes back with other protocols and the group rebalances",
    "6.7 a parked join of who is replaced is fenced",
    "6.7 a parked sync of who is replaced is fenced",
    "6.7 the record of a static member that came back is refused",
    "6.8 parked syncs are told of a new rebalance",
    "6.8 a rebalance is complete as it starts",
    "6.8 the initial delay is extended",
    "6.9 a join completes the join phase",
    "6.9 a leave completes the join phase",
    "6.9 an expiry completes the join phase",
    "6.9 an id that expires completes an initial rebalance",
    "6.10 members that did not join are dropped",
    "6.10 a leader that joined again stays the leader",
    "6.10 a leader that did not join is replaced",
    "6.10 only silent static members are left to lead",
    "6.10 the last member is gone",
    "6.10 a static member that did not join stays",
];

/// The marks that a run has hit.
#[derive(Debug, Default)]
pub struct Marks {
    hit: BTreeSet<&'static str>,
    places: LiteMap<Place, Seen>,
    /// States of groups when the last incarnation of a shard ended.
    ended: LiteMap<ShardId, BTreeSet<&'static str>>,
    /// How often a shard ended since a group began to rebalance.
    moved: LiteMap<(ShardId, GroupId), u32>,
    compacted: BTreeSet<ShardId>,
    loaded: BTreeSet<ShardId>,
}

/// What is remembered of an incarnation.
#[derive(Debug, Default)]
struct Seen {
    states: BTreeSet<&'static str>,
    rebalancing: BTreeSet<GroupId>,
    has_parked_joins: bool,
    has_parked_syncs: bool,
    has_ids_handed_out: bool,
    extended: LiteMap<GroupId, u32>,
    /// Commits on their way: group and batch.
    commits: Vec<(GroupId, BatchId)>,
    /// Records of static members that came back.
    replacements: BTreeSet<BatchId>,
}

impl Marks {
    /// Looks at an event.
    pub fn see(&mut self, event: &Event, context: Option<Context<'_>>) {
        match (&event.what, context) {
            (What::Loaded { place, .. }, Some(context)) => {
                for state in self.ended.remove(&place.shard).unwrap_or_default() {
                    self.hit.insert(match state {
                        "Empty" => "a shard ends with a group Empty and is loaded again",
                        "PreparingRebalance" => {
                            "a shard ends with a group in PreparingRebalance and is loaded again"
                        }
                        "CompletingRebalance" => {
                            "a shard ends with a group in CompletingRebalance and is loaded again"
                        }
                        _ => "a shard ends with a group Stable and is loaded again",
                    });
                }
                if !self.loaded.insert(place.shard) && self.compacted.remove(&place.shard) {
                    self.hit.insert("a log was compacted between two loads");
                }
                self.places.insert(*place, Seen::default());
                self.remember(*place, context);
            }
            (What::Stepped { place, now, input, effects }, Some(context)) => {
                let step = steps::Step { now: *now, input, effects, context };
                let seen = self.places.entry(*place).or_default();
                steps::look(&step, seen, &mut self.hit);
                joins::look(&step, seen, &mut self.hit);
                for group in step.assigned() {
                    self.moved.remove(&(place.shard, group.clone()));
                }
                self.remember(*place, context);
            }
            (What::Compacted { shard, .. }, _) => {
                self.compacted.insert(*shard);
            }
            (What::Ended { place, .. }, _) => {
                let seen = self.places.remove(place).unwrap_or_default();
                self.ended(place.shard, seen);
            }
            _ => {}
        }
    }

    fn ended(&mut self, shard: ShardId, seen: Seen) {
        let with = [
            (seen.has_ids_handed_out, "a shard ends with an id handed out"),
            (seen.has_parked_joins, "a shard ends with joins parked"),
            (seen.has_parked_syncs, "a shard ends with syncs parked"),
        ];
        self.hit.extend(with.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark));
        for group in seen.rebalancing {
            let times = self.moved.entry((shard, group)).or_default();
            *times += 1;
            if *times >= 2 {
                self.hit.insert("a coordinator moves twice in one rebalance");
            }
        }
        self.ended.entry(shard).or_default().extend(seen.states);
    }

    fn remember(&mut self, place: Place, context: Context<'_>) {
        let Some(seen) = self.places.get_mut(&place) else { return };
        seen.states = context.after.values().map(|group| group.state).collect();
        let members = || context.after.values().flat_map(|group| &group.members);
        seen.has_parked_joins = members().any(|member| member.join.is_some());
        seen.has_parked_syncs = members().any(|member| member.sync.is_some());
        seen.has_ids_handed_out =
            context.after.values().any(|group| !group.pending_join.is_empty());
        let is_on = |state| matches!(state, "PreparingRebalance" | "CompletingRebalance");
        let on = context.after.iter().filter(|(_, group)| is_on(group.state));
        seen.rebalancing = on.map(|(id, _)| id.clone()).collect();
    }

    /// What was hit.
    #[must_use]
    pub fn hit(self) -> BTreeSet<&'static str> {
        self.hit
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn no_mark_is_there_twice() {
        let mut all = ALL.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ALL.len());
    }
}
