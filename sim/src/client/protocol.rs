//! The bytes of Kafka's ConsumerProtocol: what members tell each other through the coordinator.
//!
//! Decided here: which version of a subscription is said, and that bytes which do not decode say
//! nothing. Layouts are those of ConsumerProtocolSubscription and -Assignment, versions 0 to 3.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use litemap::LiteMap;

use crate::plan::{Assignor, ClientVersion};

/// Partitions of topics.
pub(super) type Parts = BTreeSet<(String, i32)>;

/// What a member wants and has (KIP-429).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) topics: Vec<String>,
    pub(super) owned: Parts,
    /// The generation in which it owned that; from version 2 on.
    pub(super) generation: i32,
}

impl Subscription {
    /// An old client has no owned partitions to tell, unless it revokes cooperatively.
    pub(super) fn encode(&self, version: ClientVersion, assignor: Assignor) -> Bytes {
        let version: i16 = match (version, assignor) {
            (ClientVersion::New, _) => 3,
            (ClientVersion::Old, Assignor::CooperativeSticky) => 1,
            (ClientVersion::Old, _) => 0,
        };
        let mut out = BytesMut::new();
        out.put_i16(version);
        out.put_i32(self.topics.len() as i32);
        self.topics.iter().for_each(|topic| put_text(&mut out, topic));
        out.put_i32(-1);
        if version >= 1 {
            put_parts(&mut out, &self.owned);
        }
        if version >= 2 {
            out.put_i32(self.generation);
        }
        if version >= 3 {
            out.put_i16(-1);
        }
        out.freeze()
    }

    pub(super) fn decode(bytes: &Bytes) -> Option<Subscription> {
        let mut rest = Reader(bytes);
        let version = rest.i16().filter(|version| *version >= 0)?;
        let count = rest.i32()?;
        let mut topics = Vec::new();
        for _ in 0..count {
            topics.push(rest.text()?);
        }
        if let Ok(user_data) = usize::try_from(rest.i32()?) {
            rest.take(user_data)?;
        }
        let owned = if version >= 1 { rest.parts()? } else { Parts::new() };
        let generation = if version >= 2 { rest.i32()? } else { -1 };
        Some(Subscription { topics, owned, generation })
    }
}

/// What the leader deals to a member.
pub(super) fn encode_assignment(parts: &Parts) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_parts(&mut out, parts);
    out.put_i32(-1);
    out.freeze()
}

/// Empty bytes are an empty assignment, as from a leader that named the member not at all.
pub(super) fn decode_assignment(bytes: &Bytes) -> Option<Parts> {
    if bytes.is_empty() {
        return Some(Parts::new());
    }
    let mut rest = Reader(bytes);
    rest.i16()?;
    rest.parts()
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

fn put_parts(out: &mut BytesMut, parts: &Parts) {
    let mut topics: LiteMap<&str, Vec<i32>> = LiteMap::new();
    for (topic, partition) in parts {
        topics.entry(topic).or_default().push(*partition);
    }
    out.put_i32(topics.len() as i32);
    for (topic, partitions) in topics {
        put_text(out, topic);
        out.put_i32(partitions.len() as i32);
        partitions.iter().for_each(|partition| out.put_i32(*partition));
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take(2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn i32(&mut self) -> Option<i32> {
        self.take(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn parts(&mut self) -> Option<Parts> {
        let mut parts = Parts::new();
        for _ in 0..self.i32()? {
            let topic = self.text()?;
            for _ in 0..self.i32()? {
                parts.insert((topic.clone(), self.i32()?));
            }
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> Subscription {
        let owned = Parts::from([("a".into(), 1), ("a".into(), 0)]);
        Subscription { topics: vec!["a".into(), "bc".into()], owned, generation: 7 }
    }

    #[test]
    fn a_new_client_says_what_it_owns_and_since_which_generation() {
        let bytes = subscription().encode(ClientVersion::New, Assignor::Range);
        let expected: &[u8] = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\
            \0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\x07\xff\xff";
        assert_eq!(bytes, expected);
        assert_eq!(Subscription::decode(&bytes), Some(subscription()));
    }

    #[test]
    fn an_old_client_says_what_it_owns_only_if_it_is_cooperative() {
        let eager = subscription().encode(ClientVersion::Old, Assignor::Range);
        assert_eq!(eager, &b"\0\0\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff"[..]);
        let cooperative = subscription().encode(ClientVersion::Old, Assignor::CooperativeSticky);
        let expected = Subscription { generation: -1, ..subscription() };
        assert_eq!(Subscription::decode(&cooperative), Some(expected));
    }

    #[test]
    fn an_assignment_is_read_as_it_was_written_and_no_bytes_are_none() {
        let parts = Parts::from([("a".into(), 0), ("b".into(), 3)]);
        let bytes = encode_assignment(&parts);
        let expected: &[u8] = b"\0\0\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\0\0\x01b\0\0\0\x01\0\0\0\x03\
            \xff\xff\xff\xff";
        assert_eq!(bytes, expected);
        assert_eq!(decode_assignment(&bytes), Some(parts));
        assert_eq!(decode_assignment(&Bytes::new()), Some(Parts::new()));
        assert_eq!(decode_assignment(&Bytes::from_static(b"\0\0\0\0")), None);
    }
}
