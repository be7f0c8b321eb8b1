//! Produced batches that are right, and wrong in one way each; the codes are Kafka 4.4's answers.

use kafka_protocol::ResponseError;
use quorate_io::guard::batch::{Batches, HEADER_BYTES};
use quorate_io::guard::check::{BatchError, Checked, ProduceRules, check};
use quorate_io::guard::record::{Record, RecordFault, Records};

use crate::build::{Batch, STARTED, record, record_with, sized, varint};

const CODEC_LZ4: i16 = 3;
const CODEC_ZSTD: i16 = 4;
const RULES: ProduceRules = ProduceRules {
    api_version: 9,
    append_time: None,
    max_message_bytes: 1000,
    earliest: i64::MIN,
    latest: STARTED + 3_600_000,
    keys: false,
    max_record_bytes: usize::MAX,
};

fn with(change: impl FnOnce(&mut Batch)) -> Vec<u8> {
    let mut batch = good();
    change(&mut batch);
    batch.bytes()
}

fn good() -> Batch {
    Batch::of(&[b"one", b"two"])
}

fn fault(bytes: &[u8]) -> BatchError {
    check(bytes, &RULES).unwrap_err()
}

/// Code and whether the log's start is told, of a batch of one record that is wrong.
fn record_fault(record: Vec<u8>) -> BatchError {
    let error = fault(&Batch { body: record, ..Batch::of(&[b"a"]) }.bytes());
    assert_eq!((error.code(), error.tells_log_start()), (ResponseError::InvalidRecord, true));
    error
}

#[test]
fn a_right_batch_is_taken_whole_and_its_records_are_read_in_place() {
    let bytes = good().bytes();
    let checked = check(&bytes, &RULES).unwrap();
    let header = checked.header;
    assert_eq!(
        checked,
        Checked { header, bytes: &bytes, max_timestamp: STARTED + 1, append_time: None }
    );
    assert_eq!((header.base_offset, header.last_offset(), header.size()), (0, 1, bytes.len()));
    assert_eq!((header.partition_leader_epoch, header.magic, header.record_count), (-1, 2, 2));
    assert_eq!((header.base_timestamp, header.max_timestamp), (STARTED, STARTED + 1));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, -1));
    let two = Record {
        offset_delta: 1,
        timestamp: STARTED + 1,
        key: None,
        value: Some(b"two".as_slice()),
        headers: &[0],
    };
    assert_eq!(Records::new(&header, &bytes[HEADER_BYTES..]).last(), Some(Ok(two)));
}

#[test]
fn each_recorded_fault_is_answered_as_kafka_does() {
    use ResponseError::*;
    let whole = good().bytes();
    for (what, bytes, code, tells_log_start) in [
        ("checksum", with(|b| b.crc = Some(1)), CorruptMessage, false),
        ("magic 1", with(|b| b.magic = 1), InvalidRecord, false),
        ("magic 9", with(|b| b.magic = 9), CorruptMessage, false),
        ("count too large", with(|b| b.count = 3), InvalidRecord, true),
        ("count of none", with(|b| b.count = 0), InvalidRecord, true),
        ("negative count", with(|b| b.count = -1), InvalidRecord, true),
        ("cut short", whole[..whole.len() - 3].to_vec(), InvalidRecord, false),
        ("half a header", whole[..30].to_vec(), InvalidRecord, false),
        ("two batches", [&*whole, &whole].concat(), InvalidRecord, false),
        ("control batch", with(|b| b.attributes = 0x20), InvalidRecord, true),
        ("unknown compression", with(|b| b.attributes = 7), UnknownServerError, true),
        ("base offset not 0", with(|b| b.base_offset = 5), InvalidRecord, true),
        ("empty", vec![], InvalidRecord, false),
        (
            "larger than the topic takes",
            Batch::of(&[&[b'x'; 1200]]).bytes(),
            MessageTooLarge,
            false,
        ),
        ("in two hours", with(|b| b.base_timestamp += 7_200_000), InvalidTimestamp, true),
    ] {
        let error = fault(&bytes);
        assert_eq!((error.code(), error.tells_log_start()), (code, tells_log_start), "{what}");
    }
}

#[test]
fn what_kafka_takes_is_taken() {
    let whole = good().bytes();
    for (what, bytes) in [
        ("epoch -1 of a producer", with(|b| (b.producer, b.sequence) = ((1, -1), 0))),
        ("a year ago", with(|b| b.base_timestamp -= 365 * 86_400_000)),
        ("no time", Batch { base_timestamp: -1, ..Batch::of(&[b"one"]) }.bytes()),
        ("half a batch behind it", [&*whole, &whole[..30]].concat()),
        ("a transaction's", with(|b| b.attributes = 0x10)),
        ("an unknown attribute", with(|b| b.attributes = 0x4000)),
    ] {
        assert_eq!(
            check(&bytes, &RULES).map(|checked| checked.header.record_count).ok(),
            Some(if what == "no time" { 1 } else { 2 }),
            "{what}"
        );
    }
}

