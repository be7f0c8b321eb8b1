//! Partitions dealt by the server, for a leader that sends no assignment at all (design
//! deviation 4): a group of simple clients works without an assignor of its own.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use indexmap::IndexMap;

use super::{ClassicGroup, subscription};
use crate::config::ServerAssignor;
use crate::env::Cx;
use crate::id::{MemberId, TopicName};
use crate::note::{Note, NoteKind};

impl ClassicGroup {
    /// Deals the partitions of all subscribed topics round robin over their subscribers. `None`
    /// where the setting is `none`, the group is not of consumers, or a subscription does not
    /// decode.
    pub(super) fn deal(&self, cx: &mut Cx<'_>) -> Option<IndexMap<MemberId, Bytes>> {
        if cx.env.config.server_assignor == ServerAssignor::None || !self.is_of_consumers() {
            return None;
        }
        let protocol = self.protocol.as_ref()?;
        let mut subscriptions = Vec::with_capacity(self.members.len());
        for member in self.members.iter() {
            let topics = subscription::topics(&member.metadata(protocol)?)?;
            subscriptions.push((member.id.clone(), topics.into_iter().collect::<BTreeSet<_>>()));
        }
        let topics = cx.env.topics.clone();
        let partitions = |name: &TopicName| topics.get(name).map_or(0, |topic| topic.partitions);
        let dealt = round_robin(&subscriptions, partitions);
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id))?;
        let (leader, client_id) = (leader.id.clone(), leader.client_id.clone());
        cx.note(NoteKind::ServerAssigned, |group| Note::ServerAssigned {
            group: group.clone(),
            leader,
            client_id,
        });
        Some(dealt.into_iter().map(|(id, parts)| (id, encode(&parts))).collect())
    }
}

type Parts = BTreeMap<TopicName, Vec<i32>>;

/// Topics by name, partitions by number, members in the order of joining; a member that does not
/// subscribe to the topic is passed over.
fn round_robin(
    subscriptions: &[(MemberId, BTreeSet<TopicName>)],
    partitions: impl Fn(&TopicName) -> i32,
) -> Vec<(MemberId, Parts)> {
    let mut dealt: Vec<(MemberId, Parts)> =
        subscriptions.iter().map(|(id, _)| (id.clone(), Parts::new())).collect();
    let all: BTreeSet<&TopicName> = subscriptions.iter().flat_map(|(_, topics)| topics).collect();
    let mut turn = 0;
    for topic in all {
        for partition in 0..partitions(topic) {
            while !subscriptions[turn % subscriptions.len()].1.contains(topic) {
                turn += 1;
            }
            let (_, parts) = &mut dealt[turn % subscriptions.len()];
            parts.entry(topic.clone()).or_default().push(partition);
            turn += 1;
        }
    }
    dealt
}

/// ConsumerProtocolAssignment, version 0: topics with partitions, and no user data.
fn encode(parts: &Parts) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    out.put_i32(parts.len() as i32);
    for (topic, partitions) in parts {
        out.put_i16(topic.0.as_bytes().len() as i16);
        out.put_slice(topic.0.as_bytes());
        out.put_i32(partitions.len() as i32);
        partitions.iter().for_each(|partition| out.put_i32(*partition));
    }
    out.put_i32(-1);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> BTreeSet<TopicName> {
        names.iter().map(|name| TopicName::from(*name)).collect()
    }

    #[test]
    fn partitions_go_round_among_the_subscribers_of_each_topic() {
        let members =
            [(MemberId::from("m1"), topics(&["a", "b"])), (MemberId::from("m2"), topics(&["a"]))];
        let dealt = round_robin(&members, |_| 2);
        let parts = |pairs: &[(&str, &[i32])]| -> Parts {
            pairs.iter().map(|(t, p)| (TopicName::from(*t), p.to_vec())).collect()
        };
        let expected = vec![
            (MemberId::from("m1"), parts(&[("a", &[0]), ("b", &[0, 1])])),
            (MemberId::from("m2"), parts(&[("a", &[1])])),
        ];
        assert_eq!(dealt, expected);
        assert_eq!(
            encode(&expected[1].1)[..],
            *b"\0\0\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff"
        );
    }
}
