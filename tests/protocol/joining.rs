//! How members come in, and which ones do not.

use quorate_sim::plan::{Ask, Assignor, ClientSpec, Fault, Op};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

use crate::old;

pub fn first_join_waits_for_the_initial_delay() -> Scenario {
    let mut run = Scenario::new(
        "first_join_waits_for_the_initial_delay",
        "The first member is answered after the initial delay, so that others can come along.",
    );
    let a = run.client(scripted());
    run.at(s(1)).enters(a);
    run.at(ms(4_100)).say(a, Ask::Sync);
    run.at(ms(7_000)).say(a, Ask::Heartbeat);
    run.at(ms(8_000));
    run
}

pub fn second_member_starts_a_rebalance() -> Scenario {
    let mut run = Scenario::new(
        "second_member_starts_a_rebalance",
        "A second member waits until the first one, told by its heartbeat, has joined again.",
    )
    .at_once()
    .recorded_as("two_members");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.at(s(3)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(b, Ask::Sync);
    run.after(ms(90)).say(a, Ask::Sync);
    run.at(s(4)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(5));
    run
}

pub fn initial_delay_is_extended_twice() -> Scenario {
    let mut run = Scenario::new(
        "initial_delay_is_extended_twice",
        "Each window of the initial delay in which somebody new came is followed by another one.",
    );
    let (a, b, c) = (run.client(scripted()), run.client(scripted()), run.client(scripted()));
    run.at(s(1)).enters(a);
    run.at(s(2)).enters(b);
    run.at(s(5)).enters(c);
    run.at(ms(10_100)).say(a, Ask::Sync).say(b, Ask::Sync).say(c, Ask::Sync);
    run.at(s(11));
    run
}

pub fn an_id_that_was_handed_out_expires() -> Scenario {
    let mut run = Scenario::new(
        "an_id_that_was_handed_out_expires",
        "An id that was handed out (KIP-394) holds up a rebalance until its session is over.",
    )
    .at_once();
    let a = run.client(scripted());
    let b = run.client(ClientSpec { session: s(6), ..scripted() });
    let c = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(b, Ask::Join);
    run.at(s(3)).enters(c);
    run.at(s(4)).say(a, Ask::Join);
    run.at(ms(8_100)).say(a, Ask::Sync).say(c, Ask::Sync);
    run.at(s(9)).say(b, Ask::Join);
    run.at(s(10));
    run
}

pub fn group_is_full() -> Scenario {
    let mut run = Scenario::new(
        "group_is_full",
        "A full group does not even hand out an id; its members do not notice who is refused.",
    )
    .at_once()
    .with(|knobs| knobs.max_group_size = 2);
    let (a, b, c) = (run.client(scripted()), run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(c, Ask::Join);
    run.at(s(3)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(4));
    run
}

pub fn slowest_member_of_a_full_rebalance_is_refused() -> Scenario {
    let mut run = Scenario::new(
        "slowest_member_of_a_full_rebalance_is_refused",
        "In a rebalance the limit counts who has joined: the slowest member has to go, and the \
         others wait until the time to join is over.",
    )
    .at_once()
    .with(|knobs| knobs.max_group_size = 2);
    let (a, b, c) = (run.client(scripted()), run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(b, Ask::Join).say(c, Ask::Join);
    run.after(ms(10)).say(b, Ask::Join).say(c, Ask::Join);
    run.at(s(3)).say(a, Ask::Join);
    run.at(ms(32_100)).say(b, Ask::Sync).say(c, Ask::Sync);
    run.at(s(33)).say(a, Ask::Heartbeat);
    run.at(s(34));
    run
}

pub fn protocols_do_not_fit() -> Scenario {
    let mut run = Scenario::new(
        "protocols_do_not_fit",
        "Who has no protocol in common with the group, or another type, does not disturb it.",
    )
    .at_once()
    .recorded_as("protocols_that_do_not_fit");
    let a = run.client(scripted());
    let b = run.client(ClientSpec { assignors: vec![Assignor::RoundRobin], ..scripted() });
    let c = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(b, Ask::Join);
    run.at(s(3)).say(c, Ask::JoinAs { protocol_type: "connect".to_owned() });
    run.at(s(4)).say(a, Ask::Heartbeat);
    run.at(s(5));
    run
}

pub fn protocol_is_voted() -> Scenario {
    let mut run = Scenario::new(
        "protocol_is_voted",
        "Each member votes for the first protocol of its list that all members have.",
    )
    .at_once()
    .recorded_as("protocol_is_voted");
    let offers =
        |assignors: [Assignor; 2]| ClientSpec { assignors: assignors.into(), ..scripted() };
    let a = run.client(offers([Assignor::CooperativeSticky, Assignor::Range]));
    let b = run.client(offers([Assignor::RoundRobin, Assignor::Range]));
    run.at(s(1)).enters(a);
    run.at(s(2)).enters(b);
    run.at(s(3)).say(a, Ask::Join);
    run.at(s(4));
    run
}

pub fn join_is_repeated_on_a_second_connection() -> Scenario {
    let mut run = Scenario::new(
        "join_is_repeated_on_a_second_connection",
        "A JoinGroup that is sent again takes the place of the parked one, which is not answered.",
    )
    .at_once()
    .recorded_as("join_repeated_while_it_waits");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.at(s(3)).op(b, Op::RetryElsewhere);
    run.at(s(4)).say(a, Ask::Join);
    run.at(s(5));
    run
}

pub fn answer_to_a_join_is_lost() -> Scenario {
    let mut run = Scenario::new(
        "answer_to_a_join_is_lost",
        "A leader whose answer was lost joins again and is told the same, for the same generation.",
    )
    .at_once();
    let a = run.client(scripted());
    run.at(s(1)).say(a, Ask::Join);
    run.after(ms(10)).fault(Fault::LoseReply(a)).say(a, Ask::Join);
    run.at(s(2)).say(a, Ask::Join);
    run.after(ms(10)).say(a, Ask::Sync);
    run.at(s(3));
    run
}

pub fn follower_joins_again_unchanged() -> Scenario {
    let mut run = Scenario::new(
        "follower_joins_again_unchanged",
        "A follower that joins again with equal protocols is told of the generation: no rebalance.",
    )
    .at_once()
    .recorded_as("follower_rejoins_unchanged");
    let (a, b) = (run.client(old()), run.client(old()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(b, Ask::Join);
    run.at(s(3)).say(a, Ask::Heartbeat);
    run.at(s(4)).say(b, Ask::Sync);
    run.at(s(5));
    run
}

pub fn leader_joins_again_unchanged() -> Scenario {
    let mut run = Scenario::new(
        "leader_joins_again_unchanged",
        "A leader that joins again wants a rebalance, whatever its protocols are.",
    )
    .at_once()
    .recorded_as("leader_rejoins_unchanged");
    let (a, b) = (run.client(old()), run.client(old()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(a, Ask::Join);
    run.at(s(3)).say(b, Ask::Heartbeat);
    run.after(ms(10)).say(b, Ask::Join);
    run.at(s(4));
    run
}

mod tests {
    crate::checked![
        first_join_waits_for_the_initial_delay,
        second_member_starts_a_rebalance,
        initial_delay_is_extended_twice,
        an_id_that_was_handed_out_expires,
        group_is_full,
        slowest_member_of_a_full_rebalance_is_refused,
        protocols_do_not_fit,
        protocol_is_voted,
        join_is_repeated_on_a_second_connection,
        answer_to_a_join_is_lost,
        follower_joins_again_unchanged,
        leader_joins_again_unchanged,
    ];
}
