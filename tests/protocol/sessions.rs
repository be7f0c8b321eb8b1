//! Heartbeats, and what ends a session.

use quorate_sim::plan::{Ask, Fault, Latency, NodeIndex, Who};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

pub fn lone_member_expires() -> Scenario {
    let mut run = Scenario::new(
        "lone_member_expires",
        "A member that says nothing for a session is removed, and unknown afterwards.",
    )
    .at_once()
    .recorded_as("lone_member_expires");
    let a = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(12)).say(a, Ask::Heartbeat);
    run.at(s(13)).say(a, Ask::Describe);
    run.at(s(14));
    run
}

pub fn heartbeat_in_the_last_instant() -> Scenario {
    let mut run = Scenario::new(
        "heartbeat_in_the_last_instant",
        "Of a heartbeat and the end of its session in the same instant the heartbeat comes first; \
         a moment later it is too late.",
    )
    .at_once();
    let a = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, Ask::Heartbeat);
    let (latency, lasts) = (Latency::fixed(s(1)), ms(500));
    run.at(s(11)).fault(Fault::Slow { latency, lasts }).say(a, Ask::Heartbeat);
    run.at(ms(22_001)).say(a, Ask::Heartbeat);
    run.at(s(23));
    run
}

pub fn heartbeats_that_do_not_fit() -> Scenario {
    let mut run = Scenario::new(
        "heartbeats_that_do_not_fit",
        "A heartbeat of a stranger, of nobody or of another generation is refused and keeps nobody \
         alive.",
    )
    .at_once()
    .recorded_as("heartbeat_errors");
    let a = run.client(scripted());
    run.at(s(1)).say_as(a, Ask::Heartbeat, Who::Stranger);
    run.at(s(2)).forms(&[a]);
    run.at(s(3)).say_as(a, Ask::Heartbeat, Who::Stranger);
    run.at(s(4)).say_as(a, Ask::Heartbeat, Who::Nobody);
    run.at(s(5)).say_as(a, Ask::Heartbeat, Who::NextGeneration);
    run.at(s(6)).say_as(a, Ask::Heartbeat, Who::OldGeneration);
    run.at(s(7)).say(a, Ask::Heartbeat);
    run.at(s(8));
    run
}

pub fn waiting_outlives_a_session() -> Scenario {
    let mut run = Scenario::new(
        "waiting_outlives_a_session",
        "A member that waits for others longer than its session lasts is not removed meanwhile.",
    )
    .at_once()
    .recorded_as("member_waits_longer_than_its_session");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(2)).say(a, Ask::Join);
    run.after(ms(10)).beat(&[b], s(14));
    run.say(b, Ask::Join);
    run.at(s(15));
    run
}

pub fn pause_of_the_coordinator() -> Scenario {
    let mut run = Scenario::new(
        "pause_of_the_coordinator",
        "A coordinator that slept longer than the sessions of its members hears them before it \
         removes anybody.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).fault(Fault::Pause { node: NodeIndex(0), lasts: s(15) });
    run.at(s(10)).say(a, Ask::Heartbeat);
    run.at(ms(23_500)).say(b, Ask::Heartbeat);
    run.at(s(24)).say(a, Ask::Heartbeat);
    run.at(s(25));
    run
}

mod tests {
    crate::checked![
        lone_member_expires,
        heartbeat_in_the_last_instant,
        heartbeats_that_do_not_fit,
        waiting_outlives_a_session,
        pause_of_the_coordinator,
    ];
}
