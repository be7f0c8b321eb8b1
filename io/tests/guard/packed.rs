//! Compressed batches: Apache Kafka 4.4's answers to those that are wrong.

use std::io::Write;

use flate2::write::GzEncoder;
use kafka_protocol::ResponseError;
use quorate_io::guard::batch::Compression;
use quorate_io::guard::check::{BatchError, MAX_UNPACKED_BYTES, ProduceRules, check};
use quorate_io::guard::packing::{UnpackError, unpack};
use quorate_io::guard::rejected::Reason;

use crate::build::{Batch, STARTED, record, record_with, sized, varint};

const GZIP: i16 = 1;
const SNAPPY: i16 = 2;
const LZ4: i16 = 3;
const ZSTD: i16 = 4;
const RULES: ProduceRules = ProduceRules {
    api_version: 9,
    append_time: None,
    max_message_bytes: 1 << 20,
    earliest: i64::MIN,
    latest: STARTED + 3_600_000,
    keys: false,
    max_record_bytes: 1000,
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).expect("memory takes it");
    packed.finish().expect("memory takes it")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut packed = lz4_flex::frame::FrameEncoder::new(Vec::new());
    packed.write_all(bytes).expect("memory takes it");
    packed.finish().expect("memory takes it")
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("it is short")
}

/// As Java's clients do: blocks with their length in front.
fn snappy_blocks(bytes: &[u8]) -> Vec<u8> {
    let mut packed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in bytes.chunks(20) {
        let block = snappy(block);
        packed.extend((block.len() as u32).to_be_bytes());
        packed.extend(block);
    }
    packed
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory takes it")
}

/// Three records with these offset deltas.
fn records(deltas: [i64; 3]) -> Vec<u8> {
    let one = |(time, delta): (i64, i64)| record(delta, time, &sized(&[b'a'; 50]));
    (0..).zip(deltas).flat_map(one).collect()
}

fn batch(body: Vec<u8>, attributes: i16) -> Vec<u8> {
    Batch { body, attributes, ..Batch::of(&[b"", b"", b""]) }.bytes()
}

fn fault(body: Vec<u8>) -> BatchError {
    check(&batch(body, GZIP), &RULES).unwrap_err()
}

#[test]
fn every_kind_of_compression_is_unpacked_and_its_records_checked() {
    let plain = records([0, 1, 2]);
    for (codec, body) in [
        (GZIP, gzip(&plain)),
        (GZIP, [gzip(&plain[..9]), gzip(&plain[9..])].concat()),
        (SNAPPY, snappy(&plain)),
        (SNAPPY, snappy_blocks(&plain)),
        (LZ4, lz4(&plain)),
        (ZSTD, zstd(&plain)),
    ] {
        let checked = batch(body, codec);
        let checked = check(&checked, &RULES).expect("a right batch");
        assert_eq!(checked.max_timestamp, STARTED + 2, "{codec}");
    }
}

#[test]
fn the_greatest_time_is_counted_and_not_believed() {
    let lie =
        Batch { body: gzip(&records([0, 1, 2])), attributes: GZIP, ..Batch::of(&[b"", b"", b""]) };
    let mut lie = lie.bytes();
    quorate_io::guard::batch::set_max_timestamp(&mut lie, STARTED + 99_999_999, false);
    assert_eq!(check(&lie, &RULES).map(|checked| checked.max_timestamp), Ok(STARTED + 2));
}

#[test]
fn each_fault_is_answered_as_kafka_does() {
    use ResponseError::*;
    let (good, cut) = (gzip(&records([0, 1, 2])), gzip(&records([0, 1, 2])).len() - 12);
    let bare = [b'x'; 30].to_vec();
    for (what, body, codec, code) in [
        ("no gzip", bare.clone(), GZIP, UnknownServerError),
        ("no snappy", bare.clone(), SNAPPY, UnknownServerError),
        ("no lz4", bare.clone(), LZ4, UnknownServerError),
        ("no zstd", bare, ZSTD, UnknownServerError),
        ("half a gzip", good[..cut].to_vec(), GZIP, UnknownServerError),
        ("fewer records", gzip(&records([0, 1, 2])[..100]), GZIP, InvalidRecord),
        ("nothing packed", gzip(b""), GZIP, InvalidRecord),
        ("bytes behind", gzip(&[&*records([0, 1, 2]), b"junk"].concat()), GZIP, InvalidRecord),
        ("offsets out of order", gzip(&records([0, 2, 1])), GZIP, UnknownServerError),
    ] {
        let error = check(&batch(body, codec), &RULES).unwrap_err();
        assert_eq!((error.code(), error.tells_log_start()), (code, true), "{what}");
    }
    let one_more = record_with(3, 3, &sized(b"a"), &varint(0));
    let many = [&*records([0, 1, 2]), &one_more].concat();
    assert_eq!(fault(gzip(&many)), BatchError::LeftOver { bytes: one_more.len() });
}

#[test]
fn a_record_may_not_be_larger_than_the_topic_says_once_it_is_unpacked() {
    let large = [record(0, 0, &sized(&[0; 900])), record(1, 1, &sized(&[0; 1001]))].concat();
    let large = [large, record(2, 2, &sized(b""))].concat();
    assert_eq!(fault(gzip(&large)), BatchError::RecordTooLarge { index: 1, most: 1000 });
    assert_eq!(fault(gzip(&large)).code(), ResponseError::InvalidRecord);
    assert!(check(&batch(large, 0), &RULES).is_ok(), "what is not packed is as large as it says");
}

#[test]
fn what_unpacks_to_too_much_is_given_up() {
    let bomb = vec![0; MAX_UNPACKED_BYTES + 1];
    let too_large =
        BatchError::Unpack { fault: UnpackError::TooLarge { most: MAX_UNPACKED_BYTES } };
    for (codec, body) in [(GZIP, gzip(&bomb)), (LZ4, lz4(&bomb)), (ZSTD, zstd(&bomb))] {
        let error = check(&batch(body, codec), &RULES).unwrap_err();
        assert_eq!((&error, error.code()), (&too_large, ResponseError::MessageTooLarge));
    }
    // A snappy block claims its length.
    let claim = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 40]].concat();
    let most = UnpackError::TooLarge { most: 100 };
    assert_eq!(unpack(Compression::Snappy, &claim, 100), Err(most));
    let damaged = UnpackError::Damaged { compression: Compression::Snappy };
    assert_eq!(unpack(Compression::Snappy, &claim, usize::MAX), Err(damaged));
}

#[test]
fn a_compacted_topic_wants_keys() {
    let rules = ProduceRules { keys: true, ..RULES };
    let keyless = [0, 1, 2].map(|index| (index, Reason::NoKey));
    for body in [records([0, 1, 2]), gzip(&records([0, 1, 2]))] {
        let attributes = if body[0] == 0x1f { GZIP } else { 0 };
        let error = check(&batch(body, attributes), &rules).unwrap_err();
        let BatchError::Rejected(rejected) = &error else { panic!("{error}") };
        assert_eq!((rejected.count(), rejected.told()), (3, &keyless[..]));
        assert!(!rejected.is_of_time());
        assert_eq!((error.code(), error.tells_log_start()), (ResponseError::InvalidRecord, true));
    }
}
