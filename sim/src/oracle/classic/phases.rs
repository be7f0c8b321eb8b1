//! C10, C11: how long a join phase takes, and whom its end drops.

use std::collections::BTreeSet;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{ErrorCode, GroupId, GroupView, Instant, MemberView, Request};

use super::step::{
    Change, EMPTY, Observer, PREPARING, Step, is_gone_by_request, rebalance_timeout,
};
use crate::event::{Event, Place, What};
use crate::oracle::{Found, Property};

pub(super) const C10: Property = Property {
    id: "C10",
    sentence: "A join phase ends when all have joined, else when the rebalance timeout is over, \
               neither earlier nor later (an initial one as classic 10.3 bounds it).",
};
pub(super) const C11: Property = Property {
    id: "C11",
    sentence: "The end of a join phase drops exactly the dynamic members that have not joined; \
               static ones stay.",
};

/// See the module.
#[derive(Default)]
pub(super) struct Phases {
    /// When an initial join phase ends at the latest, and how long it may take.
    initial: LiteMap<(Place, GroupId), (Instant, Duration)>,
    /// Groups out of which the size limit took somebody while they joined: what follows from that
    /// is not looked at (spec classic 6.3).
    reduced: BTreeSet<(Place, GroupId)>,
}

impl Observer for Phases {
    fn hear(&mut self, event: &Event) {
        if let What::Ended { place, .. } = &event.what {
            self.initial.retain(|(of, _), _| of != place);
            self.reduced.retain(|(of, _)| of != place);
        }
    }

    fn see(&mut self, step: &Step<'_>, found: &mut Found) {
        for change in &step.changes {
            if step.ends() {
                continue;
            }
            let Some(after) = change.after else { continue };
            self.keep(step, change, after);
            self.must_end(step, change, after, found);
            self.deadline(step, change, after, found);
            if change.completes() && change.simple().is_some() {
                may_end(step, change, after, found);
                drops(step, change, after, found);
            }
        }
    }
}

impl Phases {
    fn keep(&mut self, step: &Step<'_>, change: &Change<'_>, after: &GroupView) {
        let key = (step.place, change.id.clone());
        if after.state != PREPARING {
            self.initial.remove(&key);
            self.reduced.remove(&key);
            return;
        }
        if change.went(EMPTY, PREPARING) {
            // Who was first may have been replaced already, if the group was held.
            let asked = step.asked.values().filter_map(|request| match request {
                Request::JoinGroup(join) if join.group_id == *change.id => {
                    Some(join.rebalance_timeout.duration())
                }
                _ => None,
            });
            let is_held = change.before.is_some_and(|before| before.held_by.is_some());
            let first = asked.filter(|_| is_held).max().unwrap_or_default();
            let longest = rebalance_timeout(after).max(step.plan.knobs.initial_delay).max(first);
            self.initial.insert(key.clone(), (step.now.mono + longest, longest));
        }
        self.put_off(step, change, after);
        let refused = |(_, _, answer): (_, _, &quorate_core::response::JoinGroup)| {
            answer.error == ErrorCode::GroupMaxSizeReached
        };
        if step.joined(change.id).any(refused) {
            self.reduced.insert(key);
        }
    }

    /// A window of an initial phase begins when the one before was seen to be over, perhaps late.
    fn put_off(&mut self, step: &Step<'_>, change: &Change<'_>, after: &GroupView) {
        let key = (step.place, change.id.clone());
        let Some((latest, longest)) = self.initial.get_mut(&key) else { return };
        let Some(before) = change.before.filter(|before| before.state == PREPARING) else { return };
        if before.held_by.is_some() {
            // Its timer may have fired while the group was held.
            *latest = step.now.mono + (*longest).max(rebalance_timeout(after));
        } else if let Some(was) = before.join_deadline.filter(|was| step.is_due(Some(*was))) {
            *latest = *latest + step.now.mono.since(was);
        }
    }

