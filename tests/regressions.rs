//! Do the seeds that once found a bug pass? They are in `tests/seeds/regressions.txt`.

use quorate_sim::suite::{Suite, parse_seed};

/// The seeds with their suites.
fn seeds() -> Vec<(Suite, u64)> {
    let lines = include_str!("seeds/regressions.txt").lines();
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let seed = words.next().and_then(|word| parse_seed(word).ok()).expect("a seed");
        let suite = match words.next() {
            Some("direct") => Suite::Direct,
            Some("shell") => Suite::Shell,
            other => panic!("{other:?} is no suite"),
        };
        (suite, seed)
    };
    lines.filter(|line| !line.starts_with('#')).map(read).collect()
}

#[test]
fn seeds_that_once_found_a_bug_pass() {
    for (suite, seed) in seeds() {
        let outcome = suite.run(&suite.plan(seed));
        let failure = outcome.failure.map(|failure| failure.to_string());
        assert_eq!(failure, None, "{suite} {seed:#x}");
    }
}
