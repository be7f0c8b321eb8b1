//! The log of one shard: what is asked of it, what is decided, and what goes wrong.

use std::collections::VecDeque;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{Batch, BatchId, Epoch, Offset, Record, RejectCause, ShardId};
use quorate_io::journal::{Append, Completion, Journal, Outcome, REPLAY_CHUNK};

use super::{Mail, Writer};
use crate::event::{NotStored, What};
use crate::plan::{Knobs, Latency, NodeIndex};
use crate::random::Stream;
use crate::turmoil::stage::Stage;

/// Into how many parts with rows in them a load is cut, at least; one without comes behind.
const PARTS: usize = 3;

type Row = (Offset, Record);

/// What is asked of a shard.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Acquire,
    Replay(Epoch),
    Append(Append),
}

/// What a decision needs beside the log.
pub(super) struct World<'a> {
    pub stage: &'a Stage,
    pub inner: &'a mut Box<dyn Journal>,
    pub mail: &'a mut LiteMap<u64, Mail>,
}

/// See the module.
pub(super) struct Log {
    pub leader: NodeIndex,
    epoch: Epoch,
    /// All that was stored, but for what was compacted away.
    pub records: Vec<Row>,
    asked: VecDeque<Asked>,
    speed: Stream,
    latency: Latency,
    load: Latency,
    loading: Option<Loading>,
    /// When the last fate is told; later ones are not told before.
    told: Duration,
    pub stalled: Duration,
    pub refuse: Option<(u8, RejectCause)>,
    pub unknown: Option<bool>,
    pub slow: Duration,
    pub fails: bool,
}

#[derive(Debug)]
struct Asked {
    due: Duration,
    handle: u64,
    ask: Ask,
}

/// A load under way.
struct Loading {
    epoch: Epoch,
    pace: Duration,
    parts: VecDeque<Vec<Row>>,
    begun: bool,
    fails: bool,
}

impl Log {
    pub fn new(seed: u64, shard: u32, knobs: &Knobs) -> Log {
        Log {
            leader: NodeIndex(0),
            epoch: Epoch::default(),
            records: Vec::new(),
            asked: VecDeque::new(),
            speed: Stream::new(seed, "journal", u64::from(shard)),
            latency: knobs.journal,
            load: knobs.load,
            loading: None,
            told: Duration::ZERO,
            stalled: Duration::ZERO,
            refuse: None,
            unknown: None,
            slow: Duration::ZERO,
            fails: false,
        }
    }

    /// Takes in what is asked, to be decided later.
    pub fn ask(&mut self, at: Duration, handle: u64, ask: Ask) {
        let takes = match &ask {
            Ask::Acquire | Ask::Append(_) => self.speed.latency(&self.latency) / 2,
            Ask::Replay(epoch) => match &self.loading {
                Some(loading) if loading.epoch == *epoch => loading.pace,
                _ => Duration::ZERO,
            },
        };
        let after = self.asked.back().map_or(at, |last| last.due.max(at));
        self.asked.push_back(Asked { due: (at + takes).max(after), handle, ask });
    }

    /// Decides what is due.
    pub fn decide(&mut self, shard: ShardId, at: Duration, world: &mut World<'_>) {
        if self.stalled > at {
            return;
        }
        while let Some(asked) = self.asked.pop_front_if(|asked| asked.due <= at) {
            let Asked { handle, ask, .. } = asked;
            let (done, more) = match ask {
                Ask::Acquire if !world.mail.contains_key(&handle) => continue,
                Ask::Acquire => (self.acquire(shard, handle, world), Duration::ZERO),
                Ask::Replay(epoch) => self.replay(shard, epoch, world),
                Ask::Append(append) => (self.append(append, world), Duration::ZERO),
            };
            let takes = self.speed.latency(&self.latency) / 2;
            self.told = self.told.max(at + takes + more);
            if let Some(mail) = world.mail.get_mut(&handle) {
                let last = mail.coming.back().map_or(Duration::ZERO, |(due, _)| *due);
                mail.coming.push_back((self.told.max(last), done));
            }
        }
    }

    fn acquire(&mut self, shard: ShardId, handle: u64, world: &mut World<'_>) -> Completion {
        let node = world.mail[&handle].writer.node;
        if node != self.leader {
            return Completion::Unavailable { shard };
        }
        world.inner.acquire(&[shard]);
        let done = polled(world.inner);
        let Completion::Acquired { epoch, next, .. } = done else { return done };
        (self.epoch, self.loading) = (epoch, None);
        world.stage.see(What::Acquired { shard, node, epoch, next });
        Completion::Acquired { shard, epoch, next }
    }

    /// The next part of a load, and by how much it is slow.
    fn replay(
        &mut self,
        shard: ShardId,
        epoch: Epoch,
        world: &mut World<'_>,
    ) -> (Completion, Duration) {
        if epoch != self.epoch {
            return (Completion::Unavailable { shard }, Duration::ZERO);
        }
        let mut slow = Duration::ZERO;
        if self.loading.is_none() {
            let rows = self.rows(shard, epoch, world);
            slow = std::mem::take(&mut self.slow);
            self.loading = Some(self.begin(epoch, rows));
        }
        let loading = self.loading.as_mut().expect("it was just begun");
        let goes_on = std::mem::replace(&mut loading.begun, true);
        if loading.fails && (goes_on || loading.parts.len() <= 1) {
            self.loading = None;
            return (Completion::Unavailable { shard }, slow);
        }
        let rows = loading.parts.pop_front().unwrap_or_default();
        let last = loading.parts.is_empty();
        if last {
            self.loading = None;
        }
        (Completion::Rows { shard, epoch, rows, last }, slow)
    }

