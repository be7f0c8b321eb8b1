//! Marks of JoinGroup, rule by rule (spec classic 6.3 to 6.8).

use std::collections::BTreeSet;

use quorate_core::{
    ArmedFor, Effect, ErrorCode, GroupView, Input, Note, Request, Response, TimerEvent, request,
};

use super::Seen;
use super::steps::Step;

pub(super) fn look(step: &Step<'_>, seen: &mut Seen, hit: &mut BTreeSet<&'static str>) {
    told(step, hit);
    let Input::Request { token, body: Request::JoinGroup(asked), .. } = step.input else { return };
    let answer = step.effects.iter().find_map(|effect| match effect {
        Effect::Reply { token: of, body: Response::JoinGroup(body) } if of == token => Some(body),
        _ => None,
    });
    if let Some(answer) = answer {
        match answer.error {
            ErrorCode::GroupMaxSizeReached => {
                hit.insert("6.3 a join is refused for the size of its group");
            }
            ErrorCode::MemberIdRequired => {
                hit.insert("6.4 an id is handed out");
            }
            ErrorCode::InconsistentGroupProtocol => {
                hit.insert("6.5.2 the protocols of a join do not fit");
            }
            ErrorCode::UnknownServerError if is_handed_out(step, asked) => {
                hit.insert("6.5.3 an id that was handed out comes with an instance id");
            }
            ErrorCode::UnknownMemberId => {
                hit.insert("6.5.4 an unknown id joins");
            }
            _ => {}
        }
    }
    let Some(before) = step.before(&asked.group_id) else { return };
    let Some(after) = step.context.after.get(&asked.group_id) else { return };
    let at_once = answer.is_some_and(|answer| answer.error == ErrorCode::None);
    match before.member(&asked.member_id) {
        Some(member) => {
            if member.join.is_some() {
                hit.insert("a join comes again while it is parked");
            }
            let is_same = member.protocols == asked.protocols;
            again(asked, before, after, is_same, at_once, hit);
        }
        None => added(step, asked, (before, after), seen, hit),
    }
}

fn is_handed_out(step: &Step<'_>, asked: &request::JoinGroup) -> bool {
    let before = step.before(&asked.group_id);
    before.is_some_and(|group| group.pending_join.contains_key(&asked.member_id))
}

/// A member joins again.
fn again(
    asked: &request::JoinGroup,
    before: &GroupView,
    after: &GroupView,
    is_same: bool,
    at_once: bool,
    hit: &mut BTreeSet<&'static str>,
) {
    let is_leader = before.leader.as_ref() == Some(&asked.member_id);
    let starts = after.state == "PreparingRebalance" || after.generation > before.generation;
    let mark = match before.state {
        "PreparingRebalance" => "6.5.5 a member joins again in PreparingRebalance",
        "CompletingRebalance" if is_same && at_once => {
            "6.5.5 the same join is answered at once in CompletingRebalance"
        }
        "CompletingRebalance" if !is_same && starts => {
            "6.5.5 other protocols start over from CompletingRebalance"
        }
        "Stable" if is_leader && starts => "6.5.5 the leader of a Stable group joins again",
        "Stable" if !is_leader && !is_same && starts => {
            "6.5.5 a follower of a Stable group joins with other protocols"
        }
        "Stable" if !is_leader && is_same && at_once => {
            "6.5.5 a follower of a Stable group joins again and is answered at once"
        }
        _ => return,
    };
    hit.insert(mark);
}

/// A member is added, or replaced.
fn added(
    step: &Step<'_>,
    asked: &request::JoinGroup,
    (before, after): (&GroupView, &GroupView),
    seen: &mut Seen,
    hit: &mut BTreeSet<&'static str>,
) {
    if before.pending_join.contains_key(&asked.member_id)
        && after.member(&asked.member_id).is_some()
    {
        hit.insert("6.5.3 an id that was handed out joins");
    }
    if after.members.len() > before.members.len() {
        hit.insert(match before.state {
            "Empty" => "6.6 a member is added to an Empty group",
            "PreparingRebalance" => "6.6 a member is added in PreparingRebalance",
            "CompletingRebalance" => "6.6 a member is added in CompletingRebalance",
            _ => "6.6 a member is added to a Stable group",
        });
        return;
    }
    let Some(instance) = &asked.instance_id else { return };
    let (old, new) = (before.static_members.get(instance), after.static_members.get(instance));
    if old.is_some() && old != new {
        if before.state == "Stable" && after.state == "Stable" {
            hit.insert("6.7 a static member comes back to a Stable group without a rebalance");
            seen.replacements.extend(step.effects.iter().filter_map(|effect| match effect {
                Effect::Append(batch) => Some(batch.id),
                _ => None,
            }));
        } else if before.state == "Stable" {
            let mark =
                "6.7 a static member comes back with other protocols and the group rebalances";
            hit.insert(mark);
        } else {
            hit.insert("a static member is replaced in mid-rebalance");
        }
        let is_fenced = ErrorCode::FencedInstanceId;
        for body in step.replies() {
            match body {
                Response::JoinGroup(body) if body.error == is_fenced => {
                    hit.insert("6.7 a parked join of who is replaced is fenced");
                }
                Response::SyncGroup(body) if body.error == is_fenced => {
                    hit.insert("6.7 a parked sync of who is replaced is fenced");
                }
                _ => {}
            }
        }
    }
}

/// What answers and notes tell of starting a rebalance and of silent static members.
fn told(step: &Step<'_>, hit: &mut BTreeSet<&'static str>) {
    for note in step.notes() {
        if let Note::Timer { event: TimerEvent::Armed { reason: ArmedFor::Leader, .. }, .. } = note
        {
            hit.insert("6.10 only silent static members are left to lead");
        }
    }
    let is_own = matches!(step.input, Input::Request { body: Request::SyncGroup(_), .. });
    let in_progress = ErrorCode::RebalanceInProgress;
    let told = |body: &Response| matches!(body, Response::SyncGroup(b) if b.error == in_progress);
    if !is_own && step.replies().any(told) {
        hit.insert("6.8 parked syncs are told of a new rebalance");
    }
}
