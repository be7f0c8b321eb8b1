//! D7: who wrote what is in a log.

use litemap::LiteMap;
use quorate_core::{Batch, BatchId, Epoch, ShardId};

use super::D7;
use crate::event::{Event, Place, What};
use crate::oracle::Found;
use crate::oracle::replies::book::{Observer, Step};

/// D7.
#[derive(Default)]
pub struct Writers {
    /// The incarnation of each epoch, and what it wrote.
    writers: LiteMap<(ShardId, Epoch), (Place, LiteMap<BatchId, Batch>)>,
    newest: LiteMap<ShardId, Epoch>,
}

impl Observer for Writers {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let key = (step.place.shard, step.place.epoch);
        let (writer, written) =
            self.writers.entry(key).or_insert_with(|| (step.place, LiteMap::new()));
        found.check(*writer == step.place, D7, || {
            format!("{:?} serves with the epoch of {writer:?}", step.place)
        });
        for batch in step.appends() {
            written.insert(batch.id, batch.clone());
        }
    }

    fn event(&mut self, event: &Event, found: &mut Found) {
        let What::Stored { shard, batch } = &event.what else { return };
        let newest = self.newest.entry(*shard).or_default();
        found.check(*newest <= batch.epoch, D7, || {
            format!("the log of {shard:?} has {newest:?}, and then {batch:?}")
        });
        *newest = batch.epoch;
        let written = self.writers.get(&(*shard, batch.epoch));
        let written = written.and_then(|(_, batches)| batches.get(&batch.id));
        found.check(written == Some(batch), D7, || {
            format!("the log of {shard:?} has {batch:?}; its epoch wrote {written:?}")
        });
    }
}
