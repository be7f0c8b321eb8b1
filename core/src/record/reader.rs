//! Kafka's primitive fields, read from bytes that may lie: every length is compared with what is
//! left before anything is taken, and nothing is allocated for a length that is only claimed.

use bytes::{Buf, Bytes};
use uuid::Uuid;

use crate::id::{NotUtf8, Text};

/// Most bytes of an unsigned varint of 32 bits.
const VARINT_BYTES: u32 = 5;

/// Bytes that are not a record of Kafka's `__consumer_offsets`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("the record ends within {field}: {wanted} bytes are to follow, {left} are left")]
    Truncated {
        /// The field, by its name in Kafka's schema.
        field: &'static str,
        /// What the field takes, or says that it takes.
        wanted: usize,
        /// What there is.
        left: usize,
    },
    /// An array claims more elements than the bytes that are left could hold.
    #[error("{field} claims {count} elements, which {left} bytes cannot hold")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Elements claimed.
        count: usize,
        /// Bytes left.
        left: usize,
    },
    /// A field that the schema does not let be null is null.
    #[error("{field} is null, which its schema forbids")]
    Null {
        /// The field.
        field: &'static str,
    },
    /// A length below -1, a varint of more than 32 bits, or a tagged field of the wrong size.
    #[error("{field} has the impossible length {length}")]
    Length {
        /// The field.
        field: &'static str,
        /// The length as read, or as far as it was read.
        length: i64,
    },
    /// A text is not UTF-8.
    #[error("{field} cannot be read")]
    NotUtf8 {
        /// The field.
        field: &'static str,
        /// Where it goes wrong.
        source: NotUtf8,
    },
    /// A value version that this program does not know. Unlike a record of unknown type it is not
    /// skipped: the row may be one that answers depend on.
    #[error("{schema} has version {version}, known are 0 to {newest}: a newer broker wrote it")]
    UnknownVersion {
        /// The schema by Kafka's name.
        schema: &'static str,
        /// The version as read.
        version: i16,
        /// The newest known.
        newest: i16,
    },
}

/// Reads the fields of one key or value, front to back.
pub(super) struct Reader {
    bytes: Bytes,
    /// Whether lengths are varints and structs end in tagged fields.
    pub(super) flexible: bool,
}

impl Reader {
    /// Starts at the front of `bytes`, which the texts and bytes read from it share.
    pub(super) fn new(bytes: Bytes) -> Reader {
        Reader { bytes, flexible: false }
    }

    fn take(&mut self, field: &'static str, wanted: usize) -> Result<Bytes, DecodeError> {
        let left = self.bytes.len();
        if wanted > left {
            return Err(DecodeError::Truncated { field, wanted, left });
        }
        Ok(self.bytes.split_to(wanted))
    }

    pub(super) fn int16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        Ok(self.take(field, 2)?.get_i16())
    }

    pub(super) fn int32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(self.take(field, 4)?.get_i32())
    }

    pub(super) fn int64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(self.take(field, 8)?.get_i64())
    }

    fn uvarint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0_u64;
        for group in 0..VARINT_BYTES {
            let byte = self.take(field, 1)?[0];
            value |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| length_error(field, value));
            }
        }
        Err(length_error(field, value))
    }

    /// A length that may be null; `wide` is whether it has 32 bits where it is not a varint.
    fn length(&mut self, field: &'static str, wide: bool) -> Result<Option<usize>, DecodeError> {
        let length = if self.flexible {
            i64::from(self.uvarint(field)?) - 1
        } else if wide {
            i64::from(self.int32(field)?)
        } else {
            i64::from(self.int16(field)?)
        };
        match length {
            -1 => Ok(None),
            _ => {
                usize::try_from(length).map(Some).map_err(|_| DecodeError::Length { field, length })
            }
        }
    }

    pub(super) fn nullable_text(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Text>, DecodeError> {
        let Some(length) = self.length(field, false)? else { return Ok(None) };
        let bytes = self.take(field, length)?;
        let text =
            Text::from_utf8(bytes).map_err(|source| DecodeError::NotUtf8 { field, source })?;
        Ok(Some(text))
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<Text, DecodeError> {
        self.nullable_text(field)?.ok_or(DecodeError::Null { field })
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.length(field, true)?.ok_or(DecodeError::Null { field })?;
        self.take(field, length)
    }

    /// The number of elements of an array, each of which takes at least `least` bytes.
    pub(super) fn count(
        &mut self,
        field: &'static str,
        least: usize,
    ) -> Result<usize, DecodeError> {
        let count = self.length(field, true)?.ok_or(DecodeError::Null { field })?;
        let left = self.bytes.len();
        if count > left / least {
            return Err(DecodeError::TooMany { field, count, left });
        }
        Ok(count)
    }

    /// Reads the tagged fields that end a struct of a flexible version, and gives back the id in
    /// the one with number `wanted`. All others are of newer brokers and are passed over (KIP-915).
    pub(super) fn tagged_id(
        &mut self,
        field: &'static str,
        wanted: Option<u32>,
    ) -> Result<Uuid, DecodeError> {
        let mut id = Uuid::nil();
        if !self.flexible {
            return Ok(id);
        }
        for _ in 0..self.uvarint(TAGS)? {
            let tag = self.uvarint(TAGS)?;
            let size = self.uvarint(TAGS)? as usize;
            let content = self.take(TAGS, size)?;
            if Some(tag) == wanted {
                let length = i64::try_from(size).unwrap_or(i64::MAX);
                id = Uuid::from_slice(&content)
                    .map_err(|_| DecodeError::Length { field, length })?;
            }
        }
        Ok(id)
    }

    /// Passes over the tagged fields of a struct that has none we know.
    pub(super) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tagged_id(TAGS, None).map(|_| ())
    }
}

const TAGS: &str = "tagged fields";

fn length_error(field: &'static str, length: u64) -> DecodeError {
    DecodeError::Length { field, length: i64::try_from(length).unwrap_or(i64::MAX) }
}
