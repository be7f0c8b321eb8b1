//! C6, C7, C19: assignments, from the leader's bytes to each member, through the log.

use bytes::Bytes;
use litemap::LiteMap;
use quorate_core::request::SyncGroup;
use quorate_core::{
    Batch, BatchId, Effect, ErrorCode, Generation, GroupId, GroupView, Input, MemberId, RecordKey,
    RecordValue, Request, Response,
};

use super::step::{COMPLETING, Change, Observer, PREPARING, STABLE, Step};
use crate::event::{Event, Place, What};
use crate::oracle::{Found, Property};

pub(super) const C6: Property = Property {
    id: "C6",
    sentence: "A member's SyncGroup is answered with exactly the bytes that the leader sent for \
               it, or none if it sent none (but for what the server deals).",
};
pub(super) const C7: Property = Property {
    id: "C7",
    sentence: "No SyncGroup succeeds before the group's record of that generation is stored; if \
               that is refused, all parked ones fail and the group rebalances.",
};
pub(super) const C19: Property = Property {
    id: "C19",
    sentence: "When a shard is given up, all parked JoinGroups and SyncGroups are answered \
               NOT_COORDINATOR.",
};

/// What a leader's SyncGroup gives.
#[derive(Debug, Clone)]
struct Given {
    generation: Generation,
    to: LiteMap<MemberId, Bytes>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Syncs {
    in_flight: LiteMap<(Place, BatchId), (GroupId, Given)>,
    stored: LiteMap<(Place, GroupId), Given>,
}

impl Observer for Syncs {
    fn hear(&mut self, event: &Event) {
        if let What::Ended { place, .. } = &event.what {
            self.in_flight.retain(|(of, _), _| of != place);
            self.stored.retain(|(of, _), _| of != place);
        }
    }

    fn see(&mut self, step: &Step<'_>, found: &mut Found) {
        for change in &step.changes {
            if change.is_anew() {
                self.stored.remove(&(step.place, change.id.clone()));
            }
            match step.input {
                None => self.loaded(step, change),
                Some(Input::Appended { through }) => self.appended(step, change, *through),
                Some(Input::Rejected { from, .. }) => self.rejected(step, change, *from, found),
                _ => {}
            }
            self.follow_replaced(step, change);
            self.becomes_stable(step, change, found);
            self.answers(step, change, found);
            self.writes(step, change, found);
            given_up(step, change, found);
        }
        if let Some(Input::Rejected { from, .. }) = step.input {
            self.in_flight.retain(|(place, id), _| *place != step.place || id < from);
        }
    }
}

impl Syncs {
    fn loaded(&mut self, step: &Step<'_>, change: &Change<'_>) {
        let key = (step.place.shard, change.id.clone());
        let Some(row) = step.rows.get(&key) else { return };
        let of = row.members.iter().map(|m| (m.member_id.clone(), m.assignment.clone()));
        let given = Given { generation: row.generation, to: of.collect() };
        self.stored.insert((step.place, change.id.clone()), given);
    }

    /// The first of a generation's assignments that is stored takes effect.
    fn appended(&mut self, step: &Step<'_>, change: &Change<'_>, through: BatchId) {
        let keys: Vec<_> = self
            .in_flight
            .iter()
            .filter(|((place, id), (group, _))| {
                *place == step.place && *id <= through && group == change.id
            })
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            let Some((_, given)) = self.in_flight.remove(&key) else { continue };
            let waits = change.before.is_some_and(|before| {
                before.state == COMPLETING && before.generation == given.generation
            });
            let known = self.stored.get(&(step.place, change.id.clone()));
            if waits && known.is_none_or(|known| known.generation != given.generation) {
                self.stored.insert((step.place, change.id.clone()), given);
            }
        }
    }

    fn rejected(&mut self, step: &Step<'_>, change: &Change<'_>, from: BatchId, found: &mut Found) {
        let Some((before, after)) = change.simple() else { return };
        let mut lost = self.in_flight.iter().filter(|((place, id), (group, given))| {
            *place == step.place
                && *id >= from
                && group == change.id
                && given.generation == before.generation
        });
        if before.state != COMPLETING || lost.next().is_none() || step.ends() {
            return;
        }
        found.check(after.state != COMPLETING && after.state != STABLE, C7, || {
            format!("{}: {} after its record was refused", change.id, after.state)
        });
        for token in before.members.iter().filter_map(|member| member.sync) {
            let fails = step.is_abandoned(token)
                || matches!(step.answer(token), Some(Response::SyncGroup(answer))
                    if answer.error != ErrorCode::None);
            found.check(fails, C7, || format!("{}: {token} does not fail", change.id));
        }
    }

    /// What a static member was assigned is its next process's.
    fn follow_replaced(&mut self, step: &Step<'_>, change: &Change<'_>) {
        let Some((before, after)) = change.before.zip(change.after) else { return };
        let Some(given) = self.stored.get_mut(&(step.place, change.id.clone())) else { return };
        for (instance, old) in &before.static_members {
            if let Some(new) = after.static_members.get(instance)
                && new != old
                && let Some(bytes) = given.to.get(old).cloned()
            {
                given.to.insert(new.clone(), bytes);
            }
        }
    }

