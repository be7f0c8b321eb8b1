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
//! use quorate_core::{record::decode::{Decoded, decode}, record::encode::{Encoded, encode}, *};
//! use std::{sync::Arc, time::Duration};
//!
//! /// One shard, and a journal that stores at once.
//! struct Broker(Shard, Vec<Encoded>, Effects);
//!
//! fn start(journal: Vec<Encoded>, epoch: u64) -> Broker {
//!     let seed = Seed { node_secret: [7; 32], load: epoch };
//!     let config = Config { initial_rebalance_delay: Duration::ZERO, ..Config::default() };
//!     let next = Offset(journal.len() as u64);
//!     let mut loader = Loader::new(config, ShardId(0), Epoch(epoch), &seed, next);
//!     for (at, Encoded { key, value }) in journal.iter().enumerate() {
//!         if let Decoded::Record(record) = decode(key, value.as_ref()).unwrap() {
//!             loader.replay(Offset(at as u64), record).unwrap();
//!         }
//!     }
//!     let topic = Topic { name: "t".into(), id: uuid::Uuid::from_u128(1), partitions: 2 };
//!     let topics = Arc::new(Topics::new(TopicsVersion(1), [topic]));
//!     let mut out = Effects::new();
//!     Broker(loader.activate(Now::default(), topics, &mut out), journal, out)
//! }
//!
//! impl Broker {
//!     /// Takes an input in; the answers that it led to.
//!     fn step(&mut self, input: Input) -> Vec<Response> {
//!         self.0.step(Now::default(), input, &mut self.2);
//!         let (mut answers, mut stored) = (Vec::new(), None);
//!         for effect in self.2.drain() {
//!             match effect {
//!                 Effect::Reply { body, .. } => answers.push(body),
//!                 Effect::Append(Batch { id, records, .. }) => {
//!                     self.1.extend(records.iter().map(|record| encode(record).unwrap()));
//!                     stored = Some(Input::Appended { through: id });
//!                 }
//!                 Effect::Dropped { .. } | Effect::Note(_) => {}
//!             }
//!         }
//!         answers.extend(stored.into_iter().flat_map(|stored| self.step(stored)));
//!         answers
//!     }
//!     fn ask(&mut self, token: u64, body: Request) -> Vec<Response> {
//!         self.step(Input::Request { token: Token(token), origin: Origin::default(), body })
//!     }
//! }
//!
//! # use quorate_core::request::*;
//! # let join = || Request::JoinGroup(JoinGroup {
//! #     group_id: "g".into(), session_timeout: Millis(10_000), rebalance_timeout: Millis(20_000),
//! #     member_id: MemberId::default(), instance_id: None, protocol_type: "consumer".into(),
//! #     protocols: vec![Protocol { name: "range".into(), metadata: Default::default() }],
//! #     reason: None, may_be_handed_an_id: false, may_skip_assignment: false });
//! # let sync = |joined: &response::JoinGroup| Request::SyncGroup(SyncGroup {
//! #     group_id: "g".into(), generation: joined.generation, member_id: joined.member_id.clone(),
//! #     instance_id: None, protocol_type: None, protocol_name: None, must_name_protocol: false,
//! #     assignments: vec![] });
//! # let commit = |joined: &response::JoinGroup| Request::OffsetCommit(OffsetCommit {
//! #     group_id: "g".into(), generation: joined.generation, member_id: joined.member_id.clone(),
//! #     instance_id: None, retention: None, missing_group_has_a_code: true, checked: TopicsVersion(1),
//! #     topics: vec![CommitTopic { name: "t".into(), topic_id: uuid::Uuid::from_u128(1),
//! #         partitions: vec![CommitPartition { partition: 1, offset: 42, leader_epoch: -1, metadata: None }] }] });
//! # let fetch = || Request::OffsetFetch(OffsetFetch { groups: vec![FetchGroup {
//! #     group_id: "g".into(), member_id: None, member_epoch: -1, topics: None }],
//! #     require_stable: true, errors_on_partitions: false });
//! let mut broker = start(Vec::new(), 1);
//! assert!(broker.ask(1, join()).is_empty() && broker.ask(2, join()).is_empty());
//! let joined = broker.step(Input::Deadline);
//! let [Response::JoinGroup(first), Response::JoinGroup(second)] = &joined[..] else { panic!() };
//! assert_eq!(first.members.len(), 2);
//! broker.ask(3, sync(second));
//! broker.ask(4, sync(first));
//! broker.ask(5, commit(second));
//!
//! let Broker(_, journal, _) = broker;
//! let mut broker = start(journal, 2);
//! let fetched = broker.ask(1, fetch());
//! let [Response::OffsetFetch(offsets)] = &fetched[..] else { panic!() };
//! assert_eq!(offsets.groups[0].topics[0].partitions[0].offset, 42);
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
