//! What clients are answered, with Kafka's field names; the wire's versions are the caller's.

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::id::{Generation, GroupId, InstanceId, MemberId, NodeId, Text, TopicName};

/// The answer to a [`Request`](crate::Request) of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Response {
    /// To FindCoordinator.
    FindCoordinator(FindCoordinator),
    /// To JoinGroup.
    JoinGroup(Box<JoinGroup>),
    /// To SyncGroup.
    SyncGroup(Box<SyncGroup>),
    /// To Heartbeat.
    Heartbeat(ErrorCode),
    /// To LeaveGroup.
    LeaveGroup(LeaveGroup),
    /// To OffsetCommit.
    OffsetCommit(OffsetCommit),
    /// To OffsetFetch.
    OffsetFetch(OffsetFetch),
    /// To OffsetDelete.
    OffsetDelete(OffsetDelete),
    /// To ListGroups.
    ListGroups(ListGroups),
    /// To DescribeGroups.
    DescribeGroups(DescribeGroups),
    /// To DeleteGroups.
    DeleteGroups(DeleteGroups),
}

/// FindCoordinator's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FindCoordinator {
    /// Whether the request failed as a whole: then each key carries the error's standard text.
    pub failed: bool,
    /// One entry a key, in the order of the request.
    pub coordinators: Vec<Coordinator>,
}

/// Who coordinates a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// The key.
    pub key: Text,
    /// The broker, or why there is none.
    pub node: Result<NodeId, ErrorCode>,
}

/// JoinGroup's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JoinGroup {
    /// The error.
    pub error: ErrorCode,
    /// The generation, -1 with an error.
    pub generation: Generation,
    /// The group's protocol type, none with an error.
    pub protocol_type: Option<Text>,
    /// The chosen protocol, none with an error.
    pub protocol_name: Option<Text>,
    /// The leader, empty with an error.
    pub leader: MemberId,
    /// Whether a leader is to leave the assignment as it is (KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: MemberId,
    /// For the leader: all members.
    pub members: Vec<JoinedMember>,
}

impl JoinGroup {
    /// The body of an error (spec classic 3.5).
    #[must_use]
    pub fn refused(error: ErrorCode, member_id: MemberId) -> JoinGroup {
        JoinGroup {
            error,
            generation: Generation::NONE,
            protocol_type: None,
            protocol_name: None,
            leader: MemberId::default(),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// A member, as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JoinedMember {
    /// The member.
    pub member_id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
    /// What it sent for the chosen protocol.
    pub metadata: Bytes,
}

/// SyncGroup's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SyncGroup {
    /// The error.
    pub error: ErrorCode,
    /// The group's protocol type, none with an error.
    pub protocol_type: Option<Text>,
    /// The chosen protocol, none with an error.
    pub protocol_name: Option<Text>,
    /// What the leader assigned to the member.
    pub assignment: Bytes,
}

impl SyncGroup {
    /// The body of an error (spec classic 3.5).
    #[must_use]
    pub fn refused(error: ErrorCode) -> SyncGroup {
        SyncGroup { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

/// LeaveGroup's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaveGroup {
    /// The error of the whole request.
    pub error: ErrorCode,
    /// One entry a member, in the order of the request; empty with an error.
    pub members: Vec<LeftMember>,
}

/// What became of a member that was to leave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeftMember {
    /// As in the request.
    pub member_id: MemberId,
    /// As in the request.
    pub instance_id: Option<InstanceId>,
    /// Its error.
    pub error: ErrorCode,
}

/// A code for each partition of some topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TopicErrors {
    /// The topic.
    pub name: TopicName,
    /// Partition and code.
    pub partitions: Vec<(i32, ErrorCode)>,
}

/// OffsetCommit's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OffsetCommit {
    /// A code for each partition of the request.
    pub topics: Vec<TopicErrors>,
}

/// OffsetFetch's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OffsetFetch {
    /// One entry a group, in the order of the request.
    pub groups: Vec<FetchedGroup>,
}

/// Offsets of one group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FetchedGroup {
    /// The group.
    pub group_id: GroupId,
    /// The group's error; then there are no topics, but for version 1.
    pub error: ErrorCode,
    /// The offsets.
    pub topics: Vec<FetchedTopic>,
}

/// Offsets of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FetchedTopic {
    /// The topic.
    pub name: TopicName,
    /// Its partitions.
    pub partitions: Vec<FetchedOffset>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FetchedOffset {
    /// The partition.
    pub partition: i32,
    /// The offset, -1 where none is committed.
    pub offset: i64,
    /// Its leader epoch, -1 where none is known.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: Text,
    /// Its error.
    pub error: ErrorCode,
}

/// OffsetDelete's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OffsetDelete {
    /// The error of the whole request.
    pub error: ErrorCode,
    /// A code for each partition; empty with an error.
    pub topics: Vec<TopicErrors>,
}

/// ListGroups' answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListGroups {
    /// The error of the whole request.
    pub error: ErrorCode,
    /// The groups.
    pub groups: Vec<ListedGroup>,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListedGroup {
    /// The group.
    pub group_id: GroupId,
    /// Its protocol type, empty where it has none.
    pub protocol_type: Text,
    /// Its state, by Kafka's name.
    pub state: &'static str,
    /// `classic`.
    pub group_type: &'static str,
}

/// DescribeGroups' answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DescribeGroups {
    /// One entry a group.
    pub groups: Vec<DescribedGroup>,
}

/// A group, described.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DescribedGroup {
    /// The error.
    pub error: ErrorCode,
    /// What a person is told, with an error of version 6.
    pub message: Option<Text>,
    /// The group.
    pub group_id: GroupId,
    /// Its state, by Kafka's name; empty where the shard could not be asked.
    pub state: &'static str,
    /// Its protocol type.
    pub protocol_type: Text,
    /// The chosen protocol, while Stable.
    pub protocol_data: Text,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member, described.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DescribedMember {
    /// The member.
    pub member_id: MemberId,
    /// Its instance id, if static.
    pub instance_id: Option<InstanceId>,
    /// Client id of the connection that joined.
    pub client_id: Text,
    /// Address of that connection.
    pub client_host: Text,
    /// What it sent for the chosen protocol, while Stable.
    pub metadata: Bytes,
    /// What it was last assigned.
    pub assignment: Bytes,
}

/// DeleteGroups' answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeleteGroups {
    /// One entry a group, duplicates once.
    pub results: Vec<(GroupId, ErrorCode)>,
}
