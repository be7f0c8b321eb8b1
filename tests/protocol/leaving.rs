//! How members go.

use quorate_sim::plan::{Ask, Op};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

pub fn lone_member_comes_and_goes() -> Scenario {
    let mut run = Scenario::new(
        "lone_member_comes_and_goes",
        "When the last member leaves, the group is empty in a generation of its own, and that is \
         stored before the answer.",
    )
    .at_once()
    .recorded_as("join_as_only_member");
    let a = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, Ask::Heartbeat);
    run.at(s(3)).say(a, Ask::LeaveGroup);
    run.at(s(4)).say(a, Ask::Heartbeat);
    run.at(s(5));
    run
}

pub fn leader_leaves() -> Scenario {
    let mut run = Scenario::new(
        "leader_leaves",
        "When the leader leaves, the next heartbeat of the others says so, and one of them leads.",
    )
    .at_once()
    .recorded_as("leader_leaves");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(a, Ask::LeaveGroup);
    run.at(s(3)).say(b, Ask::Heartbeat);
    run.after(ms(10)).say(b, Ask::Join);
    run.after(ms(10)).say(b, Ask::Sync);
    run.at(s(4));
    run
}

pub fn follower_dies() -> Scenario {
    let mut run = Scenario::new(
        "follower_dies",
        "A follower that dies keeps its partitions until its session is over, and not longer.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).op(b, Op::Crash).beat(&[a], s(18));
    run.say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(a, Ask::Sync);
    run.at(s(19));
    run
}

pub fn everybody_dies() -> Scenario {
    let mut run = Scenario::new(
        "everybody_dies",
        "A group whose members all die is empty once the last session is over, and that is stored.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).say(b, Ask::Heartbeat);
    run.at(s(9)).op(a, Op::Crash).op(b, Op::Crash);
    run.at(s(20));
    run
}

mod tests {
    crate::checked![lone_member_comes_and_goes, leader_leaves, follower_dies, everybody_dies];
}
