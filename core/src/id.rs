//! Names and numbers of the protocol, each with a type of its own so that two cannot be swapped.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// UTF-8 text over shared bytes: a clone counts a reference, and a decoded request lends its frame.
///
/// What outlives a request is copied out of the frame with [`Text::detached`].
#[derive(Clone, Default)]
pub struct Text(Bytes);

/// Bytes that were to be a [`Text`] are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not UTF-8 from byte {valid_up_to} on")]
pub struct NotUtf8 {
    /// How many bytes are good.
    pub valid_up_to: usize,
}

impl Text {
    /// The empty text.
    pub const EMPTY: Text = Text(Bytes::new());

    /// Text that lives as long as the program.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Text {
        Text(Bytes::from_static(text.as_bytes()))
    }

    /// Text that shares `bytes`, which must be UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Text, NotUtf8> {
        // Most are names and ids, for which this is all that has to be found out.
        if bytes.is_ascii() {
            return Ok(Text(bytes));
        }
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Text(bytes)),
            Err(e) => Err(NotUtf8 { valid_up_to: e.valid_up_to() }),
        }
    }

    /// A copy that shares nothing, so that it does not keep a whole frame alive.
    #[must_use]
    pub fn detached(&self) -> Text {
        Text(Bytes::copy_from_slice(&self.0))
    }

    /// The text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a Text is checked when it is made")
    }

    /// The UTF-8 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The UTF-8 bytes, shared.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Gives the bytes away.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Whether there are no characters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length as Java counts it: UTF-16 code units.
    #[must_use]
    pub fn utf16_len(&self) -> usize {
        if self.0.is_ascii() { self.0.len() } else { self.as_str().encode_utf16().count() }
    }
}

impl Text {
    /// Whether both are the same piece of memory, as a text and its clone are.
    fn is_shared_with(&self, other: &Text) -> bool {
        std::ptr::eq(&self.0[..], &other.0[..])
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.is_shared_with(other) || self.0 == other.0
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> Ordering {
        if self.is_shared_with(other) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0[..].hash(state);
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Bytes::from(text.into_bytes()))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0[..] == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0[..] == *other.as_bytes()
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Text);

        impl $name {
            /// The name as a string slice.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Whether the name is the empty text.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// A copy that shares nothing with the request it came in.
            #[must_use]
            pub fn detached(&self) -> $name {
                $name(self.0.detached())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(Text::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $name(Text::from(text))
            }
        }

        impl From<Text> for $name {
            fn from(text: Text) -> $name {
                $name(text)
            }
        }

        impl Borrow<Text> for $name {
            fn borrow(&self) -> &Text {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

text_id!(
    /// Names a group. Any text, the empty one too where an API is lenient (spec classic 3.1).
    GroupId
);
text_id!(
    /// Names a member of a group; made by the coordinator, empty in a first JoinGroup.
    MemberId
);
text_id!(
    /// `group.instance.id` of a static member (KIP-345).
    InstanceId
);
text_id!(
    /// Names a topic.
    TopicName
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Counts the join phases that a classic group has completed; -1 in requests of no member.
    Generation(i32)
);
number!(
    /// Position in a shard's log of records.
    Offset(u64)
);
number!(
    /// A partition of `__consumer_offsets`, and the coordinator state that belongs to it.
    ShardId(u32)
);
number!(
    /// Names one incarnation of a shard. An append with an older epoch than the newest fails.
    Epoch(u64)
);
number!(
    /// Numbers the batches that one incarnation of a shard appends: 1, 2, 3, ...
    BatchId(u64)
);
number!(
    /// Names a request while it is open. Chosen by the caller, given back with the reply.
    Token(u64)
);
number!(
    /// A broker of the cluster.
    NodeId(i32)
);

impl Generation {
    /// What a request of no member says, and a reply with an error.
    pub const NONE: Generation = Generation(-1);
}

/// Milliseconds as the protocol has them: signed, and kept as sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i32);

impl Millis {
    /// The time span; what is negative counts as none.
    #[must_use]
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}
