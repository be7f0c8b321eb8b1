//! Which shard a request goes to, what is checked before it gets there, and how the answers of
//! several shards become one.
//!
//! Decided here: the partition of a group (spec classic 4.2), the checks that Kafka makes before
//! the shard (6.1, 7.1, 8, 9, 12.1, 14), and FindCoordinator as a whole. A router belongs to the
//! thread that reads the connections; it owns the gathers of their requests.

mod gather;
mod refuse;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

pub use gather::GatherId;
use gather::{Gather, Gathers, Merged, Order};
pub(crate) use refuse::no_offsets;
pub use refuse::refuse;

use crate::config::Config;
use crate::error::ErrorCode;
use crate::id::{GroupId, MemberId, NodeId, ShardId, Text, TopicName};
use crate::request::{
    DeleteGroups, DescribeGroups, FetchGroup, FindCoordinator, JoinGroup, ListGroups, OffsetCommit,
    OffsetDelete, OffsetFetch, Request, SyncGroup, TopicPartitions,
};
use crate::response::{self, Coordinator, Response};
use crate::topics::{Topics, TopicsDelta};

/// Where requests go. See the module for what it decides.
///
/// [`Router::request`] first; where it says [`Routed::Gather`], each part's answer goes to
/// [`Router::gather`], and [`Router::forget`] ends a gather that nobody waits for.
#[derive(Debug, Clone)]
pub struct Router {
    config: Config,
    leaders: Vec<Option<NodeId>>,
    topics: Arc<Topics>,
    gathers: Gathers,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Routed {
    /// Answered here.
    Done(Response),
    /// For one shard, whose answer is the answer.
    Shard(ShardId, Request),
    /// For several shards, or for one whose answer is a part: send each, gather the answers.
    Gather(GatherId, Vec<(ShardId, Request)>),
}

impl Router {
    /// A router over `leaders.len()` shards (`offsets.topic.num.partitions`, at least one);
    /// `leaders` tells the broker of each, `topics` is the catalog as it is now.
    #[must_use]
    pub fn new(config: Config, leaders: Vec<Option<NodeId>>, topics: Arc<Topics>) -> Router {
        assert!(!leaders.is_empty(), "there is at least one shard");
        Router { config, leaders, topics, gathers: Gathers::default() }
    }

    /// The shard of a group: `abs(String.hashCode) mod N` over UTF-16 units (spec classic 4.2).
    #[must_use]
    pub fn locate(&self, group: &Text) -> ShardId {
        let count = self.leaders.len() as u32;
        ShardId(java_hash(group).checked_abs().unwrap_or(0).unsigned_abs() % count)
    }

    /// Tells that a broker leads a shard now, or that none does.
    pub fn set_leader(&mut self, shard: ShardId, leader: Option<NodeId>) {
        self.leaders[shard.0 as usize] = leader;
    }

    /// The topics as this router knows them.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Takes a change of the catalog in.
    pub fn apply(&mut self, delta: &TopicsDelta) {
        self.topics = delta.view.clone();
    }

    /// Checks a request and says where it goes.
    pub fn request(&mut self, request: Request) -> Routed {
        match request {
            Request::FindCoordinator(find) => Routed::Done(self.find(find)),
            Request::JoinGroup(join) => self.join(join),
            Request::SyncGroup(sync) => self.sync(sync),
            Request::Heartbeat(ref beat) if beat.group_id.is_empty() => {
                Routed::Done(Response::Heartbeat(ErrorCode::InvalidGroupId))
            }
            Request::Heartbeat(ref beat) => self.to(&beat.group_id.clone(), request),
            Request::LeaveGroup(ref leave) if leave.group_id.is_empty() => {
                Routed::Done(refuse(&request, ErrorCode::InvalidGroupId))
            }
            Request::LeaveGroup(ref leave) => self.to(&leave.group_id.clone(), request),
            Request::OffsetCommit(commit) => self.commit(commit),
            Request::OffsetFetch(fetch) => self.fetch(fetch),
            Request::OffsetDelete(delete) => self.delete_offsets(delete),
            Request::ListGroups(list) => self.list(&list),
            Request::DescribeGroups(describe) => self.describe(describe),
            Request::DeleteGroups(delete) => self.delete_groups(delete),
        }
    }

    /// Takes the answer to a part, numbered as [`Routed::Gather`] listed them. The whole answer,
    /// once this was the last. A part that was not asked for changes nothing.
    pub fn gather(&mut self, id: GatherId, part: usize, answer: Response) -> Option<Response> {
        self.gathers.add(id, part, answer)
    }

    /// Ends a gather that nobody waits for any more; answers that still come change nothing.
    pub fn forget(&mut self, id: GatherId) {
        self.gathers.remove(id);
    }

    fn to(&self, group: &GroupId, request: Request) -> Routed {
        Routed::Shard(self.locate(&group.0), request)
    }

