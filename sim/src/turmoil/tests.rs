use super::*;
use crate::event::{ClientNote, Ended, Event, NotStored, Phase, Unheard};
use crate::plan::{
    Assignor, ClientSpec, ClientVersion, Drive, Ending, Fault, Knobs, NodeSpec, Nonsense, Outside,
    ShardIndex, Step, TopicSpec,
};
use crate::swarm;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn consumer(group: &str) -> ClientSpec {
    ClientSpec {
        group: group.into(),
        instance: None,
        topics: vec!["t".into()],
        assignors: vec![Assignor::Range],
        session: s(6),
        rebalance: s(5),
        heartbeat: s(1),
        commit_every: Some(s(1)),
        version: ClientVersion::New,
        leaves_assignment_to_server: false,
        drive: Drive::Consumer,
    }
}

fn step(ms: u64, what: Action) -> Step {
    Step { at: Duration::from_millis(ms), what }
}

/// Two brokers, and consumers of these groups; all is healed after 20 s.
fn plan(groups: &[&str], faults: Vec<(u64, Fault)>) -> Plan {
    let clients: Vec<ClientId> = (0..groups.len() as u16).map(ClientId).collect();
    let starts = clients.iter().map(|client| step(0, Action::Op(*client, Op::Start)));
    let faults = faults.into_iter().map(|(ms, fault)| step(ms, Action::Fault(fault)));
    let steps = starts.chain(faults).collect();
    Plan {
        seed: 1,
        knobs: Knobs { initial_delay: Duration::from_millis(500), ..Knobs::default() },
        nodes: vec![NodeSpec::default(); 2],
        shards: 2,
        topics: vec![TopicSpec { name: "t".into(), partitions: 4 }],
        clients: groups.iter().map(|group| consumer(group)).collect(),
        steps,
        ending: Ending::Heal {
            after: s(20),
            nodes: vec![NodeIndex(0), NodeIndex(1)],
            clients,
            outside: Outside::Dead,
        },
        only: Vec::new(),
    }
}

fn notes(outcome: &Outcome, of: ClientId) -> impl Iterator<Item = (Duration, &ClientNote)> {
    outcome.events.iter().filter_map(move |event| match &event.what {
        What::Client { client, note } if *client == of => Some((event.at, note)),
        _ => None,
    })
}

fn count(outcome: &Outcome, is: impl Fn(&What) -> bool) -> usize {
    outcome.events.iter().filter(|event| is(&event.what)).count()
}

fn commits(outcome: &Outcome, client: ClientId) -> usize {
    notes(outcome, client).filter(|(_, note)| matches!(note, ClientNote::Committed { .. })).count()
}

#[test]
fn a_lone_consumer_becomes_stable_and_commits() {
    let outcome = run(&plan(&["orders"], Vec::new()));
    assert_eq!(outcome.failure, None);
    let owns_all = |(_, note): (_, &ClientNote)| matches!(note, ClientNote::Assigned { owned, .. } if owned.len() == 4);
    assert_eq!(notes(&outcome, ClientId(0)).filter(|note| owns_all(*note)).count(), 1);
    assert!(commits(&outcome, ClientId(0)) > 10);
    assert_eq!(count(&outcome, |what| *what == What::Phase(Phase::Converged)), 1);
}

#[test]
fn an_old_client_is_understood() {
    let mut plan = plan(&["orders", "orders"], Vec::new());
    plan.clients[0].version = ClientVersion::Old;
    let outcome = run(&plan);
    assert_eq!(outcome.failure, None);
    assert!(commits(&outcome, ClientId(0)) > 10 && commits(&outcome, ClientId(1)) > 10);
}

#[test]
fn equal_plans_make_equal_runs() {
    for seed in 0..10 {
        let plan = swarm::shell_plan(seed);
        let (one, two) = (run(&plan), run(&plan));
        assert_eq!(one.hashes, two.hashes, "seed {seed}");
        assert!(one.hashes.len() > 100, "seed {seed}");
    }
}

/// When the client's first answer is not heard any more after that, and why.
fn unheard(outcome: &Outcome, after: Duration) -> Option<(Duration, Unheard)> {
    let is = |event: &&Event| event.at >= after;
    outcome.events.iter().filter(is).find_map(|event| match event.what {
        What::Unheard { why, .. } => Some((event.at, why)),
        _ => None,
    })
}