#[test]
fn compression_is_judged_before_the_log_in_versions_before_7() {
    let unknown = with(|b| b.attributes = 7);
    let zstd = with(|b| b.attributes = CODEC_ZSTD);
    let at = |api_version| ProduceRules { api_version, ..RULES };
    let error = check(&unknown, &at(6)).unwrap_err();
    assert_eq!(error, BatchError::Compression { id: 7, before_append: true });
    assert_eq!((error.code(), error.tells_log_start()), (ResponseError::UnknownServerError, false));
    let error = check(&zstd, &at(6)).unwrap_err();
    assert_eq!(error, BatchError::ZstdTooEarly { api_version: 6 });
    assert_eq!(error.code(), ResponseError::UnsupportedCompressionType);
    let from_7 = check(&zstd, &at(7)).unwrap_err();
    assert!(matches!(from_7, BatchError::Unpack { .. }), "{from_7}");
}

#[test]
fn a_count_that_cannot_be_is_refused_before_anything_is_read() {
    let most = good().body.len() / 7;
    let most_packed = good().body.len() * 255 / 7;
    let lie = |b: &mut Batch| (b.count, b.last_offset_delta) = (i32::MAX, i32::MAX - 1);
    assert_eq!(fault(&with(lie)), BatchError::Count { count: i32::MAX, most });
    let packed = with(|b| {
        lie(b);
        b.attributes = CODEC_LZ4;
    });
    assert_eq!(fault(&packed), BatchError::Count { count: i32::MAX, most: most_packed });
    let bare = with(|b| {
        lie(b);
        b.body.clear();
    });
    assert_eq!(fault(&bare), BatchError::Count { count: i32::MAX, most: 0 });
    let negative = with(|b| b.last_offset_delta = -1);
    assert_eq!(fault(&negative), BatchError::OffsetRange { last_offset_delta: -1 });
    let uneven = |count| with(|b| (b.count, b.attributes) = (count, CODEC_LZ4));
    for count in [1, 3] {
        let expected = BatchError::CountAndOffsets { count, last_offset_delta: 1 };
        assert_eq!(fault(&uneven(count)), expected);
    }
    let wide = with(|b| b.last_offset_delta = i32::MAX);
    let expected = BatchError::CountAndOffsets { count: 2, last_offset_delta: i32::MAX };
    assert_eq!(fault(&wide), expected);
}

#[test]
fn a_producer_id_needs_a_sequence() {
    let unnumbered = with(|b| b.producer = (7, 0));
    assert_eq!(fault(&unnumbered), BatchError::Sequence { sequence: -1 });
}

/// The records of a batch that are rejected, each with what Kafka says of it, and the code.
fn rejected(bytes: &[u8], rules: &ProduceRules) -> (Vec<(i32, String)>, ResponseError) {
    let error = check(bytes, rules).expect_err("it is refused");
    let BatchError::Rejected(records) = &error else { panic!("{error}") };
    assert_eq!(records.count(), records.told().len());
    let told = records.told().iter().map(|(index, reason)| (*index, reason.to_string()));
    (told.collect(), error.code())
}

#[test]
fn each_record_with_a_bad_time_is_told_of() {
    let late = STARTED + 7_200_000;
    let words = |offset: i32, timestamp: i64| {
        let words = format!(
            "Timestamp {timestamp} of message with offset {offset} is out of range. The timestamp \
             should be within [-9223372036854775808, {}]",
            STARTED + 3_600_000
        );
        (offset, words)
    };
    let batch = with(|b| b.base_timestamp = late);
    let expected = vec![words(0, late), words(1, late + 1)];
    assert_eq!(rejected(&batch, &RULES), (expected, ResponseError::InvalidTimestamp));
    // Where one has a bad time, that is what is said of all; a record without a key has no other
    // fault.
    let rules = ProduceRules { keys: true, ..RULES };
    let keyless = "Compacted topic cannot accept message without key".to_owned();
    let expected = vec![(0, keyless.clone()), (1, keyless)];
    assert_eq!(rejected(&batch, &rules), (expected, ResponseError::InvalidRecord));
}

