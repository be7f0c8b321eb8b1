//! How a leader deals partitions: `range`, `roundrobin` and `cooperative-sticky`.
//!
//! Decided here, as Kafka's assignors do: the order of members (static ones by instance id, then
//! the others by member id), who keeps what, and which partitions must first be revoked.

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::request::Assignment;
use quorate_core::response::JoinedMember;
use quorate_core::{MemberId, TopicName, Topics};

use super::protocol::{Parts, Subscription, encode_assignment};
use crate::plan::Assignor;

impl Assignor {
    /// Its name as a protocol of a group.
    pub(super) fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    fn by_name(name: &str) -> Option<Assignor> {
        let all = [Assignor::Range, Assignor::RoundRobin, Assignor::CooperativeSticky];
        all.into_iter().find(|assignor| assignor.name() == name)
    }
}

/// A member with what it wants, and what it is dealt.
struct Share {
    member: MemberId,
    wants: Subscription,
    dealt: Parts,
}

impl Share {
    fn wants(&self, topic: &str) -> bool {
        self.wants.topics.iter().any(|wanted| wanted == topic)
    }
}

/// Deals the partitions of all topics that members subscribe to. A member whose bytes say nothing
/// gets nothing, and so do all under a protocol that nobody here knows.
pub(super) fn assign(protocol: &str, members: &[JoinedMember], topics: &Topics) -> Vec<Assignment> {
    let mut members: Vec<&JoinedMember> = members.iter().collect();
    members.sort_by_key(|member| {
        let instance = member.instance_id.clone().map(|instance| instance.0);
        (instance.is_none(), instance, member.member_id.clone())
    });
    let nothing = || Subscription { topics: Vec::new(), owned: Parts::new(), generation: -1 };
    let share = |member: &JoinedMember| Share {
        member: member.member_id.clone(),
        wants: Subscription::decode(&member.metadata).unwrap_or_else(nothing),
        dealt: Parts::new(),
    };
    let mut shares: Vec<Share> = members.into_iter().map(share).collect();
    let counts = partition_counts(&shares, topics);
    match Assignor::by_name(protocol) {
        Some(Assignor::Range) => range(&mut shares, &counts),
        Some(Assignor::RoundRobin) => round_robin(&mut shares, &counts),
        Some(Assignor::CooperativeSticky) => cooperative_sticky(&mut shares, &counts),
        None => {}
    }
    let assignment = |share: Share| Assignment {
        member_id: share.member,
        assignment: encode_assignment(&share.dealt),
    };
    shares.into_iter().map(assignment).collect()
}

/// The topics that a group subscribes to, with their partitions, as its leader watches them.
pub(super) fn watched(members: &[JoinedMember], topics: &Topics) -> LiteMap<String, i32> {
    let wanted = members.iter().filter_map(|member| Subscription::decode(&member.metadata));
    let wanted: BTreeSet<String> = wanted.flat_map(|wants| wants.topics).collect();
    let partitions = |topic: &str| topics.get(&TopicName::from(topic)).map_or(0, |t| t.partitions);
    wanted.into_iter().map(|topic| (topic.clone(), partitions(&topic))).collect()
}

fn partition_counts(shares: &[Share], topics: &Topics) -> LiteMap<String, i32> {
    let wanted: BTreeSet<&String> = shares.iter().flat_map(|share| &share.wants.topics).collect();
    let known = |topic: &String| {
        let found = topics.get(&TopicName::from(topic.as_str()))?;
        Some((topic.clone(), found.partitions))
    };
    wanted.into_iter().filter_map(known).collect()
}

/// Each topic by itself: runs of partitions, the first members get one more.
fn range(shares: &mut [Share], counts: &LiteMap<String, i32>) {
    for (topic, count) in counts {
        let takers: Vec<&mut Share> = shares.iter_mut().filter(|s| s.wants(topic)).collect();
        let (each, more) = (count / takers.len() as i32, count % takers.len() as i32);
        let mut next = 0;
        for (at, share) in takers.into_iter().enumerate() {
            let size = each + i32::from((at as i32) < more);
            share.dealt.extend((next..next + size).map(|partition| (topic.clone(), partition)));
            next += size;
        }
    }
}