#[test]
fn who_is_killed_hangs_up_and_who_loses_power_does_not() {
    let node = NodeIndex(0);
    // A stalled journal keeps a commit open meanwhile.
    let stall = |shard| (4_000, Fault::Stall { shard: ShardIndex(shard), lasts: s(4) });
    let with = |fault| {
        let mut plan = plan(&["orders"], vec![stall(0), stall(1), (6_000, fault)]);
        plan.knobs.request_timeout = s(5);
        run(&plan)
    };
    let killed = with(Fault::Kill { node, down: s(3) });
    assert_eq!(killed.failure, None);
    let (at, why) = unheard(&killed, s(6)).expect("a commit was open");
    assert_eq!(why, Unheard::Disconnected);
    assert!(at < Duration::from_millis(6_100), "{at:?}");
    let dark = with(Fault::PowerLoss { node, down: s(3), kept: 0 });
    assert_eq!(dark.failure, None);
    let (at, why) = unheard(&dark, s(6)).expect("a commit was open");
    assert_eq!(why, Unheard::TimedOut);
    assert!(at > s(8), "{at:?}");
    let is_lost = |what: &What| matches!(what, What::Refused { why: NotStored::Lost, .. });
    assert_eq!(count(&dark, is_lost), 1);
    assert_eq!(count(&killed, is_lost), 0);
}

#[test]
fn an_old_leader_is_fenced_when_it_appends() {
    let to = NodeIndex(1);
    let fault = Fault::Move { shard: ShardIndex(0), to, unaware: s(8) };
    let outcome = run(&plan(&["orders", "orders", "audit"], vec![(6_000, fault)]));
    assert_eq!(outcome.failure, None);
    let fenced = |what: &What| matches!(what, What::Ended { place, why: Ended::Fenced } if place.node == NodeIndex(0));
    assert!(count(&outcome, fenced) >= 1);
    let refused = |what: &What| matches!(what, What::Refused { why: NotStored::Fenced(_), .. });
    assert!(count(&outcome, refused) >= 1);
    let by = outcome.last.shards.iter().map(|seen| seen.place.node);
    assert_eq!(by.collect::<Vec<_>>(), [to, to]);
}

#[test]
fn nonsense_disturbs_nobody() {
    let (client, node) = (ClientId(0), NodeIndex(0));
    let all = (0..).zip(Nonsense::ALL);
    let fault = |(n, what)| (5_000 + n * 500, Fault::Malformed { client, node, what });
    let outcome = run(&plan(&["orders"], all.map(fault).collect()));
    assert_eq!(outcome.failure, None);
    let calm = run(&plan(&["orders"], Vec::new()));
    let heard = |outcome: &Outcome| count(outcome, |what| matches!(what, What::Heard { .. }));
    assert_eq!(heard(&outcome), heard(&calm));
}

#[test]
fn half_frames_and_trickles_disturb_nobody_else() {
    let (odd, calm) = (ClientId(0), ClientId(1));
    let halves = (0..6).map(|n| (5_000 + n * 1_000, Fault::HalfFrame(odd)));
    let trickle = (12_000, Fault::Trickle { client: odd, lasts: s(6) });
    let faults: Vec<_> = halves.chain([trickle]).collect();
    let outcome = run(&plan(&["orders", "audit"], faults));
    assert_eq!(outcome.failure, None);
    // Before, they find the broker that does not listen.
    let lost = |of| {
        let is = |event: &&Event| {
            let What::Unheard { client, .. } = event.what else { return false };
            event.at >= s(5) && client == of
        };
        outcome.events.iter().filter(is).count()
    };
    assert!(lost(odd) >= 6);
    assert_eq!(lost(calm), 0);
    let joined = |(_, note): &(Duration, &ClientNote)| matches!(note, ClientNote::Joined { .. });
    assert_eq!(notes(&outcome, calm).filter(joined).count(), 1);
    // A byte takes a millisecond, and a heartbeat has some dozens.
    let waits = outcome.events.iter().filter_map(|event| match &event.what {
        What::Sent { client, call, .. } if *client == odd && event.at > s(12) => {
            Some((*call, event.at))
        }
        _ => None,
    });
    let sent: BTreeMap<_, _> = waits.collect();
    let heard = outcome.events.iter().filter_map(|event| match &event.what {
        What::Heard { client, call, .. } if *client == odd && event.at < s(18) => {
            sent.get(call).map(|sent| event.at - *sent)
        }
        _ => None,
    });
    assert!(heard.max().is_some_and(|longest| longest > Duration::from_millis(50)));
}
