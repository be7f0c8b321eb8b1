//! What a shard stores: rows of a map, `key -> Option<value>`, the last writer of a key wins.
//!
//! The rows are those of Kafka's `__consumer_offsets` (spec classic 11.2), and so are their bytes.

pub mod decode;
pub mod encode;
mod reader;
mod size;

use bytes::Bytes;
pub use size::batch_size;
use uuid::Uuid;

use crate::id::{Generation, GroupId, InstanceId, MemberId, Millis, Text, TopicName};
use crate::time::WallTime;

/// One write: a value, or none where the row goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Which row.
    pub key: RecordKey,
    /// Its value; `None` is a tombstone.
    pub value: Option<RecordValue>,
}

impl Record {
    /// Whether the value, if there is one, is of the key's kind.
    #[must_use]
    pub fn is_of_one_kind(&self) -> bool {
        matches!(
            (&self.key, &self.value),
            (_, None)
                | (RecordKey::Group(_), Some(RecordValue::Group(_)))
                | (RecordKey::Offset { .. }, Some(RecordValue::Offset(_)))
        )
    }
}

/// Names a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// The last stored generation of a classic group.
    Group(GroupId),
    /// A committed offset.
    Offset {
        /// The group that committed.
        group: GroupId,
        /// The topic by name.
        topic: TopicName,
        /// The partition.
        partition: i32,
    },
}

impl RecordKey {
    /// The group that the row belongs to.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        match self {
            RecordKey::Group(group) | RecordKey::Offset { group, .. } => group,
        }
    }
}

/// The value of a row; its kind is that of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecordValue {
    /// Of [`RecordKey::Group`]. In a box, for offsets are many and smaller.
    Group(Box<GroupMetadata>),
    /// Of [`RecordKey::Offset`].
    Offset(OffsetAndMetadata),
}

/// `GroupMetadataValue`: the last stored generation of a classic group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupMetadata {
    /// Empty where no member ever joined.
    pub protocol_type: Text,
    /// The generation.
    pub generation: Generation,
    /// The chosen protocol; none in an empty group.
    pub protocol: Option<Text>,
    /// The leader; none in an empty group.
    pub leader: Option<MemberId>,
    /// When the group came into its state; `None` (-1) in records older than version 2.
    pub state_since: Option<WallTime>,
    /// The members, in join order.
    pub members: Vec<MemberMetadata>,
}

/// A member as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemberMetadata {
    /// The member id.
    pub member_id: MemberId,
    /// Its `group.instance.id`, if static; kept from version 3 on.
    pub instance_id: Option<InstanceId>,
    /// Client id of the connection that joined.
    pub client_id: Text,
    /// Address of that connection, with a slash in front.
    pub client_host: Text,
    /// Negative, or absent before version 1: the session timeout counts.
    pub rebalance_timeout: Millis,
    /// Time without a heartbeat after which the member is gone.
    pub session_timeout: Millis,
    /// What the member sent for the chosen protocol.
    pub subscription: Bytes,
    /// What the leader assigned to it.
    pub assignment: Bytes,
}

/// `OffsetCommitValue`: a committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OffsetAndMetadata {
    /// The offset, as sent.
    pub offset: i64,
    /// The leader epoch of the record before it; -1 is none.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: Text,
    /// When it was committed.
    pub committed_at: WallTime,
    /// When it expires, if the client said so (OffsetCommit 2 to 4). Written as value version 1,
    /// which keeps neither leader epoch nor topic id.
    pub expires_at: Option<WallTime>,
    /// The topic's id when it was committed; nil where it was not known.
    pub topic_id: Uuid,
}

/// Types of records: the number that a key starts with.
mod kind {
    /// An offset, as brokers before 0.8.2 wrote it; read only.
    pub(super) const LEGACY_OFFSET: i16 = 0;
    pub(super) const OFFSET: i16 = 1;
    pub(super) const GROUP: i16 = 2;
}

/// The number of the tagged field that holds an offset's topic id.
const TOPIC_ID_TAG: u32 = 0;
