//! C12, C13, C15: sessions, counted here again from what members sent, and what timers are armed.

use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{
    ErrorCode, GroupId, GroupView, Input, InstanceId, Instant, MemberId, MemberView, Request,
    Status,
};

use super::fencing;
use super::step::{
    COMPLETING, Change, EMPTY, Observer, PREPARING, STABLE, Step, is_gone_by_request,
    rebalance_timeout,
};
use crate::event::{Call, Event, Place, What};
use crate::oracle::{Found, Property};
use crate::plan::{ClientId, NodeIndex};

pub(super) const C12: Property = Property {
    id: "C12",
    sentence: "A member is expired when its session is over, neither earlier nor later (a second \
               of grace apart), and not while a JoinGroup or SyncGroup of it is parked; a new one \
               after 300 s.",
};
pub(super) const C13: Property = Property {
    id: "C13",
    sentence: "A member whose heartbeats reached the broker less than a session apart is not \
               expired, even if the broker slept.",
};
pub(super) const C15: Property = Property {
    id: "C15",
    sentence: "A join timer runs just in PreparingRebalance, a sync timer just while somebody of \
               this generation has not synced, and a session timer for each member that waits for \
               nothing.",
};

/// A new member's session, while its first JoinGroup is parked.
const NEW_MEMBER: Duration = Duration::from_secs(300);
const GRACE: Duration = Duration::from_secs(1);

/// When a member's session is over, as it was counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    deadline: Instant,
    is_new: bool,
    is_graced: bool,
}

/// A heartbeat that reached the door of a broker.
#[derive(Debug, Clone)]
struct Knock {
    at: Duration,
    generation: i32,
    instance: Option<InstanceId>,
    call: (ClientId, Call),
}

/// See the module.
#[derive(Default)]
pub(super) struct Sessions {
    own: LiteMap<(Place, GroupId, MemberId), Session>,
    sent: LiteMap<(ClientId, Call), quorate_core::request::Heartbeat>,
    knocks: LiteMap<(NodeIndex, GroupId, MemberId), Knock>,
}

impl Observer for Sessions {
    fn hear(&mut self, event: &Event) {
        match &event.what {
            What::Sent { client, call, request, .. } => {
                if let Request::Heartbeat(beat) = &**request {
                    self.sent.insert((*client, *call), beat.clone());
                }
            }
            What::Arrived { client, call, node } => {
                let Some(beat) = self.sent.get(&(*client, *call)) else { return };
                let knock = Knock {
                    at: event.at,
                    generation: beat.generation.0,
                    instance: beat.instance_id.clone(),
                    call: (*client, *call),
                };
                let key = (*node, beat.group_id.clone(), beat.member_id.clone());
                self.knocks.insert(key, knock);
            }
            What::TurnedAway { client, call, .. } => {
                self.knocks.retain(|_, knock| knock.call != (*client, *call));
            }
            What::Heard { client, call, .. } | What::Unheard { client, call, .. } => {
                self.sent.remove(&(*client, *call));
            }
            What::Ended { place, .. } => self.own.retain(|(of, ..), _| of != place),
            _ => {}
        }
    }

    fn see(&mut self, step: &Step<'_>, found: &mut Found) {
        for change in &step.changes {
            if step.ends() {
                continue;
            }
            self.gone(step, change, found);
            // What resigns takes no new work: nobody is heard of, and no timer fires.
            if step.shard.status() == Status::Resigning {
                continue;
            }
            if let Some(after) = change.after {
                for member in &after.members {
                    self.count(step, change, after, member, found);
                }
                timers(step, change, after, found);
            }
        }
    }
}

