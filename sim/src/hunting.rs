//! `quorate-sim mutants`: builds each planted bug, and hunts it with the default seeds.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use quorate_sim::mutants::{self, Copy, Mutant, MutantError};
use quorate_sim::recorder::Outcome;
use quorate_sim::shrink::shrink;
use quorate_sim::suite::{Suite, hunt_seeds};

/// Runs of a shrinker, at most.
const SHRINK_RUNS: usize = 150;

/// Looks for one of these properties to fail; says which did, after how many seeds, and how short
/// the plan can be. Fails if none does.
pub fn hunt(suite: Suite, kills: &[String], reports: bool) -> ExitCode {
    let found: Mutex<Option<(u64, Outcome)>> = Mutex::new(None);
    let is_wanted = |outcome: &Outcome| {
        let id = outcome.failure.as_ref().map(quorate_sim::Failure::id);
        id.is_some_and(|id| kills.iter().any(|wanted| wanted == id))
    };
    let summary = hunt_seeds(suite, suite.default_seeds(), kills, |seed, outcome| {
        let is_wanted = is_wanted(outcome);
        if is_wanted {
            let mut found = found.lock().expect("no run panics while it holds this");
            if found.as_ref().is_none_or(|(first, _)| seed < *first) {
                *found = Some((seed, outcome.clone()));
            }
        }
        is_wanted
    });
    let found = found.into_inner().expect("no run panics while it holds this");
    let Some((seed, outcome)) = found else {
        println!("alive after {} seeds; what failed: {:?}", summary.runs, summary.failures);
        return ExitCode::FAILURE;
    };
    let small = shrink(suite, outcome.clone(), SHRINK_RUNS);
    if reports {
        println!("{}", quorate_sim::report::report(suite, seed, &outcome, Some(&small)));
    }
    let shrunk = small.outcome;
    let id = shrunk.failure.as_ref().map_or("nothing", quorate_sim::Failure::id);
    let steps = shrunk.plan.steps.len();
    println!("{id} after {} seeds (seed {seed:#x}), shrunk to {steps} steps", summary.runs);
    ExitCode::SUCCESS
}

/// Judges mutants. The last line counts those that were killed and those that were not.
pub fn mutants(only: Option<&str>, sample: Option<usize>, by: &str, reports: bool) -> ExitCode {
    let (top, folder) = (Path::new("."), Path::new("target/mutants"));
    let mut chosen = match mutants::all(top) {
        Ok(all) => all,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if let Some(only) = only {
        chosen.retain(|mutant| mutant.name.contains(only));
    }
    if let Some(count) = sample {
        chosen = mutants::sample(chosen, count, by);
    }
    let copy = match std::path::absolute(folder).map(|folder| Copy::new(top, &folder)) {
        Ok(Ok(copy)) => copy,
        Ok(Err(error)) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::from(2);
        }
    };
    let bar = ProgressBar::new(chosen.len() as u64);
    let template = "{elapsed_precise} {wide_bar} {pos}/{len} {msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("a good template"));
    let mut killed = 0;
    for mutant in &chosen {
        bar.set_message(mutant.name.clone());
        let (is_dead, words) = match judge(&copy, mutant, reports) {
            Ok(verdict) => verdict,
            Err(error) => (false, error.to_string()),
        };
        killed += usize::from(is_dead);
        let verdict = if is_dead { "killed" } else { "FAILED" };
        bar.suspend(|| println!("{verdict} {}: {words}", mutant.name));
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("{killed} passed, {} failed", chosen.len() - killed);
    ExitCode::from(u8::from(killed < chosen.len()))
}

fn judge(copy: &Copy, mutant: &Mutant, reports: bool) -> Result<(bool, String), MutantError> {
    let program = copy.build(mutant)?;
    let kills = mutant.kills.join(",");
    let mut command = Command::new(&program);
    command.args(["hunt", "--suite", mutant.suite.name(), "--kills", &kills]);
    if reports {
        command.arg("--report");
    }
    let output = command.output().map_err(|error| MutantError::Io { path: program, error })?;
    let words = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success(), words))
}
