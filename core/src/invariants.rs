//! What must hold of a shard after every step, each property a function with its sentence.
//!
//! Ids are those of the simulation's catalogue. Builds with debug assertions check them: the groups
//! that a step touched and the bounds after it, the whole shard every 64th step and after a load.

use crate::classic::{ClassicGroup, State};
use crate::group::Group;
use crate::id::GroupId;
use crate::shard::Shard;
use crate::tables::RowsHash;

impl Shard {
    /// Checks what a step touched; panics with the sentence of the first property that fails.
    pub(crate) fn check_touched(&mut self) {
        self.bounds_hold();
        for id in &self.touched {
            if let Some(group) = self.groups.get(id) {
                check_group(id, group);
            }
        }
        // Its memory stays: what a request allocates is counted in debug builds too.
        self.touched.clear();
    }

    /// Checks the whole shard.
    pub(crate) fn check(&self) {
        self.bounds_hold();
        for (id, group) in &self.groups {
            check_group(id, group);
        }
        self.rows_hash_is_that_of_the_rows();
    }

    /// P8: members, parked requests and batches in flight are within their limits.
    fn bounds_hold(&self) {
        let config = &self.env.config;
        assert!(self.env.log.in_flight.len() <= config.max_in_flight + config.timers_per_step);
        assert!(self.env.parked.len() <= config.max_parked, "P8: parked requests are bounded");
    }

    /// D1: the sum that each write keeps is the sum over the rows.
    fn rows_hash_is_that_of_the_rows(&self) {
        assert_eq!(self.env.rows, RowsHash::recomputed(&self.rows()), "D1: the rows' hash is kept");
    }
}

fn check_group(id: &GroupId, group: &Group) {
    let live = &group.live;
    leader_is_a_member(id, live);
    protocols_are_counted(id, live);
    chosen_protocol_is_supported_by_all(id, live);
    static_ids_are_members(id, live);
    awaiting_is_counted(id, live);
    pending_ids_are_no_members(id, live);
    timers_belong_to_the_state(id, live);
}

/// C5: the leader of a Completing or Stable group is a member.
fn leader_is_a_member(id: &GroupId, live: &ClassicGroup) {
    let leads = live.leader.as_ref().is_some_and(|leader| live.members.contains(leader));
    match live.state {
        State::CompletingRebalance | State::Stable => {
            assert!(leads, "C5: group {id} is led by a member");
        }
        State::Empty => assert!(live.members.is_empty(), "C1: Empty group {id} has no members"),
        State::PreparingRebalance => {}
    }
}

/// C5: each protocol is counted once for each member that lists it.
fn protocols_are_counted(id: &GroupId, live: &ClassicGroup) {
    let listed: usize = live.members.iter().map(|member| member.protocols.len()).sum();
    let counted: usize = live.supported.iter().map(|(_, count)| count).sum();
    assert_eq!(listed, counted, "C5: the protocols of group {id} are counted");
}

/// C5: the protocol of a Completing group is one that every member lists.
fn chosen_protocol_is_supported_by_all(id: &GroupId, live: &ClassicGroup) {
    if live.state == State::CompletingRebalance {
        let all = live.protocol.as_ref().map(|name| live.supported_by(name));
        assert_eq!(all, Some(live.members.len()), "C5: all of group {id} support its protocol");
    }
}

/// C9: an instance id belongs to one member, and that member has it.
fn static_ids_are_members(id: &GroupId, live: &ClassicGroup) {
    for (instance, member) in &live.static_members {
        let own = live.members.get(member).and_then(|member| member.instance_id.as_ref());
        assert_eq!(own, Some(instance), "C9: instance ids of group {id} are their members'");
    }
    let count = live.members.iter().filter(|member| member.instance_id.is_some()).count();
    assert_eq!(count, live.static_members.len(), "C9: static members of group {id} are known");
}

/// C15: the members with a parked join are as many as are counted, and join in their phase.
fn awaiting_is_counted(id: &GroupId, live: &ClassicGroup) {
    let parked = live.members.iter().filter(|member| member.join.is_some()).count();
    assert_eq!(parked, live.awaiting_join, "C15: awaiting members of group {id} are counted");
    let strangers = live.pending_sync.iter().filter(|id| !live.members.contains(id)).count();
    // An id that was replaced in Stable, or, as in Kafka, the new one where its record was refused
    // when the next generation had begun (spec classic 6.7).
    let is_on = matches!(live.state, State::Stable | State::CompletingRebalance);
    let may_be_replaced = is_on && !live.static_members.is_empty();
    let all_members = strangers == 0 || may_be_replaced;
    assert!(all_members, "C15: who is to sync in group {id} is a member, or was one");
    let syncs = live.members.iter().filter(|member| member.sync.is_some()).count();
    match live.state {
        State::PreparingRebalance => assert_eq!(syncs, 0, "C7: no sync of {id} while joining"),
        State::CompletingRebalance => assert_eq!(parked, 0, "C3: joins of {id} are answered"),
        State::Empty | State::Stable => assert_eq!((parked, syncs), (0, 0), "C3: {id} is quiet"),
    }
}

/// C14: an id that was handed out is no member.
fn pending_ids_are_no_members(id: &GroupId, live: &ClassicGroup) {
    let is_member = live.pending_join.keys().any(|pending| live.members.contains(pending));
    assert!(!is_member, "C14: ids handed out in group {id} are no members");
}

/// C15: the join timer runs if and only if the group prepares a rebalance; the sync timer only
/// while somebody is waited for.
fn timers_belong_to_the_state(id: &GroupId, live: &ClassicGroup) {
    let joins = live.join_timer.deadline().is_some();
    let prepares = live.state == State::PreparingRebalance;
    assert!(!joins || prepares, "C15: the join timer of group {id} runs only while joining");
    if live.sync_timer.deadline().is_some() {
        assert!(!live.pending_sync.is_empty(), "C15: the sync timer of group {id} waits for some");
        let on = matches!(live.state, State::CompletingRebalance | State::Stable);
        assert!(on, "C15: the sync timer of group {id} runs only after joining");
    }
}
