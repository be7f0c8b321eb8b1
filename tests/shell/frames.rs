//! Frames that are whole, halved, slow or nonsense.

use quorate_sim::plan::{Ask, Fault, NodeIndex, Nonsense};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

use crate::{commit, enter, form, scenario};

const BROKER: NodeIndex = NodeIndex(0);

pub fn first_join_over_frames() -> Scenario {
    let mut run = scenario(
        "first_join_over_frames",
        "A member's life over one connection: an answer comes a step after its request, and later \
         only where it waits for a timer or for the journal.",
    );
    let a = run.client(scripted());
    run.at(s(1)).say(a, Ask::FindCoordinator);
    run.at(ms(1_100));
    form(&mut run, &[a]);
    run.at(s(3)).say(a, commit(5));
    run.after(ms(100)).say(a, Ask::Heartbeat);
    run.after(ms(100)).say(a, Ask::Describe);
    run.after(ms(100)).say(a, Ask::LeaveGroup);
    run.at(s(4));
    run
}

pub fn half_a_frame() -> Scenario {
    let mut run = scenario(
        "half_a_frame",
        "A connection that ends in the middle of a frame disturbs nobody: half a request is none, \
         and the member goes on over another connection.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    form(&mut run, &[a, b]);
    run.at(s(3)).fault(Fault::HalfFrame(a)).say(a, commit(5)).say(b, Ask::Heartbeat);
    run.at(s(4)).say(a, Ask::Fetch { stable: true }).say(b, Ask::Heartbeat);
    run.at(s(5));
    run
}

pub fn byte_by_byte() -> Scenario {
    let mut run = scenario(
        "byte_by_byte",
        "A client that writes and reads a byte in a millisecond is understood, and holds up nobody \
         but itself.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    form(&mut run, &[a, b]);
    run.at(s(3)).fault(Fault::Trickle { client: a, lasts: s(1) });
    run.after(ms(10)).say(a, commit(5));
    run.after(ms(10)).say(b, commit(6));
    run.at(s(5)).say(b, Ask::Fetch { stable: true });
    run.at(s(6));
    run
}

pub fn nonsense_beside_a_parked_join() -> Scenario {
    let mut run = scenario(
        "nonsense_beside_a_parked_join",
        "Nonsense, of each kind, disturbs nobody: joins that wait are answered when they would \
         have been, over the connections that they came over.",
    )
    .with(|knobs| knobs.initial_delay = s(2));
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1));
    enter(&mut run, &[a, b]);
    for what in Nonsense::ALL {
        run.after(ms(50)).fault(Fault::Malformed { client: a, node: BROKER, what });
    }
    run.at(ms(5_500)).say(a, Ask::Sync).say(b, Ask::Sync);
    run.at(s(6)).say(a, Ask::Heartbeat).say(b, Ask::Heartbeat);
    run.at(s(7));
    run
}

mod checks {
    crate::checked![
        first_join_over_frames,
        half_a_frame,
        byte_by_byte,
        nonsense_beside_a_parked_join,
    ];
}
