//! One step of a shard, as observers of the family see it.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::{
    Effect, ErrorCode, GroupId, GroupView, Input, InstanceId, Instant, MemberId, MemberView, Note,
    Now, Request, Response, Shard, Status, Token, request, response,
};

use super::{Open, Rows};
use crate::event::{Event, Place};
use crate::oracle::Found;
use crate::plan::Plan;

/// Judges some properties, each step.
pub(super) trait Observer {
    /// Something happened, perhaps a step.
    fn hear(&mut self, event: &Event) {
        let _ = event;
    }

    /// A shard took a step, or was loaded.
    fn see(&mut self, step: &Step<'_>, found: &mut Found);
}

/// See the module.
pub(super) struct Step<'a> {
    pub(super) plan: &'a Plan,
    pub(super) at: Duration,
    pub(super) place: Place,
    pub(super) now: Now,
    /// None for a load.
    pub(super) input: Option<&'a Input>,
    pub(super) effects: &'a [Effect],
    /// One for each group there was or is.
    pub(super) changes: Vec<Change<'a>>,
    pub(super) shard: &'a Shard,
    pub(super) asked: &'a Open,
    pub(super) abandoned: &'a BTreeSet<(Place, Token)>,
    pub(super) rows: &'a Rows,
    /// `group.max.size` of the incarnation.
    pub(super) max_size: usize,
}

/// What a step did to a group.
pub(super) struct Change<'a> {
    pub(super) id: &'a GroupId,
    pub(super) before: Option<&'a GroupView>,
    pub(super) after: Option<&'a GroupView>,
    /// The transitions that were told, in order.
    pub(super) ways: Vec<Way>,
}

/// A transition: from, to, and the generation after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) from: Option<&'static str>,
    pub(super) to: Option<&'static str>,
    pub(super) generation: i32,
}

impl Way {
    /// Whether a join phase ended by it.
    pub(super) fn completes(&self) -> bool {
        self.from == Some(PREPARING) && matches!(self.to, Some(COMPLETING | EMPTY))
    }
}

pub(super) const EMPTY: &str = "Empty";
pub(super) const PREPARING: &str = "PreparingRebalance";
pub(super) const COMPLETING: &str = "CompletingRebalance";
pub(super) const STABLE: &str = "Stable";

impl<'a> Change<'a> {
    pub(super) fn new(
        id: &'a GroupId,
        before: Option<&'a GroupView>,
        after: Option<&'a GroupView>,
        effects: &[Effect],
    ) -> Change<'a> {
        let way = |effect: &Effect| match effect {
            Effect::Note(Note::Transition { group, from, to, generation, .. }) if group == id => {
                Some(Way { from: *from, to: *to, generation: generation.0 })
            }
            _ => None,
        };
        Change { id, before, after, ways: effects.iter().filter_map(way).collect() }
    }

    /// Before and after, unless what waited for the group's creation or removal was served in the
    /// step too: then it is not one request's doing.
    pub(super) fn simple(&self) -> Option<(&'a GroupView, &'a GroupView)> {
        let (before, after) = (self.before?, self.after?);
        before.held_by.is_none().then_some((before, after))
    }

    /// Whether the group there is now was made in this step: it has nothing to do with one of its
    /// name that was there before.
    pub(super) fn is_anew(&self) -> bool {
        self.before.is_none() || self.ways.iter().any(|way| way.to.is_none())
    }

    /// Whether a join phase ended.
    pub(super) fn completes(&self) -> bool {
        self.ways.iter().any(Way::completes)
    }

    /// Whether a generation began, and is still new.
    pub(super) fn begins_generation(&self) -> bool {
        self.ways.last().is_some_and(|way| way.completes() && way.to == Some(COMPLETING))
    }

    /// Whether the transition was made.
    pub(super) fn went(&self, from: &str, to: &str) -> bool {
        self.ways.iter().any(|way| way.from == Some(from) && way.to == Some(to))
    }
}

impl<'a> Step<'a> {
    /// The request of this step.
    pub(super) fn request(&self) -> Option<(Token, &'a Request)> {
        match self.input {
            Some(Input::Request { token, body, .. }) => Some((*token, body)),
            _ => None,
        }
    }

    pub(super) fn join(&self, group: &GroupId) -> Option<(Token, &'a request::JoinGroup)> {
        match self.request() {
            Some((token, Request::JoinGroup(join))) if join.group_id == *group => {
                Some((token, join))
            }
            _ => None,
        }
    }

    pub(super) fn sync(&self, group: &GroupId) -> Option<(Token, &'a request::SyncGroup)> {
        match self.request() {
            Some((token, Request::SyncGroup(sync))) if sync.group_id == *group => {
                Some((token, sync))
            }
            _ => None,
        }
    }

