//! What is said when a run fails, with a violation that is planted.

use quorate_sim::Failure;
use quorate_sim::oracle::{Property, Violation};
use quorate_sim::plan::{
    Ask, ClientSpec, Ending, Fault, NodeIndex, Op, Outside, Plan, ShardIndex, Who,
};
use quorate_sim::report::report;
use quorate_sim::scenario::{Scenario, code, consumer, ms, s, scripted};
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

/// A plan of many kinds of parts.
fn plan() -> Plan {
    let mut run = Scenario::new("pasted", "It can be pasted.").at_once().brokers(2);
    let a = run.client(ClientSpec { instance: Some("i".to_owned()), ..scripted() });
    let b = run.client(ClientSpec { topics: vec!["u".to_owned()], ..consumer() });
    run.at(s(1)).say(a, Ask::Join).op(b, Op::Pause(ms(2_500)));
    run.at(s(2)).fault(Fault::Kill { node: NodeIndex(1), down: s(3) });
    run.at(s(3)).say_as(a, Ask::Fetch { stable: true }, Who::Other(b));
    let (after, nodes, clients) = (s(4), vec![NodeIndex(0)], vec![b]);
    let ending = Ending::Heal { after, nodes, clients, outside: Outside::Deaf };
    Plan { ending, ..run.plan() }
}

/// Without what a formatter changes.
fn unformatted(code: &str) -> String {
    let code: String = code.split_whitespace().collect();
    code.replace(",}", "}").replace(",]", "]").replace(",)", ")")
}

/// `pasted.rs` is what a report gives of this plan, formatted, and gives the plan back.
#[test]
fn a_plan_that_is_pasted_as_a_scenario_is_the_same_plan() {
    let pasted = crate::pasted::pasted();
    assert_eq!(pasted.plan(), plan());
    let file = include_str!("pasted.rs");
    let start = file.find("pub fn").expect("a function");
    let text = &file[start..];
    assert_eq!(unformatted(text), unformatted(&code("pasted", pasted.about(), &plan())));
}
