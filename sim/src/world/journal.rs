//! The journal of one shard: what is stored, who may write, and what goes wrong with it.
//!
//! Decided here: an append is first decided (stored, refused, or nobody can tell) and only later
//! told to its writer; a higher epoch can come between. Whoever acquires takes the writing from
//! the one before at that moment, and finds all that was decided by then. After a refused append
//! what its writer had sent meanwhile is passed over, as its positions do not fit any more.

use std::collections::VecDeque;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{Batch, BatchId, Epoch, Offset, Record, RejectCause};

use super::node::Process;
use crate::event::NotStored;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Journal {
    epoch: Epoch,
    term: u64,
    log: Vec<(Offset, Record)>,
    next: Offset,
    pending: VecDeque<Pending>,
    /// Nothing of this writer is taken any more: the outcome of an append of it is unknown.
    lost: Option<Epoch>,
    stalled: Option<Duration>,
    refuse: Option<(u8, RejectCause)>,
    unknown: Option<bool>,
}

/// An append that is not decided yet.
#[derive(Debug, Clone)]
struct Pending {
    due: Duration,
    writer: Process,
    batch: Batch,
}

/// What became of an append, for its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Appended { through: BatchId },
    Rejected { from: BatchId, cause: RejectCause },
    Fenced { by: Option<Epoch> },
}

/// A writer hears of a fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub writer: Process,
    pub epoch: Epoch,
    pub fate: Fate,
}

/// What happened to a batch, for the oracles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decided {
    Stored(Batch),
    Not { epoch: Epoch, from: BatchId, why: NotStored },
}

/// What came of looking at the journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decisions {
    pub decided: Vec<Decided>,
    pub told: Vec<Told>,
}

impl Decisions {
    fn stored(&mut self, writer: Process, batch: Batch) {
        let (epoch, through) = (batch.epoch, batch.id);
        self.decided.push(Decided::Stored(batch));
        match self.told.last_mut() {
            Some(Told { writer: by, epoch: of, fate: Fate::Appended { through: last } })
                if *by == writer && *of == epoch =>
            {
                *last = through;
            }
            _ => self.told.push(Told { writer, epoch, fate: Fate::Appended { through } }),
        }
    }

    fn not(&mut self, writer: Process, batch: &Batch, why: NotStored, fate: Fate) {
        self.decided.push(Decided::Not { epoch: batch.epoch, from: batch.id, why });
        self.told.push(Told { writer, epoch: batch.epoch, fate });
    }
}

impl Journal {
    /// A broker becomes the writer, if no other was made leader since `term`. With it come the
    /// fates of what the one before had not stored yet.
    pub fn acquire(&mut self, term: u64) -> Option<(Epoch, Offset, Decisions)> {
        if term < self.term {
            return None;
        }
        self.term = term;
        self.epoch = Epoch(self.epoch.0 + 1);
        let mut out = Decisions::default();
        for old in std::mem::take(&mut self.pending) {
            self.fenced(&mut out, &old);
        }
        Some((self.epoch, self.next, out))
    }

    /// Whether that is the newest epoch.
    pub fn is_of(&self, epoch: Epoch) -> bool {
        self.epoch == epoch
    }

    /// Takes an append in; when to look for its fate.
    pub fn append(
        &mut self,
        at: Duration,
        takes: Duration,
        writer: Process,
        batch: Batch,
    ) -> Duration {
        let after = self.pending.back().map_or(at, |last| last.due.max(at));
        let due = (at + takes).max(after);
        self.pending.push_back(Pending { due, writer, batch });
        due
    }

    /// Decides what is due, and when to look again if something is left.
    pub fn decide(&mut self, at: Duration) -> (Decisions, Option<Duration>) {
        let mut out = Decisions::default();
        if let Some(until) = self.stalled.filter(|until| *until > at) {
            return (out, (!self.pending.is_empty()).then_some(until));
        }
        self.stalled = None;
        while let Some(append) = self.pending.pop_front_if(|append| append.due <= at) {
            self.decide_one(append, &mut out);
        }
        (out, self.pending.front().map(|append| append.due))
    }

