//! C8, C9, C14, C17: who may speak for a member, and who is one.

use std::collections::{BTreeMap, BTreeSet};

use litemap::LiteMap;
use quorate_core::{
    ErrorCode, GroupView, InstanceId, MemberId, Request, Response, Token, request, response,
};

use super::states::is_unserved;
use super::step::{COMPLETING, Change, EMPTY, Observer, PREPARING, Step, validate};
use crate::event::{Event, Place, What};
use crate::oracle::{Found, Property};

pub(super) const C8: Property = Property {
    id: "C8",
    sentence: "Heartbeat, SyncGroup and OffsetCommit succeed only with the group's generation and \
               the id of a member (and a heartbeat with both is not refused).",
};
pub(super) const C9: Property = Property {
    id: "C9",
    sentence: "An instance id has one member id; a new process gets a new one, and what was \
               parked for the old one is answered FENCED_INSTANCE_ID.",
};
pub(super) const C14: Property = Property {
    id: "C14",
    sentence: "An id that was handed out is no member; it is kept for its session timeout, and \
               forgotten by a load.",
};
pub(super) const C17: Property = Property {
    id: "C17",
    sentence: "LeaveGroup removes exactly the valid members that it lists, and answers for each \
               in order.",
};

/// See the module.
#[derive(Default)]
pub(super) struct Fencing {
    /// What open requests must be answered, but for errors of the shard as a whole.
    due: LiteMap<(Place, Token), Due>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Code(ErrorCode),
    Left(Vec<ErrorCode>),
}

impl Observer for Fencing {
    fn hear(&mut self, event: &Event) {
        if let What::Ended { place, .. } = &event.what {
            self.due.retain(|(of, _), _| of != place);
        }
    }

    fn see(&mut self, step: &Step<'_>, found: &mut Found) {
        if let Some((token, request)) = step.request() {
            self.expect(step, token, request);
        }
        for change in &step.changes {
            if let Some(after) = change.after {
                instances(change, after, found);
                handed_out(step, change, after, found);
            }
            replaced(step, change, found);
            left(step, change, found);
        }
        self.judge(step, found);
    }
}

impl Fencing {
    fn expect(&mut self, step: &Step<'_>, token: Token, request: &Request) {
        let group = match request {
            Request::Heartbeat(r) => &r.group_id,
            Request::SyncGroup(r) => &r.group_id,
            Request::OffsetCommit(r) => &r.group_id,
            Request::LeaveGroup(r) => &r.group_id,
            _ => return,
        };
        let change = step.changes.iter().find(|change| change.id == group);
        let before = change.and_then(|change| change.before);
        if before.is_some_and(|before| before.held_by.is_some()) {
            return;
        }
        let due = match request {
            Request::Heartbeat(r) => Due::Code(heartbeat(before, r)),
            Request::SyncGroup(r) => Due::Code(sync(before, r)),
            Request::OffsetCommit(r) => Due::Code(commit(before, r)),
            Request::LeaveGroup(r) => Due::Left(leave(before, r)),
            _ => return,
        };
        self.due.insert((step.place, token), due);
    }

    fn judge(&mut self, step: &Step<'_>, found: &mut Found) {
        for (token, request, answer) in step.answers() {
            let Some(due) = self.due.remove(&(step.place, token)) else { continue };
            match (due, request, answer) {
                (Due::Code(due), Request::Heartbeat(_), Response::Heartbeat(got)) => {
                    let fits = *got == due || *got != ErrorCode::None && is_of_append(*got);
                    found.check(fits, C8, || format!("{request:?}: {got:?}, not {due:?}"));
                }
                (Due::Code(due), _, Response::SyncGroup(got)) => {
                    let fits = got.error != ErrorCode::None || due == ErrorCode::None;
                    found.check(fits, C8, || format!("{request:?}: succeeded, not {due:?}"));
                }
                (Due::Code(due), _, Response::OffsetCommit(got)) => {
                    let mut codes = got.topics.iter().flat_map(|topic| &topic.partitions);
                    let any = codes.any(|(_, code)| *code == ErrorCode::None);
                    found.check(!any || !is_about_identity(due), C8, || {
                        format!("{request:?}: succeeded, not {due:?}")
                    });
                }
                (Due::Left(due), Request::LeaveGroup(asked), Response::LeaveGroup(got)) => {
                    let fits = got.error != ErrorCode::None || says(asked, got, &due);
                    found.check(fits, C17, || format!("{asked:?}: {got:?}, not {due:?}"));
                }
                _ => {}
            }
        }
        // A sync that must be refused is refused at once, and not parked.
        if let Some((token, Request::SyncGroup(asked))) = step.request()
            && let Some(Due::Code(due)) = self.due.get(&(step.place, token))
        {
            found.check(*due == ErrorCode::None, C8, || format!("{asked:?}: waits, not {due:?}"));
        }
    }
}

