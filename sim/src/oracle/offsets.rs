//! Offsets: O1 to O5, O7 and O8.
//!
//! Decided here: what an offset's record, an answer about offsets, and a tombstone are held
//! against. What a shard has stored is told from its batches and their fates, never asked of it.

mod expiry;
mod fence;
mod ledger;

use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{
    Batch, BatchId, Effect, Epoch, Generation, GroupId, Input, Offset, Record, RecordKey,
    RecordValue, ShardId, Topics,
};

use self::ledger::Ledger;
use super::{Found, Oracle, Property};
use crate::event::{Context, Event, Place, What};
use crate::plan::Plan;

/// A register for each offset.
pub const O1: Property = Property {
    id: "O1",
    sentence: "an offset is a register: what is acknowledged is stored by then, and is what a \
               later fetch returns unless something else was written after it",
};
/// Fetches tell what is stored.
pub const O2: Property = Property {
    id: "O2",
    sentence: "a fetch returns only committed values, and one of stable offsets only what is \
               durable when it is answered",
};
/// Fencing at write.
pub const O3: Property = Property {
    id: "O3",
    sentence: "each offset in the log was written for a member and a generation that were valid \
               at that position",
};
/// States and commits.
pub const O4: Property = Property {
    id: "O4",
    sentence: "a commit of nobody is accepted only into an Empty group; one of a member is \
               refused in CompletingRebalance and accepted in PreparingRebalance",
};
/// All or nothing.
pub const O5: Property = Property {
    id: "O5",
    sentence: "all accepted partitions of a commit are in one batch, and metadata that is too \
               long fails its partition only",
};
/// When offsets expire.
pub const O7: Property = Property {
    id: "O7",
    sentence: "offsets expire only when they are due, and never during a rebalance",
};
/// Deletions are complete.
pub const O8: Property = Property {
    id: "O8",
    sentence: "a group that is deleted and offsets that are deleted leave no key behind",
};

/// The properties of this family.
pub const PROPERTIES: &[Property] = &[O1, O2, O3, O4, O5, O7, O8];

/// The oracle of this family, for a run of a plan.
#[must_use]
pub fn new(plan: &Plan) -> Box<dyn Oracle + Send> {
    Box::new(Offsets { retention: plan.knobs.retention, ..Offsets::default() })
}

/// See the module.
#[derive(Default)]
struct Offsets {
    retention: Duration,
    topics: Arc<Topics>,
    logs: LiteMap<ShardId, LiteMap<Offset, Record>>,
    /// The generation of each group by its last record in the log.
    generations: LiteMap<(ShardId, GroupId), Generation>,
    places: LiteMap<Place, Ledger>,
    /// The generation that a member's commit was made in, by its batch.
    made_in: LiteMap<(ShardId, Epoch, BatchId), Generation>,
}

impl Oracle for Offsets {
    fn see(&mut self, event: &Event, context: Option<Context<'_>>, found: &mut Found) {
        match (&event.what, context) {
            (What::Stored { shard, batch }, _) => self.stored(*shard, batch, found),
            (What::Compacted { shard, left }, _) => {
                self.logs.insert(*shard, left.iter().cloned().collect());
            }
            (What::Loaded { place, effects, .. }, Some(context)) => {
                let log = self.logs.entry(place.shard).or_default();
                let mut ledger = Ledger::load(log.values(), context.after, self.topics.clone());
                for effect in effects {
                    if let Effect::Append(batch) = effect {
                        ledger.append(batch);
                    }
                }
                self.places.insert(*place, ledger);
            }
            (What::Stepped { place, now, input, effects }, Some(context)) => {
                let Some(ledger) = self.places.get_mut(place) else { return };
                ledger.input(input, context.before);
                for effect in effects {
                    match effect {
                        Effect::Append(batch) => {
                            let key = (place.shard, place.epoch, batch.id);
                            // Numbers of batches that were refused are used again.
                            self.made_in.remove(&key);
                            if let Some(generation) = ledger.commit(batch, input, context, found) {
                                self.made_in.insert(key, generation);
                            }
                            if matches!(input, Input::Deadline) {
                                let retention = self.retention;
                                expiry::judge(ledger, batch, *now, retention, context, found);
                            }
                            ledger.append(batch);
                            ledger.nothing_left(batch, found);
                        }
                        Effect::Reply { token, body } => ledger.reply(*token, body, found),
                        Effect::Dropped { token, .. } => ledger.forget(*token),
                        Effect::Note(_) => {}
                    }
                }
                ledger.decided(input);
                ledger.watch(*now, context);
            }
            (What::Topics { view }, _) => {
                self.topics = Arc::clone(view);
                for (_, ledger) in self.places.iter_mut() {
                    ledger.topics = Arc::clone(view);
                }
            }
            (What::Ended { place, .. }, _) => {
                self.places.remove(place);
            }
            _ => {}
        }
    }
}

impl Offsets {
    /// A batch is in the log: its generation must not be older than that of the group's record.
    fn stored(&mut self, shard: ShardId, batch: &Batch, found: &mut Found) {
        let made_in = self.made_in.get(&(shard, batch.epoch, batch.id)).copied();
        let log = self.logs.entry(shard).or_default();
        for (place, record) in (batch.base.0..).zip(&batch.records) {
            if let (RecordKey::Offset { group, .. }, Some(_), Some(made_in)) =
                (&record.key, &record.value, made_in)
            {
                let newest = self.generations.get(&(shard, group.clone())).copied();
                found.check(newest.is_none_or(|newest| newest <= made_in), O3, || {
                    format!(
                        "{shard:?} {place}: {record:?} is of generation {made_in:?}, but the \
                         group's record before it of {newest:?}"
                    )
                });
            }
            if let RecordKey::Group(group) = &record.key {
                let key = (shard, group.clone());
                match &record.value {
                    Some(RecordValue::Group(row)) => self.generations.insert(key, row.generation),
                    _ => self.generations.remove(&key),
                };
            }
            log.insert(Offset(place), record.clone());
        }
    }
}

#[cfg(test)]
mod tests;
