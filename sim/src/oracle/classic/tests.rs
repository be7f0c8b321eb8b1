//! The family says nothing of the shard as it is, whatever it is told, and sees what is made up.

mod bench;

use std::time::Duration;

use quorate_core::{Effect, ErrorCode, Input, MemberId, Note, RejectCause, Request, Response};

use crate::random::Stream;
use bench::Bench;

/// How many events are shown before a violation.
const WITH: usize = 6;

const PROTOCOLS: &[&[&str]] = &[&["range=a", "rr=a"], &["rr=b", "range=b"], &["range=a"]];

/// A run of random inputs.
struct Walk {
    bench: Bench,
    random: Stream,
    /// Ids and generations as they were heard.
    members: Vec<(MemberId, i32)>,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut random = Stream::new(seed, "walk", 0);
        let mut plan = bench::plan();
        plan.knobs.initial_delay = Duration::from_millis(*random.pick(&[0, 3_000]));
        plan.knobs.max_group_size = *random.pick(&[2, 3, 1_000]);
        plan.knobs.timers_per_step = *random.pick(&[1, 1_000]);
        plan.knobs.max_in_flight = *random.pick(&[4, 4_096]);
        plan.knobs.in_flight_reserve = 1;
        let members = vec![(MemberId::default(), -1), (MemberId::from("stranger"), 1)];
        Walk { bench: Bench::new(plan), random, members }
    }

    fn request(&mut self) -> Request {
        let (member, generation) = self.random.pick(&self.members).clone();
        let generation = generation + self.random.pick(&[0, 0, 0, 0, 0, 1, -1]);
        let instance = *self.random.pick(&[None, None, Some("i"), Some("j")]);
        match self.random.below(10) {
            0..4 => {
                let session = *self.random.pick(&[2_000, 10_000]);
                let rebalance = session * *self.random.pick(&[1, 2]);
                let protocols = *self.random.pick(PROTOCOLS);
                let is_new = self.random.chance(50);
                bench::join(&member, instance, protocols, (session, rebalance), is_new)
            }
            4..6 => {
                let gives: Vec<_> = self.members.iter().map(|(id, _)| id.clone()).collect();
                let upto = self.random.below(gives.len() as u64 + 1) as usize;
                let tag = self.random.below(100) as u8;
                bench::sync(&member, generation, instance, &gives[..upto], tag)
            }
            6..8 => bench::beat(&member, generation, instance),
            8 => bench::leave(&member, instance),
            _ => bench::commit(&member, generation),
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..11 => {
                let request = self.request();
                self.bench.ask(request);
            }
            11..14 => self.bench.append(),
            14 if self.random.chance(40) => self.bench.reject(RejectCause::Storage),
            15 if self.random.chance(10) => self.bench.reload(),
            16 => {
                if let Some(token) = self.bench.open.keys().next().copied() {
                    self.bench.step(Input::Abandoned { token });
                }
            }
            _ => {
                let ms = *self.random.pick(&[0, 10, 100, 500, 1_000, 3_000, 5_000, 30_000]);
                self.bench.tick(Duration::from_millis(ms));
                self.bench.step(Input::Deadline);
            }
        }
        for (id, generation) in self.bench.heard.drain(..) {
            match self.members.iter_mut().find(|(known, _)| *known == id) {
                Some(known) => known.1 = known.1.max(generation),
                None => self.members.push((id, generation)),
            }
        }
        let start = self.members.len().saturating_sub(6);
        self.members.drain(2..start.max(2));
    }
}

#[test]
fn whatever_a_shard_is_told_nothing_is_violated() {
    let seeds = std::env::var("WALKS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut found = litemap::LiteMap::<&str, (u32, String)>::new();
    for seed in 0..seeds {
        let mut walk = Walk::new(seed);
        for number in 0..400 {
            walk.step();
            if let Some(violation) = walk.bench.found.first() {
                let text = format!("seed {seed}, step {number}: {violation}");
                let events = &walk.bench.events;
                let last = events[events.len().saturating_sub(WITH)..].join("\n");
                found.entry(violation.property.id).or_insert((0, text + "\n" + &last)).0 += 1;
                break;
            }
        }
    }
    let text: String = found.values().map(|(count, text)| format!("{count} x {text}\n")).collect();
    assert!(text.is_empty(), "{text}");
}

/// A shard with one member that is in its first generation and Completing.
fn joined() -> (Bench, MemberId) {
    let mut bench = Bench::new(bench::plan());
    bench.ask(bench::join(&MemberId::default(), None, PROTOCOLS[0], (10_000, 20_000), false));
    bench.append();
    bench.step(Input::Deadline);
    let (member, generation) = bench.heard.last().cloned().expect("the join is answered");
    assert_eq!((bench.found.first(), generation), (None, 1));
    (bench, member)
}

/// What is violated if the effects of a step are other than they were.
fn violated(bench: &mut Bench, input: Input, change: impl Fn(&mut Effect)) -> Option<&'static str> {
    let mut effects = bench.act(input.clone());
    effects.iter_mut().for_each(change);
    bench.witness(input, effects);
    bench.found.first().map(|violation| violation.property.id)
}

#[test]
fn a_heartbeat_of_a_stranger_that_succeeds_violates_c8() {
    let (mut bench, _) = joined();
    let (_, input) = bench.request(bench::beat(&"stranger".into(), 1, None));
    let found = violated(&mut bench, input, |effect| {
        if let Effect::Reply { body, .. } = effect {
            *body = Response::Heartbeat(ErrorCode::None);
        }
    });
    assert_eq!(found, Some("C8"));
}

#[test]
fn a_stranger_that_is_said_to_have_left_violates_c17() {
    let (mut bench, _) = joined();
    let (_, input) = bench.request(bench::leave(&"stranger".into(), None));
    let found = violated(&mut bench, input, |effect| {
        if let Effect::Reply { body: Response::LeaveGroup(answer), .. } = effect {
            answer.members[0].error = ErrorCode::None;
        }
    });
    assert_eq!(found, Some("C17"));
}

#[test]
fn an_assignment_that_the_leader_did_not_send_violates_c6() {
    let (mut bench, member) = joined();
    bench.ask(bench::sync(&member, 1, None, std::slice::from_ref(&member), 5));
    bench.append();
    assert_eq!(bench.found.first(), None);
    let (_, input) = bench.request(bench::sync(&member, 1, None, &[], 6));
    let found = violated(&mut bench, input, |effect| {
        if let Effect::Reply { body: Response::SyncGroup(answer), .. } = effect {
            answer.assignment = bytes::Bytes::from_static(b"other");
        }
    });
    assert_eq!(found, Some("C6"));
}

#[test]
fn a_transition_with_a_generation_that_is_skipped_violates_c2() {
    let (mut bench, member) = joined();
    let (_, input) = bench.request(bench::leave(&member, None));
    let found = violated(&mut bench, input, |effect| {
        if let Effect::Note(Note::Transition { generation, to: Some("Empty"), .. }) = effect {
            generation.0 += 1;
        }
    });
    assert_eq!(found, Some("C2"));
}
