//! Are the bytes of our records those that Apache Kafka writes?

use std::fmt::Write;

use bytes::Bytes;
use quorate_core::record::decode::{Decoded, decode};
use quorate_core::record::encode::{Encoded, encode};
use quorate_core::record::{GroupMetadata, MemberMetadata, OffsetAndMetadata};
use quorate_core::{Generation, Millis, Record, RecordKey, RecordValue, Text, WallTime};
use uuid::{Uuid, uuid};

const CLASSIC: &str = include_str!("golden/consumer_offsets.txt");
const CONSUMER: &str = include_str!("golden/consumer_groups.txt");

/// One line of a golden file.
struct Golden {
    name: &'static str,
    key: Bytes,
    value: Option<Bytes>,
    /// What Kafka's own decoder says, as JSON.
    says: &'static str,
}

fn golden(file: &'static str) -> Vec<Golden> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().expect("a golden line has four fields");
            let (name, key, value, says) = (next(), next(), next(), next());
            let value = (value != "null").then(|| unhex(value));
            Golden { name, key: unhex(key), value, says }
        })
        .collect()
}

fn unhex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn recorded(name: &str) -> Golden {
    let mut all = golden(CLASSIC).into_iter();
    all.find(|line| line.name == name).expect("the golden file has a record of that name")
}

fn record(line: &Golden) -> Record {
    match decode(&line.key, line.value.as_ref()) {
        Ok(Decoded::Record(record)) => record,
        other => panic!("{}: {other:?}", line.name),
    }
}

