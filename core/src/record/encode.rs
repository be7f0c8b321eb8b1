//! Records to bytes: the key and value that Kafka 4.4 writes into `__consumer_offsets`, byte for
//! byte (spec classic 11.2).
//!
//! Which version of a value is written depends on the value alone: group metadata is version 3; an
//! offset is version 4, or version 1 if it has an expiry of its own.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    GroupMetadata, MemberMetadata, OffsetAndMetadata, Record, RecordKey, RecordValue, TOPIC_ID_TAG,
    kind,
};
use crate::id::Text;

/// The longest text that Kafka's serialization takes, in bytes, in any version.
pub const LONGEST_TEXT: usize = i16::MAX as usize;

/// A record that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text is longer than [`LONGEST_TEXT`].
    #[error("{field} has {length} bytes, a record holds texts of at most {LONGEST_TEXT}")]
    TextTooLong {
        /// The field, by its name in Kafka's schema.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// Bytes or members are more than 32 bits can count.
    #[error("{field} has the length {length}, which a record cannot express")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        length: usize,
    },
    /// The value is not of the key's kind.
    #[error("the value for {key:?} is of another kind than its key")]
    KindMismatch {
        /// The key.
        key: RecordKey,
    },
}

/// The bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The key.
    pub key: Bytes,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
}

/// Encodes a record behind what is in `key` and `value`, whose memory can serve many records.
/// Whether there is a value; a tombstone leaves `value` as it is. After an error both hold
/// anything.
pub fn encode_into(
    record: &Record,
    key: &mut BytesMut,
    value: &mut BytesMut,
) -> Result<bool, EncodeError> {
    if !record.is_of_one_kind() {
        return Err(EncodeError::KindMismatch { key: record.key.clone() });
    }
    key_into(&record.key, key)?;
    record.value.as_ref().map(|row| value_into(row, value)).transpose()?;
    Ok(record.value.is_some())
}

/// Encodes a record.
pub fn encode(record: &Record) -> Result<Encoded, EncodeError> {
    let (mut key, mut value) = (BytesMut::with_capacity(64), BytesMut::with_capacity(64));
    let is_written = encode_into(record, &mut key, &mut value)?;
    Ok(Encoded { key: key.freeze(), value: is_written.then(|| value.freeze()) })
}

/// Encodes a key alone.
pub fn encode_key(key: &RecordKey) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(64);
    key_into(key, &mut out)?;
    Ok(out.freeze())
}

fn key_into(key: &RecordKey, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut out = Writer { out, flexible: false };
    match key {
        RecordKey::Group(group) => {
            out.int16(kind::GROUP);
            out.text("group", &group.0)?;
        }
        RecordKey::Offset { group, topic, partition } => {
            out.int16(kind::OFFSET);
            out.text("group", &group.0)?;
            out.text("topic", &topic.0)?;
            out.int32(*partition);
        }
    }
    Ok(())
}

/// Encodes a value alone.
pub fn encode_value(value: &RecordValue) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(64);
    value_into(value, &mut out)?;
    Ok(out.freeze())
}

fn value_into(value: &RecordValue, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut out = Writer { out, flexible: false };
    match value {
        RecordValue::Group(metadata) => group(&mut out, metadata),
        RecordValue::Offset(offset) if offset.expires_at.is_some() => expiring(&mut out, offset),
        RecordValue::Offset(offset) => committed(&mut out, offset),
    }
}

/// `GroupMetadataValue` version 3.
fn group(out: &mut Writer<'_>, metadata: &GroupMetadata) -> Result<(), EncodeError> {
    out.int16(3);
    out.text("protocolType", &metadata.protocol_type)?;
    out.int32(metadata.generation.0);
    out.nullable_text("protocol", metadata.protocol.as_ref())?;
    out.nullable_text("leader", metadata.leader.as_ref().map(|leader| &leader.0))?;
    out.int64(metadata.state_since.map_or(-1, |time| time.0));
    out.length("members", metadata.members.len())?;
    metadata.members.iter().try_for_each(|one| member(out, one))
}

fn member(out: &mut Writer<'_>, member: &MemberMetadata) -> Result<(), EncodeError> {
    out.text("memberId", &member.member_id.0)?;
    out.nullable_text("groupInstanceId", member.instance_id.as_ref().map(|id| &id.0))?;
    out.text("clientId", &member.client_id)?;
    out.text("clientHost", &member.client_host)?;
    out.int32(member.rebalance_timeout.0);
    out.int32(member.session_timeout.0);
    out.bytes("subscription", &member.subscription)?;
    out.bytes("assignment", &member.assignment)
}

/// `OffsetCommitValue` version 1, the only one with an expiry.
fn expiring(out: &mut Writer<'_>, offset: &OffsetAndMetadata) -> Result<(), EncodeError> {
    out.int16(1);
    out.int64(offset.offset);
    out.text("metadata", &offset.metadata)?;
    out.int64(offset.committed_at.0);
    out.int64(offset.expires_at.map_or(-1, |time| time.0));
    Ok(())
}

/// `OffsetCommitValue` version 4.
fn committed(out: &mut Writer<'_>, offset: &OffsetAndMetadata) -> Result<(), EncodeError> {
    out.int16(4);
    out.flexible = true;
    out.int64(offset.offset);
    out.int32(offset.leader_epoch);
    out.text("metadata", &offset.metadata)?;
    out.int64(offset.committed_at.0);
    if offset.topic_id.is_nil() {
        out.uvarint(0);
    } else {
        let id = offset.topic_id.as_bytes();
        out.uvarint(1);
        out.uvarint(TOPIC_ID_TAG);
        out.uvarint(id.len() as u32);
        out.out.put_slice(id);
    }
    Ok(())
}

struct Writer<'a> {
    out: &'a mut BytesMut,
    flexible: bool,
}

impl Writer<'_> {
    fn int16(&mut self, value: i16) {
        self.out.put_i16(value);
    }

    fn int32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    fn int64(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    fn uvarint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.out.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }

    fn length(&mut self, field: &'static str, length: usize) -> Result<(), EncodeError> {
        let count = i32::try_from(length).map_err(|_| EncodeError::TooLong { field, length })?;
        self.int32(count);
        Ok(())
    }

    fn text(&mut self, field: &'static str, text: &Text) -> Result<(), EncodeError> {
        self.nullable_text(field, Some(text))
    }

    fn nullable_text(
        &mut self,
        field: &'static str,
        text: Option<&Text>,
    ) -> Result<(), EncodeError> {
        let Some(text) = text else {
            if self.flexible {
                self.uvarint(0)
            } else {
                self.int16(-1)
            }
            return Ok(());
        };
        let length = text.as_bytes().len();
        let short =
            i16::try_from(length).map_err(|_| EncodeError::TextTooLong { field, length })?;
        if self.flexible {
            self.uvarint(length as u32 + 1)
        } else {
            self.int16(short)
        }
        self.out.put_slice(text.as_bytes());
        Ok(())
    }

    fn bytes(&mut self, field: &'static str, bytes: &Bytes) -> Result<(), EncodeError> {
        self.length(field, bytes.len())?;
        self.out.put_slice(bytes);
        Ok(())
    }
}
