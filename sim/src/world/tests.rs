use super::*;
use crate::event::ClientNote;
use crate::plan::{
    Assignor, ClientSpec, ClientVersion, Drive, Ending, Fault, Knobs, NodeSpec, Op, Outside,
    ShardIndex, Step, TopicSpec,
};

fn consumer() -> ClientSpec {
    ClientSpec {
        group: "orders".into(),
        instance: None,
        topics: vec!["t".into()],
        assignors: vec![Assignor::Range],
        session: Duration::from_secs(10),
        rebalance: Duration::from_secs(20),
        heartbeat: Duration::from_secs(3),
        commit_every: Some(Duration::from_secs(5)),
        version: ClientVersion::New,
        leaves_assignment_to_server: false,
        drive: Drive::Consumer,
    }
}

fn step(ms: u64, what: Action) -> Step {
    Step { at: Duration::from_millis(ms), what }
}

fn plan(faults: Vec<Step>) -> Plan {
    let starts = (0..2).map(|n| step(u64::from(n) * 100, Action::Op(ClientId(n), Op::Start)));
    let (nodes, clients) = (vec![NodeIndex(0), NodeIndex(1)], vec![ClientId(0), ClientId(1)]);
    Plan {
        seed: 1,
        knobs: Knobs::default(),
        nodes: vec![NodeSpec::default(), NodeSpec::default()],
        shards: 2,
        topics: vec![TopicSpec { name: "t".into(), partitions: 4 }],
        clients: vec![consumer(), consumer()],
        steps: starts.chain(faults).collect(),
        ending: Ending::Heal {
            after: Duration::from_secs(60),
            nodes,
            clients,
            outside: Outside::Dead,
        },
        only: Vec::new(),
    }
}

fn assigned(outcome: &Outcome) -> usize {
    let is = |what: &What| {
        let What::Client { note, .. } = what else { return false };
        matches!(note, ClientNote::Assigned { owned, .. } if owned.len() == 2)
    };
    outcome.events.iter().filter(|event| is(&event.what)).count()
}

fn committed(outcome: &Outcome) -> usize {
    let is = |what: &What| matches!(what, What::Client { note: ClientNote::Committed { .. }, .. });
    outcome.events.iter().filter(|event| is(&event.what)).count()
}

#[test]
fn two_consumers_form_a_group_and_commit() {
    let outcome = run(&plan(Vec::new()));
    assert_eq!(outcome.failure, None);
    assert_eq!(assigned(&outcome), 2);
    assert!(committed(&outcome) > 4);
}

fn all_faults() -> Vec<Step> {
    let s = Duration::from_secs;
    let (c, n, shard) = (ClientId(0), NodeIndex(0), ShardIndex(0));
    let faults = vec![
        Fault::Cut(c),
        Fault::LoseReply(c),
        Fault::Kill { node: n, down: s(1) },
        Fault::PowerLoss { node: NodeIndex(1), down: s(1), kept: 50 },
        Fault::Pause { node: n, lasts: s(2) },
        Fault::Resign(shard),
        Fault::Move { shard, to: NodeIndex(1), unaware: s(5) },
        Fault::Stall { shard: ShardIndex(1), lasts: s(3) },
        Fault::Unknown { shard: ShardIndex(1), stored: true },
        Fault::Compact { shard: ShardIndex(1), up_to: 80, tombstones: true },
        Fault::RecreateTopic("t".into()),
        Fault::WallJump { node: n, by_ms: -100_000 },
    ];
    let at = |(n, fault): (u64, Fault)| step(10_000 + n * 3_000, Action::Fault(fault));
    (0..).zip(faults).map(at).collect()
}

#[test]
fn equal_plans_make_equal_runs() {
    let plan = plan(all_faults());
    let (one, two) = (run(&plan), run(&plan));
    assert_eq!(one.hashes, two.hashes);
    assert!(one.hashes.len() > 300);
}
