//! Batches: numbered without a gap (P5), and within their bounds (P8).

use litemap::LiteMap;
use quorate_core::record::batch_size;
use quorate_core::{BatchId, Epoch, Input, Offset, ShardId};

use super::book::{Observer, Step};
use super::{P5, P8};
use crate::event::{Event, Place, What};
use crate::oracle::Found;
use crate::plan::Plan;

/// P5.
#[derive(Default)]
pub struct Numbers {
    acquired: LiteMap<(ShardId, Epoch), Offset>,
    /// The batches of each incarnation that are not refused: number, position, length.
    written: LiteMap<Place, Vec<(BatchId, Offset, u64)>>,
}

impl Observer for Numbers {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let written = self.written.entry(step.place).or_default();
        if let Some(Input::Rejected { from, .. }) = step.input {
            written.retain(|(id, ..)| id < from);
        }
        for batch in step.appends() {
            let start = self.acquired.get(&(step.place.shard, step.place.epoch));
            let expected = match written.last() {
                Some((id, base, length)) => Some((BatchId(id.0 + 1), Offset(base.0 + length))),
                None => start.map(|next| (BatchId(1), *next)),
            };
            let is_next = expected.is_none_or(|next| next == (batch.id, batch.base));
            found.check(is_next && batch.epoch == step.place.epoch, P5, || {
                format!("{:?} writes {batch:?}; {expected:?} would be next", step.place)
            });
            found.check(!batch.records.is_empty(), P5, || {
                format!("{:?} writes a batch of nothing", step.place)
            });
            written.push((batch.id, batch.base, batch.records.len() as u64));
        }
        // Refusals go back to no batch that is durable, so one number is enough.
        if let Some(Input::Appended { through }) = step.input
            && let Some(last) = written.iter().rposition(|(id, ..)| id <= through)
        {
            written.drain(..last);
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        match &event.what {
            What::Acquired { shard, epoch, next, .. } => {
                self.acquired.insert((*shard, *epoch), *next);
            }
            What::Ended { place, .. } => {
                self.written.remove(place);
            }
            _ => {}
        }
    }
}

/// P8; that a group has not more members than it may is C16's.
pub struct Bounds {
    max_in_flight: usize,
    max_batch_bytes: usize,
}

impl Bounds {
    /// As the plan's knobs say.
    #[must_use]
    pub fn new(plan: &Plan) -> Bounds {
        let knobs = &plan.knobs;
        Bounds { max_in_flight: knobs.max_in_flight, max_batch_bytes: knobs.max_batch_bytes }
    }
}

impl Observer for Bounds {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let (shard, max) = (step.context.shard, self.max_in_flight);
        found.check(shard.in_flight() <= max, P8, || {
            format!("{:?} has {} batches in flight, of {max}", step.place, shard.in_flight())
        });
        for batch in step.appends() {
            let (size, max) = (batch_size(&batch.records), self.max_batch_bytes);
            found.check(size <= max, P8, || {
                format!("{:?} writes a batch of {size} bytes, of {max}: {batch:?}", step.place)
            });
        }
        for (id, group) in step.context.after {
            let is_idle = group.members.is_empty() && group.pending_join.is_empty();
            let has_timer = group.join_deadline.is_some() || group.sync_deadline.is_some();
            found.check(!is_idle || group.state != "Empty" || !has_timer, P8, || {
                format!("{:?}: nobody is in {id}, and it has a timer: {group:?}", step.place)
            });
        }
    }
}