/// All partitions in order, one after the other to the next member that wants its topic.
fn round_robin(shares: &mut [Share], counts: &LiteMap<String, i32>) {
    let mut turn = 0;
    for (topic, partition) in all(counts) {
        while !shares[turn % shares.len()].wants(&topic) {
            turn += 1;
        }
        let taker = turn % shares.len();
        shares[taker].dealt.insert((topic, partition));
        turn += 1;
    }
}

fn all(counts: &LiteMap<String, i32>) -> impl Iterator<Item = (String, i32)> {
    let of = |(topic, count): (&String, &i32)| {
        let topic = topic.clone();
        (0..*count).map(move |partition| (topic.clone(), partition))
    };
    counts.iter().flat_map(of)
}

/// KIP-429: members keep what they have as far as that is balanced; what changes hands is dealt
/// to nobody this time, since its owner has to revoke it first.
fn cooperative_sticky(shares: &mut [Share], counts: &LiteMap<String, i32>) {
    let mut owners: LiteMap<(String, i32), usize> = LiteMap::new();
    for part in all(counts) {
        if let Some(owner) = owner(shares, &part) {
            shares[owner].dealt.insert(part.clone());
            owners.insert(part, owner);
        }
    }
    for part in all(counts).filter(|part| !owners.contains_key(part)) {
        let takers = (0..shares.len()).filter(|at| shares[*at].wants(&part.0));
        if let Some(least) = takers.min_by_key(|at| shares[*at].dealt.len()) {
            shares[least].dealt.insert(part);
        }
    }
    while let Some((from, part, to)) = unbalanced(shares) {
        shares[from].dealt.remove(&part);
        shares[to].dealt.insert(part);
    }
    // A member may have a partition that it wants no more: it too has to revoke it first.
    let held: Vec<Parts> = shares.iter().map(|share| share.wants.owned.clone()).collect();
    for (at, share) in shares.iter_mut().enumerate() {
        let others = |part: &(String, i32)| {
            let claims = held.iter().enumerate().any(|(by, has)| by != at && has.contains(part));
            owners.get(part).map_or(claims, |owner| *owner != at)
        };
        share.dealt.retain(|part| !others(part));
    }
}

/// Who has a partition that it still wants: the claim of the highest generation, if it is alone.
fn owner(shares: &[Share], part: &(String, i32)) -> Option<usize> {
    let claims = |share: &Share| share.wants(&part.0) && share.wants.owned.contains(part);
    let newest = shares.iter().filter(|share| claims(share)).map(|s| s.wants.generation).max()?;
    let mut newest = shares
        .iter()
        .enumerate()
        .filter(|(_, share)| claims(share) && share.wants.generation == newest);
    let (at, _) = newest.next()?;
    newest.next().is_none().then_some(at)
}

