//! Many seeds, on all threads: what a suite runs, and what it says at the end.
//!
//! Decided here: which seeds are the default ones, how `SIM_SEEDS` and `SIM_SEED` override them,
//! and that a panic of a run is that run's failure and nobody else's.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::BuildHasher;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use litemap::LiteMap;

use crate::plan::Plan;
use crate::recorder::{Failure, Outcome};

/// Which simulator.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// The core alone, in a world that is nothing but data.
    #[default]
    Direct,
    /// The whole broker around it, over sockets that are simulated.
    #[cfg(feature = "shell")]
    Shell,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Suite::Direct => "direct",
            #[cfg(feature = "shell")]
            Suite::Shell => "shell",
        })
    }
}

impl Suite {
    /// The plan of a seed.
    #[must_use]
    pub fn plan(self, seed: u64) -> Plan {
        match self {
            Suite::Direct => crate::swarm::plan(seed),
            #[cfg(feature = "shell")]
            Suite::Shell => crate::swarm::shell_plan(seed),
        }
    }

    /// Runs a plan. A panic, of whatever code, is the run's failure.
    #[must_use]
    pub fn run(self, plan: &Plan) -> Outcome {
        let run = || match self {
            Suite::Direct => crate::world::run(plan),
            #[cfg(feature = "shell")]
            Suite::Shell => crate::turmoil::run(plan),
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| crashed(plan, &*panic))
    }

    /// The seeds that `cargo test` runs.
    #[must_use]
    pub fn default_seeds(self) -> Range<u64> {
        match self {
            Suite::Direct => 0..2_000,
            #[cfg(feature = "shell")]
            Suite::Shell => 0..200,
        }
    }
}

fn crashed(plan: &Plan, panic: &(dyn std::any::Any + Send)) -> Outcome {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Outcome {
        plan: plan.clone(),
        events: Vec::new(),
        hashes: Vec::new(),
        simulated: Duration::ZERO,
        marks: BTreeSet::new(),
        classes: plan.classes(),
        last: Default::default(),
        failure: Some(Failure::Crash(text.unwrap_or_else(|| "no message".to_owned()))),
    }
}

/// The environment names seeds that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no seeds: say a number (SIM_SEED=0x2a) or a range (SIM_SEEDS=0..5000)")]
pub struct BadSeeds(pub String);

/// Reads a seed, decimal or hexadecimal after `0x`.
pub fn parse_seed(text: &str) -> Result<u64, BadSeeds> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| BadSeeds(text.to_owned()))
}

/// Reads a range of seeds, `a..b`.
pub fn parse_seeds(text: &str) -> Result<Range<u64>, BadSeeds> {
    let (start, end) = text.split_once("..").ok_or_else(|| BadSeeds(text.to_owned()))?;
    Ok(parse_seed(start)?..parse_seed(end)?)
}

/// The seeds to run: those of `SIM_SEED` or `SIM_SEEDS`, else the suite's own.
pub fn seeds_from_environment(suite: Suite) -> Result<Range<u64>, BadSeeds> {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = parse_seed(&seed)?;
        return Ok(seed..seed + 1);
    }
    match std::env::var("SIM_SEEDS") {
        Ok(seeds) => parse_seeds(&seeds),
        Err(_) => Ok(suite.default_seeds()),
    }
}

/// Seeds beside the default ones, other ones for each commit, so that each explores something new:
/// a twentieth of as many. None where git says nothing.
#[must_use]
pub fn seeds_of_commit(suite: Suite) -> Vec<u64> {
    let git = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output();
    let Ok(output) = git else { return Vec::new() };
    if !output.status.success() {
        return Vec::new();
    }
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let defaults = suite.default_seeds();
    let hasher = foldhash::quality::FixedState::default();
    let seed = |number: u64| hasher.hash_one((&commit, number)) | 1 << 63;
    (0..(defaults.end - defaults.start) / 20).map(seed).collect()
}

/// What many runs came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many ran.
    pub runs: u64,
    /// Events of all of them.
    pub events: u64,
    /// Simulated time of all of them.
    pub simulated: Duration,
    /// How many had two or more kinds of faults.
    pub with_two_classes: u64,
    /// How many runs hit each mark.
    pub marks: LiteMap<&'static str, u64>,
    /// The failures, by seed: what failed.
    pub failures: LiteMap<u64, &'static str>,
}

impl Summary {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.events += outcome.events.len() as u64;
        self.simulated += outcome.simulated;
        self.with_two_classes += u64::from(outcome.classes.len() >= 2);
        for mark in &outcome.marks {
            *self.marks.entry(mark).or_default() += 1;
        }
        if let Some(failure) = &outcome.failure {
            self.failures.insert(seed, failure.id());
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs.max(1);
        write!(
            f,
            "{} seeds, {} failed; on average {} events and {} simulated seconds; {} with two or \
             more kinds of faults",
            self.runs,
            self.failures.len(),
            self.events / runs,
            self.simulated.as_secs() / runs,
            self.with_two_classes,
        )
    }
}

/// Runs seeds on all processors. `told` hears of each run, from whichever thread, and says whether
/// that is enough.
pub fn run_seeds(
    suite: Suite,
    seeds: impl IntoIterator<Item = u64, IntoIter: Send>,
    told: impl Fn(u64, &Outcome) -> bool + Sync,
) -> Summary {
    run_plans(seeds, |seed| suite.run(&suite.plan(seed)), told)
}

/// As [`run_seeds`], but only violations of these properties count.
pub fn hunt_seeds(
    suite: Suite,
    seeds: impl IntoIterator<Item = u64, IntoIter: Send>,
    only: &[String],
    told: impl Fn(u64, &Outcome) -> bool + Sync,
) -> Summary {
    let run = |seed| suite.run(&Plan { only: only.to_vec(), ..suite.plan(seed) });
    run_plans(seeds, run, told)
}

fn run_plans(
    seeds: impl IntoIterator<Item = u64, IntoIter: Send>,
    run: impl Fn(u64) -> Outcome + Sync,
    told: impl Fn(u64, &Outcome) -> bool + Sync,
) -> Summary {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seeds = Mutex::new(seeds.into_iter());
    let is_over = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let Some(seed) = seeds.lock().expect("no iterator of seeds panics").next() else {
                break;
            };
            let outcome = run(seed);
            if told(seed, &outcome) {
                is_over.store(true, Ordering::Relaxed);
            }
            let mut summary = summary.lock().expect("no run panics while it holds the summary");
            summary.add(seed, &outcome);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    summary.into_inner().expect("no run panics while it holds the summary")
}
