//! Does the codec of records stand bytes that lie?

use bytes::Bytes;
use quorate_core::record::OffsetAndMetadata;
use quorate_core::record::decode::{DecodeError, Decoded, decode};
use quorate_core::record::encode::{EncodeError, Encoded, LONGEST_TEXT, encode};
use quorate_core::{Record, RecordKey, RecordValue, Text, WallTime};
use uuid::Uuid;

const CLASSIC: &str = include_str!("golden/consumer_offsets.txt");

fn unhex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Key and value of each golden record that is no tombstone.
fn samples() -> Vec<(Bytes, Bytes)> {
    let lines = CLASSIC.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|fields| fields[2] != "null")
        .map(|fields| (unhex(fields[1]), unhex(fields[2])))
        .collect()
}

/// The key of an offset of partition 3 of `orders`, of the group `old`.
const OFFSET_KEY: &str = "000100036f6c6400066f726465727300000003";
/// The key of the group `old`.
const GROUP_KEY: &str = "000200036f6c64";
/// A version 4 offset up to its tagged fields.
const OFFSET_V4: &str = "00040000011f71fb04cb00000009026d0000018bcfe569c8";

fn decoded(key: &str, value: &str) -> Result<Decoded, DecodeError> {
    decode(&unhex(key), Some(&unhex(value)))
}

/// The offset that [`OFFSET_V4`] is, with a topic id.
fn offset_v4(topic_id: Uuid) -> Decoded {
    let key = RecordKey::Offset { group: "old".into(), topic: "orders".into(), partition: 3 };
    let value = OffsetAndMetadata {
        offset: 1_234_567_890_123,
        leader_epoch: 9,
        metadata: "m".into(),
        committed_at: WallTime(1_700_000_000_456),
        expires_at: None,
        topic_id,
    };
    Decoded::Record(Record { key, value: Some(RecordValue::Offset(value)) })
}

/// A small generator of numbers (Steele and others' SplitMix64), so that a failure repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[test]
fn every_part_of_a_record_short_of_all_is_refused() {
    for (key, value) in samples() {
        for end in 0..key.len() {
            let cut = decode(&key.slice(..end), Some(&value));
            assert!(matches!(cut, Err(DecodeError::Truncated { .. })), "{end} of {key:x}: {cut:?}");
        }
        for end in 0..value.len() {
            let cut = decode(&key, Some(&value.slice(..end)));
            let refused =
                matches!(cut, Err(DecodeError::Truncated { .. } | DecodeError::TooMany { .. }));
            assert!(refused, "{end} of {value:x}: {cut:?}");
        }
    }
}

#[test]
fn what_is_made_of_damaged_bytes_is_a_record_that_can_be_written_and_read_again() {
    let samples = samples();
    let mut numbers = Numbers(7);
    let mut accepted = 0;
    for _ in 0..60_000 {
        let (key, value) = &samples[numbers.below(samples.len())];
        let (mut key, mut value) = (key.to_vec(), value.to_vec());
        for _ in 0..=numbers.below(3) {
            let part = if numbers.below(4) == 0 { &mut key } else { &mut value };
            let at = numbers.below(part.len());
            part[at] = [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
        }
        value.truncate(value.len() - numbers.below(2) * numbers.below(value.len()));
        let Ok(Decoded::Record(record)) = decode(&key.into(), Some(&value.into())) else {
            continue;
        };
        accepted += 1;
        let Encoded { key, value } = encode(&record).expect("a decoded record can be encoded");
        assert_eq!(decode(&key, value.as_ref()), Ok(Decoded::Record(record)));
    }
    assert!(accepted > 10_000, "only {accepted} of the damaged records were accepted");
}

#[test]
fn a_claimed_count_is_compared_with_the_bytes_that_are_left() {
    let huge = DecodeError::TooMany { field: "members", count: i32::MAX as usize, left: 0 };
    assert_eq!(decoded(GROUP_KEY, "0000000000000000ffffffff7fffffff"), Err(huge));
    let compact = DecodeError::TooMany { field: "members", count: u32::MAX as usize - 1, left: 0 };
    let value = "000401000000000000".to_owned() + "ffffffffffffffff" + "ffffffff0f";
    assert_eq!(decoded(GROUP_KEY, &value), Err(compact));
}

#[test]
fn a_claimed_length_is_compared_with_the_bytes_that_are_left() {
    let long = DecodeError::Truncated { field: "group", wanted: 32_767, left: 1 };
    assert_eq!(decode(&unhex("00027fff61"), None), Err(long));
}

#[test]
fn a_length_below_minus_one_is_refused() {
    let below = DecodeError::Length { field: "group", length: -2 };
    assert_eq!(decode(&unhex("0002fffe"), None), Err(below));
}

#[test]
fn null_is_refused_where_the_schema_has_none() {
    let null = |field| Err(DecodeError::Null { field });
    assert_eq!(decode(&unhex("0002ffff"), None), null("group"));
    assert_eq!(decoded(OFFSET_KEY, "00030000000000000001ffffffffffff"), null("metadata"));
    assert_eq!(decoded(GROUP_KEY, "0000000000000000ffffffffffffffff"), null("members"));
}

#[test]
fn a_text_that_is_not_utf_8_is_refused() {
    let error = decode(&unhex("0002000261ff"), None).expect_err("0xff is in no UTF-8 text");
    assert_eq!(error.to_string(), "group cannot be read");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("text is not UTF-8 from byte 1 on"));
}