    fn decide_one(&mut self, append: Pending, out: &mut Decisions) {
        let (writer, epoch, id) = (append.writer, append.batch.epoch, append.batch.id);
        if epoch != self.epoch {
            self.fenced(out, &append);
        } else if self.lost == Some(epoch) || append.batch.base != self.next {
            // It was sent before its writer heard of the refusal of an earlier one.
        } else if let Some((left, cause)) = self.refuse {
            self.refuse = (left > 1).then(|| (left - 1, cause));
            let fate = Fate::Rejected { from: id, cause };
            out.not(writer, &append.batch, NotStored::Rejected(cause), fate);
            self.pending.retain(|later| later.batch.epoch != epoch);
        } else if let Some(stored) = self.unknown.take() {
            self.lost = Some(epoch);
            if stored {
                self.put(&append.batch);
                out.decided.push(Decided::Stored(append.batch.clone()));
            }
            out.not(writer, &append.batch, NotStored::Unknown, Fate::Fenced { by: None });
        } else {
            self.put(&append.batch);
            out.stored(writer, append.batch);
        }
    }

    fn fenced(&self, out: &mut Decisions, append: &Pending) {
        let fate = Fate::Fenced { by: Some(self.epoch) };
        out.not(append.writer, &append.batch, NotStored::Fenced(self.epoch), fate);
    }

    fn put(&mut self, batch: &Batch) {
        for (at, record) in (batch.base.0..).zip(&batch.records) {
            self.log.push((Offset(at), record.clone()));
            self.next = Offset(at + 1);
        }
    }

    /// A writer loses power: of what is not decided, the first `kept` percent are stored all the
    /// same, and nobody is told of any.
    pub fn power_lost(&mut self, writer: Process, kept: u8) -> Vec<Decided> {
        let (mine, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|p| p.writer == writer);
        self.pending = others.into();
        let keeps = mine.len() * usize::from(kept.min(100)) / 100;
        let mut out = Vec::new();
        let mut lost = false;
        for (at, append) in mine.into_iter().enumerate() {
            let batch = append.batch;
            let fits = batch.epoch == self.epoch && batch.base == self.next;
            if at < keeps && fits && self.lost != Some(batch.epoch) {
                self.put(&batch);
                out.push(Decided::Stored(batch));
            } else if fits && !lost {
                lost = true;
                let (epoch, from) = (batch.epoch, batch.id);
                out.push(Decided::Not { epoch, from, why: NotStored::Lost });
            }
        }
        out
    }

    /// Up to `count` records from a position on, oldest first.
    pub fn read(&self, from: Offset, count: usize) -> Vec<(Offset, Record)> {
        let start = self.log.partition_point(|(at, _)| *at < from);
        self.log[start..].iter().take(count).cloned().collect()
    }

    /// Of each key only the last record below the cut is left, and of tombstones none.
    pub fn compact(&mut self, percent: u8, tombstones: bool) -> Vec<(Offset, Record)> {
        let cut = self.log.len() * usize::from(percent.min(100)) / 100;
        let mut last: LiteMap<_, _> = LiteMap::new();
        for (at, (_, record)) in self.log[..cut].iter().enumerate() {
            last.insert(record.key.clone(), at);
        }
        let mut at = 0;
        self.log.retain(|(_, record)| {
            let below = at < cut;
            let newest = last.get(&record.key) == Some(&at);
            at += 1;
            !below || (newest && !(tombstones && record.value.is_none()))
        });
        self.log.clone()
    }

    pub fn log(&self) -> Vec<(Offset, Record)> {
        self.log.clone()
    }

    /// How many records are stored.
    pub fn len(&self) -> usize {
        self.log.len()
    }

    pub fn stall(&mut self, until: Duration) {
        self.stalled = Some(self.stalled.map_or(until, |other| other.max(until)));
    }

    pub fn refuse(&mut self, appends: u8, cause: RejectCause) {
        self.refuse = (appends > 0).then_some((appends, cause));
    }

    pub fn forget_outcome(&mut self, stored: bool) {
        self.unknown = Some(stored);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        (self.stalled, self.refuse, self.unknown) = (None, None, None);
    }
}

#[cfg(test)]
mod tests;
