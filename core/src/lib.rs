//! A Kafka group coordinator as a pure state machine.
pub mod config;
pub mod effect;
pub mod error;
pub mod id;
pub mod loader;
pub mod note;
pub mod record;
pub mod request;
pub mod response;
pub mod router;
pub mod seed;
pub mod shard;
pub mod time;
pub mod topics;

pub use config::Config;
pub use effect::{Batch, Dropped, Effect, Effects, Input, RejectCause};
pub use error::ErrorCode;
pub use id::{
    BatchId, Epoch, Generation, GroupId, InstanceId, MemberId, Millis, NodeId, Offset, ShardId,
    Text, Token, TopicName,
};
pub use loader::{Loader, ReplayError};
pub use note::{Cause, Note, NoteKind, NoteKinds};
pub use record::{Record, RecordKey, RecordValue};
pub use request::{Origin, Request};
pub use response::Response;
pub use router::{Routed, Router};
pub use seed::Seed;
pub use shard::{Shard, Status};
pub use time::{Instant, Now, WallTime};
pub use topics::{Topic, Topics, TopicsDelta, TopicsVersion};