#[test]
fn a_record_of_unknown_type_is_no_error_whatever_follows_the_type() {
    for kind in [-1, 3, 9, 99] {
        let key = Bytes::copy_from_slice(&i16::to_be_bytes(kind));
        assert_eq!(decode(&key, None), Ok(Decoded::Unknown { kind }));
        assert_eq!(decode(&key, Some(&Bytes::new())), Ok(Decoded::Unknown { kind }));
    }
}

#[test]
fn a_value_of_unknown_version_is_an_error() {
    let unknown = |schema, version| Err(DecodeError::UnknownVersion { schema, version, newest: 4 });
    assert_eq!(decoded(OFFSET_KEY, "0005"), unknown("OffsetCommitValue", 5));
    assert_eq!(decoded(GROUP_KEY, "ffff"), unknown("GroupMetadataValue", -1));
}

#[test]
fn unknown_tagged_fields_are_passed_over() {
    let id = "0102030405060708090a0b0c0d0e0f10";
    let known = format!("{OFFSET_V4}0205{}0010{id}", "02aaaa");
    let expected = offset_v4(Uuid::from_slice(&unhex(id)).expect("sixteen bytes"));
    assert_eq!(decoded(OFFSET_KEY, &known), Ok(expected));
    let unknown = format!("{OFFSET_V4}010502aaaa");
    assert_eq!(decoded(OFFSET_KEY, &unknown), Ok(offset_v4(Uuid::nil())));
}

#[test]
fn a_topic_id_of_another_size_than_sixteen_bytes_is_refused() {
    let short = DecodeError::Length { field: "topicId", length: 2 };
    assert_eq!(decoded(OFFSET_KEY, &format!("{OFFSET_V4}010002aaaa")), Err(short));
}

#[test]
fn a_varint_of_more_than_32_bits_is_refused() {
    let over = DecodeError::Length { field: "tagged fields", length: 0x7_ffff_ffff };
    assert_eq!(decoded(OFFSET_KEY, &format!("{OFFSET_V4}ffffffff7f")), Err(over));
    let endless = DecodeError::Length { field: "tagged fields", length: 0x7_ffff_ffff };
    assert_eq!(decoded(OFFSET_KEY, &format!("{OFFSET_V4}ffffffffffff")), Err(endless));
}

#[test]
fn bytes_behind_the_last_field_are_ignored() {
    assert_eq!(decoded(OFFSET_KEY, &format!("{OFFSET_V4}00ff")), Ok(offset_v4(Uuid::nil())));
}

#[test]
fn a_text_that_no_broker_could_read_back_is_not_written() {
    let of = |length| {
        let group = Text::from("x".repeat(length));
        encode(&Record { key: RecordKey::Group(group.into()), value: None })
    };
    assert_eq!(of(LONGEST_TEXT).map(|encoded| encoded.key.len()), Ok(LONGEST_TEXT + 4));
    let error = EncodeError::TextTooLong { field: "group", length: LONGEST_TEXT + 1 };
    assert_eq!(of(LONGEST_TEXT + 1), Err(error));
}

#[test]
fn a_value_of_another_kind_than_its_key_is_not_written() {
    let Decoded::Record(offset) = offset_v4(Uuid::nil()) else { unreachable!() };
    let key = RecordKey::Group("old".into());
    let mixed = Record { key: key.clone(), value: offset.value };
    assert_eq!(encode(&mixed), Err(EncodeError::KindMismatch { key }));
}