/// A partition of a member that has at least two more than another that wants it.
fn unbalanced(shares: &[Share]) -> Option<(usize, (String, i32), usize)> {
    let mut richest: Vec<usize> = (0..shares.len()).collect();
    richest.sort_by_key(|at| std::cmp::Reverse(shares[*at].dealt.len()));
    for from in richest {
        for part in shares[from].dealt.iter().rev() {
            let takers = (0..shares.len()).filter(|at| shares[*at].wants(&part.0));
            let poorest = takers.min_by_key(|at| shares[*at].dealt.len())?;
            if shares[from].dealt.len() > shares[poorest].dealt.len() + 1 {
                return Some((from, part.clone(), poorest));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_core::{Topic, TopicsVersion};

    use super::*;
    use crate::client::protocol::decode_assignment;
    use crate::plan::ClientVersion;

    type Owned<'a> = &'a [(&'a str, i32)];

    fn parts(of: Owned<'_>) -> Parts {
        of.iter().map(|(topic, partition)| ((*topic).to_owned(), *partition)).collect()
    }

    fn member(id: &str, topics: &[&str], owned: Owned<'_>, generation: i32) -> JoinedMember {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let wants = Subscription { topics, owned: parts(owned), generation };
        let metadata = wants.encode(ClientVersion::New, Assignor::CooperativeSticky);
        JoinedMember { member_id: MemberId::from(id), instance_id: None, metadata }
    }

    fn dealt(protocol: &str, members: &[JoinedMember]) -> Vec<(String, Parts)> {
        let topic = |name: &str, partitions| Topic {
            name: TopicName::from(name),
            id: uuid::Uuid::default(),
            partitions,
        };
        let topics = Topics::new(TopicsVersion(1), [topic("a", 3), topic("b", 2)]);
        let dealt = assign(protocol, members, &topics).into_iter();
        let read = |assignment: Assignment| {
            let parts = decode_assignment(&assignment.assignment).expect("it was just written");
            (assignment.member_id.to_string(), parts)
        };
        dealt.map(read).collect()
    }

    fn expected(all: &[(&str, Owned<'_>)]) -> Vec<(String, Parts)> {
        all.iter().map(|(member, owned)| ((*member).to_owned(), parts(owned))).collect()
    }

    #[test]
    fn range_deals_each_topic_in_runs_and_static_members_come_first() {
        let mut first = member("z", &["a", "b"], &[], -1);
        first.instance_id = Some("i".into());
        let members = [member("m", &["a", "b", "gone"], &[], -1), first];
        let all: [(&str, Owned<'_>); 2] =
            [("z", &[("a", 0), ("a", 1), ("b", 0)]), ("m", &[("a", 2), ("b", 1)])];
        assert_eq!(dealt("range", &members), expected(&all));
    }

    #[test]
    fn round_robin_passes_over_members_that_do_not_want_the_topic() {
        let members = [member("m", &["a"], &[], -1), member("n", &["a", "b"], &[], -1)];
        let all: [(&str, Owned<'_>); 2] =
            [("m", &[("a", 0), ("a", 2)]), ("n", &[("a", 1), ("b", 0), ("b", 1)])];
        assert_eq!(dealt("roundrobin", &members), expected(&all));
    }

    #[test]
    fn bytes_that_say_nothing_and_protocols_that_nobody_knows_get_nothing() {
        let mut hostile = member("m", &["a"], &[], -1);
        hostile.metadata = Bytes::from_static(b"\0\0\x7f\xff\xff\xff");
        let members = [hostile, member("n", &["b"], &[], -1)];
        let all: [(&str, Owned<'_>); 2] = [("m", &[]), ("n", &[("b", 0), ("b", 1)])];
        assert_eq!(dealt("range", &members), expected(&all));
        assert_eq!(dealt("raft", &members), expected(&[("m", &[]), ("n", &[])]));
    }

    #[test]
    fn a_cooperative_group_deals_what_moves_only_once_it_is_revoked() {
        let all: Owned<'_> = &[("a", 0), ("a", 1), ("a", 2), ("b", 0)];
        let joining = [member("m", &["a", "b"], all, 3), member("n", &["a", "b"], &[], -1)];
        let kept: Owned<'_> = &[("a", 0), ("a", 1), ("a", 2)];
        let first: [(&str, Owned<'_>); 2] = [("m", kept), ("n", &[("b", 1)])];
        assert_eq!(dealt("cooperative-sticky", &joining), expected(&first));
        let revoked = [member("m", &["a", "b"], kept, 4), member("n", &["a", "b"], &[("b", 1)], 4)];
        let then: [(&str, Owned<'_>); 2] = [("m", kept), ("n", &[("b", 0), ("b", 1)])];
        assert_eq!(dealt("cooperative-sticky", &revoked), expected(&then));
    }

    #[test]
    fn of_two_that_claim_a_partition_the_newer_claim_counts_and_equal_ones_not_at_all() {
        let stale = [member("m", &["b"], &[("b", 0)], 3), member("n", &["b"], &[("b", 0)], 4)];
        let all: [(&str, Owned<'_>); 2] = [("m", &[("b", 1)]), ("n", &[("b", 0)])];
        assert_eq!(dealt("cooperative-sticky", &stale), expected(&all));
        let equal = [member("m", &["b"], &[("b", 0)], 4), member("n", &["b"], &[("b", 0)], 4)];
        let all: [(&str, Owned<'_>); 2] = [("m", &[]), ("n", &[("b", 1)])];
        assert_eq!(dealt("cooperative-sticky", &equal), expected(&all));
    }
}
