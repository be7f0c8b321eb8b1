//! Every situation that a small world can get into, on the shipped core: a breadth-first search
//! over clients' requests, the fates of appends, time and crashes, to its end.
//!
//! Decided here: what is explored and in which order, and how a counterexample is told. What can
//! happen is in `model`, what must hold in `check`, what counts as the same situation in `alias`.
//! Safety only: that something comes to a good end at last is for the seeded simulators.

mod alias;
mod check;
mod client;
mod model;
mod names;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

use crate::oracle::{Found, Violation};
use check::Judge;
use model::{Action, State};
use names::Names;

pub use check::PROPERTIES;

/// A small world.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Its name.
    pub name: &'static str,
    /// The clients, each whether it is static.
    pub clients: &'static [bool],
    /// How often each client may join. A join with the id that was just handed out is not counted.
    pub joins: u8,
    /// How often the process may die.
    pub crashes: u8,
    /// How often the journal may refuse.
    pub refusals: u8,
    /// How many commits there may be.
    pub commits: u8,
    /// How often the group may be deleted.
    pub deletions: u8,
    /// What is broken on purpose.
    pub plant: Plant,
}

/// A fault that must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// None.
    Nothing,
    /// A journal that says that it has stored what it has not.
    LyingJournal,
}

/// What an exploration came to.
#[derive(Debug)]
pub struct Report {
    /// How many situations there are.
    pub states: usize,
    /// How many steps lead from one to another.
    pub steps: usize,
    /// How many steps the farthest one is away.
    pub depth: usize,
    /// What of note happened somewhere.
    pub marks: BTreeSet<&'static str>,
    /// The shortest way to a situation that must not be.
    pub counterexample: Option<Counterexample>,
}

/// How a property fails.
#[derive(Debug)]
pub struct Counterexample {
    /// Which property, and what was seen.
    pub violation: Violation,
    /// What happened, a line each.
    pub lines: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation.property)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

const SHARDS: usize = 64;

/// Some situations: from which each was first reached, by what.
type Part = Mutex<BTreeMap<u64, (u64, Action)>>;

/// All situations, by the first bits of their fingerprints.
struct Seen(Vec<Part>);

impl Seen {
    fn is_new(&self, state: u64, from: u64, by: Action) -> bool {
        let mut part = self.part(state).lock().expect("no thread panics here");
        match part.entry(state) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert((from, by));
                true
            }
        }
    }

    fn part(&self, state: u64) -> &Part {
        &self.0[(state >> 58) as usize]
    }

    fn path_to(&self, mut state: u64) -> Vec<Action> {
        let mut path = Vec::new();
        while let Some((from, by)) =
            self.part(state).lock().expect("no thread panics here").get(&state).copied()
        {
            if from == state {
                break;
            }
            path.push(by);
            state = from;
        }
        path.reverse();
        path
    }
}

/// What one thread found while it expanded its part of a level.
#[derive(Default)]
struct Expanded {
    next: Vec<(u64, State)>,
    steps: usize,
    marks: BTreeSet<&'static str>,
    violated: Option<(u64, Action)>,
}

/// Explores a world to its end, or to the first violation. With one thread, always the same one.
#[must_use]
pub fn explore(scope: &Scope, threads: usize) -> Report {
    let seen = Seen((0..SHARDS).map(|_| Mutex::default()).collect());
    let start = State::start(scope);
    let first = start.fingerprint();
    seen.is_new(first, first, Action::Fire);
    let mut level = vec![(first, start)];
    let mut report =
        Report { states: 1, steps: 0, depth: 0, marks: BTreeSet::new(), counterexample: None };
    while !level.is_empty() {
        let size = level.len().div_ceil(threads);
        let parts: Vec<Vec<_>> = {
            let mut rest = level.into_iter();
            (0..threads).map(|_| rest.by_ref().take(size).collect()).collect()
        };
        let done: Vec<Expanded> = std::thread::scope(|threads| {
            let run = |part| threads.spawn(|| expand(scope, &seen, part));
            let running: Vec<_> = parts.into_iter().map(run).collect();
            running.into_iter().map(|thread| thread.join().expect("the core panics")).collect()
        });
        level = Vec::new();
        let mut violated = None;
        for part in done {
            report.steps += part.steps;
            report.marks.extend(part.marks);
            violated = violated.or(part.violated);
            level.extend(part.next);
        }
        report.states += level.len();
        report.depth += usize::from(!level.is_empty());
        if let Some((from, action)) = violated {
            let mut path = seen.path_to(from);
            path.push(action);
            report.counterexample = tell(scope, &path);
            return report;
        }
    }
    report
}

fn expand(scope: &Scope, seen: &Seen, part: Vec<(u64, State)>) -> Expanded {
    let mut out = Expanded::default();
    for (from, state) in part {
        let before = state.view();
        for action in state.actions(scope) {
            let stepped = state.after(scope, before.as_ref(), action);
            let marks = &mut out.marks;
            let before = before.as_ref();
            let mut judge = Judge { scope, action, before, found: Found::default(), marks };
            let next = judge.finish(stepped);
            out.steps += 1;
            if judge.found.first().is_some() {
                out.violated = Some((from, action));
                return out;
            }
            let print = next.fingerprint();
            if seen.is_new(print, from, action) {
                out.next.push((print, next));
            }
        }
    }
    out
}

/// Goes the way again, and writes down what happens.
fn tell(scope: &Scope, path: &[Action]) -> Option<Counterexample> {
    let (mut state, mut lines) = (State::start(scope), Vec::new());
    let mut marks = BTreeSet::new();
    let mut names = Names::default();
    for action in path {
        let before = state.view();
        let stepped = state.after(scope, before.as_ref(), *action);
        let line = names.line(*action, &state);
        lines.push(line);
        lines.extend(stepped.effects.iter().map(|effect| names.effect(effect)));
        let before = before.as_ref();
        let (found, marks) = (Found::default(), &mut marks);
        let mut judge = Judge { scope, action: *action, before, found, marks };
        state = judge.finish(stepped);
        if let Some(violation) = judge.found.first() {
            let detail = names.shorten(&violation.detail);
            lines.push(format!("      ** {detail}"));
            let violation = violation.clone();
            return Some(Counterexample { violation, lines });
        }
    }
    None
}