impl Sessions {
    /// Judges who is in the group no more.
    fn gone(&mut self, step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
        let Some((before, after)) = change.before.zip(change.after) else { return };
        for member in before.members.iter().filter(|m| after.member(&m.id).is_none()) {
            let key = (step.place, change.id.clone(), member.id.clone());
            let Some(own) = self.own.remove(&key) else { continue };
            let absent = (change.completes() || step.is_due(before.join_deadline))
                && member.instance_id.is_none()
                && !step.was_awaiting(change, &member.id);
            let is_over = own.deadline <= step.now.mono;
            if is_gone_by_request(step, change, member) || absent && !is_over {
                continue;
            }
            if before.held_by.is_some() {
                continue;
            }
            self.early(step, change, before, member, found);
            let late = step.now.mono.since(own.deadline) > GRACE;
            let join_due = step.is_due(before.join_deadline);
            if absent && (join_due || !step.is_deadline()) {
                continue;
            }
            found.check(is_over && step.is_deadline(), C12, || {
                format!("{}: {} is expired, due at {:?}", change.id, member.id, own.deadline)
            });
            found.check(!late || own.is_graced, C13, || {
                format!("{}: {} is expired without its grace", change.id, member.id)
            });
            let waits = member.join.is_some() || member.sync.is_some();
            found.check(own.is_new || !waits, C12, || {
                format!("{}: {} is expired while it is parked", change.id, member.id)
            });
        }
    }

    /// C13 at the door: what arrived in time, whether it was looked at or not.
    fn early(
        &self,
        step: &Step<'_>,
        change: &Change<'_>,
        before: &GroupView,
        member: &MemberView,
        found: &mut Found,
    ) {
        let key = (step.place.node, change.id.clone(), member.id.clone());
        // One of this very moment is behind the turn's deadlines.
        let Some(knock) = self.knocks.get(&key).filter(|knock| knock.at < step.at) else { return };
        let owns = knock.instance.is_none() || knock.instance == member.instance_id;
        if !owns || knock.generation != before.generation.0 || !step.is_deadline() {
            return;
        }
        let is_awaited = step.is_due(before.join_deadline) || step.is_due(before.sync_deadline);
        if is_awaited {
            return;
        }
        let node = step.plan.nodes.get(usize::from(step.place.node.0));
        let ppm = f64::from(node.map_or(0, |node| node.clock_ppm));
        let passed = (step.at.saturating_sub(knock.at)).mul_f64(1.0 + ppm / 1e6);
        let session = member.session_timeout.duration();
        found.check(passed + Duration::from_millis(1) >= session, C13, || {
            let id = &member.id;
            format!("{}: {id} is expired, but knocked {passed:?} ago ({session:?})", change.id)
        });
    }

    fn count(
        &mut self,
        step: &Step<'_>,
        change: &Change<'_>,
        after: &GroupView,
        member: &MemberView,
        found: &mut Found,
    ) {
        let key = (step.place, change.id.clone(), member.id.clone());
        let own = self.own.get(&key).copied();
        let is_held = change.before.is_some_and(|before| before.held_by.is_some());
        let due = if is_held {
            let seen = member.session_deadline.or(own.map(|own| own.deadline));
            let Some(deadline) = seen else { return };
            Session { deadline, is_new: member.is_new, is_graced: false }
        } else {
            due(step, change, member, own)
        };
        let due = graced(step, member, due);
        match member.session_deadline {
            Some(armed) => {
                found.check(armed >= due.deadline, C13, || {
                    format!("{}: {} has until {armed:?} of {due:?}", change.id, member.id)
                });
                found.check(armed <= due.deadline, C12, || {
                    format!("{}: {} has until {armed:?} of {due:?}", change.id, member.id)
                });
                let overdue = step.is_due(Some(armed)) && !step.may_be_behind();
                found.check(!overdue, C12, || {
                    format!("{}: {} is not expired, {due:?}", change.id, member.id)
                });
            }
            None if after.held_by.is_none() => {
                let waits = member.join.is_some() || member.sync.is_some();
                found.check(waits && !due.is_new, C12, || {
                    format!("{}: {} is never expired, {due:?}", change.id, member.id)
                });
                found.check(due.deadline <= step.now.mono, C15, || {
                    format!("{}: {} has no session timer, {due:?}", change.id, member.id)
                });
            }
            None => {}
        }
        self.own.insert(key, due);
    }
}