#[test]
fn a_producer_that_claims_the_time_of_the_append_is_not_believed() {
    const CLAIM: i16 = 8;
    // Then all records have the greatest time.
    let claimed = Batch { attributes: CLAIM, base_timestamp: STARTED + 4, ..good() };
    let checked = check(&claimed.bytes(), &RULES).map(|checked| checked.max_timestamp);
    assert_eq!(checked, Ok(STARTED + 5));
    let late = STARTED + 7_200_000;
    let (told, code) =
        rejected(&Batch { attributes: CLAIM, base_timestamp: late, ..good() }.bytes(), &RULES);
    assert_eq!((told.len(), code), (2, ResponseError::InvalidTimestamp));
    let rules = ProduceRules { append_time: Some(STARTED), ..RULES };
    let (told, code) = rejected(&claimed.bytes(), &rules);
    let words = format!(
        "Invalid timestamp type in message DefaultRecord(offset=0, timestamp={}, key=0 bytes, \
         value=3 bytes). Producer should not set timestamp type to LogAppendTime.",
        STARTED + 5
    );
    assert_eq!((&told[0], code), (&(0, words), ResponseError::InvalidTimestamp));
}

#[test]
fn a_length_that_no_batch_has_is_corrupt() {
    let mut bytes = good().bytes();
    bytes[8..12].copy_from_slice(&13_i32.to_be_bytes());
    assert_eq!(fault(&bytes), BatchError::Length { length: 13 });
    bytes[8..12].copy_from_slice(&i32::MIN.to_be_bytes());
    assert_eq!(fault(&bytes), BatchError::Length { length: i32::MIN });
    assert_eq!(fault(&bytes).code(), ResponseError::CorruptMessage);
    bytes[8..12].copy_from_slice(&48_i32.to_be_bytes());
    assert_eq!(fault(&bytes[..60]), BatchError::HeaderCutShort { bytes: 60 });
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(fault(&bytes), BatchError::NoBatch { bytes: bytes.len() });
}

#[test]
fn a_set_is_cut_into_its_whole_batches() {
    let (one, two) = (good().bytes(), Batch::of(&[b"three"]).bytes());
    let set = [&*one, &two, &one[..40]].concat();
    let batches: Vec<_> = Batches::new(&set).collect();
    assert_eq!(batches, [Ok(&*one), Ok(&*two)]);
    let odd = [&*one, &with(|b| b.magic = 3)].concat();
    let batches: Vec<_> = Batches::new(&odd).collect();
    assert_eq!(batches, [Ok(&*one), Err(BatchError::UnknownMagic { magic: 3 })]);
}

#[test]
fn a_record_that_cannot_be_read_is_named_with_its_fault() {
    let value = sized(b"a");
    let at_0 = |fault| BatchError::Record { index: 0, fault };
    let right = record(0, 0, &value);
    let huge = varint(i32::MAX.into());
    for (what, bytes, fault) in [
        ("cut short", right[..7].to_vec(), RecordFault::Length { length: 7, left: 6 }),
        ("too long", record(0, 0, &[&*value, &[0]].concat()), RecordFault::LeftOver { bytes: 1 }),
        ("offset", record(1, 0, &value), RecordFault::OffsetDelta { delta: 1 }),
        ("value", record(0, 0, &huge), RecordFault::Length { length: i32::MAX, left: 1 }),
        ("value of -2", record(0, 0, &varint(-2)), RecordFault::Length { length: -2, left: 1 }),
        (
            "headers",
            record_with(0, 0, &value, &huge),
            RecordFault::Headers { count: i32::MAX, left: 0 },
        ),
        (
            "headers of -1",
            record_with(0, 0, &value, &[1]),
            RecordFault::Headers { count: -1, left: 0 },
        ),
        (
            "null header",
            record_with(0, 0, &value, &[2, 1]),
            RecordFault::Length { length: -1, left: 1 },
        ),
        ("half a header", record_with(0, 0, &value, &[2, 0]), RecordFault::CutShort),
        ("endless", vec![0xff; 12], RecordFault::Varint),
    ] {
        assert_eq!(record_fault(bytes), at_0(fault), "{what}");
    }
    let behind = [right, vec![0]].concat();
    assert_eq!(record_fault(behind), BatchError::LeftOver { bytes: 1 });
}

#[test]
fn headers_are_read_and_may_have_no_value() {
    let headers = [&*varint(2), &sized(b"k"), &sized(b"v"), &sized(b""), &varint(-1)].concat();
    let body = record_with(0, 0, &sized(b"a"), &headers);
    let bytes = Batch { body, ..Batch::of(&[b"a"]) }.bytes();
    assert_eq!(check(&bytes, &RULES).unwrap().bytes, bytes);
}

#[test]
fn a_time_that_overflows_is_refused() {
    let body = record(0, 1, &sized(b"a"));
    let last = Batch { body, base_timestamp: i64::MAX, ..Batch::of(&[b"a"]) }.bytes();
    let fault = RecordFault::Time { base: i64::MAX, delta: 1 };
    assert_eq!(check(&last, &RULES), Err(BatchError::Record { index: 0, fault }));
}
