//! What clients ask, with Kafka's field names. Versions of the wire are capabilities here; the
//! default of a capability is that of an old client.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::id::{Generation, GroupId, InstanceId, MemberId, Millis, Text, TopicName};
use crate::topics::TopicsVersion;

/// A request of a client, as a router takes it and, in parts, a shard.
///
/// It is moved a few times on its way: those that are large are in a box, and a heartbeat is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Who coordinates; answered by the router.
    FindCoordinator(FindCoordinator),
    /// Spec classic 6.
    JoinGroup(Box<JoinGroup>),
    /// Spec classic 7.
    SyncGroup(Box<SyncGroup>),
    /// Spec classic 8.
    Heartbeat(Heartbeat),
    /// Spec classic 9.
    LeaveGroup(LeaveGroup),
    /// Spec classic 12.
    OffsetCommit(Box<OffsetCommit>),
    /// Spec classic 13.
    OffsetFetch(OffsetFetch),
    /// Spec classic 14.
    OffsetDelete(OffsetDelete),
    /// Spec classic 17.1.
    ListGroups(ListGroups),
    /// Spec classic 17.2.
    DescribeGroups(DescribeGroups),
    /// Spec classic 17.3.
    DeleteGroups(DeleteGroups),
}

impl From<JoinGroup> for Request {
    fn from(join: JoinGroup) -> Request {
        Request::JoinGroup(Box::new(join))
    }
}

impl From<SyncGroup> for Request {
    fn from(sync: SyncGroup) -> Request {
        Request::SyncGroup(Box::new(sync))
    }
}

impl From<OffsetCommit> for Request {
    fn from(commit: OffsetCommit) -> Request {
        Request::OffsetCommit(Box::new(commit))
    }
}

/// Whose connection a request came over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The client id of the request's header; empty where it is null.
    pub client_id: Text,
    /// The peer's address in Java's form: a slash, then the address without a port.
    pub client_host: Text,
}

/// FindCoordinator, all versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FindCoordinator {
    /// 0 a group, 1 a transaction, 2 a share group's partition.
    pub key_type: i8,
    /// One key up to version 3, any number later.
    pub keys: Vec<Text>,
}

/// JoinGroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct JoinGroup {
    /// The group.
    pub group_id: GroupId,
    /// Time without a heartbeat after which the member is gone.
    pub session_timeout: Millis,
    /// How long a rebalance waits for the member; version 0 has none and takes the session timeout.
    pub rebalance_timeout: Millis,
    /// Empty in a first join.
    pub member_id: MemberId,
    /// Set for a static member (KIP-345).
    pub instance_id: Option<InstanceId>,
    /// `consumer`, `connect`, ...
    pub protocol_type: Text,
    /// What the member supports, best first.
    pub protocols: Vec<Protocol>,
    /// Why it joins, in the client's words (KIP-800).
    pub reason: Option<Text>,
    /// Whether the client understands MEMBER_ID_REQUIRED (version 4, KIP-394).
    pub may_be_handed_an_id: bool,
    /// Whether the client understands `skip_assignment` (version 9, KIP-814).
    pub may_skip_assignment: bool,
}

/// A protocol (assignor) with the member's metadata for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// Its name.
    pub name: Text,
    /// Opaque to the coordinator; for consumers a subscription.
    pub metadata: Bytes,
}

/// SyncGroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SyncGroup {
    /// The group.
    pub group_id: GroupId,
    /// The generation that JoinGroup answered.
    pub generation: Generation,
    /// The member.
    pub member_id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
    /// The group's protocol type, from version 5 on.
    pub protocol_type: Option<Text>,
    /// The chosen protocol, from version 5 on.
    pub protocol_name: Option<Text>,
    /// Whether both must be there (version 5).
    pub must_name_protocol: bool,
    /// From the leader: who gets what.
    pub assignments: Vec<Assignment>,
}

/// What the leader assigns to a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The member.
    pub member_id: MemberId,
    /// Opaque to the coordinator.
    pub assignment: Bytes,
}

/// Heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// The group.
    pub group_id: GroupId,
    /// The member's generation.
    pub generation: Generation,
    /// The member.
    pub member_id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
}

/// LeaveGroup; versions 0 to 2 name one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LeaveGroup {
    /// The group.
    pub group_id: GroupId,
    /// Who leaves.
    pub members: Vec<Leaver>,
}

/// A member that leaves, or is removed by an administrator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Leaver {
    /// Empty where the instance id alone names the member.
    pub member_id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
    /// Why it leaves (KIP-800).
    pub reason: Option<Text>,
}

/// OffsetCommit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OffsetCommit {
    /// The group.
    pub group_id: GroupId,
    /// The generation, or -1.
    pub generation: Generation,
    /// The member, or empty.
    pub member_id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
    /// How long to keep the offsets, where the client says so (versions 2 to 4).
    pub retention: Option<Duration>,
    /// Whether a missing group is GROUP_ID_NOT_FOUND (version 9), else ILLEGAL_GENERATION.
    pub missing_group_has_a_code: bool,
    /// The view of the topics that the router checked them against; set by the router.
    pub checked: TopicsVersion,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CommitTopic {
    /// The topic.
    pub name: TopicName,
    /// Its id; set by the router from its view.
    pub topic_id: Uuid,
    /// One entry a partition.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CommitPartition {
    /// The partition.
    pub partition: i32,
    /// The offset; any number is taken.
    pub offset: i64,
    /// -1 where the client has none.
    pub leader_epoch: i32,
    /// The client's own words; null counts as empty.
    pub metadata: Option<Text>,
}

/// OffsetFetch; versions 1 to 7 name one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OffsetFetch {
    /// The groups, answered in this order.
    pub groups: Vec<FetchGroup>,
    /// Whether open transactions are an error and pending commits are waited for (KIP-447).
    pub require_stable: bool,
    /// Whether an error of the group is shown on each partition (version 1).
    pub errors_on_partitions: bool,
}

/// What is asked of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FetchGroup {
    /// The group.
    pub group_id: GroupId,
    /// The member that asks (version 9); classic groups do not look at it.
    pub member_id: Option<MemberId>,
    /// Its epoch, or -1.
    pub member_epoch: i32,
    /// `None` asks for all that the group has.
    pub topics: Option<Vec<TopicPartitions>>,
}

/// Partitions of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TopicPartitions {
    /// The topic.
    pub name: TopicName,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// OffsetDelete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OffsetDelete {
    /// The group.
    pub group_id: GroupId,
    /// What to delete.
    pub topics: Vec<TopicPartitions>,
}

/// ListGroups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ListGroups {
    /// States to list, in any case; empty for all.
    pub states_filter: Vec<Text>,
    /// Types to list, in any case; empty for all.
    pub types_filter: Vec<Text>,
}

/// DescribeGroups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DescribeGroups {
    /// The groups.
    pub groups: Vec<GroupId>,
    /// Whether a missing group is an error (version 6).
    pub missing_is_an_error: bool,
}

/// DeleteGroups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DeleteGroups {
    /// The groups.
    pub groups: Vec<GroupId>,
}
