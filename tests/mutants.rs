//! Does every planted bug still apply to the tree, and say by which property it must be found?
//!
//! That each is found takes longer: `cargo run --profile sim -p quorate-sim -- mutants`.

use std::path::Path;

use quorate_sim::mutants::{MutantError, all, sample};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_planted_bug_applies_to_the_tree() {
    let mutants = all(top()).expect("descriptions that can be read");
    assert!(mutants.len() >= 25, "there are {}", mutants.len());
    for mutant in &mutants {
        let changed = mutant.applied(top()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!changed.is_empty() && !mutant.kills.is_empty(), "{} says little", mutant.name);
    }
}

#[test]
fn a_planted_bug_whose_text_is_gone_is_an_error() {
    let mut mutant = all(top()).expect("descriptions that can be read").remove(0);
    mutant.edit[0].search = "text that is nowhere".to_owned();
    let error = mutant.applied(top()).expect_err("it does not apply");
    assert!(matches!(error, MutantError::DoesNotApply { count: 0, .. }), "{error}");
}

#[test]
fn a_sample_of_planted_bugs_is_the_same_for_the_same_commit() {
    let names = |by: &str| {
        let mutants = all(top()).expect("descriptions that can be read");
        sample(mutants, 5, by).into_iter().map(|mutant| mutant.name).collect::<Vec<_>>()
    };
    assert_eq!(names("0123abcd"), names("0123abcd"));
    assert_eq!(names("0123abcd").len(), 5);
    assert_ne!(names("0123abcd"), names("4567cdef"));
}
