//! Classic groups: the state machine, generations, joins, syncs, sessions and static members, as
//! each incarnation of a shard plays them.
//!
//! Decided here: what an observer of the family is shown of a step. Each file beside is one kind
//! of observer, and judges from what went in, what came out, and how the groups look before and
//! after, never from the core's own checks.

mod fencing;
mod joins;
mod phases;
mod sessions;
mod states;
mod step;
mod syncs;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::record::GroupMetadata;
use quorate_core::{Effect, GroupId, Input, RecordKey, RecordValue, Request, ShardId, Token};

use super::{Found, Oracle, Property};
use crate::event::{Context, Event, Place, What};
use crate::plan::{Fault, NodeIndex, Plan};
use step::{Change, Observer, Step};

/// The family.
pub const PROPERTIES: &[Property] = &[
    states::C1,
    states::C2,
    joins::C3,
    joins::C4,
    states::C5,
    syncs::C6,
    syncs::C7,
    fencing::C8,
    fencing::C9,
    phases::C10,
    phases::C11,
    sessions::C12,
    sessions::C13,
    fencing::C14,
    sessions::C15,
    joins::C16,
    fencing::C17,
    joins::C18,
    syncs::C19,
];

/// Judges the family for a plan.
#[must_use]
pub fn new(plan: &Plan) -> Box<dyn Oracle + Send> {
    Box::new(Classic {
        plan: plan.clone(),
        observers: vec![
            Box::new(states::States),
            Box::new(fencing::Fencing::default()),
            Box::new(joins::Joins::default()),
            Box::new(syncs::Syncs::default()),
            Box::new(sessions::Sessions::default()),
            Box::new(phases::Phases::default()),
        ],
        asked: LiteMap::new(),
        abandoned: BTreeSet::new(),
        rows: LiteMap::new(),
        limits: LiteMap::new(),
        loaded_with: LiteMap::new(),
    })
}

/// The last stored row of each group.
pub(crate) type Rows = LiteMap<(ShardId, GroupId), GroupMetadata>;

/// Requests of an incarnation that have no answer yet.
pub(crate) type Open = LiteMap<(Place, Token), Request>;

struct Classic {
    plan: Plan,
    observers: Vec<Box<dyn Observer + Send>>,
    asked: Open,
    abandoned: BTreeSet<(Place, Token)>,
    rows: Rows,
    /// `group.max.size` of brokers that were started with another one.
    limits: LiteMap<NodeIndex, usize>,
    loaded_with: LiteMap<Place, usize>,
}

impl Oracle for Classic {
    fn see(&mut self, event: &Event, context: Option<Context<'_>>, found: &mut Found) {
        self.remember(event);
        for observer in &mut self.observers {
            observer.hear(event);
        }
        let (place, now, input, effects) = match &event.what {
            What::Loaded { place, now, effects } => (*place, *now, None, effects),
            What::Stepped { place, now, input, effects } => (*place, *now, Some(input), effects),
            _ => return,
        };
        let Some(Context { before, after, shard }) = context else { return };
        let ids: BTreeSet<&GroupId> = before.keys().chain(after.keys()).collect();
        let change = |id| Change::new(id, before.get(id), after.get(id), effects);
        let changes = ids.into_iter().map(change).collect();
        let limit = self.loaded_with.get(&place).copied();
        let step = Step {
            plan: &self.plan,
            at: event.at,
            place,
            now,
            input,
            effects,
            changes,
            shard,
            asked: &self.asked,
            abandoned: &self.abandoned,
            rows: &self.rows,
            max_size: limit.unwrap_or(self.plan.knobs.max_group_size),
        };
        for observer in &mut self.observers {
            observer.see(&step, found);
        }
        self.settle(place, effects);
    }
}

impl Classic {
    fn remember(&mut self, event: &Event) {
        match &event.what {
            What::Stored { shard, batch } => {
                for record in &batch.records {
                    let RecordKey::Group(id) = &record.key else { continue };
                    let key = (*shard, id.clone());
                    match &record.value {
                        Some(RecordValue::Group(row)) => self.rows.insert(key, (**row).clone()),
                        _ => self.rows.remove(&key),
                    };
                }
            }
            What::Fault(text) => {
                if let Fault::RestartWith { node, max_group_size, .. } = &text.0 {
                    self.limits.insert(*node, *max_group_size);
                }
            }
            What::Loaded { place, .. } => {
                let default = self.plan.knobs.max_group_size;
                let limit = self.limits.get(&place.node).copied().unwrap_or(default);
                self.loaded_with.insert(*place, limit);
            }
            What::Stepped { place, input: Input::Request { token, body, .. }, .. } => {
                self.asked.insert((*place, *token), body.clone());
            }
            What::Stepped { place, input: Input::Abandoned { token }, .. } => {
                self.abandoned.insert((*place, *token));
            }
            What::Ended { place, .. } => {
                self.asked.retain(|(of, _), _| of != place);
                self.abandoned.retain(|(of, _)| of != place);
                self.loaded_with.remove(place);
            }
            _ => {}
        }
    }

    /// What was answered is not asked any more.
    fn settle(&mut self, place: Place, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Reply { token, .. } | Effect::Dropped { token, .. } = effect {
                self.asked.remove(&(place, *token));
            }
        }
    }
}