    fn find(&self, find: FindCoordinator) -> Response {
        let failed = !(0..=2).contains(&find.key_type);
        let node = |key: &Text| match find.key_type {
            0 => {
                self.leaders[self.locate(key).0 as usize].ok_or(ErrorCode::CoordinatorNotAvailable)
            }
            // Whoever it will be once there are transactions: every key has this broker.
            1 => self
                .leaders
                .iter()
                .flatten()
                .next()
                .copied()
                .ok_or(ErrorCode::CoordinatorNotAvailable),
            _ => Err(ErrorCode::InvalidRequest),
        };
        let coordinators =
            find.keys.into_iter().map(|key| Coordinator { node: node(&key), key }).collect();
        Response::FindCoordinator(response::FindCoordinator { failed, coordinators })
    }

    fn join(&self, join: Box<JoinGroup>) -> Routed {
        let timeout = join.session_timeout.duration();
        let refused = |error, member| {
            Routed::Done(Response::JoinGroup(Box::new(response::JoinGroup::refused(error, member))))
        };
        if join.group_id.is_empty() {
            return refused(ErrorCode::InvalidGroupId, join.member_id);
        }
        let range = self.config.min_session_timeout..=self.config.max_session_timeout;
        if join.session_timeout.0 < 0 || !range.contains(&timeout) {
            return refused(ErrorCode::InvalidSessionTimeout, join.member_id);
        }
        self.to(&join.group_id.clone(), Request::JoinGroup(join))
    }

    fn sync(&self, sync: Box<SyncGroup>) -> Routed {
        let unnamed = sync.protocol_type.is_none() || sync.protocol_name.is_none();
        let refused = |error| {
            Routed::Done(Response::SyncGroup(Box::new(response::SyncGroup::refused(error))))
        };
        if sync.must_name_protocol && unnamed {
            return refused(ErrorCode::InconsistentGroupProtocol);
        }
        if sync.group_id.is_empty() {
            return refused(ErrorCode::InvalidGroupId);
        }
        self.to(&sync.group_id.clone(), Request::SyncGroup(sync))
    }

    /// Spec classic 12.1, 4 to 6: what the metadata lacks is refused here, the rest goes on.
    fn commit(&mut self, mut commit: Box<OffsetCommit>) -> Routed {
        commit.checked = self.topics.version();
        let mut refused = Merged::default();
        for topic in &mut commit.topics {
            let known = self.topics.get(&topic.name);
            topic.topic_id = known.map_or(uuid::Uuid::nil(), |t| t.id);
            let limit = known.map(|t| t.partitions);
            let partitions = &mut topic.partitions;
            refuse_unknown(&mut refused, &topic.name, limit, partitions, |p| p.partition);
        }
        commit.topics.retain(|topic| !topic.partitions.is_empty());
        if commit.topics.is_empty() {
            return Routed::Done(Response::OffsetCommit(response::OffsetCommit {
                topics: refused.into_topics(),
            }));
        }
        let shard = self.locate(&commit.group_id.0);
        if refused.is_empty() {
            return Routed::Shard(shard, Request::OffsetCommit(commit));
        }
        let id = self.gathers.insert(Gather::commit(refused));
        Routed::Gather(id, vec![(shard, Request::OffsetCommit(commit))])
    }

    fn fetch(&mut self, mut fetch: OffsetFetch) -> Routed {
        if fetch.groups.len() == 1 {
            let shard = self.locate(&fetch.groups[0].group_id.0);
            return Routed::Shard(shard, Request::OffsetFetch(fetch));
        }
        let groups = std::mem::take(&mut fetch.groups);
        let (parts, order) = self.scatter(
            groups,
            |g: &FetchGroup| &g.group_id,
            |groups| OffsetFetch { groups, ..fetch.clone() },
        );
        let parts = parts.into_iter().map(|(s, f)| (s, Request::OffsetFetch(f))).collect();
        self.start(Gather::fetch(order), parts)
    }

    /// Spec classic 14, 3: unknown topics are refused here, and the shard is asked all the same.
    fn delete_offsets(&mut self, mut delete: OffsetDelete) -> Routed {
        if delete.group_id.is_empty() {
            let request = Request::OffsetDelete(delete);
            return Routed::Done(refuse(&request, ErrorCode::InvalidGroupId));
        }
        let mut refused = Merged::default();
        for topic in &mut delete.topics {
            let limit = self.topics.get(&topic.name).map(|t| t.partitions);
            refuse_unknown(&mut refused, &topic.name, limit, &mut topic.partitions, |&p| p);
        }
        delete.topics.retain(|topic: &TopicPartitions| !topic.partitions.is_empty());
        let shard = self.locate(&delete.group_id.0);
        if refused.is_empty() {
            return Routed::Shard(shard, Request::OffsetDelete(delete));
        }
        let parts = vec![(shard, Request::OffsetDelete(delete))];
        self.start(Gather::delete_offsets(refused), parts)
    }

