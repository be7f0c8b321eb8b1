//! Hears the steps of a broker's shards, for one life of it.

use std::sync::Mutex;

use litemap::LiteMap;
use quorate_core::{Effect, Input, Now, Shard, ShardId, Status};
use quorate_io::tap;

use super::stage::Stage;
use crate::event::{Ended, Place, What};
use crate::plan::NodeIndex;

/// See the module.
#[derive(Debug)]
pub(super) struct Watcher {
    node: NodeIndex,
    stage: Stage,
    serving: Mutex<LiteMap<ShardId, Place>>,
}

impl Watcher {
    pub fn new(node: NodeIndex, stage: Stage) -> Watcher {
        Watcher { node, stage, serving: Mutex::default() }
    }

    /// The process has ended, and what served with it.
    pub fn process_ended(&self) {
        for (_, place) in std::mem::take(&mut *self.serving()) {
            self.stage.see(What::Ended { place, why: Ended::Killed });
        }
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, LiteMap<ShardId, Place>> {
        self.serving.lock().expect("a run is single threaded, and over once it has panicked")
    }

    fn gone(&self, shard: ShardId, why: Ended) {
        if let Some(place) = self.serving().remove(&shard) {
            self.stage.see(What::Ended { place, why });
        }
    }
}

impl tap::Tap for Watcher {
    fn loaded(&self, now: Now, effects: &[Effect], shard: &Shard) {
        let load = self.stage.next_load();
        let place = Place { node: self.node, shard: shard.id(), epoch: shard.epoch(), load };
        self.serving().insert(shard.id(), place);
        let what = What::Loaded { place, now, effects: effects.to_vec() };
        self.stage.see_shard(what, shard);
    }

    fn stepped(&self, now: Now, input: Input, effects: &[Effect], shard: &Shard) {
        let Some(place) = self.serving().get(&shard.id()).copied() else { return };
        let was_fenced = matches!(input, Input::Fenced { .. });
        let what = What::Stepped { place, now, input, effects: effects.to_vec() };
        self.stage.see_shard(what, shard);
        if shard.status() == Status::Fenced {
            self.gone(shard.id(), if was_fenced { Ended::Fenced } else { Ended::Resigned });
        }
    }

    fn ended(&self, shard: ShardId, why: tap::Ended<'_>) {
        self.gone(
            shard,
            match why {
                tap::Ended::Panicked(words) => Ended::Panicked(words.to_owned()),
                tap::Ended::Fenced => Ended::Fenced,
            },
        );
    }
}
