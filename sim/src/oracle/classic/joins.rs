//! C3, C4, C16, C18: what JoinGroup is answered, and whom a group takes.

use std::collections::BTreeSet;

use bytes::Bytes;
use litemap::LiteMap;
use quorate_core::request::{JoinGroup, Protocol};
use quorate_core::{ErrorCode, Generation, GroupId, GroupView, MemberId, Response, Text, response};

use super::states::is_unserved;
use super::step::{COMPLETING, Change, EMPTY, Observer, PREPARING, STABLE, Step, validate};
use crate::event::{Event, Place, What};
use crate::oracle::{Found, Property};

pub(super) const C3: Property = Property {
    id: "C3",
    sentence: "All successful JoinGroup answers of a generation agree on protocol and leader, and \
               the leader's alone lists the members.",
};
pub(super) const C4: Property = Property {
    id: "C4",
    sentence: "The leader's list is of all members that joined and static ones that stay, each \
               with the bytes that it sent for the chosen protocol.",
};
pub(super) const C16: Property = Property {
    id: "C16",
    sentence: "A group refuses who is too many for `group.max.size`, and nobody else; one that is \
               loaded too large rebalances.",
};
pub(super) const C18: Property = Property {
    id: "C18",
    sentence: "A JoinGroup that is sent again with equal protocols disturbs nobody: by a follower \
               in Stable, by anyone in CompletingRebalance.",
};

type Member = (Place, GroupId, MemberId);

/// See the module.
#[derive(Default)]
pub(super) struct Joins {
    /// What members sent, the last time.
    sent: LiteMap<Member, Vec<Protocol>>,
    generations: LiteMap<(Place, GroupId), Agreed>,
}

/// What a generation's answers say.
#[derive(Debug, Clone)]
struct Agreed {
    generation: Generation,
    protocol_type: Option<Text>,
    protocol: Option<Text>,
    /// The leader, by all the ids that it had as a static member.
    leader: BTreeSet<MemberId>,
}

impl Observer for Joins {
    fn hear(&mut self, event: &Event) {
        if let What::Ended { place, .. } = &event.what {
            self.sent.retain(|(of, ..), _| of != place);
            self.generations.retain(|(of, _), _| of != place);
        }
    }

    fn see(&mut self, step: &Step<'_>, found: &mut Found) {
        for change in &step.changes {
            if step.input.is_none() {
                self.loaded(step, change);
            } else if change.is_anew() {
                self.forget(step, change.id);
            }
            self.learn(step, change);
            self.follow_leader(step, change);
            self.answers(step, change, found);
            sizes(step, change, found);
            repeats(step, change, found);
        }
    }
}

impl Joins {
    /// A group of this name that is no more has nothing to do with the one that is new.
    fn forget(&mut self, step: &Step<'_>, id: &GroupId) {
        self.sent.retain(|(place, group, _), _| *place != step.place || group != id);
        self.generations.remove(&(step.place, id.clone()));
    }

    fn loaded(&mut self, step: &Step<'_>, change: &Change<'_>) {
        let key = (step.place.shard, change.id.clone());
        let Some(row) = step.rows.get(&key).filter(|row| !row.members.is_empty()) else { return };
        let name = row.protocol.clone().unwrap_or_default();
        for member in &row.members {
            let protocol = Protocol { name: name.clone(), metadata: member.subscription.clone() };
            let key = (step.place, change.id.clone(), member.member_id.clone());
            self.sent.insert(key, vec![protocol]);
        }
        let agreed = Agreed {
            generation: row.generation,
            protocol_type: Some(row.protocol_type.clone()),
            protocol: row.protocol.clone(),
            leader: row.leader.iter().cloned().collect(),
        };
        self.generations.insert((step.place, change.id.clone()), agreed);
    }