/// What a refused append, or one that takes too long, turns an answer into.
fn is_of_append(error: ErrorCode) -> bool {
    is_unserved(error) || error == ErrorCode::UnknownServerError
}

fn is_about_identity(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration
    )
}

fn says(asked: &request::LeaveGroup, got: &response::LeaveGroup, due: &[ErrorCode]) -> bool {
    let echoed = asked.members.iter().zip(due).map(|(leaver, error)| response::LeftMember {
        member_id: leaver.member_id.clone(),
        instance_id: leaver.instance_id.clone(),
        error: *error,
    });
    echoed.eq(got.members.iter().cloned())
}

/// Spec classic 8.
pub(super) fn heartbeat(group: Option<&GroupView>, asked: &request::Heartbeat) -> ErrorCode {
    let Some(group) = group else { return ErrorCode::UnknownMemberId };
    match validate(group, &asked.member_id, asked.instance_id.as_ref()) {
        ErrorCode::None if asked.generation != group.generation => ErrorCode::IllegalGeneration,
        ErrorCode::None if group.state == PREPARING => ErrorCode::RebalanceInProgress,
        ErrorCode::None if group.state == EMPTY => ErrorCode::UnknownMemberId,
        error => error,
    }
}

/// Spec classic 7.1.
pub(super) fn sync(group: Option<&GroupView>, asked: &request::SyncGroup) -> ErrorCode {
    let Some(group) = group else { return ErrorCode::UnknownMemberId };
    if group.state == EMPTY {
        return ErrorCode::UnknownMemberId;
    }
    let differs = |given: &Option<_>, own: &Option<_>| {
        given.as_ref().zip(own.as_ref()).is_some_and(|(given, own)| given != own)
    };
    match validate(group, &asked.member_id, asked.instance_id.as_ref()) {
        ErrorCode::None if asked.generation != group.generation => ErrorCode::IllegalGeneration,
        ErrorCode::None
            if differs(&asked.protocol_type, &group.protocol_type)
                || differs(&asked.protocol_name, &group.protocol) =>
        {
            ErrorCode::InconsistentGroupProtocol
        }
        ErrorCode::None if group.state == PREPARING => ErrorCode::RebalanceInProgress,
        error => error,
    }
}

/// Spec classic 12.2, as far as it is about who asks.
pub(super) fn commit(group: Option<&GroupView>, asked: &request::OffsetCommit) -> ErrorCode {
    let anonymous = asked.generation.0 < 0;
    let Some(group) = group else {
        let missing = ErrorCode::IllegalGeneration;
        return if anonymous { ErrorCode::None } else { missing };
    };
    if anonymous && group.state == EMPTY {
        return ErrorCode::None;
    }
    match validate(group, &asked.member_id, asked.instance_id.as_ref()) {
        ErrorCode::None if asked.generation != group.generation => ErrorCode::IllegalGeneration,
        ErrorCode::None if group.state == COMPLETING => ErrorCode::RebalanceInProgress,
        error => error,
    }
}

/// Spec classic 9: a code for each that is to leave, of whom those before are gone.
fn leave(group: Option<&GroupView>, asked: &request::LeaveGroup) -> Vec<ErrorCode> {
    let Some(group) = group else {
        return vec![ErrorCode::UnknownMemberId; asked.members.len()];
    };
    let mut left = group.clone();
    let mut codes = Vec::new();
    for leaver in &asked.members {
        let instance = leaver.instance_id.as_ref();
        let id = if leaver.member_id.is_empty() {
            owner(&left, instance)
        } else {
            Some(leaver.member_id.clone())
        };
        let code = match &id {
            None => ErrorCode::UnknownMemberId,
            Some(id) if left.pending_join.remove(id).is_some() => ErrorCode::None,
            Some(id) => validate(&left, id, instance),
        };
        if code == ErrorCode::None {
            left.members.retain(|member| Some(&member.id) != id.as_ref());
        }
        codes.push(code);
    }
    codes
}

fn owner(group: &GroupView, instance: Option<&InstanceId>) -> Option<MemberId> {
    let instance = instance?;
    let member = group.members.iter().find(|m| m.instance_id.as_ref() == Some(instance));
    member.map(|member| member.id.clone())
}

