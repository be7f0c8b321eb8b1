//! Rows in memory against the log: always (D1), and after a refusal (D2).

use litemap::LiteMap;
use quorate_core::{Effect, Effects, Input, Record, RejectCause, Status};

use super::journal::{Journal, Rows, difference, put};
use super::{D1, D2};
use crate::event::{Event, Place, What};
use crate::oracle::Found;
use crate::oracle::replies::book::{Flight, Observer, Step};

/// One step in so many is looked at though nothing of it is about rows.
const SAMPLE: u64 = 16;

/// D1 and D2.
#[derive(Default)]
pub struct Tables {
    journal: Journal,
    /// What each incarnation was told is durable.
    durable: LiteMap<Place, Rows>,
}

impl Observer for Tables {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let log = self.journal.log(step.place.shard);
        let shard = step.context.shard;
        let durable = self.durable.entry(step.place).or_insert_with(|| log.rows.clone());
        let records = |flight: &Flight| flight.batch.records.clone();
        step.stored.iter().flat_map(records).for_each(|record| put(durable, &record));
        if shard.status() == Status::Fenced {
            return;
        }
        let is_about_rows = !step.stored.is_empty()
            || !step.refused.is_empty()
            || step.input.is_none()
            || step.appends().next().is_some();
        if !is_about_rows && !step.of.steps.is_multiple_of(SAMPLE) {
            return;
        }
        let rows: Rows = shard.rows().into_iter().collect();
        let mut expected = durable.clone();
        step.of.flights.iter().flat_map(records).for_each(|record| put(&mut expected, &record));
        let property = if step.refused.is_empty() { D1 } else { D2 };
        if let Some(difference) = difference(&expected, &rows) {
            found.violated(property, || format!("{:?}: {difference}", step.place));
        }
        let is_newest = log.epoch <= step.place.epoch;
        if step.of.flights.is_empty()
            && is_newest
            && let Some(difference) = difference(&log.rows, &rows)
        {
            found.violated(D1, || format!("{:?} against its log: {difference}", step.place));
        }
        if step.appends().next().is_some() {
            refuse(step, durable, found);
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        self.journal.see(event);
        if let What::Ended { place, .. } = &event.what {
            self.durable.remove(place);
        }
    }
}

/// What if the batches from the middle on were refused: of a copy.
fn refuse(step: &Step<'_>, durable: &Rows, found: &mut Found) {
    let middle = step.of.flights.len() / 2;
    let Some(from) = step.of.flights.get(middle).map(|flight| flight.batch.id) else { return };
    let (mut copy, mut out) = (step.context.shard.clone(), Effects::new());
    let cause = RejectCause::NotEnoughReplicas;
    copy.step(step.now, Input::Rejected { from, cause }, &mut out);
    let mut expected = durable.clone();
    let kept = step.of.flights.iter().take(middle);
    kept.flat_map(|f| &f.batch.records).for_each(|record| put(&mut expected, record));
    // What waited for the refused ones goes on, and may write.
    let after: Vec<Effect> = out.drain().collect();
    let written = after.iter().filter_map(|effect| match effect {
        Effect::Append(batch) => Some(&batch.records),
        _ => None,
    });
    written.flatten().for_each(|record: &Record| put(&mut expected, record));
    let rows: Rows = copy.rows().into_iter().collect();
    if copy.status() != Status::Fenced
        && let Some(difference) = difference(&expected, &rows)
    {
        found.violated(D2, || format!("{:?} if {from:?} were refused: {difference}", step.place));
    }
}
