//! The same input twice: to two copies of a shard (P9), and to one (P10). Both look at samples.

use litemap::LiteMap;
use quorate_core::request::{Heartbeat, JoinGroup};
use quorate_core::{
    Effect, Effects, GroupId, GroupView, Input, MemberView, Now, Origin, Request, Response, Shard,
    Status, Token,
};

use super::book::{Observer, Step};
use super::{P9, P10};
use crate::event::{Event, Place, What};
use crate::oracle::Found;

/// One step in so many is looked at.
const SAMPLE: u64 = 16;
/// A request that is in no client's name.
const PROBE: Token = Token(u64::MAX);

/// P9.
#[derive(Default)]
pub struct SameAgain {
    before: LiteMap<Place, Shard>,
}

impl Observer for SameAgain {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let now = step.now;
        if let (Some(mut copy), Some(input)) = (self.before.remove(&step.place), step.input) {
            let mut out = Effects::new();
            copy.step(now, input.clone(), &mut out);
            let again: Vec<Effect> = out.drain().collect();
            let told: Vec<&Effect> = step.effects.iter().filter(|effect| is_deed(effect)).collect();
            let is_same = told.iter().copied().eq(again.iter());
            found.check(is_same, P9, || {
                format!("{:?}: {input:?} led to {told:?}, and again to {again:?}", step.place)
            });
            let shard = step.context.shard;
            let states = [shard, &copy].map(|s| (s.fingerprint(), s.next_deadline(), s.parked()));
            found.check(states[0] == states[1], P9, || {
                format!("{:?}: {input:?} led to {states:?}", step.place)
            });
        }
        if step.of.steps.is_multiple_of(SAMPLE) {
            self.before.insert(step.place, step.context.shard.clone());
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        if let What::Ended { place, .. } = &event.what {
            self.before.remove(place);
        }
    }
}

fn is_deed(effect: &Effect) -> bool {
    !matches!(effect, Effect::Note(_))
}

/// P10.
#[derive(Default)]
pub struct Repeats {
    next: usize,
}

impl Observer for Repeats {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let shard = step.context.shard;
        if !step.of.steps.is_multiple_of(SAMPLE) || shard.status() != Status::Active {
            return;
        }
        let groups = step.context.after.iter().filter(|(_, group)| group.held_by.is_none());
        let members: Vec<_> = groups
            .flat_map(|(id, group)| group.members.iter().map(move |member| (id, group, member)))
            .collect();
        if members.is_empty() {
            return;
        }
        self.next += 1;
        let (id, group, member) = members[self.next % members.len()];
        let mut copy = shard.clone();
        let asked = Heartbeat {
            group_id: id.clone(),
            generation: group.generation,
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
        };
        repeat(&mut copy, step.now, id, &Request::Heartbeat(asked), found);
        if let Some(asked) = follower_join(id, group, member) {
            repeat(&mut copy, step.now, id, &Request::JoinGroup(Box::new(asked)), found);
        }
    }
}

/// The join that a follower's retry is, where it is answered at once.
fn follower_join(id: &GroupId, group: &GroupView, member: &MemberView) -> Option<JoinGroup> {
    let is_follower = group.leader.as_ref() != Some(&member.id);
    (group.state == "Stable" && is_follower).then(|| JoinGroup {
        group_id: id.clone(),
        session_timeout: member.session_timeout,
        rebalance_timeout: member.rebalance_timeout,
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocols: member.protocols.clone(),
        ..JoinGroup::default()
    })
}

/// Asks twice: the second time must give what the first did, and change nothing.
fn repeat(shard: &mut Shard, now: Now, group: &GroupId, asked: &Request, found: &mut Found) {
    let mut ask = |number: u64| {
        let (token, mut out) = (Token(PROBE.0 - number), Effects::new());
        let (origin, body) = (Origin::default(), asked.clone());
        shard.step(now, Input::Request { token, origin, body }, &mut out);
        // Not the fingerprint: it knows how many requests wait.
        let answered: Vec<Answered> = out.drain().map(unnumbered).collect();
        (answered, shard.groups(), shard.rows())
    };
    let (first, second) = (ask(0), ask(1));
    let writes = second.0.iter().any(|effect| matches!(effect, Answered::Writes(_)));
    found.check(first == second && !writes, P10, || {
        let (before, after) = (first.1.get(group), second.1.get(group));
        let answers = (&first.0, &second.0);
        format!("{asked:?} led to {before:?}, and the second time to {after:?}: {answers:?}")
    });
}

/// An effect without the token, which differs.
#[derive(Debug, PartialEq)]
enum Answered {
    With(Response),
    Writes(Effect),
}

fn unnumbered(effect: Effect) -> Answered {
    match effect {
        Effect::Reply { body, .. } => Answered::With(body),
        other => Answered::Writes(other),
    }
}
