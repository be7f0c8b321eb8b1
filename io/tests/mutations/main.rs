//! Does the decoder take what the guard accepts, at the same length and in bounded memory?
//!
//! A program of its own, for it counts what the allocator is asked for.

use std::alloc::System;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use quorate_io::guard::schema::{Program, known, program};
use quorate_io::guard::{Fault, MAX_ELEMENTS, walk};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod batches;
#[path = "../guard/build.rs"]
mod build;
#[path = "../guard/decode.rs"]
mod decode;
mod generate;

use generate::{Plan, below, mutate, once_in, request};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held while bytes are counted, as tests run side by side.
static COUNTING: Mutex<()> = Mutex::new(());

/// Bytes that the decoder may ask for, for each byte of the frame: the most is a struct of four
/// bytes that ends in a tagged field, which costs a node of a tree.
const BYTES_FOR_EACH: usize = 150;

/// Inputs: 30,000, or 300,000 with CI=true.
fn inputs() -> u64 {
    if std::env::var("CI").is_ok_and(|value| value == "true") { 300_000 } else { 30_000 }
}

fn programs() -> Vec<(i16, i16, &'static Program)> {
    known()
        .map(|(api, _)| api as i16)
        .flat_map(|key| decode::versions(key).map(move |version| (key, version)))
        .map(|(key, version)| (key, version, program(key, version).unwrap()))
        .collect()
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
    let programs = programs();
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
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

/// The decoder knows of null only what the latest version allows.
#[test]
fn only_metadata_and_offset_fetch_have_nulls_that_the_decoder_takes_and_the_walk_does_not() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs();
    let mut taken = BTreeSet::new();
    for seed in 0..inputs() {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (key, version, program) = programs[seed as usize % programs.len()];
        let frame = Bytes::from(request(rng, (key, version), program, Plan::OneNull));
        let what = format!("seed {seed}, API key {key} version {version}");
        match walk(key, version, &frame).map_err(|refused| refused.fault) {
            Ok(length) => assert_eq!(length, frame.len(), "{what}"),
            Err(fault) => {
                assert_eq!(fault, Fault::Null, "{what}");
                if decode::decode(key, version, frame).is_some() {
                    taken.insert((key, version));
                }
            }
        }
    }
    let metadata = (0..=9).map(|version| (3, version));
    assert_eq!(taken, metadata.chain([(9, 1)]).collect());
}

/// CreatePartitions of one topic, with `count` assignments of no brokers and one tagged field each.
#[test]
fn the_densest_frame_is_decoded_in_bounded_memory() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let count = (MAX_ELEMENTS - 1) / 2;
    let compact = [(count + 1) as u8 | 0x80, ((count + 1) >> 7) as u8 | 0x80, (count >> 14) as u8];
    let assignments = [1, 1, 0x20, 0].repeat(count);
    let parts: [&[u8]; 5] = [
        b"\0\x25\0\x03\0\0\0\x07\xff\xff\0\x02\x02t\0\0\0\x09",
        &compact,
        &assignments,
        b"\0",
        b"\0\0\0\0\0\0",
    ];
    let frame = Bytes::from(parts.concat());
    let (walked, bytes) = counted(0, || walk(37, 3, &frame));
    assert_eq!((walked, bytes), (Ok(frame.len()), 0));
    let (decoded, bytes) =
        counted(BYTES_FOR_EACH * frame.len(), || decode::decode(37, 3, frame.clone()));
    assert_eq!(decoded, Some(frame.len()));
    println!("{bytes} bytes allocated for a frame of {}", frame.len());
    assert!(bytes <= BYTES_FOR_EACH * frame.len(), "{bytes} for {}", frame.len());
}

fn try_one(seed: u64, key: i16, version: i16, program: &Program, tally: &mut Tally) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let kind = below(rng, 4);
    let plan = if kind == 1 { Plan::Wrong } else { Plan::Right };
    let mut frame = request(rng, (key, version), program, plan);
    let whole = frame.len();
    match kind {
        2.. => mutate(rng, &mut frame),
        _ if once_in(rng, 4) => frame.extend([0xff; 5]),
        _ => {}
    }
    let what = format!("seed {seed}, API key {key} version {version}");
    let frame = Bytes::from(frame);
    let (walked, bytes) = counted(0, || walk(key, version, &frame));
    assert_eq!(bytes, 0, "{what}: the walk allocates");
    if kind == 0 {
        assert_eq!(walked, Ok(whole), "{what}");
    }
    let outcome = match walked {
        Ok(length) => {
            let (decoded, bytes) = counted(BYTES_FOR_EACH * frame.len(), || {
                decode::decode(key, version, frame.clone())
            });
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
        // Kafka and the decoder do not agree on what it says.
        Fault::Presence { .. } => ("presence", false),
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

/// The result of an action, and how many bytes it asked the allocator for: the least of a few
/// trials if they are more than `most`, as the test harness allocates in a thread of its own.
fn counted<T>(most: usize, action: impl Fn() -> T) -> (T, usize) {
    let trial = || {
        let region = Region::new(ALLOCATOR);
        let result = action();
        let change = region.change();
        (result, change.bytes_allocated + change.bytes_reallocated.max(0) as usize)
    };
    let (mut result, mut bytes) = trial();
    for _ in 0..5 {
        if bytes > most {
            (result, bytes) = trial();
        }
    }
    (result, bytes)
}
