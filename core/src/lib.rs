//! A Kafka group coordinator as a pure state machine.
//!
//! Nothing here names a runtime, a clock, a socket, a file or the codec of the wire. Requests come
//! in as values and go out as [`Effect`]s; records go to a journal of the embedder's, who says what
//! became of them; time and randomness are arguments. The same inputs give the same effects.
//!
//! - [`Router`]: which shard a request goes to, the checks before it, scatter and gather.
//! - [`Loader`]: replays a shard's records, and becomes a
//! - [`Shard`]: the coordinator of the groups of one partition of `__consumer_offsets`.
//! - [`Request`], [`Response`]: what clients say, in types of this crate's own.
//! - [`Record`]: what is stored, with its bytes as Apache Kafka writes them.
//!
//! # A broker in short
//!
//! Two members form a group and commit; the shard is dropped; another loads what it stored.
//!
//! ```
//! use std::sync::Arc;
//! use quorate_core::record::{decode, encode};
//! use quorate_core::{request as ask, *};
//!
//! /// One shard with a journal that stores at once: the bytes of keys and values.
//! struct Broker { shard: Shard, journal: Vec<record::Encoded>, out: Effects, now: Now }
//!
//! impl Broker {
//!     /// Replays the journal into a new incarnation.
//!     fn start(journal: Vec<record::Encoded>, epoch: u64, now: Now) -> Broker {
//!         let seed = Seed { node_secret: [7; 32], load: epoch };
//!         let config = Config { initial_rebalance_delay: std::time::Duration::ZERO, ..Config::default() };
//!         let next = Offset(journal.len() as u64);
//!         let mut loader = Loader::new(config, ShardId(0), Epoch(epoch), &seed, next);
//!         for (at, record) in journal.iter().enumerate() {
//!             if let record::Decoded::Record(record) = decode(&record.key, record.value.as_ref()).unwrap() {
//!                 loader.replay(Offset(at as u64), record).unwrap();
//!             }
//!         }
//!         let mut out = Effects::new();
//!         let topic = Topic { name: "t".into(), id: uuid::Uuid::from_u128(1), partitions: 2 };
//!         let topics = Arc::new(Topics::new(TopicsVersion(1), [topic]));
//!         Broker { shard: loader.activate(now, topics, &mut out), journal, out, now }
//!     }
//!     /// One input; the answers that it led to.
//!     fn step(&mut self, input: Input) -> Vec<(Token, Response)> {
//!         self.shard.step(self.now, input, &mut self.out);
//!         let (mut answers, mut stored) = (Vec::new(), Vec::new());
//!         for effect in self.out.drain() {
//!             match effect {
//!                 Effect::Reply { token, body } => answers.push((token, body)),
//!                 Effect::Append(batch) => stored.push(batch),
//!                 Effect::Dropped { .. } | Effect::Note(_) => {}
//!             }
//!         }
//!         for batch in stored {
//!             self.journal.extend(batch.records.iter().map(|record| encode(record).unwrap()));
//!             answers.extend(self.step(Input::Appended { through: batch.id }));
//!         }
//!         answers
//!     }
//! }
//! ```
mod admin;
mod after;
mod classic;
pub mod config;
pub mod effect;
mod env;
pub mod error;
mod group;
pub mod id;
mod invariants;
pub mod loader;
pub mod note;
mod offsets;
mod parked;
pub mod record;
pub mod request;
pub mod response;
pub mod router;
pub mod seed;
pub mod shard;
mod tables;
pub mod time;
mod timers;
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
pub use shard::{Fingerprint, Shard, Status};
pub use time::{Instant, Now, WallTime};
pub use topics::{Topic, Topics, TopicsDelta, TopicsVersion};
