//! Error codes that the coordinator answers with, under Kafka's names and numbers (spec classic 1).

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal),* $(,)?) => {
        /// A code of the Kafka protocol.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $code,)*
        }

        impl ErrorCode {
            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                self as i16
            }

            /// Kafka's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// An internal fault, or a record batch that is too large.
    UnknownServerError = -1 "UNKNOWN_SERVER_ERROR",
    /// No error.
    #[default]
    None = 0 "NONE",
    /// A topic or partition that the metadata does not have.
    UnknownTopicOrPartition = 3 "UNKNOWN_TOPIC_OR_PARTITION",
    /// The metadata string of a committed offset is over the limit.
    OffsetMetadataTooLarge = 12 "OFFSET_METADATA_TOO_LARGE",
    /// The shard is being loaded.
    CoordinatorLoadInProgress = 14 "COORDINATOR_LOAD_IN_PROGRESS",
    /// The coordinator is not up, or a write took too long.
    CoordinatorNotAvailable = 15 "COORDINATOR_NOT_AVAILABLE",
    /// The shard is not here.
    NotCoordinator = 16 "NOT_COORDINATOR",
    /// The generation is not the group's.
    IllegalGeneration = 22 "ILLEGAL_GENERATION",
    /// Protocol type, name or set do not fit the group.
    InconsistentGroupProtocol = 23 "INCONSISTENT_GROUP_PROTOCOL",
    /// The group id is empty where it may not be.
    InvalidGroupId = 24 "INVALID_GROUP_ID",
    /// No such member.
    UnknownMemberId = 25 "UNKNOWN_MEMBER_ID",
    /// The session timeout is out of bounds.
    InvalidSessionTimeout = 26 "INVALID_SESSION_TIMEOUT",
    /// The group is rebalancing.
    RebalanceInProgress = 27 "REBALANCE_IN_PROGRESS",
    /// The request makes no sense.
    InvalidRequest = 42 "INVALID_REQUEST",
    /// Not allowed for this transactional id.
    TransactionalIdAuthorizationFailed = 53 "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    /// The group has members.
    NonEmptyGroup = 68 "NON_EMPTY_GROUP",
    /// No such group.
    GroupIdNotFound = 69 "GROUP_ID_NOT_FOUND",
    /// The member id to use is in the reply (KIP-394).
    MemberIdRequired = 79 "MEMBER_ID_REQUIRED",
    /// The group has `group.max.size` members (KIP-389).
    GroupMaxSizeReached = 81 "GROUP_MAX_SIZE_REACHED",
    /// The instance id belongs to another member id (KIP-345).
    FencedInstanceId = 82 "FENCED_INSTANCE_ID",
    /// The group subscribes to the topic.
    GroupSubscribedToTopic = 86 "GROUP_SUBSCRIBED_TO_TOPIC",
    /// A transaction is open on the partition.
    UnstableOffsetCommit = 88 "UNSTABLE_OFFSET_COMMIT",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
