//! Shards that are loaded again, by the same broker or by another one.

use quorate_sim::plan::{Ask, ClientSpec, Fault, NodeIndex, Op, ShardIndex};
use quorate_sim::scenario::{Scenario, consumer, ms, s, scripted};

const SHARD: ShardIndex = ShardIndex(0);

fn commit(offset: i64) -> Ask {
    Ask::Commit { topic: "t".to_owned(), partitions: 1, offset, metadata: 0 }
}

pub fn reload_of_an_empty_group() -> Scenario {
    let mut run = Scenario::new(
        "reload_of_an_empty_group",
        "An empty group is loaded with its generation and its offsets, and goes on from there.",
    )
    .at_once();
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, commit(5));
    run.after(ms(10)).say(a, Ask::LeaveGroup);
    run.at(s(3)).fault(Fault::Resign(SHARD));
    run.at(s(4)).say(b, Ask::Describe);
    run.after(ms(10)).say(b, Ask::Fetch { stable: true });
    run.at(s(5)).enters(b);
    run.at(s(6));
    run
}

pub fn reload_while_members_join() -> Scenario {
    let mut run = Scenario::new(
        "reload_while_members_join",
        "Who waits to join is sent away, and its id is unknown after the load; the generation that \
         was stored goes on.",
    )
    .at_once();
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.at(s(3)).fault(Fault::Resign(SHARD));
    run.at(s(4)).say(a, Ask::Heartbeat).say(b, Ask::Join);
    run.at(s(5));
    run
}

pub fn reload_between_join_and_sync() -> Scenario {
    let mut run = Scenario::new(
        "reload_between_join_and_sync",
        "A generation without an assignment was never stored: after the load the one before it is \
         there, and syncs are refused.",
    )
    .at_once();
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(b, Ask::Sync);
    run.at(s(3)).fault(Fault::Resign(SHARD));
    run.at(s(4)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(a, Ask::Sync);
    run.at(s(5));
    run
}

pub fn reload_of_a_stable_group() -> Scenario {
    let mut run = Scenario::new(
        "reload_of_a_stable_group",
        "Members of a stable group do not notice a load: heartbeats are taken meanwhile, and the \
         generation goes on.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).fault(Fault::Resign(SHARD));
    run.at(ms(8_010)).say(a, Ask::Heartbeat).say(b, commit(5));
    run.at(s(9)).say(a, Ask::Heartbeat).say(b, commit(5));
    run.at(s(10));
    run
}

pub fn power_is_lost() -> Scenario {
    let mut run = Scenario::new(
        "power_is_lost",
        "What was acknowledged is there after a loss of power; what was in flight may be lost, and \
         nobody was told otherwise.",
    )
    .at_once();
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, commit(1));
    run.at(s(3)).say(a, commit(2));
    run.after(ms(1)).fault(Fault::PowerLoss { node: NodeIndex(0), down: s(1), kept: 0 });
    run.at(s(5)).say(b, Ask::Fetch { stable: true });
    run.at(s(6));
    run
}

pub fn group_is_loaded_too_large() -> Scenario {
    let mut run = Scenario::new(
        "group_is_loaded_too_large",
        "A broker that starts with a lower limit makes a group that is too large join again, and \
         refuses the last one.",
    );
    let spec = ClientSpec { rebalance: s(6), ..scripted() };
    let (a, b, c) = (run.client(spec.clone()), run.client(spec.clone()), run.client(spec));
    let node = NodeIndex(0);
    run.at(s(1)).forms(&[a, b, c]);
    run.at(s(8)).fault(Fault::RestartWith { node, down: s(1), max_group_size: 2 });
    run.at(s(10)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(b, Ask::Join);
    run.after(ms(10)).say(c, Ask::Join);
    run.at(s(16)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(17));
    run
}

pub fn member_ids_after_a_restart() -> Scenario {
    let mut run = Scenario::new(
        "member_ids_after_a_restart",
        "An id that was handed out before a restart is unknown afterwards, and is never handed out \
         again.",
    )
    .at_once();
    let a = run.client(scripted());
    run.at(s(1)).say(a, Ask::Join);
    run.at(ms(1_003)).fault(Fault::Kill { node: NodeIndex(0), down: s(1) });
    run.at(s(3)).say(a, Ask::Join);
    run.at(s(4)).op(a, Op::Crash).op(a, Op::Start).forms(&[a]);
    run.at(s(5));
    run
}

pub fn fence_with_parked_joins() -> Scenario {
    let mut run = Scenario::new(
        "fence_with_parked_joins",
        "A coordinator learns from its append that another one leads: all who wait there are sent \
         away in that step.",
    )
    .at_once()
    .brokers(2);
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.at(s(3)).fault(Fault::Move { shard: SHARD, to: NodeIndex(1), unaware: s(5) });
    run.at(s(4)).say(a, commit(5));
    run.at(s(5)).say(a, Ask::Heartbeat);
    run.at(ms(8_500)).say(a, Ask::FindCoordinator);
    run.after(ms(10)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, commit(5));
    run.at(s(9));
    run
}

pub fn split_brain() -> Scenario {
    let mut run = Scenario::new(
        "split_brain",
        "Of two coordinators that both believe to lead, only the newer one can store anything; \
         members of the older one come over without losing what they committed.",
    )
    .at_once()
    .brokers(2);
    let commits = ClientSpec { commit_every: Some(s(4)), ..consumer() };
    let (a, b) = (run.client(commits), run.client(consumer()));
    run.at(s(1)).op(a, Op::Start);
    run.at(s(6)).fault(Fault::Move { shard: SHARD, to: NodeIndex(1), unaware: s(20) });
    run.at(s(7)).op(b, Op::Start);
    run.at(s(14));
    run
}

mod tests {
    crate::checked![
        reload_of_an_empty_group,
        reload_while_members_join,
        reload_between_join_and_sync,
        reload_of_a_stable_group,
        power_is_lost,
        group_is_loaded_too_large,
        member_ids_after_a_restart,
        fence_with_parked_joins,
        split_brain,
    ];
}
