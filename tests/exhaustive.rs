//! Every situation of a few small worlds, each explored to its end: does a property fail anywhere?

use std::time::Instant;

use quorate_sim::explore::{Plant, Report, Scope, explore};

/// Situations are copied by the million.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TWO: Scope = Scope {
    name: "two clients with two joins each, two crashes, one refused append, two commits",
    clients: &[false, false],
    joins: 2,
    crashes: 2,
    refusals: 1,
    commits: 2,
    deletions: 0,
    plant: Plant::Nothing,
};

/// Explores a world to its end; prints how large it is, and how a property fails if one does.
#[expect(clippy::disallowed_methods, reason = "how long it took is printed, and decides nothing")]
fn to_its_end(scope: &Scope) -> Report {
    let start = Instant::now();
    let report = explore(scope);
    let time = start.elapsed();
    println!(
        "{}: {} states, {} steps, {} deep, {time:.1?}\n  {:?}",
        scope.name, report.states, report.steps, report.depth, report.marks
    );
    if let Some(counterexample) = &report.counterexample {
        panic!("{}\n{counterexample}", scope.name);
    }
    report
}

/// What the smaller worlds are too small for is left out.
const REACHED: &[&str] = &[
    "a commit is acknowledged",
    "a rebalance goes on without some",
    "a reload in CompletingRebalance",
    "a reload in Empty",
    "a reload in PreparingRebalance",
    "a reload in Stable",
    "a session expires",
    "all clients are Stable",
    "an append takes too long",
    "members never sync",
];

fn reaches(report: &Report, what: &[&'static str]) {
    let missing: Vec<_> = what.iter().filter(|mark| !report.marks.contains(*mark)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

/// In a moment: first to fail, easiest to read.
const ONCE: Scope = Scope {
    name: "two clients with one join each, one crash, one refused append, one commit",
    joins: 1,
    crashes: 1,
    commits: 1,
    ..TWO
};

#[test]
fn two_clients_that_join_once() {
    reaches(&to_its_end(&ONCE), REACHED);
}

#[test]
fn two_clients_that_join_twice() {
    reaches(&to_its_end(&TWO), REACHED);
}

#[test]
fn a_static_member_and_a_dynamic_one() {
    let name = "one static client, one dynamic, two joins each, two crashes, one refused append, \
        two commits";
    let report = to_its_end(&Scope { name, clients: &[true, false], ..TWO });
    reaches(&report, REACHED);
}

#[test]
fn two_clients_and_a_deletion_of_their_group() {
    let name = "two clients with two joins each, two crashes, one refused append, two commits, \
        one deletion of the group";
    let report = to_its_end(&Scope { name, deletions: 1, ..TWO });
    reaches(&report, REACHED);
    reaches(&report, &["the group is deleted"]);
}

#[test]
fn three_clients_that_join_once() {
    let scope = Scope {
        name: "three clients with one join each, one crash",
        clients: &[false, false, false],
        refusals: 0,
        commits: 0,
        ..ONCE
    };
    reaches(&to_its_end(&scope), &["all clients are Stable", "a reload in Stable"]);
}

#[test]
fn a_journal_that_lies_is_found_and_the_way_there_is_told() {
    let scope = Scope { name: "a lying journal", plant: Plant::LyingJournal, ..ONCE };
    let counterexample = explore(&scope).counterexample.expect("the lie is found");
    let told = counterexample.to_string();
    let expected = "D1: rows in memory are those of the log and of the batches in flight\n  \
        c0  ->  Join  m=-\n";
    assert!(told.starts_with(expected), "{told}");
    println!("{told}");
}