    fn must_end(&self, step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
        if after.state != PREPARING || after.held_by.is_some() {
            return;
        }
        let all = after.members.iter().all(|member| member.join.is_some());
        let waits = after.is_initial || !all || !after.pending_join.is_empty();
        let is_reduced = self.reduced.contains(&(step.place, change.id.clone()));
        found.check(waits || is_reduced, C10, || {
            format!("{}: all have joined, and the join phase goes on", change.id)
        });
        let overdue = step.is_due(after.join_deadline) && !step.may_be_behind();
        found.check(!overdue, C10, || {
            format!("{}: the join phase goes on after {:?}", change.id, after.join_deadline)
        });
    }

    fn deadline(&self, step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
        let Some(armed) = after.join_deadline else { return };
        let before = change.before;
        if before.is_some_and(|before| before.held_by.is_some()) {
            return;
        }
        let was = before.filter(|b| b.state == PREPARING).and_then(|b| b.join_deadline);
        if change.ways.is_empty() && was == Some(armed) {
            return;
        }
        let longest =
            before.map_or(Duration::ZERO, rebalance_timeout).max(rebalance_timeout(after));
        let latest = self.initial.get(&(step.place, change.id.clone()));
        let fits = if after.is_initial {
            let delay = step.plan.knobs.initial_delay;
            latest.is_some_and(|(latest, _)| armed <= *latest)
                && armed <= step.now.mono + delay
                && (change.went(EMPTY, PREPARING) || step.is_due(was))
        } else {
            let begins = !change.ways.is_empty() || step.input.is_none();
            let nobody = after.members.iter().all(|member| member.join.is_none());
            armed <= step.now.mono + longest && (begins || nobody && step.is_due(was))
        };
        found.check(fits, C10, || {
            let now = step.now.mono;
            format!("{}: the join phase is to end at {armed:?}, was {was:?} ({now:?})", change.id)
        });
    }
}

/// A join phase that ends before its timer has all members, and no id that was handed out.
fn may_end(step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
    let Some(before) = change.before else { return };
    // Without members there is no rebalance timeout: the timer is due as it is armed.
    let no_time =
        rebalance_timeout(before).is_zero() || step.is_deadline() && after.members.is_empty();
    if step.is_due(before.join_deadline) || no_time {
        return;
    }
    let is_initial_request = before.state == PREPARING && before.is_initial && !step.is_deadline();
    found.check(!is_initial_request, C10, || {
        format!("{}: an initial join phase ends before its time", change.id)
    });
    let waited = |member: &&MemberView| !step.was_awaiting(change, &member.id);
    let absent = after.members.iter().find(waited).map(|member| &member.id);
    found.check(absent.is_none(), C10, || {
        format!("{}: the join phase ends without {absent:?}", change.id)
    });
    found.check(after.pending_join.is_empty(), C10, || {
        format!("{}: the join phase ends without {:?}", change.id, after.pending_join)
    });
    let dropped = before.members.iter().find(|member| {
        let expired = step.is_due(member.session_deadline);
        after.member(&member.id).is_none() && !expired && !is_gone_by_request(step, change, member)
    });
    found.check(dropped.is_none(), C10, || {
        let id = dropped.map(|member| &member.id);
        format!("{}: the join phase ends without {id:?}", change.id)
    });
}

fn drops(step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
    let Some(before) = change.before else { return };
    if after.state != EMPTY && !change.begins_generation() {
        return;
    }
    for member in &after.members {
        let stays = member.instance_id.is_some() || step.was_awaiting(change, &member.id);
        found.check(stays, C11, || {
            format!("{}: {} has not joined, and stays", change.id, member.id)
        });
    }
    for member in before.members.iter().filter(|member| after.member(&member.id).is_none()) {
        let expired = step.is_due(member.session_deadline);
        let absent = member.instance_id.is_none() && member.join.is_none();
        let leaves = matches!(step.request(), Some((_, Request::LeaveGroup(_))));
        let fits = absent || expired || leaves || is_gone_by_request(step, change, member);
        found.check(fits, C11, || {
            format!("{}: {} is dropped, and should stay", change.id, member.id)
        });
    }
}