    /// Which member a request was, seen by where it is parked or by its answer.
    fn learn(&mut self, step: &Step<'_>, change: &Change<'_>) {
        let mut note = |id: &MemberId, join: &JoinGroup| {
            self.sent.insert((step.place, change.id.clone(), id.clone()), join.protocols.clone());
        };
        for (_, asked, answer) in step.joined(change.id) {
            if answer.error == ErrorCode::None {
                note(&answer.member_id, asked);
            }
        }
        let Some(after) = change.after else { return };
        for member in &after.members {
            let asked = member.join.and_then(|token| step.asked.get(&(step.place, token)));
            if let Some(quorate_core::Request::JoinGroup(join)) = asked {
                note(&member.id, join);
            }
        }
        if let Some((token, join)) = step.join(change.id)
            && step.answer(token).is_none()
            && let Some(instance) = join.instance_id.as_ref().filter(|_| join.member_id.is_empty())
            && let Some(id) = after.static_members.get(instance)
        {
            note(id, join);
        }
    }

    /// A leader that is replaced, as a static member, still leads.
    fn follow_leader(&mut self, step: &Step<'_>, change: &Change<'_>) {
        let Some((before, after)) = change.before.zip(change.after) else { return };
        let Some(agreed) = self.generations.get_mut(&(step.place, change.id.clone())) else {
            return;
        };
        for (instance, old) in &before.static_members {
            if let Some(new) = after.static_members.get(instance)
                && agreed.leader.contains(old)
            {
                agreed.leader.insert(new.clone());
            }
        }
    }

    fn answers(&mut self, step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
        for (_, _, answer) in step.joined(change.id) {
            if answer.error != ErrorCode::None {
                continue;
            }
            let agreed = self
                .generations
                .entry((step.place, change.id.clone()))
                .and_modify(|agreed| {
                    if agreed.generation != answer.generation {
                        *agreed = first(answer);
                    }
                })
                .or_insert_with(|| first(answer));
            let agrees = agreed.protocol_type == answer.protocol_type
                && agreed.protocol == answer.protocol_name
                && agreed.leader.contains(&answer.leader);
            found.check(agrees, C3, || format!("{}: {answer:?}, but {agreed:?}", change.id));
            let leads = answer.leader == answer.member_id;
            found.check(leads != answer.members.is_empty(), C3, || {
                format!("{}: the leader's answer lists the members: {answer:?}", change.id)
            });
            self.list(step, change, answer, found);
        }
        generation_is_whole(step, change, found);
    }

    fn list(
        &self,
        step: &Step<'_>,
        change: &Change<'_>,
        answer: &response::JoinGroup,
        found: &mut Found,
    ) {
        // The answer to a static member that came back is of when its record was written.
        let is_late = matches!(step.input, Some(quorate_core::Input::Appended { .. }));
        for listed in &answer.members {
            if is_late && !change.completes() {
                break;
            }
            let key = (step.place, change.id.clone(), listed.member_id.clone());
            let sent = self.sent.get(&key).and_then(|protocols| {
                let mut all = protocols.iter();
                all.find(|known| Some(&known.name) == answer.protocol_name.as_ref())
            });
            let metadata = sent.map(|protocol| &protocol.metadata);
            found.check(metadata == Some(&listed.metadata), C4, || {
                let short = |bytes: Option<&Bytes>| format!("{bytes:?}");
                let (got, sent) = (short(Some(&listed.metadata)), short(metadata));
                format!("{}: {} is listed with {got}, sent {sent}", change.id, listed.member_id)
            });
        }
        let Some(after) = change.after else { return };
        let is_now = after.state == COMPLETING && after.generation == answer.generation;
        if answer.members.is_empty() || !is_now {
            return;
        }
        let ids =
            |member: &quorate_core::MemberView| (member.id.clone(), member.instance_id.clone());
        let expected: BTreeSet<_> = after.members.iter().map(ids).collect();
        let entry = |m: &response::JoinedMember| (m.member_id.clone(), m.instance_id.clone());
        let listed: BTreeSet<_> = answer.members.iter().map(entry).collect();
        found.check(listed == expected, C4, || {
            format!("{}: lists {listed:?}, members are {expected:?}", change.id)
        });
    }
}

