//! A shard that is being loaded: rows go in, a shard that serves comes out (spec classic 11.4).

use std::sync::Arc;

use crate::classic::ClassicGroup;
use crate::config::Config;
use crate::effect::Effects;
use crate::env::{Env, Log};
use crate::group::Group;
use crate::id::{Epoch, GroupId, Offset, ShardId};
use crate::parked::Parked;
use crate::record::Record;
use crate::seed::{Random, Seed};
use crate::shard::{Shard, Status};
use crate::tables::RowsHash;
use crate::time::{Now, WallTime};
use crate::timers::Timers;
use crate::topics::Topics;

/// A record cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The value is not of the key's kind.
    #[error("the record at offset {at} of shard {shard} has a value of another kind than its key")]
    KindMismatch {
        /// The shard.
        shard: ShardId,
        /// The record's position.
        at: Offset,
    },
}

/// A shard before it serves. It has no `step`: what asks for it meanwhile is answered
/// COORDINATOR_LOAD_IN_PROGRESS by [`refuse`](crate::router::refuse).
#[derive(Debug, Clone)]
pub struct Loader {
    shard: Shard,
}

impl Loader {
    /// An empty shard of that epoch; `next_offset` is where its log goes on.
    #[must_use]
    pub fn new(
        config: Config,
        id: ShardId,
        epoch: Epoch,
        seed: &Seed,
        next_offset: Offset,
    ) -> Loader {
        let env = Env {
            id,
            epoch,
            random: Random::new(seed, id, epoch),
            config,
            status: Status::Active,
            timers: Timers::default(),
            parked: Parked::default(),
            log: Log::new(next_offset),
            topics: Arc::default(),
            rows: RowsHash::default(),
            deferred: Default::default(),
        };
        let groups = Default::default();
        let (sweep, clean_up) = Default::default();
        Loader { shard: Shard { groups, env, sweep, clean_up, steps: 0, touched: Vec::new() } }
    }

    /// Takes one record in. Between keys any order will do; of one key the last is kept.
    pub fn replay(&mut self, at: Offset, record: Record) -> Result<(), ReplayError> {
        if !record.is_of_one_kind() {
            return Err(ReplayError::KindMismatch { shard: self.shard.env.id, at });
        }
        let id = record.key.group();
        let groups = &mut self.shard.groups;
        if !groups.contains_key(id) {
            if record.value.is_none() {
                return Ok(());
            }
            groups.insert(id.clone(), Group::new(WallTime::default()));
        }
        if let Some(group) = groups.get_mut(id) {
            group.rows.put(&record, &mut self.shard.env.rows);
        }
        Ok(())
    }

    /// Makes the shard: every member gets a full session, and offsets of topics that are not in
    /// `topics` any more are cleaned up.
    #[must_use]
    pub fn activate(self, now: Now, topics: Arc<Topics>, out: &mut Effects) -> Shard {
        let mut shard = self.shard;
        shard.env.topics = topics;
        shard.groups.retain(|_, group| !group.rows.is_empty());
        // Replay's order between keys must not show, in no member id and no order of a list.
        shard.groups.sort_unstable_keys();
        let ids: Vec<GroupId> = shard.groups.keys().cloned().collect();
        for id in &ids {
            shard.find_gone(id);
            let Some((group, mut cx)) = shard.with(now, id, out) else { continue };
            group.live = match &group.rows.group {
                Some(row) => ClassicGroup::from_row(row),
                None => ClassicGroup::new(now.wall),
            };
            group.activated(&mut cx);
        }
        shard.sweep.last = Some(now);
        shard.arm_sweep(now.mono + shard.env.config.retention_check_interval);
        shard.arm_clean_up(now);
        if cfg!(debug_assertions) {
            shard.check();
        }
        shard
    }
}

impl Shard {
    /// Notes the topics of a loaded group that have been deleted since, or made anew.
    fn find_gone(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get(id) else { return };
        let mut gone = Vec::new();
        for (name, _, row) in group.rows.offsets.iter() {
            let current = self.env.topics.get(name).map(|topic| topic.id);
            if !row.topic_id.is_nil() && current != Some(row.topic_id) {
                gone.push((name.clone(), row.topic_id));
            }
        }
        for (name, id) in gone {
            self.clean_up.add(name, id, self.groups.len());
        }
    }
}
