//! Does the decoder take what the guard accepts, at the same length and in bounded memory?
//!
//! One test alone in its program: it counts what the allocator is asked for.

use std::alloc::System;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use quorate_io::guard::schema::{Program, known, program};
use quorate_io::guard::{Fault, walk};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[path = "../guard/decode.rs"]
mod decode;
mod generate;

use generate::{below, mutate, once_in, request};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that the decoder may ask for, for each byte of the frame: the most is a struct of three
/// bytes that ends in a tagged field, which costs a node of a tree.
const BYTES_FOR_EACH: usize = 200;

/// Inputs: 30,000, or 300,000 with CI=true.
fn inputs() -> u64 {
    if std::env::var("CI").is_ok_and(|value| value == "true") { 300_000 } else { 30_000 }
}

/// What became of the inputs.
#[derive(Default)]
struct Tally {
    accepted: BTreeSet<(i16, i16)>,
    outcomes: BTreeMap<&'static str, u64>,
    most_bytes: usize,
}

#[test]
fn what_the_walk_accepts_is_decoded_at_the_same_length_and_in_bounded_memory() {
    let programs: Vec<(i16, i16, &Program)> = known()
        .map(|(api, _)| api as i16)
        .flat_map(|key| decode::versions(key).map(move |version| (key, version)))
        .map(|(key, version)| (key, version, program(key, version).unwrap()))
        .collect();
    let mut tally = Tally::default();
    for seed in 0..inputs() {
        let (key, version, program) = programs[seed as usize % programs.len()];
        try_one(seed, key, version, program, &mut tally);
    }
    let Tally { accepted, outcomes, most_bytes } = tally;
    println!("{outcomes:?}, at most {most_bytes} bytes allocated for each byte of a frame");
    assert_eq!(accepted.len(), programs.len());
    for (outcome, least) in [
        ("accepted", 1000),
        ("cut short", 1000),
        ("null", 100),
        ("negative length", 30),
        ("count", 100),
        ("too many tags", 30),
        ("tag of another version", 5),
        ("not UTF-8", 100),
        ("string too long", 30),
        ("varint without end", 30),
    ] {
        let times = outcomes.get(outcome).copied().unwrap_or_default();
        assert!(times >= least, "only {times} inputs ended as: {outcome}");
    }
}

fn try_one(seed: u64, key: i16, version: i16, program: &Program, tally: &mut Tally) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let kind = below(rng, 4);
    let mut frame = request(rng, (key, version), program, kind == 1);
    let whole = frame.len();
    match kind {
        2.. => mutate(rng, &mut frame),
        _ if once_in(rng, 4) => frame.extend([0xff; 5]),
        _ => {}
    }
    let what = format!("seed {seed}, API key {key} version {version}");
    let frame = Bytes::from(frame);
    let (walked, bytes) = counted(|| walk(key, version, &frame));
    assert_eq!(bytes, 0, "{what}: the walk allocates");
    if kind == 0 {
        assert_eq!(walked, Ok(whole), "{what}");
    }
    let outcome = match walked {
        Ok(length) => {
            let (decoded, bytes) = counted(|| decode::decode(key, version, frame.clone()));
            assert_eq!(decoded, Some(length), "{what}");
            assert!(bytes <= BYTES_FOR_EACH * frame.len(), "{what}: {bytes} for {}", frame.len());
            tally.most_bytes = tally.most_bytes.max(bytes / frame.len());
            tally.accepted.insert((key, version));
            "accepted"
        }
        Err(refused) => {
            let (outcome, decoder_refuses) = judge(refused.fault);
            if decoder_refuses {
                assert_eq!(decode::decode(key, version, frame), None, "{what}: {refused}");
            }
            outcome
        }
    };
    *tally.outcomes.entry(outcome).or_default() += 1;
}

/// A word for a fault, and whether the decoder must refuse it, too, and can be let try. After the
/// other faults it would read on, to where the walk has not been, and might reserve anything. (It
/// must fail at a count that is above the bytes left, for no element is without a byte.)
fn judge(fault: Fault) -> (&'static str, bool) {
    match fault {
        Fault::CutShort { .. } => ("cut short", true),
        Fault::NegativeLength { .. } => ("negative length", true),
        Fault::Count { .. } => ("count", false),
        Fault::Tag { .. } => ("tag of another version", true),
        Fault::NotUtf8 => ("not UTF-8", true),
        Fault::Null => ("null", false),
        Fault::TooManyElements => ("too many elements", false),
        Fault::TooManyTags { .. } => ("too many tags", false),
        Fault::StringTooLong { .. } => ("string too long", false),
        Fault::Varint => ("varint without end", false),
        Fault::NotServed { .. } => panic!("a version that has a program is not served"),
    }
}

/// The result of an action, and how many bytes it asked the allocator for.
fn counted<T>(action: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let result = action();
    let change = region.change();
    (result, change.bytes_allocated + change.bytes_reallocated.max(0) as usize)
}