fn first(answer: &response::JoinGroup) -> Agreed {
    Agreed {
        generation: answer.generation,
        protocol_type: answer.protocol_type.clone(),
        protocol: answer.protocol_name.clone(),
        leader: BTreeSet::from([answer.leader.clone()]),
    }
}

/// A generation that begins is told to each member that joined, and answers outside of that are
/// of the generation there is.
fn generation_is_whole(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some((before, after)) = change.simple() else { return };
    let success = |answer: &response::JoinGroup| answer.error == ErrorCode::None;
    for (_, _, answer) in step.joined(change.id).filter(|(_, _, answer)| success(answer)) {
        let is_of = |group: &GroupView| {
            group.generation == answer.generation && matches!(group.state, COMPLETING | STABLE)
        };
        let late = matches!(step.input, Some(quorate_core::Input::Appended { .. }));
        found.check(late || is_of(before) || is_of(after) || change.completes(), C3, || {
            format!("{}: {answer:?} while {} {}", change.id, before.state, before.generation.0)
        });
    }
    if !change.begins_generation() {
        return;
    }
    for member in &before.members {
        let Some(token) = member.join.filter(|token| !step.is_abandoned(*token)) else { continue };
        let is_replaced = step.join(change.id).is_some();
        let answered = step.answer(token).is_some() || is_replaced;
        found.check(answered, C3, || {
            format!("{}: {} had joined and is not told", change.id, member.id)
        });
    }
}

/// Spec classic 6.3.
fn sizes(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some((token, join)) = step.join(change.id) else { return };
    let before = change.before;
    if before.is_some_and(|before| before.held_by.is_some()) {
        return;
    }
    let member = before.and_then(|before| before.member(&join.member_id));
    let max = step.max_size;
    let accepts = before.is_none_or(|before| match before.state {
        EMPTY => true,
        PREPARING => {
            let awaiting = before.members.iter().filter(|m| m.join.is_some()).count();
            member.is_some_and(|member| member.join.is_some()) || awaiting < max
        }
        _ => member.is_some() || before.members.len() < max,
    });
    let error = match step.answer(token) {
        Some(Response::JoinGroup(answer)) => Some(answer.error),
        _ => None,
    };
    if error.is_some_and(is_unserved) {
        return;
    }
    let refused = error == Some(ErrorCode::GroupMaxSizeReached);
    let missing = before.is_none() && !join.member_id.is_empty();
    found.check(refused != accepts || missing, C16, || {
        let (state, count) = before.map_or(("", 0), |b| (b.state, b.members.len()));
        format!("{}: {state} with {count} of {max} members answers {error:?}", change.id)
    });
}

fn repeats(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some((before, after)) = change.simple() else { return };
    let Some((token, join)) = step.join(change.id) else { return };
    let Some(member) = before.member(&join.member_id) else { return };
    let valid = validate(before, &join.member_id, join.instance_id.as_ref());
    let is_same = distinct(&join.protocols).eq(member.protocols.iter());
    let leads = before.leader.as_ref() == Some(&member.id);
    let is_quiet = before.state == COMPLETING || before.state == STABLE && !leads;
    let of_type = before.protocol_type.as_ref() == Some(&join.protocol_type);
    if valid != ErrorCode::None || !is_same || !is_quiet || !of_type {
        return;
    }
    let Some(Response::JoinGroup(answer)) = step.answer(token) else {
        found.violated(C18, || format!("{}: {join:?} waits in {}", change.id, before.state));
        return;
    };
    let told = answer.error == ErrorCode::None && answer.generation == before.generation;
    found.check(is_unserved(answer.error) || told && before == after, C18, || {
        format!("{}: {join:?} in {} is answered {answer:?}", change.id, before.state)
    });
}

/// The protocols of a request; one that is named twice counts once.
fn distinct(protocols: &[Protocol]) -> impl Iterator<Item = &Protocol> {
    protocols.iter().enumerate().filter_map(|(place, protocol)| {
        let known = protocols[..place].iter().any(|earlier| earlier.name == protocol.name);
        (!known).then_some(protocol)
    })
}
