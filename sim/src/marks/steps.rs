//! Marks of steps: timers, batches, fences, and rebalances as their notes tell.

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::{
    Cause, Effect, ErrorCode, GroupId, GroupView, Input, Instant, Note, Now, RecordKey,
    RecordValue, Request, Response, TimerEvent, TimerOf,
};

use super::Seen;
use crate::event::Context;

/// A step of a shard.
pub(super) struct Step<'a> {
    pub(super) now: Now,
    pub(super) input: &'a Input,
    pub(super) effects: &'a [Effect],
    pub(super) context: Context<'a>,
}

impl Step<'_> {
    pub(super) fn before(&self, id: &GroupId) -> Option<&GroupView> {
        self.context.before.get(id)
    }

    pub(super) fn notes(&self) -> impl Iterator<Item = &Note> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Note(note) => Some(note),
            _ => None,
        })
    }

    /// Groups that became Stable.
    pub(super) fn assigned(&self) -> impl Iterator<Item = &GroupId> {
        self.notes().filter_map(|note| match note {
            Note::Transition { group, cause: Cause::Assigned, .. } => Some(group),
            _ => None,
        })
    }

    pub(super) fn replies(&self) -> impl Iterator<Item = &Response> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Reply { body, .. } => Some(body),
            _ => None,
        })
    }
}

pub(super) fn look(step: &Step<'_>, seen: &mut Seen, hit: &mut BTreeSet<&'static str>) {
    fates(step, seen, hit);
    requests(step, seen, hit);
    timers(step, seen, hit);
    rebalances(step, hit);
}

fn fates(step: &Step<'_>, seen: &mut Seen, hit: &mut BTreeSet<&'static str>) {
    match step.input {
        Input::Appended { through } => {
            seen.commits.retain(|(_, batch)| batch > through);
            seen.replacements.retain(|batch| batch > through);
        }
        Input::Rejected { from, .. } => {
            if seen.replacements.split_off(from).first().is_some() {
                hit.insert("6.7 the record of a static member that came back is refused");
            }
            let mut created = step.context.before.values();
            if created
                .any(|group| group.is_being_created && group.held_by.is_some_and(|by| by >= *from))
            {
                hit.insert("6.6 the record of a new group is refused");
            }
            seen.commits.retain(|(_, batch)| batch < from);
            let mut groups = step.context.before.values();
            let is_refused = |group: &GroupView| {
                group.state == "CompletingRebalance"
                    && group.last_batch.is_some_and(|batch| batch >= *from)
            };
            if groups.any(is_refused) {
                hit.insert("an append is refused in CompletingRebalance");
            }
        }
        Input::Fenced { .. } if seen.has_parked_joins => {
            hit.insert("a shard is fenced with joins parked");
        }
        _ => {}
    }
    for effect in step.effects {
        let Effect::Append(batch) = effect else { continue };
        for record in &batch.records {
            if let (RecordKey::Offset { group, .. }, Some(RecordValue::Offset(_))) =
                (&record.key, &record.value)
            {
                seen.commits.push((group.clone(), batch.id));
            }
        }
    }
}

fn requests(step: &Step<'_>, seen: &mut Seen, hit: &mut BTreeSet<&'static str>) {
    let Input::Request { body, token, .. } = step.input else { return };
    match body {
        Request::OffsetFetch(asked) if !asked.require_stable => {
            let mut groups = asked.groups.iter().map(|group| &group.group_id);
            if groups.any(|id| seen.commits.iter().any(|(group, _)| group == id)) {
                hit.insert("a fetch is answered while a newer commit is on its way");
            }
        }
        Request::LeaveGroup(asked) => {
            if let Some(group) = step.before(&asked.group_id)
                && group.state == "CompletingRebalance"
                && group.last_batch.is_some()
                && group.members.iter().any(|member| member.sync.is_some())
            {
                hit.insert("a member leaves while the leader's assignment is on its way");
            }
        }
        _ => {}
    }
    let is_answered =
        |effect: &Effect| matches!(effect, Effect::Reply { token: t, .. } if t == token);
    let is_write =
        !matches!(body, Request::JoinGroup(_) | Request::SyncGroup(_) | Request::OffsetFetch(_));
    if is_write && !step.effects.iter().any(is_answered) && step.context.shard.in_flight() >= 2 {
        hit.insert("a reply waits behind two batches");
    }
    let is_unavailable = |body: &Response| match body {
        Response::JoinGroup(body) => body.error == ErrorCode::CoordinatorNotAvailable,
        Response::SyncGroup(body) => body.error == ErrorCode::CoordinatorNotAvailable,
        Response::OffsetCommit(body) => body
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .any(|(_, error)| *error == ErrorCode::CoordinatorNotAvailable),
        _ => false,
    };
    // At once: what is written too late is told so by a timer.
    let mut own = step.effects.iter().filter_map(|effect| match effect {
        Effect::Reply { token: of, body } if of == token => Some(body),
        _ => None,
    });
    if step.context.shard.in_flight() > 0 && own.any(is_unavailable) {
        hit.insert("a request is refused for the batches in flight");
    }
}

