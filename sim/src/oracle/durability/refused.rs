//! D8: what is refused, or uncertain, is never acknowledged.

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::{BatchId, Request};

use super::D8;
use crate::event::{Event, NotStored, Place, What};
use crate::oracle::Found;
use crate::oracle::replies::book::{Observer, Step};
use crate::oracle::replies::words::{api, succeeds};

/// D8.
#[derive(Default)]
pub struct Refused {
    /// The batches in flight of each incarnation, by number, as of its last step.
    flights: LiteMap<Place, Vec<(BatchId, u64)>>,
    /// Batches, by serial, that the journal refused or cannot tell of.
    refused: BTreeSet<u64>,
}

impl Observer for Refused {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        self.refused.extend(step.refused.iter().map(|flight| flight.serial));
        for (_, token, body) in step.replies() {
            let Some(asked) = step.of.asked.get(&token) else { continue };
            let waited = asked.barrier.iter().any(|serial| self.refused.contains(serial));
            let is_of_assignment = match &asked.request {
                Request::SyncGroup(sync) => step
                    .refused
                    .iter()
                    .any(|flight| flight.is_assignment && flight.groups.contains(&sync.group_id)),
                _ => false,
            };
            let is_new = asked.step == step.of.steps;
            let is_told = waited && !asked.is_deferred || is_of_assignment && !is_new;
            found.check(!is_told || !succeeds(body), D8, || {
                format!(
                    "{:?}: {} {token} refers to a batch that is not stored: {body:?}",
                    step.place,
                    api(&asked.request)
                )
            });
        }
        let flights = step.of.flights.iter().map(|flight| (flight.batch.id, flight.serial));
        self.flights.insert(step.place, flights.collect());
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        match &event.what {
            What::Refused { shard, epoch, from, why } if *why != NotStored::Lost => {
                let of = |place: &Place| place.shard == *shard && place.epoch == *epoch;
                let flights = self.flights.iter().filter(|(place, _)| of(place));
                let gone = flights.flat_map(|(_, all)| all).filter(|(id, _)| id >= from);
                self.refused.extend(gone.map(|(_, serial)| *serial));
            }
            What::Ended { place, .. } => {
                self.flights.remove(place);
            }
            _ => {}
        }
    }
}