    fn becomes_stable(&self, step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
        let key = (step.place, change.id.clone());
        let known = self.stored.get(&key).map(|given| given.generation.0);
        let stable =
            change.ways.iter().filter(|way| way.from == Some(COMPLETING) && way.to == Some(STABLE));
        for way in stable {
            found.check(known == Some(way.generation), C7, || {
                format!("{}: Stable in {}, stored is {known:?}", change.id, way.generation)
            });
        }
    }

    fn answers(&self, step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
        for (_, request, answer) in step.answers() {
            let (Request::SyncGroup(asked), Response::SyncGroup(got)) = (request, answer) else {
                continue;
            };
            if asked.group_id != *change.id || got.error != ErrorCode::None {
                continue;
            }
            let given = self.stored.get(&(step.place, change.id.clone()));
            let given = given.filter(|given| given.generation == asked.generation);
            found.check(given.is_some(), C7, || {
                format!("{}: {asked:?} succeeds, and nothing is stored", change.id)
            });
            let Some(given) = given else { continue };
            let due = given.to.get(&asked.member_id).cloned().unwrap_or_default();
            found.check(got.assignment == due, C6, || {
                let (id, got) = (&asked.member_id, &got.assignment);
                format!("{}: {id} is assigned {got:?}, its leader sent {due:?}", change.id)
            });
        }
    }

    /// Group records carry what the leader has just sent, or what is stored already.
    fn writes(&mut self, step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
        for effect in step.effects {
            let Effect::Append(batch) = effect else { continue };
            let Some(row) = row_of(batch, change.id).filter(|row| !row.members.is_empty()) else {
                continue;
            };
            let written: LiteMap<_, _> =
                row.members.iter().map(|m| (m.member_id.clone(), m.assignment.clone())).collect();
            let sync = step.sync(change.id);
            let Some((before, (_, sync))) = change.before.zip(sync) else {
                self.rewrites(step, change, &written, found);
                continue;
            };
            found.check(before.state == COMPLETING, C6, || {
                format!("{}: {sync:?} is written in {}", change.id, before.state)
            });
            found.check(before.leader.as_ref() == Some(&sync.member_id), C6, || {
                format!("{}: {} assigns, led by {:?}", change.id, sync.member_id, before.leader)
            });
            let is_dealt = sync.assignments.is_empty() && step.plan.knobs.server_assigns;
            let due = if is_dealt { written.clone() } else { given_by(sync, before) };
            found.check(written == due, C6, || {
                format!("{}: {written:?} is written, the leader sent {due:?}", change.id)
            });
            let given = Given { generation: before.generation, to: due };
            self.in_flight.insert((step.place, batch.id), (change.id.clone(), given));
        }
    }

    /// A static member's replacement is written with all assignments as they are.
    fn rewrites(
        &self,
        step: &Step<'_>,
        change: &Change<'_>,
        written: &LiteMap<MemberId, Bytes>,
        found: &mut Found,
    ) {
        if step.join(change.id).is_none() || change.simple().is_none() {
            return;
        }
        let Some(given) = self.stored.get(&(step.place, change.id.clone())) else { return };
        for (id, bytes) in written {
            let due = given.to.get(id).cloned().unwrap_or_default();
            found.check(*bytes == due, C6, || {
                format!("{}: {id} is written with {bytes:?}, has {due:?}", change.id)
            });
        }
    }
}

fn row_of<'a>(batch: &'a Batch, id: &GroupId) -> Option<&'a quorate_core::record::GroupMetadata> {
    batch.records.iter().find_map(|record| match (&record.key, &record.value) {
        (RecordKey::Group(group), Some(RecordValue::Group(row))) if group == id => Some(&**row),
        _ => None,
    })
}

/// Of two entries for a member the later counts; who is no member is ignored.
fn given_by(sync: &SyncGroup, group: &GroupView) -> LiteMap<MemberId, Bytes> {
    let given = |id: &MemberId| {
        let mut of = sync.assignments.iter().rev();
        of.find(|entry| entry.member_id == *id).map(|entry| entry.assignment.clone())
    };
    let members = group.members.iter();
    members.map(|m| (m.id.clone(), given(&m.id).unwrap_or_default())).collect()
}

fn given_up(step: &Step<'_>, change: &Change<'_>, found: &mut Found) {
    let Some(before) = change.before.filter(|_| step.ends()) else { return };
    let at_once = matches!(step.input, Some(Input::Fenced { .. } | Input::Resign));
    let parked = |of: &'static str| {
        let tokens = before.members.iter().flat_map(|member| [member.join, member.sync]);
        let open = tokens.flatten().filter(|token| !step.is_abandoned(*token));
        (before.state == of).then_some(open).into_iter().flatten()
    };
    for token in parked(PREPARING).chain(parked(COMPLETING)) {
        let code = match step.answer(token) {
            Some(Response::JoinGroup(answer)) => Some(answer.error),
            Some(Response::SyncGroup(answer)) => Some(answer.error),
            _ => None,
        };
        let fits = if at_once { code == Some(ErrorCode::NotCoordinator) } else { code.is_some() };
        found.check(fits, C19, || {
            format!("{}: {token} is answered {code:?} as the shard ends", change.id)
        });
    }
}