/// The record in the words of Kafka's decoder. A field that the value's version lacks is left out.
fn in_kafkas_words(line: &Golden, record: &Record) -> String {
    let mut out = String::from(r#"{"key": "#);
    match &record.key {
        RecordKey::Group(group) => write!(out, r#"{{"group": {group:?}}}"#),
        RecordKey::Offset { group, topic, partition } => {
            write!(out, r#"{{"group": {group:?}, "topic": {topic:?}, "partition": {partition}}}"#)
        }
    }
    .expect("writing to a String");
    let Some(value) = &record.value else { return out + "}" };
    let bytes = line.value.as_ref().expect("a value was decoded from bytes");
    let version = i16::from_be_bytes([bytes[0], bytes[1]]);
    write!(out, r#", "version": {version}, "value": {{"#).expect("writing to a String");
    out += &match value {
        RecordValue::Group(group) => group_in_words(version, group),
        RecordValue::Offset(offset) => offset_in_words(version, offset),
    };
    out + "}}"
}

fn group_in_words(version: i16, group: &GroupMetadata) -> String {
    let mut out = format!(
        r#""protocolType": {:?}, "generation": {}, "protocol": {}, "leader": {}, "#,
        group.protocol_type,
        group.generation,
        nullable(group.protocol.as_ref()),
        nullable(group.leader.as_ref().map(|leader| &leader.0)),
    );
    if version >= 2 {
        out += &format!(r#""currentStateTimestamp": {}, "#, or_minus_one(group.state_since));
    }
    let members = group.members.iter().map(|member| member_in_words(version, member));
    out + r#""members": ["# + &members.collect::<Vec<_>>().join(", ") + "]"
}

fn member_in_words(version: i16, member: &MemberMetadata) -> String {
    let mut out = format!(r#"{{"memberId": {:?}, "#, member.member_id);
    if version >= 3 {
        let instance = nullable(member.instance_id.as_ref().map(|id| &id.0));
        out += &format!(r#""groupInstanceId": {instance}, "#);
    }
    out +=
        &format!(r#""clientId": {:?}, "clientHost": {:?}, "#, member.client_id, member.client_host);
    if version >= 1 {
        out += &format!(r#""rebalanceTimeout": {}, "#, member.rebalance_timeout.0);
    }
    out + &format!(
        r#""sessionTimeout": {}, "subscription": "{:x}", "assignment": "{:x}"}}"#,
        member.session_timeout.0, member.subscription, member.assignment
    )
}

fn offset_in_words(version: i16, offset: &OffsetAndMetadata) -> String {
    let mut out = format!(r#""offset": {}, "#, offset.offset);
    if version >= 3 {
        out += &format!(r#""leaderEpoch": {}, "#, offset.leader_epoch);
    }
    out += &format!(
        r#""metadata": {:?}, "commitTimestamp": {}"#,
        offset.metadata, offset.committed_at.0
    );
    if version == 1 {
        out += &format!(r#", "expireTimestamp": {}"#, or_minus_one(offset.expires_at));
    }
    if version >= 4 {
        out += &format!(r#", "topicId": "{}""#, offset.topic_id.simple());
    }
    out
}

fn nullable(text: Option<&Text>) -> String {
    text.map_or("null".to_owned(), |text| format!("{text:?}"))
}

fn or_minus_one(time: Option<WallTime>) -> i64 {
    time.map_or(-1, |time| time.0)
}

#[test]
fn every_recorded_record_decodes_to_what_kafkas_decoder_says() {
    let lines = golden(CLASSIC);
    assert_eq!(lines.len(), 57);
    for line in lines {
        assert_eq!(in_kafkas_words(&line, &record(&line)), line.says, "{}", line.name);
    }
}

#[test]
fn what_kafka_writes_today_is_what_we_write_byte_for_byte() {
    let written = |line: &Golden| !line.name.starts_with("old ") || line.name == "old group v3";
    let lines: Vec<_> = golden(CLASSIC).into_iter().filter(written).collect();
    assert_eq!(lines.len(), 47);
    for line in lines {
        let expected = Encoded { key: line.key.clone(), value: line.value.clone() };
        assert_eq!(encode(&record(&line)), Ok(expected), "{}", line.name);
    }
}

#[test]
fn a_record_of_an_older_version_is_written_back_in_todays_with_nothing_lost() {
    for line in golden(CLASSIC) {
        let old = record(&line);
        let Encoded { key, value } = encode(&old).expect("a decoded record can be encoded");
        let again = decode(&key, value.as_ref());
        assert_eq!(again, Ok(Decoded::Record(old)), "{}", line.name);
    }
}

#[test]
fn records_of_consumer_groups_are_of_unknown_types() {
    let lines = golden(CONSUMER);
    assert_eq!(lines.len(), 65);
    for line in lines {
        let kind = i16::from_be_bytes([line.key[0], line.key[1]]);
        let unknown = Ok(Decoded::Unknown { kind });
        assert_eq!(decode(&line.key, line.value.as_ref()), unknown, "{}", line.name);
    }
}

fn group_record(group: &str, value: Option<GroupMetadata>) -> Record {
    Record {
        key: RecordKey::Group(group.into()),
        value: value.map(|row| RecordValue::Group(Box::new(row))),
    }
}

fn offset_record(group: &str, partition: i32, value: OffsetAndMetadata) -> Record {
    let key = RecordKey::Offset { group: group.into(), topic: "orders".into(), partition };
    Record { key, value: Some(RecordValue::Offset(value)) }
}

/// Both directions of one recorded record.
fn is_both_ways(name: &str, expected: &Record) {
    let line = recorded(name);
    assert_eq!(&record(&line), expected, "{name}");
    let bytes = Encoded { key: line.key, value: line.value };
    assert_eq!(encode(expected), Ok(bytes), "{name}");
}

#[test]
fn a_new_group_is_stored_without_protocol_leader_and_members() {
    let empty = GroupMetadata {
        protocol_type: Text::EMPTY,
        generation: Generation(0),
        protocol: None,
        leader: None,
        state_since: Some(WallTime(1_795_575_522_550)),
        members: Vec::new(),
    };
    is_both_ways("new-group: group 1", &group_record("new-group", Some(empty)));
}

#[test]
fn a_group_that_lost_its_members_keeps_its_protocol_type_and_counts_on() {
    let emptied = GroupMetadata {
        protocol_type: "consumer".into(),
        generation: Generation(3),
        protocol: None,
        leader: None,
        state_since: Some(WallTime(1_795_575_523_587)),
        members: Vec::new(),
    };
    is_both_ways("emptied: group 4", &group_record("emptied", Some(emptied)));
}

#[test]
fn a_stable_group_is_stored_with_a_static_and_a_dynamic_member() {
    let leader = "conformance-620c18cd-d52d-4595-be90-4187ddd707c4";
    let member = |member_id: &str, instance_id: Option<&str>, assignment: &str| MemberMetadata {
        member_id: member_id.into(),
        instance_id: instance_id.map(Into::into),
        client_id: "conformance".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: Millis(60_000),
        session_timeout: Millis(6_000),
        subscription: unhex("00030000000100066f7264657273ffffffff00000000ffffffffffff"),
        assignment: unhex(assignment),
    };
    let stable = GroupMetadata {
        protocol_type: "consumer".into(),
        generation: Generation(2),
        protocol: Some("range".into()),
        leader: Some(leader.into()),
        state_since: Some(WallTime(1_795_575_523_247)),
        members: vec![
            member(
                "instance-1-0a5fca06-5b28-44df-9082-ad7c6eeb3adf",
                Some("instance-1"),
                "00030000000100066f72646572730000000100000002ffffffff",
            ),
            member(leader, None, "00030000000100066f7264657273000000020000000000000001ffffffff"),
        ],
    };
    is_both_ways("static-pair: group 3", &group_record("static-pair", Some(stable)));
}

#[test]
fn a_deleted_group_is_a_tombstone() {
    is_both_ways("deleted: group tombstone 1", &group_record("deleted", None));
}

const ORDERS: Uuid = uuid!("f4a8816c-d8f6-4dea-8f92-f5ed17a0b0ef");

#[test]
fn an_offset_is_stored_with_leader_epoch_and_topic_id() {
    let offset = OffsetAndMetadata {
        offset: 103,
        leader_epoch: 7,
        metadata: "note".into(),
        committed_at: WallTime(1_795_575_523_660),
        expires_at: None,
        topic_id: ORDERS,
    };
    is_both_ways("simple-epoch: offset 1", &offset_record("simple-epoch", 2, offset));
}

#[test]
fn the_metadata_of_an_offset_is_stored_as_utf_8() {
    let offset = OffsetAndMetadata {
        offset: 102,
        leader_epoch: -1,
        metadata: "größe ✓".into(),
        committed_at: WallTime(1_795_575_523_657),
        expires_at: None,
        topic_id: ORDERS,
    };
    is_both_ways("simple-metadata: offset 1", &offset_record("simple-metadata", 1, offset));
}

#[test]
fn an_offset_with_a_retention_of_its_own_is_stored_with_its_expiry_alone() {
    let offset = OffsetAndMetadata {
        offset: 202,
        leader_epoch: -1,
        metadata: "kept".into(),
        committed_at: WallTime(1_795_575_523_671),
        expires_at: Some(WallTime(1_795_661_923_671)),
        topic_id: Uuid::nil(),
    };
    is_both_ways("retention-v2: offset 1", &offset_record("retention-v2", 0, offset));
}
