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
//! use quorate_core::{record::decode::*, record::encode::*, request::*, *};
//! /// One shard, and a journal that stores at once.
//! struct Broker(Shard, Vec<Encoded>, Effects);
//! fn start(journal: Vec<Encoded>, epoch: u64) -> Broker {
//!     let seed = Seed { node_secret: [7; 32], load: epoch }; // never the same twice
//!     let next = Offset(journal.len() as u64);
//!     let mut loader = Loader::new(Config::default(), ShardId(0), Epoch(epoch), &seed, next);
//!     for (at, Encoded { key, value }) in journal.iter().enumerate() {
//!         if let Decoded::Record(record) = decode(key, value.as_ref()).unwrap() {
//!             loader.replay(Offset(at as u64), record).unwrap();
//!         }
//!     }
//!     let mut out = Effects::new();
//!     Broker(loader.activate(Now::default(), Default::default(), &mut out), journal, out)
//! }
//! impl Broker {
//!     /// Takes an input in at that second; the answers that it led to.
//!     fn step(&mut self, second: u64, input: Input) -> Vec<Response> {
//!         let mono = Instant::after_start(std::time::Duration::from_secs(second));
//!         self.0.step(Now { mono, wall: WallTime(0) }, input, &mut self.2);
//!         let (mut answers, mut stored) = (Vec::new(), None);
//!         for effect in self.2.drain() {
//!             if let Effect::Reply { body, .. } = effect {
//!                 answers.push(body);
//!             } else if let Effect::Append(Batch { id, records, .. }) = effect {
//!                 self.1.extend(records.iter().map(|record| encode(record).unwrap()));
//!                 stored = Some(Input::Appended { through: id });
//!             }
//!         }
//!         answers.extend(stored.into_iter().flat_map(|stored| self.step(second, stored)));
//!         answers
//!     }
//!     fn ask(&mut self, token: u64, body: Request) -> Vec<Response> {
//!         self.step(0, Input::Request { token: Token(token), origin: Origin::default(), body })
//!     }
//! }
//!
//! let (mut broker, group_id) = (start(Vec::new(), 1), GroupId::from("orders"));
//! let protocols = vec![Protocol { name: "range".into(), metadata: "topics".into() }];
//! let join = JoinGroup { group_id: group_id.clone(), session_timeout: Millis(10_000),
//!     rebalance_timeout: Millis(20_000), protocol_type: "consumer".into(), protocols,
//!     ..Default::default() };
//! let parked = [1, 2].map(|token| broker.ask(token, join.clone().into()));
//! assert_eq!(parked, [[], []]);
//! let joined = [3, 6].map(|second| broker.step(second, Input::Deadline)).concat();
//! let [Response::JoinGroup(leader), Response::JoinGroup(_)] = &joined[..] else { panic!() };
//! let (generation, member_id) = (leader.generation, leader.member_id.clone());
//! let sync = SyncGroup { group_id: group_id.clone(), generation, member_id: member_id.clone(),
//!     ..Default::default() };
//! broker.ask(3, sync.into());
//! let partitions = vec![CommitPartition { offset: 42, ..Default::default() }];
//! let topics = vec![CommitTopic { name: "t".into(), partitions, ..Default::default() }];
//! let commit = OffsetCommit { group_id: group_id.clone(), generation, member_id, topics,
//!     ..Default::default() };
//! broker.ask(4, commit.into());
//! let mut broker = start(broker.1, 2); // the first shard is gone
//! let groups = vec![FetchGroup { group_id, ..Default::default() }];
//! let fetched = broker.ask(1, Request::OffsetFetch(OffsetFetch { groups, ..Default::default() }));
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
mod rebase;
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
pub mod view;

pub use config::Config;
pub use effect::{Batch, Dropped, Effect, Effects, Input, RejectCause};
pub use error::ErrorCode;
pub use id::{
    BatchId, Epoch, Generation, GroupId, InstanceId, MemberId, Millis, NodeId, Offset, ShardId,
    Text, Token, TopicName,
};
pub use loader::{Loader, ReplayError};
pub use note::{ArmedFor, Cause, Note, NoteKind, NoteKinds, TimerEvent, TimerOf};
pub use record::{Record, RecordKey, RecordValue};
pub use request::{Origin, Request};
pub use response::Response;
pub use router::{Routed, Router};
pub use seed::Seed;
pub use shard::{Fingerprint, Shard, Status};
pub use time::{Instant, Now, WallTime};
pub use topics::{Topic, Topics, TopicsDelta, TopicsVersion};
pub use view::{Census, GroupView, MemberView};
