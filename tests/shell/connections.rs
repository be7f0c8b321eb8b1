//! Connections that close, wait, or carry one way only.

use quorate_sim::plan::{Ask, Fault, NodeIndex, Op, Way};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

use crate::{commit, enter, form, old, scenario};

pub fn lost_answer_to_a_join() -> Scenario {
    let mut run = scenario(
        "lost_answer_to_a_join",
        "A member whose answer was lost with its connection asks again over another one, and is \
         told the same, for the same generation.",
    );
    let a = run.client(scripted());
    run.at(s(1));
    enter(&mut run, &[a]);
    run.after(ms(50)).fault(Fault::LoseReply(a));
    run.at(s(2)).say(a, Ask::Join);
    run.after(ms(100)).say(a, Ask::Sync);
    run.at(s(3));
    run
}

pub fn second_connection_while_the_first_waits() -> Scenario {
    let mut run = scenario(
        "second_connection_while_the_first_waits",
        "A JoinGroup that comes again over a second connection takes the place of the one that \
         waits; nothing comes over the first one any more.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    form(&mut run, &[a]);
    run.at(s(3));
    enter(&mut run, &[b]);
    run.at(s(4)).op(b, Op::RetryElsewhere);
    run.at(s(5)).say(a, Ask::Join);
    run.after(ms(100)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(6));
    run
}

pub fn ghost_of_an_old_client() -> Scenario {
    let mut run = scenario(
        "ghost_of_an_old_client",
        "A client of before KIP-394 that asks again becomes a second member: the one before waits \
         for an answer that nobody hears, and is dealt partitions until its session ends.",
    );
    let (a, b) = (run.client(scripted()), run.client(old()));
    run.at(s(1));
    form(&mut run, &[a]);
    run.at(s(3)).say(b, Ask::Join);
    run.at(s(4)).op(b, Op::RetryElsewhere);
    run.at(s(5)).say(a, Ask::Join);
    run.after(ms(100)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(10)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(16)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(17));
    run
}

pub fn connection_closes_while_its_join_waits() -> Scenario {
    let mut run = scenario(
        "connection_closes_while_its_join_waits",
        "A member whose connection closes while its JoinGroup waits is a member all the same, and \
         may even lead; once its session has ended the others go on without it.",
    )
    .with(|knobs| knobs.request_timeout = s(30));
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    enter(&mut run, &[a, b]);
    run.after(ms(100)).fault(Fault::Cut(a));
    run.at(s(2)).say(b, Ask::Sync);
    run.at(s(12)).say(b, Ask::Join);
    run.after(ms(100)).say(b, Ask::Sync);
    run.at(s(13));
    run
}

pub fn requests_behind_a_parked_join() -> Scenario {
    let mut run = scenario(
        "requests_behind_a_parked_join",
        "A connection has one request at a time: what comes behind a JoinGroup that waits is read \
         after its answer. Other connections do not wait.",
    )
    .with(|knobs| knobs.initial_delay = s(1));
    let (a, b) = (run.client(old()), run.client(old()));
    run.at(s(1)).say(a, Ask::Join);
    run.at(ms(1_100)).say(a, Ask::Heartbeat).say(a, Ask::Describe);
    run.at(ms(1_200)).say(b, Ask::Describe);
    run.at(s(3)).say(a, Ask::Sync).say(a, Ask::Heartbeat).say(a, Ask::Describe);
    run.at(s(4));
    run
}

pub fn answers_do_not_come_through() -> Scenario {
    let mut run = scenario(
        "answers_do_not_come_through",
        "Where requests come through and answers do not, what is asked is done: the client finds \
         it over another connection, once it has given up on the dead one.",
    );
    let a = run.client(scripted());
    run.at(s(1));
    form(&mut run, &[a]);
    let (clients, nodes) = (vec![a], vec![NodeIndex(0)]);
    run.at(s(3)).fault(Fault::Partition { clients, nodes, way: Way::ToClients, lasts: s(2) });
    run.after(ms(100)).say(a, commit(5));
    run.at(s(6)).say(a, Ask::Heartbeat);
    run.at(s(9)).say(a, Ask::Heartbeat).say(a, Ask::Fetch { stable: true });
    run.at(s(10));
    run
}

mod checks {
    crate::checked![
        lost_answer_to_a_join,
        second_connection_while_the_first_waits,
        ghost_of_an_old_client,
        connection_closes_while_its_join_waits,
        requests_behind_a_parked_join,
        answers_do_not_come_through,
    ];
}