    /// All live rows, in an order of no meaning.
    fn rows(&mut self, shard: ShardId, epoch: Epoch, world: &mut World<'_>) -> Vec<Row> {
        let mut all = Vec::new();
        loop {
            world.inner.replay(shard, epoch);
            let Completion::Rows { rows, last, .. } = polled(world.inner) else { return all };
            all.extend(rows);
            if last {
                break;
            }
        }
        for at in (1..all.len()).rev() {
            all.swap(at, self.speed.below(at as u64 + 1) as usize);
        }
        all
    }

    fn begin(&mut self, epoch: Epoch, rows: Vec<Row>) -> Loading {
        let takes = self.speed.latency(&self.load);
        let chunk = rows.len().div_ceil(PARTS).clamp(1, REPLAY_CHUNK);
        let mut parts: VecDeque<Vec<Row>> = rows.chunks(chunk).map(<[Row]>::to_vec).collect();
        // A part may be empty.
        parts.push_back(Vec::new());
        let pace = takes / u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let fails = std::mem::take(&mut self.fails);
        Loading { epoch, pace, parts, begun: false, fails }
    }

    fn append(&mut self, append: Append, world: &mut World<'_>) -> Completion {
        let (shard, epoch) = (append.shard, append.batches[0].epoch);
        let mut stored = None;
        let mut outcome = None;
        for batch in append.batches {
            let id = batch.id;
            match self.batch(shard, batch, stored, world) {
                Outcome::Appended { through } => stored = Some(through),
                other => {
                    outcome = Some(other);
                    let why = match other {
                        Outcome::Rejected { cause, .. } => NotStored::Rejected(cause),
                        Outcome::Fenced { by } => NotStored::Fenced(by),
                        _ => NotStored::Unknown,
                    };
                    world.stage.see(What::Refused { shard, epoch, from: id, why });
                    break;
                }
            }
        }
        let outcome = outcome.or(stored.map(|through| Outcome::Appended { through }));
        let outcome = outcome.expect("an append has a batch");
        Completion::Append { shard, epoch, outcome }
    }

    fn batch(
        &mut self,
        shard: ShardId,
        batch: Batch,
        before: Option<BatchId>,
        world: &mut World<'_>,
    ) -> Outcome {
        let id = batch.id;
        if batch.epoch == self.epoch {
            if let Some((left, cause)) = self.refuse {
                self.refuse = (left > 1).then(|| (left - 1, cause));
                return Outcome::Rejected { stored: before, from: id, cause };
            }
            if let Some(stored) = self.unknown.take() {
                if stored {
                    self.store(shard, batch, world);
                }
                return Outcome::Unknown;
            }
        }
        match self.store(shard, batch, world) {
            Outcome::Rejected { from, cause, .. } => {
                Outcome::Rejected { stored: before, from, cause }
            }
            other => other,
        }
    }

    /// Stores a batch in the memory journal.
    fn store(&mut self, shard: ShardId, batch: Batch, world: &mut World<'_>) -> Outcome {
        world.inner.append(vec![Append { shard, batches: vec![batch.clone()] }]);
        let Completion::Append { outcome, .. } = polled(world.inner) else {
            unreachable!("an append leads to its outcome")
        };
        if matches!(outcome, Outcome::Appended { .. }) {
            let at = (batch.base.0..).map(Offset);
            self.records.extend(at.zip(batch.records.iter().cloned()));
            world.stage.see(What::Stored { shard, batch });
        }
        outcome
    }

    /// See [`super::Journals::power_lost`].
    pub fn power_lost(&mut self, shard: ShardId, writer: Writer, kept: u8, world: &mut World<'_>) {
        let is_mine =
            |asked: &Asked| world.mail.get(&asked.handle).is_some_and(|mail| mail.writer == writer);
        let (mine, others) = std::mem::take(&mut self.asked).into_iter().partition(is_mine);
        self.asked = others;
        let mine: VecDeque<Asked> = mine;
        let appends = mine.into_iter().filter_map(|asked| match asked.ask {
            Ask::Append(append) => Some(append.batches),
            _ => None,
        });
        let batches: Vec<Batch> = appends.flatten().filter(|b| b.epoch == self.epoch).collect();
        let keeps = batches.len() * usize::from(kept.min(100)) / 100;
        for (at, batch) in batches.into_iter().enumerate() {
            let (epoch, from) = (batch.epoch, batch.id);
            if at < keeps {
                self.store(shard, batch, world);
                continue;
            }
            world.stage.see(What::Refused { shard, epoch, from, why: NotStored::Lost });
            break;
        }
    }

    /// Of each key only the last record below the cut is left, and of tombstones none.
    pub fn compact(&mut self, percent: u8, tombstones: bool) -> Vec<Row> {
        // As with Kafka's delete.retention.ms, a reader sees the tombstones of what it saw.
        let tombstones = tombstones && self.loading.is_none();
        let cut = self.records.len() * usize::from(percent.min(100)) / 100;
        let mut last: LiteMap<_, _> = LiteMap::new();
        for (at, (_, record)) in self.records[..cut].iter().enumerate() {
            last.insert(record.key.clone(), at);
        }
        let mut at = 0;
        self.records.retain(|(_, record)| {
            let below = at < cut;
            let newest = last.get(&record.key) == Some(&at);
            at += 1;
            !below || (newest && !(tombstones && record.value.is_none()))
        });
        self.records.clone()
    }

    pub fn heal(&mut self) {
        (self.stalled, self.refuse, self.unknown) = (Duration::ZERO, None, None);
        (self.slow, self.fails) = (Duration::ZERO, false);
    }
}

/// What the memory journal's call led to: it completes within.
fn polled(inner: &mut Box<dyn Journal>) -> Completion {
    let mut done = Vec::new();
    inner.poll(&mut done);
    done.pop().expect("the memory journal completes each call within")
}
