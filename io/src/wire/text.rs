//! Between the codec's strings and the core's text: both are slices of shared bytes.

use kafka_protocol::protocol::StrBytes;
use quorate_core::{GroupId, InstanceId, MemberId, Text, TopicName};

/// The core's text of a string of the codec. Shares the bytes: state copies what it keeps.
#[must_use]
pub fn text(from: StrBytes) -> Text {
    Text::from_utf8(from.into_bytes()).expect("the codec's strings are checked when they are made")
}

/// The codec's string of a text. Shares the bytes.
#[must_use]
pub fn str_bytes(from: Text) -> StrBytes {
    StrBytes::from_utf8(from.into_bytes()).expect("a Text is checked when it is made")
}

/// The codec's string of text that lives as long as the program.
#[must_use]
pub const fn fixed(from: &'static str) -> StrBytes {
    StrBytes::from_static_str(from)
}

pub(super) fn group(from: kafka_protocol::messages::GroupId) -> GroupId {
    GroupId(text(from.0))
}

pub(super) fn wire_group(from: GroupId) -> kafka_protocol::messages::GroupId {
    kafka_protocol::messages::GroupId(str_bytes(from.0))
}

pub(super) fn topic(from: kafka_protocol::messages::TopicName) -> TopicName {
    TopicName(text(from.0))
}

pub(super) fn wire_topic(from: TopicName) -> kafka_protocol::messages::TopicName {
    kafka_protocol::messages::TopicName(str_bytes(from.0))
}

pub(super) fn member(from: StrBytes) -> MemberId {
    MemberId(text(from))
}

pub(super) fn instance(from: Option<StrBytes>) -> Option<InstanceId> {
    from.map(|id| InstanceId(text(id)))
}

pub(super) fn wire_instance(from: Option<InstanceId>) -> Option<StrBytes> {
    from.map(|id| str_bytes(id.0))
}
