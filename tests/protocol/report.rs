//! What is said when a run fails, with a violation that is planted.

use quorate_sim::Failure;
use quorate_sim::oracle::{Property, Violation};
use quorate_sim::plan::{Ask, Fault, Op, ShardIndex};
use quorate_sim::report::report;
use quorate_sim::scenario::{Scenario, ms, s, scripted};
use quorate_sim::shrink::Shrunk;
use quorate_sim::suite::Suite;
use quorate_sim::world;

const PLANTED: Property =
    Property { id: "X1", sentence: "A property that is planted to fail, and does so at the end." };

/// Two members, of which one dies: with or without a fault that has nothing to do with it.
fn run_with(fault: bool) -> quorate_sim::Outcome {
    let mut run = Scenario::new("failing", "It fails.").at_once();
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    if fault {
        run.at(s(2)).fault(Fault::Stall { shard: ShardIndex(0), lasts: ms(500) });
    }
    run.at(s(3)).op(a, Op::Crash).say(b, Ask::Heartbeat);
    run.at(s(12));
    let mut outcome = world::run(&run.plan());
    assert_eq!(outcome.failure, None);
    let detail = "orders: m2 is a member, and nothing else is wrong".to_owned();
    outcome.failure = Some(Failure::Property(Violation { property: PLANTED, detail }));
    outcome
}

/// Without what differs from one commit, toolchain and machine to the next.
fn everywhere_equal(report: &str) -> String {
    let line = |line: &str| match line.split_once("   commit ") {
        Some((seed, _)) => format!("{seed}   commit ...   toolchain ...   target ...\n"),
        None => format!("{line}\n"),
    };
    report.lines().map(line).collect()
}

#[test]
fn a_failure_is_reported_in_the_order_in_which_one_wants_to_know_it() {
    let (failed, outcome) = (run_with(true), run_with(false));
    let shrunk = Shrunk { outcome, runs: 7 };
    let text = report(Suite::Direct, 0x2a, &failed, Some(&shrunk));
    crate::settings("report").bind(|| {
        insta::assert_snapshot!("failure", everywhere_equal(&text));
    });
}
