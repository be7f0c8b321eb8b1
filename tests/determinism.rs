//! Does a seed always give the same run? Without this no other failure can be looked into.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use quorate_sim::suite::Suite;
use quorate_sim::trace;

/// How many seeds of each simulator are run twice, and once more in another process.
const SEEDS: [(Suite, u64); 2] = [(Suite::Direct, 50), (Suite::Shell, 10)];

/// Set for the other process: where it writes its lines.
const CHILD: &str = "QUORATE_DETERMINISM_CHILD";

/// All lines of a run, and a last one for what lines do not say.
fn lines(suite: Suite, seed: u64) -> Vec<String> {
    let outcome = suite.run(&suite.plan(seed));
    let last = outcome.hashes.last().copied().unwrap_or_default();
    let mut lines = vec![format!("== {suite} {seed}")];
    lines.extend(trace::full_lines(&outcome.events));
    lines.push(format!("{} events, their hash {last:016x}", outcome.events.len()));
    lines
}

fn all_seeds() -> impl Iterator<Item = (Suite, u64)> {
    SEEDS.into_iter().flat_map(|(suite, seeds)| (0..seeds).map(move |seed| (suite, seed)))
}

fn all_lines() -> Vec<String> {
    all_seeds().flat_map(|(suite, seed)| lines(suite, seed)).collect()
}

/// The lines of all seeds, run once for both tests.
fn ours() -> &'static [String] {
    static OURS: OnceLock<Vec<String>> = OnceLock::new();
    OURS.get_or_init(all_lines)
}

/// Of two texts that should be equal, the run and the first line in which they are not.
fn difference(one: &[String], other: &[String]) -> Option<String> {
    let longer = one.len().max(other.len());
    let at = (0..longer).find(|at| one.get(*at) != other.get(*at))?;
    let run = one[..at.min(one.len())].iter().rev().find_map(|line| line.strip_prefix("== "));
    let shown = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(the end)".to_owned());
    Some(format!(
        "seed: {}\nonce: {}\nthen: {}",
        run.unwrap_or("(the first)"),
        shown(one),
        shown(other)
    ))
}

fn assert_equal(one: &[String], other: &[String]) {
    if let Some(difference) = difference(one, other) {
        panic!("two runs of a seed differ, first in this line\n{difference}");
    }
}

#[test]
fn a_seed_gives_the_same_lines_twice_in_one_process() {
    for (suite, seed) in all_seeds() {
        assert_eq!(suite.plan(seed), suite.plan(seed), "the plan of {suite} {seed}");
    }
    assert!(ours().len() > 1_000, "seeds do something");
    assert_equal(ours(), &all_lines());
}

#[test]
fn a_seed_gives_the_same_lines_in_another_process() {
    if let Some(file) = std::env::var_os(CHILD) {
        std::fs::write(file, ours().join("\n")).expect("lines can be written");
        return;
    }
    let this_test = "a_seed_gives_the_same_lines_in_another_process";
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("determinism.txt");
    let exe = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(exe);
    child.args(["--exact", this_test]).env(CHILD, &file);
    let output = child.output().expect("this program runs again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = std::fs::read_to_string(&file).expect("lines can be read");
    std::fs::remove_file(&file).expect("lines can be removed");
    let theirs: Vec<String> = text.split('\n').map(str::to_owned).collect();
    assert_equal(ours(), &theirs);
}

#[test]
fn of_two_runs_that_differ_the_first_such_line_is_shown() {
    let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let one = text(&["== direct 0", "a", "== direct 1", "b", "c"]);
    assert_eq!(difference(&one, &one), None);
    let other = text(&["== direct 0", "a", "== direct 1", "x", "y"]);
    assert_eq!(difference(&one, &other).as_deref(), Some("seed: direct 1\nonce: b\nthen: x"));
    let shown = difference(&one, &one[..3]);
    assert_eq!(shown.as_deref(), Some("seed: direct 1\nonce: b\nthen: (the end)"));
}
