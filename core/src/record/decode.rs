//! Bytes to records: what a key and a value of Kafka's `__consumer_offsets` say, in every version
//! that Kafka 4.4 reads (spec classic 11.2).
//!
//! A record of a type that is not known is not an error: a newer broker may have left it, and it
//! is skipped (KIP-915). Bytes behind the last field are ignored, as Kafka does.

use bytes::Bytes;

use super::reader::Reader;
use super::{
    GroupMetadata, MemberMetadata, OffsetAndMetadata, Record, RecordKey, RecordValue, TOPIC_ID_TAG,
    kind,
};
use crate::id::{Generation, GroupId, InstanceId, MemberId, Millis, TopicName};
use crate::time::WallTime;

pub use super::reader::DecodeError;

/// Newest version of both values.
const NEWEST: i16 = 4;

/// The first version whose lengths are varints.
const FIRST_FLEXIBLE: i16 = 4;

/// Fewest bytes of a stored member: five lengths, two numbers and the tagged fields of version 4,
/// which is the version with the shortest lengths.
const LEAST_MEMBER: usize = 15;

/// What the bytes of a key and a value are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A record.
    Record(Record),
    /// A record of a type that is not known here; whoever replays skips it.
    Unknown {
        /// The type: the first two bytes of the key.
        kind: i16,
    },
}

/// Decodes a key and its value, or a key whose value is null: a tombstone.
///
/// Texts and byte strings of the record share `key` and `value`; nothing is copied. The value of a
/// record of unknown type is not looked at.
pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::new(key.clone());
    let kind = reader.int16("record type")?;
    let key = match kind {
        kind::LEGACY_OFFSET | kind::OFFSET => RecordKey::Offset {
            group: GroupId(reader.text("group")?),
            topic: TopicName(reader.text("topic")?),
            partition: reader.int32("partition")?,
        },
        kind::GROUP => RecordKey::Group(GroupId(reader.text("group")?)),
        kind => return Ok(Decoded::Unknown { kind }),
    };
    let value = value.map(|value| decode_value(&key, value)).transpose()?;
    Ok(Decoded::Record(Record { key, value }))
}

/// Decodes a value alone, as one of the row that `key` names.
pub fn decode_value(key: &RecordKey, value: &Bytes) -> Result<RecordValue, DecodeError> {
    let mut reader = Reader::new(value.clone());
    let version = reader.int16("value version")?;
    let schema = match key {
        RecordKey::Group(_) => "GroupMetadataValue",
        RecordKey::Offset { .. } => "OffsetCommitValue",
    };
    if !(0..=NEWEST).contains(&version) {
        return Err(DecodeError::UnknownVersion { schema, version, newest: NEWEST });
    }
    reader.flexible = version >= FIRST_FLEXIBLE;
    match key {
        RecordKey::Group(_) => {
            group(&mut reader, version).map(|row| RecordValue::Group(Box::new(row)))
        }
        RecordKey::Offset { .. } => offset(&mut reader, version).map(RecordValue::Offset),
    }
}

fn group(reader: &mut Reader, version: i16) -> Result<GroupMetadata, DecodeError> {
    let protocol_type = reader.text("protocolType")?;
    let generation = Generation(reader.int32("generation")?);
    let protocol = reader.nullable_text("protocol")?;
    let leader = reader.nullable_text("leader")?.map(MemberId);
    let state_since =
        if version >= 2 { time(reader.int64("currentStateTimestamp")?) } else { None };
    let mut members = Vec::new();
    for _ in 0..reader.count("members", LEAST_MEMBER)? {
        members.push(member(reader, version)?);
    }
    reader.skip_tags()?;
    Ok(GroupMetadata { protocol_type, generation, protocol, leader, state_since, members })
}

fn member(reader: &mut Reader, version: i16) -> Result<MemberMetadata, DecodeError> {
    let member_id = MemberId(reader.text("memberId")?);
    let instance_id =
        if version >= 3 { reader.nullable_text("groupInstanceId")?.map(InstanceId) } else { None };
    let client_id = reader.text("clientId")?;
    let client_host = reader.text("clientHost")?;
    let rebalance_timeout = if version >= 1 { reader.int32("rebalanceTimeout")? } else { -1 };
    let session_timeout = reader.int32("sessionTimeout")?;
    let subscription = reader.bytes("subscription")?;
    let assignment = reader.bytes("assignment")?;
    reader.skip_tags()?;
    Ok(MemberMetadata {
        member_id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout: Millis(rebalance_timeout),
        session_timeout: Millis(session_timeout),
        subscription,
        assignment,
    })
}

fn offset(reader: &mut Reader, version: i16) -> Result<OffsetAndMetadata, DecodeError> {
    let offset = reader.int64("offset")?;
    let leader_epoch = if version >= 3 { reader.int32("leaderEpoch")? } else { -1 };
    let metadata = reader.text("metadata")?;
    let committed_at = WallTime(reader.int64("commitTimestamp")?);
    let expires_at = if version == 1 { time(reader.int64("expireTimestamp")?) } else { None };
    let topic_id = reader.tagged_id("topicId", Some(TOPIC_ID_TAG))?;
    Ok(OffsetAndMetadata { offset, leader_epoch, metadata, committed_at, expires_at, topic_id })
}

/// A time that may be absent, which is -1 on the wire.
fn time(millis: i64) -> Option<WallTime> {
    (millis != -1).then_some(WallTime(millis))
}
