//! Scenarios by hand on the broker's shell, over simulated sockets, one idea each: frames,
//! connections, processes and the journal under them. Their traces, which people review, are in
//! `snapshots/shell`; `tests/protocol` says how to read one.
//!
//! What takes a moment is seen a step of the simulation later, which is 10 ms: a request on a new
//! connection is answered after 10 to 20 ms, one on an open connection after 10, and what is
//! appended is there after 20 more.
//! `INSTA_UPDATE=always cargo test --test shell` writes them anew.

use quorate_sim::Plan;
use quorate_sim::plan::{Ask, ClientId, ClientSpec, ClientVersion};
use quorate_sim::scenario::{Scenario, ms, s, scripted};
use quorate_sim::turmoil;

mod brokers;
mod connections;
mod frames;
mod journals;

/// The longest trace that somebody reads.
const MOST_LINES: usize = 120;

/// In a world of this seed hosts run in the same order in each step, and brokers close no
/// connections that are silent.
const SEED: u64 = 4;

/// From a request on a new connection to its answer, and some more.
const EXCHANGE: std::time::Duration = ms(50);

/// A scenario in which the first generation comes soon, and clients are not patient.
fn scenario(name: &str, about: &str) -> Scenario {
    Scenario::new(name, about).with(|knobs| {
        knobs.initial_delay = ms(200);
        knobs.request_timeout = s(5);
    })
}

/// A scripted client of before KIP-394, which is handed no id.
fn old() -> ClientSpec {
    ClientSpec { version: ClientVersion::Old, ..scripted() }
}

/// A commit of one partition.
fn commit(offset: i64) -> Ask {
    Ask::Commit { topic: "t".to_owned(), partitions: 1, offset, metadata: 0 }
}

/// These clients join, one after the other; each is handed an id first.
fn enter(run: &mut Scenario, clients: &[ClientId]) {
    for client in clients {
        run.say(*client, Ask::Join).after(EXCHANGE).say(*client, Ask::Join);
    }
}

/// These clients are a stable group, a second later.
fn form(run: &mut Scenario, clients: &[ClientId]) {
    enter(run, clients);
    run.after(ms(800));
    for client in clients {
        run.say(*client, Ask::Sync);
    }
    run.after(ms(100));
}

/// Snapshots are at the top, in a folder for each kind.
fn settings(scenario: &Scenario) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/shell");
    settings.set_snapshot_path(path);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(scenario.about());
    settings
}

/// Runs a scenario, and holds its trace against the one that was reviewed.
fn check(scenario: &Scenario) {
    let name = scenario.name();
    let outcome = turmoil::run(&Plan { seed: SEED, ..scenario.plan() });
    let trace = scenario.trace(&outcome);
    assert_eq!(outcome.failure, None, "{trace}");
    let lines = trace.lines().count();
    assert!(lines <= MOST_LINES, "{name} has {lines} lines: too many to read\n{trace}");
    settings(scenario).bind(|| insta::assert_snapshot!(name, trace));
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