/// After a LeaveGroup: who was to go is gone, who was not is there.
fn left(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some((token, Request::LeaveGroup(asked))) = step.request() else { return };
    let Some((before, after)) = change.simple() else { return };
    if asked.group_id != *change.id {
        return;
    }
    if let Some(Response::LeaveGroup(answer)) = step.answer(token)
        && is_unserved(answer.error)
        && before == after
    {
        return;
    }
    let mut gone = BTreeSet::new();
    for (leaver, code) in asked.members.iter().zip(leave(Some(before), asked)) {
        if code == ErrorCode::None {
            let owned = || owner(before, leaver.instance_id.as_ref());
            let named = Some(leaver.member_id.clone()).filter(|id| !id.is_empty());
            gone.extend(named.or_else(owned));
        }
    }
    let stays = |id: &MemberId| !gone.contains(id);
    let expected: Vec<_> = before.members.iter().map(|m| &m.id).filter(|id| stays(id)).collect();
    let are: Vec<_> = after.members.iter().map(|m| &m.id).collect();
    found.check(expected == are, C17, || {
        format!("{}: after {asked:?} there are {are:?}, not {expected:?}", change.id)
    });
    let pending = |group: &GroupView| -> Vec<MemberId> {
        group.pending_join.keys().filter(|id| stays(id)).cloned().collect()
    };
    let all_gone = after.pending_join.len() == pending(after).len();
    found.check(all_gone && pending(before) == pending(after), C17, || {
        format!("{}: ids handed out after {asked:?}: {:?}", change.id, after.pending_join)
    });
}

/// Instance ids and members that have one are the same pairs.
fn instances(change: &Change<'_>, after: &GroupView, found: &mut Found) {
    let of_members: BTreeMap<_, _> = after
        .members
        .iter()
        .filter_map(|member| Some((member.instance_id.clone()?, member.id.clone())))
        .collect();
    let count = after.members.iter().filter(|member| member.instance_id.is_some()).count();
    let fits = of_members == after.static_members && count == of_members.len();
    found.check(fits, C9, || {
        format!("{}: {:?}, but members {of_members:?} ({count})", change.id, after.static_members)
    });
}

fn replaced(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some((before, after)) = change.simple() else { return };
    let Some((token, join)) = step.join(change.id) else { return };
    let Some(instance) = join.instance_id.as_ref().filter(|_| join.member_id.is_empty()) else {
        return;
    };
    let Some(old) = owner(before, Some(instance)).and_then(|id| before.member(&id)) else { return };
    let refused = matches!(step.answer(token), Some(Response::JoinGroup(answer))
        if answer.error != ErrorCode::None);
    if refused || step.ends() {
        return;
    }
    let new = owner(after, Some(instance));
    found.check(new.as_ref() != Some(&old.id), C9, || {
        format!("{}: a second process of {instance} goes by the same {}", change.id, old.id)
    });
    let is_gone = after.member(&old.id).is_none();
    found.check(is_gone, C9, || format!("{}: {} was replaced and is there", change.id, old.id));
    for token in [old.join, old.sync].into_iter().flatten() {
        if step.is_abandoned(token) {
            continue;
        }
        let code = match step.answer(token) {
            Some(Response::JoinGroup(answer)) => Some(answer.error),
            Some(Response::SyncGroup(answer)) => Some(answer.error),
            _ => None,
        };
        found.check(code == Some(ErrorCode::FencedInstanceId), C9, || {
            format!("{}: what {} had parked is answered {code:?}", change.id, old.id)
        });
    }
}

/// C14, and the ids that this step hands out.
fn handed_out(step: &Step<'_>, change: &Change<'_>, after: &GroupView, found: &mut Found) {
    for id in after.pending_join.keys() {
        found.check(after.member(id).is_none(), C14, || {
            format!("{}: {id} was handed out, and is a member", change.id)
        });
    }
    if step.input.is_none() {
        found.check(after.pending_join.is_empty(), C14, || {
            format!("{}: loaded with {:?}", change.id, after.pending_join)
        });
        return;
    }
    if change.before.is_some_and(|before| before.held_by.is_some()) {
        return;
    }
    for (_, asked, answer) in step.joined(change.id) {
        if answer.error == ErrorCode::MemberIdRequired {
            let deadline = step.now.mono + asked.session_timeout.duration();
            let kept = after.pending_join.get(&answer.member_id);
            found.check(kept == Some(&Some(deadline)), C14, || {
                format!("{}: {} is kept until {kept:?}", change.id, answer.member_id)
            });
        }
    }
    let Some(before) = change.before else { return };
    for (id, deadline) in &before.pending_join {
        let joins = step.join(change.id).is_some_and(|(_, join)| join.member_id == *id);
        let leaves = matches!(step.request(), Some((_, Request::LeaveGroup(leave)))
            if leave.members.iter().any(|leaver| leaver.member_id == *id));
        let kept = after.pending_join.get(id);
        let graced = Some(step.now.mono + std::time::Duration::from_secs(1));
        let fits = match kept {
            Some(now) if now == deadline => !step.is_due(*deadline) || step.may_be_behind(),
            Some(now) => step.is_due(*deadline) && *now == graced,
            None => joins || leaves || step.is_due(*deadline),
        };
        found.check(fits, C14, || {
            format!("{}: {id} was to be kept until {deadline:?}, is {kept:?}", change.id)
        });
    }
}
