//! Which names a topic can have.

use crate::catalog::Topics;

/// Kafka's own topics: they are made by brokers, not by requests.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
/// The topic that a Kafka keeps its metadata in, where here is the catalog. No request makes it
/// either, and it is not said to be internal.
pub(super) const CLUSTER_METADATA: &str = "__cluster_metadata";

/// The longest name: with the partition it is a folder's name in Kafka.
const MAX_LENGTH: usize = 249;

/// Checks a name. The error says what Kafka says.
pub fn validate(name: &str) -> Result<(), String> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.encode_utf16().count() > MAX_LENGTH {
        format!("the length of '{name}' is longer than the max allowed length {MAX_LENGTH}")
    } else if !name.bytes().all(legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {why}"))
}

/// Whether a broker makes the topic of that name, and nobody else.
pub(super) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Whether it is a name that requests do not create.
pub(super) fn is_reserved(name: &str) -> bool {
    is_internal(name) || name == CLUSTER_METADATA
}

/// The topic whose metrics would have the same name: one that differs in `.` and `_` only.
pub(super) fn colliding<'a>(topics: &'a Topics, name: &str) -> Option<&'a str> {
    let similar = |c: u8| if c == b'.' { b'_' } else { c };
    if !name.contains(['.', '_']) {
        return None;
    }
    let names = topics.iter().map(|topic| &*topic.name);
    names.into_iter().find(|other| {
        *other != name && other.len() == name.len() && {
            other.bytes().map(similar).eq(name.bytes().map(similar))
        }
    })
}

pub(super) fn taken(name: &str) -> String {
    format!("Topic '{name}' already exists.")
}

pub(super) fn collides(name: &str, with: &str) -> String {
    format!("Topic '{name}' collides with existing topic: {with}")
}
