//! Do all properties hold over thousands of seeds, and do the seeds reach what they must?
//!
//! `SIM_SEEDS=a..b` or `SIM_SEED=x` choose other seeds. Without them each commit has some of its
//! own beside the default ones.

use quorate_sim::marks;
use quorate_sim::report::report;
use quorate_sim::shrink::shrink;
use quorate_sim::suite::{Suite, Summary, run_seeds, seeds_from_environment, seeds_of_commit};

/// Runs of a shrinker, at most.
const SHRINK_RUNS: usize = 400;

fn all_hold(suite: Suite) -> Summary {
    let seeds = seeds_from_environment(suite).expect("SIM_SEED or SIM_SEEDS");
    let of_commit = if seeds == suite.default_seeds() { seeds_of_commit(suite) } else { vec![] };
    let summary = held(suite, seeds);
    held(suite, of_commit);
    summary
}

fn held(suite: Suite, seeds: impl IntoIterator<Item = u64, IntoIter: Send>) -> Summary {
    let summary = run_seeds(suite, seeds, |_, outcome| outcome.failure.is_some());
    println!("{suite}: {summary}");
    if let Some(seed) = summary.failures.keys().next() {
        let failed = suite.run(&suite.plan(*seed));
        let shrunk = shrink(suite, failed.clone(), SHRINK_RUNS);
        panic!("{}", report(suite, *seed, &failed, Some(&shrunk)));
    }
    summary
}

#[test]
fn all_properties_hold_over_the_default_seeds_of_the_simulator_of_the_shell() {
    let summary = all_hold(Suite::Shell);
    let defaults = Suite::Shell.default_seeds();
    if summary.runs == defaults.end - defaults.start {
        assert!(summary.with_two_classes * 2 >= summary.runs, "{summary}");
    }
}

#[test]
fn all_properties_hold_over_the_default_seeds_of_the_direct_simulator() {
    let summary = all_hold(Suite::Direct);
    let defaults = Suite::Direct.default_seeds();
    if summary.runs == defaults.end - defaults.start {
        let missed: Vec<_> =
            marks::ALL.iter().filter(|mark| !summary.marks.contains_key(*mark)).collect();
        assert_eq!(missed, Vec::<&&str>::new(), "marks that no default seed hits");
        assert!(summary.with_two_classes * 2 >= summary.runs, "{summary}");
    }
}
