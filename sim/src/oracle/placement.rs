//! Placement: the properties F1 to F4.
//!
//! Decided here: where a group belongs, by a hash of the oracle's own, and what a coordinator that
//! another has replaced may still do.

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::{Config, Epoch, ErrorCode, Request, Response, Router, ShardId, Text};

use super::replies::book::{Family, Observer, Step};
use super::replies::words::{answered_api, api, groups, succeeds};
use super::{Found, Oracle, Property};
use crate::event::{Event, Place, What};
use crate::plan::{NodeIndex, Plan};

/// Groups are where Java's hash puts them.
pub const F1: Property = Property {
    id: "F1",
    sentence: "a group belongs to the shard that Java's hash of its name says",
};
/// Only the newest epoch appends.
pub const F2: Property = Property {
    id: "F2",
    sentence: "no two incarnations of a shard have one epoch, and once a newer one has acquired \
               the shard no append of an older one is stored",
};
/// Others say so.
pub const F3: Property = Property {
    id: "F3",
    sentence: "what is asked of a group that is not served here is refused as NOT_COORDINATOR or \
               COORDINATOR_LOAD_IN_PROGRESS, and only leaders are named as coordinators",
};
/// Replaced coordinators write nothing.
pub const F4: Property = Property {
    id: "F4",
    sentence: "a coordinator that has been replaced, and does not know, acknowledges nothing that \
               had to be stored since",
};

/// The properties of this family.
pub const PROPERTIES: &[Property] = &[F1, F2, F3, F4];

/// The observers of this family, for a run of a plan.
#[must_use]
pub fn new(plan: &Plan) -> Vec<Box<dyn Oracle + Send>> {
    vec![Box::new(Family::new(vec![
        Box::new(Located { shards: plan.shards, is_checked: false }),
        Box::new(Fenced::default()),
        Box::new(Elsewhere::default()),
        Box::new(Replaced::default()),
    ]))]
}

/// `abs(String.hashCode) mod shards`, over UTF-16 units; the least number counts as 0.
fn home(group: &str, shards: u32) -> ShardId {
    let hash = group
        .encode_utf16()
        .fold(0_i64, |hash, unit| i64::from((hash * 31 + i64::from(unit)) as i32));
    let hash = if hash == i64::from(i32::MIN) { 0 } else { hash.abs() };
    ShardId(u32::try_from(hash % i64::from(shards)).unwrap_or_default())
}

/// Names and their shards of 50, by Java.
const JAVAS: [(&str, u32); 10] = [
    ("", 0),
    ("a", 47),
    ("foo", 24),
    ("group", 47),
    ("polygenelubricants", 0),
    ("my-group", 12),
    ("test-group", 12),
    ("group-1", 49),
    ("consumer-group", 38),
    ("\u{1F600}", 49),
];

/// F1.
struct Located {
    shards: u32,
    is_checked: bool,
}

impl Observer for Located {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        if !std::mem::replace(&mut self.is_checked, true) {
            let router = Router::new(Config::default(), vec![None; 50], Default::default());
            for (name, shard) in JAVAS {
                let located = router.locate(&Text::from(name));
                found.check(located == ShardId(shard), F1, || {
                    format!("{name:?} of 50 is located at {located}, not {shard}")
                });
            }
        }
        let Some(quorate_core::Input::Request { body, .. }) = step.input else { return };
        for group in groups(body) {
            let home = home(group.as_str(), self.shards);
            found.check(home == step.place.shard, F1, || {
                format!("{:?} is asked for {group}, which belongs to {home}", step.place)
            });
        }
    }
}

/// F2.
#[derive(Default)]
struct Fenced {
    newest: LiteMap<ShardId, Epoch>,
    serving: BTreeSet<Place>,
}

impl Observer for Fenced {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        if step.input.is_some() {
            return;
        }
        let place = step.place;
        let twin = self.serving.iter().find(|p| (p.shard, p.epoch) == (place.shard, place.epoch));
        found.check(twin.is_none(), F2, || format!("{place:?} and {twin:?} have one epoch"));
        self.serving.insert(place);
    }

    fn event(&mut self, event: &Event, found: &mut Found) {
        match &event.what {
            What::Acquired { shard, epoch, node, .. } => {
                let newest = self.newest.insert(*shard, *epoch);
                found.check(newest.is_none_or(|newest| newest < *epoch), F2, || {
                    format!("{node:?} acquires {shard} with {epoch:?}, after {newest:?}")
                });
            }
            What::Stored { shard, batch } => {
                let newest = self.newest.get(shard).copied().unwrap_or_default();
                found.check(batch.epoch >= newest, F2, || {
                    format!("{shard} is of {newest:?}, and stores {batch:?}")
                });
            }
            What::Ended { place, .. } => {
                self.serving.remove(place);
            }
            _ => {}
        }
    }
}

/// F3.
#[derive(Default)]
struct Elsewhere {
    /// Who has ever led each shard.
    leaders: LiteMap<ShardId, BTreeSet<NodeIndex>>,
}

impl Observer for Elsewhere {
    fn event(&mut self, event: &Event, found: &mut Found) {
        match &event.what {
            What::Leader { shard, node } => {
                self.leaders.entry(*shard).or_default().insert(*node);
            }
            What::TurnedAway { node, shard, error, .. } => {
                let is_right = matches!(
                    error,
                    ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress
                );
                found.check(is_right, F3, || {
                    format!("{node:?} does not serve {shard}, and answers {error}")
                });
            }
            What::Heard { client, response, .. } => {
                let Response::FindCoordinator(told) = &**response else { return };
                for coordinator in told.coordinators.iter() {
                    let Ok(node) = coordinator.node else { continue };
                    let known: BTreeSet<i64> =
                        self.leaders.values().flatten().map(|node| i64::from(node.0) + 1).collect();
                    let is_known = known.is_empty() || known.contains(&i64::from(node.0));
                    found.check(is_known, F3, || {
                        format!("{client:?} is told of {node:?}, which never led anything")
                    });
                }
            }
            _ => {}
        }
    }
}

/// F4.
#[derive(Default)]
struct Replaced {
    newest: LiteMap<ShardId, Epoch>,
    stored: BTreeSet<(ShardId, Epoch, quorate_core::BatchId)>,
}

impl Observer for Replaced {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let place = step.place;
        let newest = self.newest.get(&place.shard).copied().unwrap_or_default();
        if newest <= place.epoch {
            return;
        }
        let is_stored = |id| self.stored.contains(&(place.shard, place.epoch, id));
        for flight in step.stored {
            found.check(is_stored(flight.batch.id), F4, || {
                format!(
                    "{place:?} is replaced by {newest:?}, and was told that {flight:?} is stored"
                )
            });
        }
        for (_, token, body) in step.replies() {
            let Some(asked) = step.of.asked.get(&token) else { continue };
            let in_flight = |serial: &u64| step.of.flights.iter().any(|f| f.serial == *serial);
            let is_early = asked.own.iter().any(in_flight);
            let writes = !matches!(asked.request, Request::JoinGroup(_) | Request::SyncGroup(_));
            found.check(!(writes && is_early && succeeds(body)), F4, || {
                format!(
                    "{place:?} is replaced by {newest:?}, and answers {} as {}: {body:?}",
                    api(&asked.request),
                    answered_api(body)
                )
            });
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        match &event.what {
            What::Acquired { shard, epoch, .. } => {
                self.newest.insert(*shard, *epoch);
            }
            What::Stored { shard, batch } => {
                self.stored.insert((*shard, batch.epoch, batch.id));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
