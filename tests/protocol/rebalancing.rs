//! How a group comes to a new generation, and who is in it.

use quorate_sim::plan::{Ask, Assignor, ClientSpec, Op};
use quorate_sim::scenario::{Scenario, consumer, ms, s, scripted};

use crate::old;

pub fn eager_rebalance() -> Scenario {
    let mut run = Scenario::new(
        "eager_rebalance",
        "An eager member gives up all that it has before it joins: nothing is owned twice.",
    )
    .at_once();
    let (a, b) = (run.client(consumer()), run.client(consumer()));
    run.at(s(1)).op(a, Op::Start);
    run.at(s(3)).op(b, Op::Start);
    run.at(s(9));
    run
}

pub fn cooperative_rebalance() -> Scenario {
    let mut run = Scenario::new(
        "cooperative_rebalance",
        "A cooperative member keeps what stays with it; what moves is revoked in one generation \
         and given in the next.",
    )
    .at_once();
    let spec = ClientSpec { assignors: vec![Assignor::CooperativeSticky], ..consumer() };
    let (a, b) = (run.client(spec.clone()), run.client(spec));
    run.at(s(1)).op(a, Op::Start);
    run.at(s(3)).op(b, Op::Start);
    run.at(s(11));
    run
}

pub fn newcomer_before_the_sync() -> Scenario {
    let mut run = Scenario::new(
        "newcomer_before_the_sync",
        "Who comes between JoinGroup and SyncGroup sends the others back to join once more.",
    )
    .at_once()
    .recorded_as("newcomer_before_sync");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).enters(a);
    run.at(s(2)).enters(b);
    run.at(s(3)).say(a, Ask::Sync);
    run.after(ms(10)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Join);
    run.at(s(4));
    run
}

pub fn rebalance_timeout_passes() -> Scenario {
    let mut run = Scenario::new(
        "rebalance_timeout_passes",
        "A member that heartbeats but does not join is dropped when the time to join is over.",
    )
    .at_once()
    .recorded_as("rebalance_timeout_passes");
    let spec = ClientSpec { rebalance: s(6), ..scripted() };
    let (a, b) = (run.client(spec.clone()), run.client(spec));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.at(s(5)).say(a, Ask::Heartbeat);
    run.at(s(9)).say(a, Ask::Heartbeat);
    run.at(s(10));
    run
}

pub fn some_join_in_time() -> Scenario {
    let mut run = Scenario::new(
        "some_join_in_time",
        "The generation has those who joined in time; the one that did not is unknown afterwards.",
    );
    let spec = ClientSpec { rebalance: s(8), ..scripted() };
    let (a, b, c) = (run.client(spec.clone()), run.client(spec.clone()), run.client(spec));
    run.at(s(1)).forms(&[a, b, c]);
    run.at(s(8)).say(a, Ask::Join);
    run.at(s(9)).say(b, Ask::Join);
    run.at(s(12)).say(c, Ask::Heartbeat);
    run.at(ms(16_100)).say(a, Ask::Sync).say(b, Ask::Sync).say(c, Ask::Heartbeat);
    run.at(s(17));
    run
}

pub fn leader_dies_between_join_and_sync() -> Scenario {
    let mut run = Scenario::new(
        "leader_dies_between_join_and_sync",
        "A leader that dies before its SyncGroup does not block the group: its session ends, and \
         another one leads.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).enters(a);
    run.after(ms(10)).enters(b);
    run.at(ms(7_100)).say(b, Ask::Sync);
    run.at(ms(7_500)).op(a, Op::Crash);
    run.at(ms(17_100)).say(b, Ask::Join);
    run.at(ms(17_200)).say(b, Ask::Sync);
    run.at(s(18));
    run
}

pub fn nobody_syncs() -> Scenario {
    let mut run = Scenario::new(
        "nobody_syncs",
        "A generation in which nobody syncs is over after the rebalance timeout, and so are they.",
    )
    .at_once()
    .recorded_as("nobody_syncs");
    let a = run.client(ClientSpec { rebalance: s(6), ..scripted() });
    run.at(s(1)).enters(a);
    run.at(s(5)).say(a, Ask::Heartbeat);
    run.at(s(8)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Sync);
    run.after(ms(10)).say(a, Ask::Describe);
    run.at(s(9)).op(a, Op::Crash).op(a, Op::Start).enters(a);
    run.at(s(10));
    run
}

pub fn leader_never_syncs() -> Scenario {
    let mut run = Scenario::new(
        "leader_never_syncs",
        "A leader that heartbeats but never syncs is removed after the rebalance timeout, and \
         those that wait for it are sent back.",
    )
    .at_once()
    .recorded_as("leader_never_syncs");
    let spec = ClientSpec { rebalance: s(6), ..old() };
    let (a, b) = (run.client(spec.clone()), run.client(spec));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(a, Ask::Join);
    run.after(ms(10)).say(b, Ask::Join);
    run.after(ms(10)).say(b, Ask::Sync);
    run.at(s(5)).say(a, Ask::Heartbeat);
    run.at(ms(8_100)).say(b, Ask::Heartbeat).say(a, Ask::Heartbeat);
    run.at(s(9)).say(b, Ask::Join);
    run.at(s(10));
    run
}

mod tests {
    crate::checked![
        eager_rebalance,
        cooperative_rebalance,
        newcomer_before_the_sync,
        rebalance_timeout_passes,
        some_join_in_time,
        leader_dies_between_join_and_sync,
        nobody_syncs,
        leader_never_syncs,
    ];
}