    pub(super) fn is_deadline(&self) -> bool {
        matches!(self.input, Some(Input::Deadline))
    }

    /// Whether the incarnation ended with this step: then there are no groups any more.
    pub(super) fn ends(&self) -> bool {
        self.shard.status() == Status::Fenced
    }

    /// The answer that a request got in this step.
    pub(super) fn answer(&self, token: Token) -> Option<&'a Response> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Reply { token: to, body } if *to == token => Some(body),
            _ => None,
        })
    }

    /// All answers of the step with their requests.
    pub(super) fn answers(&self) -> impl Iterator<Item = (Token, &Request, &'a Response)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Reply { token, body } => {
                let asked = self.asked.get(&(self.place, *token))?;
                Some((*token, asked, body))
            }
            _ => None,
        })
    }

    /// JoinGroup's answers to requests for a group.
    pub(super) fn joined(
        &self,
        group: &GroupId,
    ) -> impl Iterator<Item = (Token, &request::JoinGroup, &'a response::JoinGroup)> {
        let group = group.clone();
        self.answers().filter_map(move |(token, request, answer)| match (request, answer) {
            (Request::JoinGroup(asked), Response::JoinGroup(answer)) if asked.group_id == group => {
                Some((token, &**asked, &**answer))
            }
            _ => None,
        })
    }

    pub(super) fn is_abandoned(&self, token: Token) -> bool {
        self.abandoned.contains(&(self.place, token))
    }

    /// Whether timers that are due may wait: for the turn's limit, or for the journal.
    pub(super) fn may_be_behind(&self) -> bool {
        self.shard.next_deadline().is_none_or(|next| next <= self.now.mono)
            || self.shard.in_flight() >= self.plan.knobs.max_in_flight
    }

    /// Whether a deadline is over at this step.
    pub(super) fn is_due(&self, deadline: Option<Instant>) -> bool {
        self.is_deadline() && deadline.is_some_and(|deadline| deadline <= self.now.mono)
    }

    /// Whether a member of after had a JoinGroup parked, or has just sent one.
    pub(super) fn was_awaiting(&self, change: &Change<'_>, id: &MemberId) -> bool {
        let before = change.before.and_then(|group| group.member(id));
        let asks = self.join(change.id).is_some_and(|(_, join)| {
            join.member_id == *id || join.member_id.is_empty() && before.is_none()
        });
        asks || before.is_some_and(|member| member.join.is_some())
    }
}

/// Spec classic 5.4: whether a request speaks for a member.
pub(super) fn validate(
    group: &GroupView,
    id: &MemberId,
    instance: Option<&InstanceId>,
) -> ErrorCode {
    let owner = |instance| {
        let has = |member: &&MemberView| member.instance_id.as_ref() == Some(instance);
        group.members.iter().find(has).map(|member| &member.id)
    };
    match instance.map(owner) {
        Some(None) => return ErrorCode::UnknownMemberId,
        Some(Some(owner)) if owner != id => return ErrorCode::FencedInstanceId,
        _ => {}
    }
    if group.member(id).is_some() { ErrorCode::None } else { ErrorCode::UnknownMemberId }
}

/// The longest that a member lets a rebalance take.
pub(super) fn rebalance_timeout(group: &GroupView) -> Duration {
    let timeouts = group.members.iter().map(|member| member.rebalance_timeout.duration());
    timeouts.max().unwrap_or_default()
}

/// Of a step: who is gone from a group that is still there, and for a reason that is not the end
/// of a join phase or of a session: left, replaced, over the size limit, or too late to sync.
pub(super) fn is_gone_by_request(
    step: &Step<'_>,
    change: &Change<'_>,
    member: &MemberView,
) -> bool {
    let Some((before, after)) = change.before.zip(change.after) else { return true };
    let is_named = |id: &MemberId, instance: Option<&InstanceId>| {
        *id == member.id
            || id.is_empty() && instance.is_some() && member.instance_id.as_ref() == instance
    };
    let by_request = match step.request() {
        Some((_, Request::LeaveGroup(leave))) if leave.group_id == *change.id => {
            leave.members.iter().any(|l| is_named(&l.member_id, l.instance_id.as_ref()))
        }
        Some((token, Request::JoinGroup(join))) if join.group_id == *change.id => {
            let refused = matches!(step.answer(token), Some(Response::JoinGroup(answer))
                if answer.error == ErrorCode::GroupMaxSizeReached);
            join.member_id == member.id && (refused || step.is_abandoned(token))
        }
        _ => false,
    };
    let instance = member.instance_id.as_ref();
    let is_replaced = instance
        .is_some_and(|own| after.members.iter().any(|m| m.instance_id.as_ref() == Some(own)));
    let too_late = step.is_due(before.sync_deadline) && before.pending_sync.contains(&member.id);
    by_request || is_replaced || too_late
}
