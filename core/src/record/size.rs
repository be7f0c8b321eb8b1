//! How many bytes records take in a batch of Kafka's, to hold a batch to its limit.

use super::{GroupMetadata, Record, RecordKey, RecordValue};
use crate::id::Text;

/// Of a record batch before its first record.
const BATCH_OVERHEAD: usize = 61;
/// The most that a record takes beside key and value.
const RECORD_OVERHEAD: usize = 21;

fn text(text: &Text) -> usize {
    2 + text.as_bytes().len()
}

fn group(value: &GroupMetadata) -> usize {
    let optional = |t: Option<&Text>| t.map_or(2, text);
    let head = 2 + text(&value.protocol_type) + 4 + 8 + 4;
    let names = optional(value.protocol.as_ref()) + optional(value.leader.as_ref().map(|l| &l.0));
    let members = value.members.iter().map(|member| {
        text(&member.member_id.0)
            + optional(member.instance_id.as_ref().map(|i| &i.0))
            + text(&member.client_id)
            + text(&member.client_host)
            + 16
            + member.subscription.len()
            + member.assignment.len()
    });
    head + names + members.sum::<usize>()
}

impl Record {
    /// Bytes of the record in a batch, at most.
    #[must_use]
    pub fn size(&self) -> usize {
        let key = match &self.key {
            RecordKey::Group(id) => 2 + text(&id.0),
            RecordKey::Offset { group, topic, .. } => 2 + text(&group.0) + text(&topic.0) + 4,
        };
        let value = match &self.value {
            None => 0,
            Some(RecordValue::Group(value)) => group(value),
            Some(RecordValue::Offset(value)) => 2 + 8 + 4 + text(&value.metadata) + 8 + 20,
        };
        RECORD_OVERHEAD + key + value
    }
}

/// Bytes of a batch of these records, at most.
#[must_use]
pub fn batch_size(records: &[Record]) -> usize {
    BATCH_OVERHEAD + records.iter().map(Record::size).sum::<usize>()
}
