//! Records that can be read and may not be appended, as Kafka tells their producer (KIP-467).

use std::fmt;

use kafka_protocol::ResponseError;

/// Records that are told of by themselves, at most. Kafka tells of each; but what is compressed can
/// hold very many of them, and an answer is not to outgrow its request.
pub const MOST_TOLD: usize = 10_000;

/// Why one record is rejected. Shown as Kafka says it, but for [`NoKey`](Self::NoKey), whose words
/// name the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has no key, and the topic is compacted.
    NoKey,
    /// Its time is out of the topic's bounds.
    Time {
        /// Its offset, as its producer counts.
        offset: i32,
        /// Its time.
        timestamp: i64,
        /// Earliest time taken.
        earliest: i64,
        /// Latest time taken.
        latest: i64,
    },
    /// The producer claims that its time is that of the append.
    AppendTime {
        /// Whether it was compressed.
        packed: bool,
        /// Its offset, as its producer counts.
        offset: i32,
        /// Its time.
        timestamp: i64,
        /// Size of its key, if there is one.
        key: Option<usize>,
        /// Size of its value, if there is one.
        value: Option<usize>,
    },
}

impl Reason {
    fn is_of_time(&self) -> bool {
        !matches!(self, Reason::NoKey)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::NoKey => f.write_str("Compacted topic cannot accept message without key"),
            Reason::Time { offset, timestamp, earliest, latest } => write!(
                f,
                "Timestamp {timestamp} of message with offset {offset} is out of range. The \
                 timestamp should be within [{earliest}, {latest}]"
            ),
            Reason::AppendTime { packed, offset, timestamp, key, value } => {
                // Java has no size for what is not there.
                let (name, none) =
                    if packed { ("PartialDefaultRecord", -1) } else { ("DefaultRecord", 0) };
                let size = |bytes: Option<usize>| bytes.map_or(none, |bytes| bytes as i64);
                write!(
                    f,
                    "Invalid timestamp type in message {name}(offset={offset}, \
                     timestamp={timestamp}, key={} bytes, value={} bytes). Producer should not set \
                     timestamp type to LogAppendTime.",
                    size(key),
                    size(value)
                )
            }
        }
    }
}

/// The records of a batch that are rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    count: usize,
    told: Vec<(i32, Reason)>,
    of_time: bool,
}

impl Rejected {
    /// Adds the record at an index of the batch.
    pub(super) fn add(&mut self, index: i32, reason: Reason) {
        self.count += 1;
        self.of_time |= reason.is_of_time();
        if self.told.len() < MOST_TOLD {
            self.told.push((index, reason));
        }
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first of them, each with its index and the reason.
    #[must_use]
    pub fn told(&self) -> &[(i32, Reason)] {
        &self.told
    }

    /// Whether one of them is rejected for its time, which is then what is said of all.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        self.of_time
    }

    /// The error code that Kafka answers.
    #[must_use]
    pub fn code(&self) -> ResponseError {
        if self.of_time { ResponseError::InvalidTimestamp } else { ResponseError::InvalidRecord }
    }
}
