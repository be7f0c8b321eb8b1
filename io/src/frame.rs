//! What the length prefix of a request may say, and the eight bytes that every request starts with.
//!
//! Decided here: how many bytes the broker is ready to hold for one request. The length is checked
//! twice, before anything is read and again when the API is known, so that nobody reserves a
//! hundred megabytes for a Heartbeat.

use kafka_protocol::messages::ApiKey;
use thiserror::Error;

/// Bytes of the length prefix.
pub const PREFIX_BYTES: usize = 4;
/// Bytes of a request that [`Head`] is read from, and the smallest length of a frame.
pub const HEAD_BYTES: usize = 8;
/// Kafka's default of `socket.request.max.bytes`.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;
/// The largest request of an API whose requests are never large. Kafka has no such limit.
pub const SMALL_REQUEST_BYTES: usize = 1024 * 1024;

/// Reads a length prefix; `most` is `socket.request.max.bytes`.
pub fn length(prefix: [u8; PREFIX_BYTES], most: usize) -> Result<usize, FrameError> {
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(bytes) if bytes < HEAD_BYTES => Err(FrameError::TooShort { length }),
        Ok(bytes) if bytes > most => Err(FrameError::TooLong { bytes, most }),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(FrameError::TooShort { length }),
    }
}

/// What every request starts with, whatever the version of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the API. It may be unknown.
    pub api_key: i16,
    /// Version of the request. It may be one that is not served.
    pub api_version: i16,
    /// What the response must carry, so that the client knows what it answers.
    pub correlation_id: i32,
}

impl Head {
    /// Reads the first bytes of a frame, those after its length prefix.
    pub fn read(bytes: [u8; HEAD_BYTES]) -> Head {
        let [k0, k1, v0, v1, id @ ..] = bytes;
        Head {
            api_key: i16::from_be_bytes([k0, k1]),
            api_version: i16::from_be_bytes([v0, v1]),
            correlation_id: i32::from_be_bytes(id),
        }
    }

    /// Refuses a frame that is longer than any honest request of its API.
    pub fn check_length(&self, bytes: usize) -> Result<(), FrameError> {
        if bytes <= SMALL_REQUEST_BYTES || may_be_large(self.api_key) {
            return Ok(());
        }
        Err(FrameError::TooLongForApi { bytes, api_key: self.api_key, most: SMALL_REQUEST_BYTES })
    }
}

/// The APIs whose requests carry records, opaque bytes, or a line for each of many partitions.
fn may_be_large(api_key: i16) -> bool {
    use ApiKey::*;
    [
        Produce,
        Fetch,
        JoinGroup,
        SyncGroup,
        OffsetCommit,
        OffsetFetch,
        TxnOffsetCommit,
        ConsumerGroupHeartbeat,
        CreateTopics,
    ]
    .iter()
    .any(|api| *api as i16 == api_key)
}

/// Why a frame is not read. The connection is closed: there is no telling where the next one is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// Too short for the start of a header, or negative.
    #[error("frame length {length}; a request has at least 8 bytes")]
    TooShort {
        /// The length as sent.
        length: i32,
    },
    /// Longer than any request may be.
    #[error("a request of {bytes} bytes; socket.request.max.bytes is {most}")]
    TooLong {
        /// The length as sent.
        bytes: usize,
        /// `socket.request.max.bytes`.
        most: usize,
    },
    /// Longer than a request of this API may be.
    #[error("a request of {bytes} bytes for API key {api_key}, which takes at most {most}")]
    TooLongForApi {
        /// The length as sent.
        bytes: usize,
        /// Number of the API.
        api_key: i16,
        /// Size of the largest request of this API.
        most: usize,
    },
}
