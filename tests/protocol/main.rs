//! Scenarios by hand, one idea each, whose traces people review: the snapshots of this folder's
//! scripts are in `snapshots/protocol`.
//!
//! How to read one: first the `#` lines, which say what must be true; then the `::` lines, the
//! life of the group; then for each `>>` its `<<`, and that no `ok` which depends on it stands
//! between; then latencies at the right, which say who waited; then the last line: nothing parked,
//! nothing in flight. `INSTA_UPDATE=always cargo test --test protocol` writes them anew.

use quorate_sim::plan::{ClientSpec, ClientVersion};
use quorate_sim::scenario::{Scenario, scripted};
use quorate_sim::world;

mod durability;
mod failover;
mod joining;
mod leaving;
mod offsets;
mod pasted;
mod rebalancing;
mod report;
mod sessions;
mod static_members;
mod syncing;

/// The longest trace that somebody reads.
const MOST_LINES: usize = 120;

/// A scripted client of before KIP-394, whose words are the same each time it joins.
fn old() -> ClientSpec {
    ClientSpec { version: ClientVersion::Old, ..scripted() }
}

/// Snapshots are at the top, in a folder for each kind.
fn settings(folder: &str) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(folder);
    settings.set_snapshot_path(path);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// Runs a scenario, and holds its trace against the one that was reviewed.
fn check(scenario: &Scenario) {
    let name = scenario.name();
    let outcome = world::run(&scenario.plan());
    let trace = scenario.trace(&outcome);
    assert_eq!(outcome.failure, None, "{trace}");
    let lines = trace.lines().count();
    assert!(lines <= MOST_LINES, "{name} has {lines} lines: too many to read");
    let mut settings = settings("protocol");
    settings.set_description(scenario.about());
    settings.bind(|| insta::assert_snapshot!(name, trace));
}

/// Makes a test of each of these functions, which are named as their scenarios.
macro_rules! checked {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let scenario = super::$name();
            assert_eq!(scenario.name(), stringify!($name));
            crate::check(&scenario);
        })+
    };
}
use checked;
