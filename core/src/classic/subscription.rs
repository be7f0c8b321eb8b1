//! What topics a group of consumers reads (spec classic 5.8).
//!
//! Members' metadata is opaque and may be hostile: it is read here with bounds, never decoded.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::ClassicGroup;
use crate::id::{Text, TopicName};

/// The topics of a ConsumerProtocolSubscription in its layout of version 0: int16 version, an
/// array of strings, bytes of the user or a negative length for none. What comes after is not
/// looked at. `None` where the bytes end early or another length is negative. Of a name that is
/// not UTF-8 the wrong bytes are replaced, as in Kafka: no topic has such a name.
pub(crate) fn topics(metadata: &Bytes) -> Option<Vec<TopicName>> {
    let mut rest = Reader(metadata.clone());
    let version = rest.i16()?;
    if version < 0 {
        return None;
    }
    let count = rest.i32()?;
    let count = usize::try_from(count).ok()?;
    if count > rest.0.len() / 2 {
        return None;
    }
    let topics = (0..count).map(|_| rest.text().map(TopicName)).collect::<Option<_>>()?;
    if let Ok(user_data) = usize::try_from(rest.i32()?) {
        rest.take(user_data)?;
    }
    Some(topics)
}

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Option<Bytes> {
        (self.0.len() >= count).then(|| self.0.split_to(count))
    }

    fn i16(&mut self) -> Option<i16> {
        self.take(2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn i32(&mut self) -> Option<i32> {
        self.take(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Option<Text> {
        let length = usize::try_from(self.i16()?).ok()?;
        let bytes = self.take(length)?;
        let replaced = || Text::from(String::from_utf8_lossy(&bytes).as_ref());
        Some(Text::from_utf8(bytes.clone()).unwrap_or_else(|_| replaced()))
    }
}

impl ClassicGroup {
    /// Whether the members are consumers.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_ref().is_some_and(|kind| *kind == "consumer")
    }

    /// Computes the subscribed topics anew, for a new generation or after a load.
    pub(super) fn recompute_subscribed(&mut self) {
        self.subscribed = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<Box<[TopicName]>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut all = BTreeSet::new();
        for member in self.members.iter() {
            let metadata = member.metadata(self.protocol.as_ref()?)?;
            all.extend(topics(&metadata)?);
        }
        Some(all.into_iter().collect())
    }

    /// Whether the group counts as subscribed to a topic (spec classic 14).
    pub(crate) fn is_subscribed(&self, topic: &TopicName) -> bool {
        match &self.subscribed {
            Some(topics) => topics.binary_search(topic).is_ok(),
            None => self.is_of_consumers(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Vec<TopicName>> {
        topics(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn claims_of_huge_arrays_are_refused_without_allocating() {
        for bytes in [&b""[..], b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x02\0\x01a", b"meta"] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn topics_are_read_and_what_follows_the_user_data_is_not_looked_at() {
        let expected = Some(vec![TopicName::from("a"), TopicName::from("bc")]);
        assert_eq!(read(b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xffjunk"), expected);
        assert_eq!(read(b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\0\0\0\x02udjunk"), expected);
    }

    #[test]
    fn without_whole_user_data_no_topic_is_known() {
        for after in [&b""[..], b"\0\0\0", b"\0\0\0\x05udat", b"\x7f\xff\xff\xff"] {
            assert_eq!(read(&[b"\0\0\0\0\0\x01\0\x01a", after].concat()), None, "{after:?}");
        }
    }

    #[test]
    fn a_topic_whose_name_is_not_utf_8_is_one_that_nobody_has() {
        let bytes = b"\0\0\0\0\0\x02\0\x01a\0\x02\xff\xfe\xff\xff\xff\xff";
        let expected = vec![TopicName::from("a"), TopicName::from("\u{fffd}\u{fffd}")];
        assert_eq!(read(bytes), Some(expected));
    }
}
