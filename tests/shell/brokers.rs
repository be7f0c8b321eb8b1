//! Processes and machines that end, stand still, and start again.

use quorate_sim::plan::{Ask, ClientSpec, Fault, NodeIndex, Op, ShardIndex, Who};
use quorate_sim::scenario::{Scenario, consumer, ms, s, scripted};

use crate::{commit, enter, form, old, scenario};

const BROKER: NodeIndex = NodeIndex(0);

pub fn killed_while_joins_wait() -> Scenario {
    let mut run = scenario(
        "killed_while_joins_wait",
        "A broker's process that ends takes its connections along: who waits hears of it at once, \
         is refused until there is another process, and starts anew with it.",
    )
    .with(|knobs| knobs.initial_delay = s(3));
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    enter(&mut run, &[a, b]);
    run.at(s(2)).fault(Fault::Kill { node: BROKER, down: s(2) });
    run.at(s(3)).say(a, Ask::Join);
    run.at(s(5)).say(a, Ask::Join).say_as(b, Ask::Join, Who::Nobody);
    run.after(ms(50)).say(b, Ask::Join);
    run.at(s(9)).say(b, Ask::Sync);
    run.at(s(10));
    run
}

pub fn power_lost_while_joins_wait() -> Scenario {
    let mut run = scenario(
        "power_lost_while_joins_wait",
        "Nobody hears of a loss of power: who waits, and who asks in the dark, does so until it \
         gives up, be the broker back or not.",
    )
    .with(|knobs| knobs.initial_delay = s(3));
    let impatient = || ClientSpec { rebalance: s(5), ..scripted() };
    let (a, b) = (run.client(impatient()), run.client(impatient()));
    run.at(s(1));
    enter(&mut run, &[a]);
    run.at(s(2)).fault(Fault::PowerLoss { node: BROKER, down: s(7), kept: 0 });
    run.at(s(3)).say(b, Ask::Heartbeat);
    run.at(s(10)).say(b, Ask::Describe);
    run.at(s(12)).say(a, Ask::Join).after(ms(50)).say_as(a, Ask::Join, Who::Nobody);
    run.after(ms(50)).say(a, Ask::Join);
    run.at(s(16)).say(a, Ask::Sync);
    run.at(s(17));
    run
}

pub fn stopped_while_joins_wait() -> Scenario {
    let mut run = scenario(
        "stopped_while_joins_wait",
        "A broker that stops in order answers who waits before it hangs up; members of a stable \
         generation go on with the next process.",
    );
    let (a, b) = (run.client(scripted()), run.client(old()));
    run.at(s(1));
    form(&mut run, &[a]);
    run.at(s(3)).say(b, Ask::Join);
    run.at(s(4)).fault(Fault::RestartWith { node: BROKER, down: s(1), max_group_size: 100 });
    run.at(s(6)).say(a, Ask::Heartbeat).say(b, Ask::Describe);
    run.at(s(7));
    run
}

pub fn restart_with_a_lower_limit() -> Scenario {
    let mut run = scenario(
        "restart_with_a_lower_limit",
        "A group that is too large for the broker that loads it rebalances at once: who joins \
         first stays, and the rest is refused. A refusal does not end the wait of who has joined: \
         the rebalance timeout does.",
    );
    let brief = || ClientSpec { rebalance: s(5), ..scripted() };
    let (a, b) = (run.client(brief()), run.client(brief()));
    run.at(s(1));
    form(&mut run, &[a, b]);
    run.at(s(3)).fault(Fault::RestartWith { node: BROKER, down: s(1), max_group_size: 1 });
    run.at(s(5)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.after(ms(100)).say(b, Ask::Join);
    run.after(ms(100)).say(a, Ask::Join);
    run.at(s(6)).say(a, Ask::Heartbeat);
    run.at(ms(9_200)).say(b, Ask::Sync);
    run.at(s(10));
    run
}

pub fn pause_longer_than_a_session() -> Scenario {
    let mut run = scenario(
        "pause_longer_than_a_session",
        "A broker that stood still for longer than a session does not hold against its members \
         that it did not hear them: what they said meanwhile counts, and the silent have a moment \
         more.",
    );
    let short = || ClientSpec { session: s(6), ..scripted() };
    let (a, b, c) = (run.client(short()), run.client(short()), run.client(short()));
    run.at(s(1));
    form(&mut run, &[a, b, c]);
    run.at(s(3)).fault(Fault::Pause { node: BROKER, lasts: s(8) });
    run.at(s(8)).say(a, Ask::Heartbeat);
    run.at(ms(11_500)).say(b, Ask::Heartbeat);
    run.at(ms(12_500)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat).say(c, Ask::Heartbeat);
    run.at(s(13));
    run
}

pub fn two_brokers_and_one_journal() -> Scenario {
    let mut run = scenario(
        "two_brokers_and_one_journal",
        "A broker that does not know of its successor goes on until it appends: the journal fences \
         it, and it says so. What it could not store is nowhere, and who stays with it is expired.",
    )
    .brokers(2);
    let (a, b) = (run.client(scripted()), run.client(consumer()));
    run.at(s(1));
    form(&mut run, &[a]);
    run.at(s(3)).say(a, commit(5));
    let (shard, to) = (ShardIndex(0), NodeIndex(1));
    run.at(s(4)).fault(Fault::Move { shard, to, unaware: s(6) });
    run.at(s(5)).say(a, Ask::Heartbeat);
    run.at(s(6)).say(a, commit(6));
    run.at(s(7)).say(a, Ask::Heartbeat).say(a, Ask::FindCoordinator);
    run.at(s(8)).op(b, Op::Start);
    run.at(s(11)).say(a, Ask::Heartbeat);
    run.at(s(15));
    run
}

mod checks {
    crate::checked![
        killed_while_joins_wait,
        power_lost_while_joins_wait,
        stopped_while_joins_wait,
        restart_with_a_lower_limit,
        pause_longer_than_a_session,
        two_brokers_and_one_journal,
    ];
}