fn timers(step: &Step<'_>, seen: &mut Seen, hit: &mut BTreeSet<&'static str>) {
    let mut fired = Vec::new();
    for note in step.notes() {
        let Note::Timer { group, timer, event } = note else { continue };
        if matches!(event, TimerEvent::Extended { .. } | TimerEvent::Fired) {
            fired.extend(step.before(group).and_then(|group| deadline(group, timer)));
        }
        match (timer, event) {
            (TimerOf::Join, TimerEvent::Extended { .. }) => {
                hit.insert("6.8 the initial delay is extended");
                let count = seen.extended.entry(group.clone()).or_default();
                *count += 1;
                if *count >= 2 {
                    hit.insert("the initial delay is extended twice");
                }
            }
            (TimerOf::Join, TimerEvent::Armed { .. } | TimerEvent::Cancelled) => {
                seen.extended.remove(group);
            }
            (TimerOf::Session(member), TimerEvent::Fired) => {
                let pending = step.before(group).map(|group| &group.pending_join);
                if pending.is_some_and(|pending| pending.contains_key(member)) {
                    hit.insert("an id that was handed out expires");
                }
            }
            _ => {}
        }
    }
    fired.sort_unstable();
    if fired.windows(2).any(|two| two[0] == two[1]) {
        hit.insert("two timers fire at one instant");
    }
    if matches!(step.input, Input::Deadline)
        && step.context.shard.next_deadline().is_some_and(|at| at <= step.now.mono)
    {
        hit.insert("a step runs as many timers as it may");
    }
    if let Input::Request { body: Request::Heartbeat(asked), .. } = step.input {
        let member = step.before(&asked.group_id).and_then(|g| g.member(&asked.member_id));
        if member.is_some_and(|member| member.session_deadline == Some(step.now.mono)) {
            hit.insert("a session ends at the instant of a heartbeat");
        }
    }
}

/// When a timer was to fire.
fn deadline(group: &GroupView, timer: &TimerOf) -> Option<Instant> {
    match timer {
        TimerOf::Join => group.join_deadline,
        TimerOf::Sync => group.sync_deadline,
        TimerOf::Session(member) => match group.member(member) {
            Some(member) => member.session_deadline,
            None => group.pending_join.get(member).copied().flatten(),
        },
    }
}

fn rebalances(step: &Step<'_>, hit: &mut BTreeSet<&'static str>) {
    let mut causes: LiteMap<&GroupId, Vec<(&Cause, Option<&'static str>)>> = LiteMap::new();
    for note in step.notes() {
        match note {
            Note::Transition { group, cause, to, .. } => {
                causes.entry(group).or_default().push((cause, *to));
            }
            Note::Member { group, cause } => causes.entry(group).or_default().push((cause, None)),
            _ => {}
        }
    }
    for (id, causes) in causes {
        let (Some(before), after) = (step.before(id), step.context.after.get(id)) else { continue };
        for (cause, to) in causes {
            match cause {
                Cause::JoinTimeout { dropped } if !dropped.is_empty() => {
                    hit.insert("6.10 members that did not join are dropped");
                    if after.is_some_and(|after| !after.members.is_empty()) {
                        hit.insert("the rebalance timeout drops some and not all");
                    }
                }
                Cause::NobodyLeft => {
                    hit.insert("6.10 the last member is gone");
                }
                Cause::MemberLeft { member, .. } | Cause::SessionExpired { member }
                    if before.state == "CompletingRebalance"
                        && before.leader.as_ref() == Some(member) =>
                {
                    hit.insert("the leader is lost in CompletingRebalance");
                }
                _ => {}
            }
            if to == Some("CompletingRebalance") {
                completed(step, before, after, hit);
            }
        }
    }
}

/// A join phase is complete.
fn completed(
    step: &Step<'_>,
    before: &GroupView,
    after: Option<&GroupView>,
    hit: &mut BTreeSet<&'static str>,
) {
    let Some(after) = after else { return };
    let is_on = before.state == "PreparingRebalance";
    let is_initial = is_on && before.generation.0 == 0;
    let mark = match step.input {
        Input::Request { body: Request::LeaveGroup(_), .. } if is_on => {
            "6.9 a leave completes the join phase"
        }
        Input::Request { body: Request::JoinGroup(_), .. } if is_on => {
            "6.9 a join completes the join phase"
        }
        Input::Request { .. } => "6.8 a rebalance is complete as it starts",
        Input::Deadline if is_on && before.join_deadline.is_some_and(|at| at > step.now.mono) => {
            match is_initial {
                true => "6.9 an id that expires completes an initial rebalance",
                false => "6.9 an expiry completes the join phase",
            }
        }
        _ => "",
    };
    if !mark.is_empty() {
        hit.insert(mark);
    }
    let was_member = before.leader.as_ref().is_some_and(|leader| before.member(leader).is_some());
    if is_on && was_member && before.leader == after.leader {
        hit.insert("6.10 a leader that joined again stays the leader");
    }
    if before.state == "PreparingRebalance" && was_member && before.leader != after.leader {
        hit.insert("6.10 a leader that did not join is replaced");
    }
    let silent = |member: &quorate_core::MemberView| {
        member.join.is_none() && member.instance_id.is_some() && after.member(&member.id).is_some()
    };
    let is_timer = matches!(step.input, Input::Deadline);
    if is_timer && before.state == "PreparingRebalance" && before.members.iter().any(silent) {
        hit.insert("6.10 a static member that did not join stays");
    }
}
