//! Members with an instance id (KIP-345).

use quorate_sim::plan::{Ask, ClientSpec, Op};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

fn instance(id: &str) -> ClientSpec {
    ClientSpec { instance: Some(id.to_owned()), ..scripted() }
}

pub fn static_leader_restarts() -> Scenario {
    let mut run = Scenario::new(
        "static_leader_restarts",
        "A static leader that comes back is told to skip the assignment (KIP-814) and gets its old \
         one: no rebalance.",
    );
    let (a, b) = (run.client(instance("one")), run.client(instance("two")));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).op(a, Op::Crash);
    run.at(s(9)).op(a, Op::Start).say(a, Ask::Join);
    run.after(ms(20)).say(a, Ask::Sync);
    run.at(s(10)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(11));
    run
}

pub fn static_follower_restarts() -> Scenario {
    let mut run = Scenario::new(
        "static_follower_restarts",
        "A static follower that comes back gets a new member id and its old assignment; the others \
         do not notice.",
    );
    let (a, b) = (run.client(instance("one")), run.client(instance("two")));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).op(b, Op::Crash);
    run.at(s(9)).op(b, Op::Start).say(b, Ask::Join);
    run.after(ms(20)).say(b, Ask::Sync);
    run.at(s(10)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(11));
    run
}

pub fn static_duplicate_is_fenced() -> Scenario {
    let mut run = Scenario::new(
        "static_duplicate_is_fenced",
        "Of two processes with one instance id the newer is the member, and the older is fenced.",
    );
    let (a, b) = (run.client(instance("one")), run.client(instance("two")));
    let twin = run.client(instance("two"));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).say(twin, Ask::Join);
    run.after(ms(20)).say(twin, Ask::Sync);
    run.at(s(9)).say(b, Ask::Heartbeat);
    let commit = Ask::Commit { topic: "t".to_owned(), partitions: 1, offset: 7, metadata: 0 };
    run.after(ms(10)).say(b, commit);
    run.at(s(10)).say(twin, Ask::Heartbeat).say(a, Ask::Heartbeat);
    run.at(s(11));
    run
}

pub fn static_member_is_removed() -> Scenario {
    let mut run = Scenario::new(
        "static_member_is_removed",
        "A static member does not leave when it ends; an administrator can remove it by its \
         instance id.",
    );
    let (a, b) = (run.client(instance("one")), run.client(instance("two")));
    let admin = run.client(scripted());
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).op(b, Op::Leave);
    run.at(s(9)).say(a, Ask::Heartbeat);
    run.at(s(10)).say(admin, Ask::Remove(b));
    run.at(s(11)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(a, Ask::Sync);
    run.at(s(12));
    run
}

pub fn static_member_is_silent_in_a_rebalance() -> Scenario {
    let mut run = Scenario::new(
        "static_member_is_silent_in_a_rebalance",
        "A static member that misses the time to join stays a member, and the leader deals to it.",
    );
    let silent = ClientSpec { session: s(30), rebalance: s(6), ..instance("two") };
    let a = run.client(ClientSpec { rebalance: s(6), ..instance("one") });
    let b = run.client(silent);
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).op(b, Op::Crash).say(a, Ask::Join);
    run.at(ms(14_100)).say(a, Ask::Sync);
    run.at(s(15));
    run
}

mod tests {
    crate::checked![
        static_leader_restarts,
        static_follower_restarts,
        static_duplicate_is_fenced,
        static_member_is_removed,
        static_member_is_silent_in_a_rebalance,
    ];
}
