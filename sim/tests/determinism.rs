//! Does a seed always give the same run? Without this no other failure can be looked into.

use std::process::Command;

use quorate_sim::suite::Suite;

/// Seeds that are run twice, and once more in another process.
const SEEDS: u64 = 50;
/// Set for the other process, which only prints its hashes.
const CHILD: &str = "QUORATE_DETERMINISM_CHILD";

fn hashes() -> Vec<String> {
    let hash = |seed| {
        let outcome = Suite::Direct.run(&Suite::Direct.plan(seed));
        let last = outcome.hashes.last().copied().unwrap_or_default();
        format!("hash of {seed}: {last:016x} after {} events", outcome.events.len())
    };
    (0..SEEDS).map(hash).collect()
}

#[test]
fn a_seed_gives_the_same_events_twice_in_one_process() {
    for seed in 0..SEEDS {
        let plan = Suite::Direct.plan(seed);
        assert_eq!(plan, Suite::Direct.plan(seed), "the plan of seed {seed}");
        let (first, second) = (Suite::Direct.run(&plan), Suite::Direct.run(&plan));
        let pairs = first.events.iter().zip(&second.events);
        let differs = pairs.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differs, None, "the first event of seed {seed} that differs");
        assert_eq!(first.hashes, second.hashes, "hashes of seed {seed}");
        assert!(!first.hashes.is_empty(), "seed {seed} does something");
    }
}

#[test]
fn a_seed_gives_the_same_events_in_another_process() {
    if std::env::var_os(CHILD).is_some() {
        hashes().iter().for_each(|line| println!("{line}"));
        return;
    }
    let this_test = "a_seed_gives_the_same_events_in_another_process";
    let exe = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(exe);
    child.args(["--exact", this_test, "--nocapture"]).env(CHILD, "1");
    let output = child.output().expect("this program runs again");
    let text = String::from_utf8(output.stdout).expect("hashes are text");
    let theirs: Vec<&str> =
        text.lines().filter_map(|line| line.find("hash of").map(|at| &line[at..])).collect();
    assert_eq!(hashes(), theirs);
}