/// When a member's session is over after this step (spec classic 10.1).
fn due(step: &Step<'_>, change: &Change<'_>, member: &MemberView, own: Option<Session>) -> Session {
    let session = member.session_timeout.duration();
    let full =
        |of: Duration| Session { deadline: step.now.mono + of, is_new: false, is_graced: false };
    if step.input.is_none() || change.completes() {
        return full(session);
    }
    let before = change.before.and_then(|before| before.member(&member.id));
    let Some((own, before)) = own.zip(before) else {
        let instance = member.instance_id.as_ref();
        let replaced = change.before.and_then(|before| {
            let mut members = before.members.iter();
            members.find(|old| instance.is_some() && old.instance_id.as_ref() == instance)
        });
        return match replaced {
            Some(_) if matches!(step.input, Some(Input::Rejected { .. })) => full(session),
            Some(old) => full(old.session_timeout.duration()),
            None => Session { is_new: true, ..full(NEW_MEMBER) },
        };
    };
    let synced = before.sync.is_some() && member.sync.is_none();
    if synced || is_refreshed(step, change, member) {
        // Even a member whose first join is parked may be heard of: it stays a new one.
        Session { is_new: own.is_new, ..full(session) }
    } else {
        own
    }
}

/// Whether the request of this step starts the member's session anew.
fn is_refreshed(step: &Step<'_>, change: &Change<'_>, member: &MemberView) -> bool {
    let Some((_, request)) = step.request() else { return false };
    let before = change.before;
    match request {
        Request::Heartbeat(asked) if asked.group_id == *change.id => {
            let code = fencing::heartbeat(before, asked);
            asked.member_id == member.id
                && matches!(code, ErrorCode::None | ErrorCode::RebalanceInProgress)
        }
        Request::OffsetCommit(asked) if asked.group_id == *change.id => {
            let counts = before.is_some_and(|b| b.state == STABLE || b.state == PREPARING);
            let served = !refused_at_once(step);
            let valid = fencing::commit(before, asked) == ErrorCode::None;
            asked.member_id == member.id && counts && served && valid
        }
        // The leader's, whose record cannot be stored: parked and answered in one step.
        Request::SyncGroup(asked) if asked.group_id == *change.id => {
            asked.member_id == member.id && change.went(COMPLETING, PREPARING)
        }
        _ => false,
    }
}

/// Whether the shard could not take a write: then nothing was looked at.
fn refused_at_once(step: &Step<'_>) -> bool {
    use quorate_core::Response::OffsetCommit;
    let Some(OffsetCommit(answer)) = step.request().and_then(|(token, _)| step.answer(token))
    else {
        return false;
    };
    let mut codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
    codes.any(|(_, code)| super::states::is_unserved(*code))
}

/// A session that is found more than a second overdue gets one second more, once.
fn graced(step: &Step<'_>, member: &MemberView, due: Session) -> Session {
    let late = step.now.mono.since(due.deadline) > GRACE;
    let given = step.now.mono + GRACE;
    let is_given = member.session_deadline == Some(given);
    if step.is_deadline() && late && !due.is_graced && is_given {
        Session { deadline: given, is_graced: true, ..due }
    } else {
        due
    }
}

/// C15 of a group's own timers.
fn timers(step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
    if after.held_by.is_some() {
        return;
    }
    let joins = after.join_deadline.is_some();
    found.check(joins == (after.state == PREPARING), C15, || {
        format!("{}: join timer {:?} in {}", change.id, after.join_deadline, after.state)
    });
    let waits = !after.pending_sync.is_empty() && matches!(after.state, COMPLETING | STABLE);
    found.check(after.sync_deadline.is_some() == waits, C15, || {
        let (deadline, waits) = (after.sync_deadline, &after.pending_sync);
        format!("{}: sync timer {deadline:?} in {} for {waits:?}", change.id, after.state)
    });
    let before = change.before.and_then(|before| before.sync_deadline);
    let begun = change.begins_generation().then(|| step.now.mono + rebalance_timeout(after));
    let expected = begun.or(before);
    let kept = after.sync_deadline.is_none() || after.sync_deadline == expected;
    found.check(kept, C15, || {
        format!("{}: sync timer {:?}, not {expected:?}", change.id, after.sync_deadline)
    });
    let parked = after.members.iter().filter(|member| member.join.is_some()).count();
    let syncs = after.members.iter().filter(|member| member.sync.is_some()).count();
    let fits = parked == after.awaiting_join
        && (parked == 0 || after.state == PREPARING)
        && (syncs == 0 || after.state == COMPLETING)
        && (after.state != EMPTY || after.members.is_empty());
    found.check(fits, C15, || {
        format!("{}: {} with {parked} joins and {syncs} syncs parked", change.id, after.state)
    });
}