    fn list(&mut self, list: &ListGroups) -> Routed {
        let mut parts = Vec::with_capacity(self.leaders.len());
        for shard in 0..self.leaders.len() {
            parts.push((ShardId(shard as u32), Request::ListGroups(list.clone())));
        }
        self.start(Gather::list(), parts)
    }

    fn describe(&mut self, describe: DescribeGroups) -> Routed {
        let missing_is_an_error = describe.missing_is_an_error;
        let (parts, order) = self.scatter(
            describe.groups,
            |g: &GroupId| g,
            |groups| DescribeGroups { groups, missing_is_an_error },
        );
        let parts = parts.into_iter().map(|(s, d)| (s, Request::DescribeGroups(d))).collect();
        self.start(Gather::describe(order), parts)
    }

    /// Duplicates are answered once (spec classic 17.3).
    fn delete_groups(&mut self, delete: DeleteGroups) -> Routed {
        let mut groups = delete.groups;
        let mut seen = std::collections::BTreeSet::new();
        groups.retain(|group| seen.insert(group.clone()));
        let (parts, order) =
            self.scatter(groups, |g: &GroupId| g, |groups| DeleteGroups { groups });
        let parts = parts.into_iter().map(|(s, d)| (s, Request::DeleteGroups(d))).collect();
        self.start(Gather::delete_groups(order), parts)
    }

    /// Sorts items by their shards. With the parts comes, for each item in the order of the
    /// request, which part has it and at what place.
    fn scatter<T, R>(
        &self,
        items: Vec<T>,
        group: impl Fn(&T) -> &GroupId,
        make: impl Fn(Vec<T>) -> R,
    ) -> (Vec<(ShardId, R)>, Order) {
        let mut parts: Vec<(ShardId, Vec<T>)> = Vec::new();
        let mut known: BTreeMap<ShardId, usize> = BTreeMap::new();
        let mut order = Vec::with_capacity(items.len());
        for item in items {
            let shard = self.locate(&group(&item).0);
            let part = match known.entry(shard) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    parts.push((shard, Vec::new()));
                    *entry.insert(parts.len() - 1)
                }
            };
            order.push((part, parts[part].1.len()));
            parts[part].1.push(item);
        }
        (parts.into_iter().map(|(shard, items)| (shard, make(items))).collect(), order)
    }

    fn start(&mut self, gather: Gather, parts: Vec<(ShardId, Request)>) -> Routed {
        if parts.is_empty() {
            return Routed::Done(gather.finish(Vec::new()));
        }
        Routed::Gather(self.gathers.insert(gather.of(parts.len())), parts)
    }
}

/// Takes the partitions that a topic does not have out of a request, and answers them. A topic
/// that does not exist (`limit` is `None`) is answered even if no partition of it is named.
fn refuse_unknown<T>(
    refused: &mut Merged,
    topic: &TopicName,
    limit: Option<i32>,
    partitions: &mut Vec<T>,
    index: impl Fn(&T) -> i32,
) {
    let good = |partition: &T| (0..limit.unwrap_or(0)).contains(&index(partition));
    if limit.is_some() && partitions.iter().all(good) {
        return;
    }
    let bad = partitions.iter().filter(|partition| !good(partition));
    let bad = bad.map(|partition| (index(partition), ErrorCode::UnknownTopicOrPartition));
    refused.add(topic, bad);
    partitions.retain(good);
}

/// `String.hashCode`. Units of ASCII are its bytes, and nearly all names are ASCII.
fn java_hash(text: &Text) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    if text.as_bytes().is_ascii() {
        return text.as_bytes().iter().copied().map(u16::from).fold(0, step);
    }
    text.as_str().encode_utf16().fold(0, step)
}

/// An empty member id, for replies that name none.
pub(crate) fn nobody() -> MemberId {
    MemberId::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_located_as_java_does() {
        let router = Router::new(Config::default(), vec![None; 50], Arc::default());
        let vectors = [
            ("", 0, 0),
            ("a", 97, 47),
            ("foo", 101_574, 24),
            ("group", 98_629_247, 47),
            ("polygenelubricants", i32::MIN, 0),
            ("my-group", -1_906_497_762, 12),
            ("test-group", 627_841_412, 12),
            ("group-1", 293_427_299, 49),
            ("consumer-group", -1_738_392_088, 38),
            ("\u{1F600}", 1_772_899, 49),
        ];
        for (name, hash, shard) in vectors {
            assert_eq!(java_hash(&Text::from(name)), hash, "{name}");
            assert_eq!(router.locate(&Text::from(name)), ShardId(shard), "{name}");
        }
    }
}
