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

use std::collections::BTreeSet;
use std::fmt;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::oracle::{Found, Violation};
use check::Judge;
use model::{Action, MayStill, Print, State};
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
    /// How many situations there are. One in which the same may happen as in another, only less
    /// often, is not counted; nor is one that differs only in who is who, or by how much all
    /// generations are higher.
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

/// How a situation was first reached.
struct Reached {
    is: Print,
    from: Print,
    by: Action,
}

/// All situations, those that differ only in what may still happen side by side, and how much may
/// in those that are equal but for the number of their generation.
#[derive(Default)]
struct Seen {
    reached: HashMap<u64, Vec<Reached>, FixedState>,
    shifted: HashMap<u64, Vec<MayStill>, FixedState>,
}

impl Seen {
    /// Whether nothing that was seen is the same and leaves as much to happen. What can happen
    /// from there on, and all that can be wrong with it, is found from the other one as well.
    fn is_new(&mut self, is: Print, from: Print, by: Action) -> bool {
        if let Some(shifted) = is.shifted {
            let same = self.shifted.entry(shifted).or_default();
            if same.iter().any(|left| left.covers(is.left)) {
                return false;
            }
            same.push(is.left);
        }
        let same = self.reached.entry(is.situation).or_default();
        let is_new = !same.iter().any(|known| known.is.left.covers(is.left));
        if is_new {
            same.push(Reached { is, from, by });
        }
        is_new
    }

    fn way_to(&self, mut state: Print) -> Vec<Action> {
        let mut way = Vec::new();
        loop {
            let reached = self.reached.get(&state.situation).into_iter().flatten();
            match reached.into_iter().find(|reached| reached.is == state) {
                Some(reached) if reached.from != state => {
                    way.push(reached.by);
                    state = reached.from;
                }
                _ => break,
            }
        }
        way.reverse();
        way
    }
}

/// Explores a world to its end, or to the first violation. On one thread, so that the same is
/// counted each time.
#[must_use]
pub fn explore(scope: &Scope) -> Report {
    let mut seen = Seen::default();
    let start = State::start(scope);
    let first = start.print();
    seen.is_new(first, first, Action::Fire);
    let mut level = vec![(first, start)];
    let mut report =
        Report { states: 1, steps: 0, depth: 0, marks: BTreeSet::new(), counterexample: None };
    while !level.is_empty() {
        let mut next = Vec::new();
        for (from, state) in level {
            let violated = report.expand(scope, &mut seen, &mut next, from, &state);
            if let Some(action) = violated {
                let mut way = seen.way_to(from);
                way.push(action);
                report.counterexample = tell(scope, &way);
                return report;
            }
        }
        level = next;
        report.states += level.len();
        report.depth += usize::from(!level.is_empty());
    }
    report
}

impl Report {
    /// All that can happen next; what does that must not.
    fn expand(
        &mut self,
        scope: &Scope,
        seen: &mut Seen,
        next: &mut Vec<(Print, State)>,
        from: Print,
        state: &State,
    ) -> Option<Action> {
        let before = state.view();
        for action in state.actions(scope) {
            let stepped = state.after(scope, before.as_ref(), action);
            let (before, found) = (before.as_ref(), Found::default());
            let mut judge = Judge { scope, action, before, found, marks: &mut self.marks };
            let after = judge.finish(stepped);
            self.steps += 1;
            let print = after.print();
            let is_new = seen.is_new(print, from, action);
            if is_new {
                judge.holds(&after);
            }
            if judge.found.first().is_some() {
                return Some(action);
            }
            if is_new {
                next.push((print, after));
            }
        }
        None
    }
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
        judge.holds(&state);
        if let Some(violation) = judge.found.first() {
            let detail = names.shorten(&violation.detail);
            lines.push(format!("      ** {detail}"));
            let violation = violation.clone();
            return Some(Counterexample { violation, lines });
        }
    }
    None
}
