//! Hears all events of a run: numbers and hashes them, shows them to the oracles and marks, and
//! keeps them for the trace.
//!
//! Decided here: when a run has failed, and what makes two runs the same: the hash over all events
//! with their times.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::quality::FixedState;
use litemap::LiteMap;
use quorate_core::{Now, Offset, Record, Shard, ShardId};

use crate::event::{Context, End, Event, Groups, LastSeen, Place, What};
use crate::marks::Marks;
use crate::oracle::{Found, Oracle, Violation};
use crate::plan::{FaultClass, Plan};

/// See the module.
pub struct Recorder {
    oracles: Vec<Box<dyn Oracle + Send>>,
    marks: Marks,
    found: Found,
    crash: Option<String>,
    events: Vec<Event>,
    hashes: Vec<u64>,
    seen: LiteMap<Place, LastSeen>,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was to be done.
    pub plan: Plan,
    /// All events.
    pub events: Vec<Event>,
    /// For each event, the hash of all up to and with it: equal runs have equal hashes.
    pub hashes: Vec<u64>,
    /// When it ended.
    pub simulated: Duration,
    /// Marks that were hit.
    pub marks: BTreeSet<&'static str>,
    /// The kinds of faults that the plan had.
    pub classes: BTreeSet<FaultClass>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// What was left when it ended.
    pub last: Last,
}

/// What is left at the end of a run.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// Shards that serve.
    pub shards: Vec<LastSeen>,
    /// How large the log of each shard is.
    pub logs: LiteMap<ShardId, LogSize>,
}

/// How large a log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSize {
    /// Its records.
    pub records: usize,
    /// The keys whose last record is not a tombstone.
    pub keys: usize,
}

impl LogSize {
    fn of(log: &[(Offset, Record)]) -> LogSize {
        let mut live: LiteMap<_, _> = LiteMap::new();
        for (_, record) in log {
            live.insert(&record.key, record.value.is_some());
        }
        LogSize { records: log.len(), keys: live.values().filter(|live| **live).count() }
    }
}

impl Last {
    fn of(end: &End<'_>) -> Last {
        let logs = end.logs.iter().map(|(shard, log)| (*shard, LogSize::of(log)));
        Last { shards: end.shards.clone(), logs: logs.collect() }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The code under test panicked.
    #[error("crash: {0}")]
    Crash(String),
    /// A property does not hold.
    #[error("{0}")]
    Property(#[from] Violation),
}

impl Failure {
    /// What failed, as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Failure::Crash(_) => self.to_string(),
            Failure::Property(violation) => violation.property.to_string(),
        }
    }

    /// What failed, in one word: a property's id, or `crash`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Failure::Crash(_) => "crash",
            Failure::Property(violation) => violation.property.id,
        }
    }
}

impl Recorder {
    /// Hears a run of a plan, for all oracles.
    #[must_use]
    pub fn of(plan: &Plan) -> Recorder {
        let found = if plan.only.is_empty() { Found::default() } else { Found::only(&plan.only) };
        Recorder { found, ..Recorder::new(crate::oracle::all(plan)) }
    }

    /// Hears a run for these oracles.
    #[must_use]
    pub fn new(oracles: Vec<Box<dyn Oracle + Send>>) -> Recorder {
        Recorder {
            oracles,
            marks: Marks::default(),
            found: Found::default(),
            crash: None,
            events: Vec::new(),
            hashes: Vec::new(),
            seen: LiteMap::new(),
        }
    }

    /// Something happened that is not a shard's own.
    pub fn see(&mut self, at: Duration, what: What) {
        if let What::Ended { place, .. } = &what {
            self.seen.remove(place);
        }
        self.judge(Event { at, what }, None);
    }

    /// A shard was loaded or took a step: `what` says which and what, `shard` is it afterwards.
    pub fn see_shard(&mut self, at: Duration, what: What, shard: &Shard) {
        let (What::Loaded { place, now, .. } | What::Stepped { place, now, .. }) = &what else {
            unreachable!("it is a shard's own");
        };
        let (place, now) = (*place, *now);
        let after = shard.groups();
        let before = self.remember(place, now, shard, after.clone());
        let context = Context { before: &before, after: &after, shard };
        self.judge(Event { at, what }, Some(context));
    }

    fn remember(&mut self, place: Place, now: Now, shard: &Shard, groups: Groups) -> Groups {
        let (parked, in_flight) = (shard.parked(), shard.in_flight());
        let seen = LastSeen { place, groups, parked, in_flight, now };
        self.seen.insert(place, seen).map(|before| before.groups).unwrap_or_default()
    }

    fn judge(&mut self, event: Event, context: Option<Context<'_>>) {
        if self.has_failed() {
            return;
        }
        let hash = FixedState::default().hash_one((self.hashes.last(), &event));
        self.hashes.push(hash);
        for oracle in &mut self.oracles {
            oracle.see(&event, context, &mut self.found);
        }
        self.marks.see(&event, context);
        self.events.push(event);
    }

    /// Whether it is decided already that the run failed: then it need not go on.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.crash.is_some() || self.found.first().is_some()
    }

    /// The code under test panicked outside of a shard's step.
    pub fn crashed(&mut self, message: String) {
        self.crash.get_or_insert(message);
    }

    /// The incarnations that serve now.
    #[must_use]
    pub fn serving(&self) -> Vec<LastSeen> {
        self.seen.values().cloned().collect()
    }

    /// The run is over.
    #[must_use]
    pub fn end(mut self, end: &End<'_>) -> Outcome {
        if !self.has_failed() {
            for oracle in &mut self.oracles {
                oracle.end(end, &mut self.found);
            }
        }
        let crash = self.crash.map(Failure::Crash);
        let failure = crash.or_else(|| self.found.first().cloned().map(Failure::Property));
        Outcome {
            classes: end.plan.classes(),
            plan: end.plan.clone(),
            events: self.events,
            hashes: self.hashes,
            simulated: end.at,
            marks: self.marks.hit(),
            failure,
            last: Last::of(end),
        }
    }
}
