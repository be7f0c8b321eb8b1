//! The records of a batch, read one after another without a copy.
//!
//! Every length is checked against the bytes that are left before it is believed, and no number is
//! added that may overflow: the reader goes through any bytes at all in one pass over them.

use thiserror::Error;

use super::batch::BatchHeader;

/// One record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset less the batch's base offset.
    pub offset_delta: i32,
    /// Its time, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Its headers, with their count in front, as they are.
    pub headers: &'a [u8],
}

impl Record<'_> {
    /// Writes it as a record of a batch with this base time.
    pub fn write(&self, base_timestamp: i64, to: &mut Vec<u8>) {
        let mut body = vec![0];
        put_varlong(self.timestamp.wrapping_sub(base_timestamp), &mut body);
        put_varlong(self.offset_delta.into(), &mut body);
        for bytes in [self.key, self.value] {
            put_varlong(bytes.map_or(-1, |bytes| bytes.len() as i64), &mut body);
            body.extend_from_slice(bytes.unwrap_or_default());
        }
        body.extend_from_slice(self.headers);
        put_varlong(body.len() as i64, to);
        to.append(&mut body);
    }
}

fn put_varlong(value: i64, to: &mut Vec<u8>) {
    let mut left = (value << 1 ^ value >> 63) as u64;
    while left >= 0x80 {
        to.push(left as u8 | 0x80);
        left >>= 7;
    }
    to.push(left as u8);
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordFault {
    /// The bytes end inside of it.
    #[error("the bytes end inside of it")]
    CutShort,
    /// A variable-length number with more bytes than its type has.
    #[error("a variable-length number without end")]
    Varint,
    /// A length that may not be.
    #[error("length {length}, where {left} bytes are left")]
    Length {
        /// The length as sent.
        length: i32,
        /// What was left.
        left: usize,
    },
    /// Its content is shorter than its length says.
    #[error("{bytes} bytes after its last header; its length is too large")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// More headers than can be in the bytes that are left.
    #[error("{count} headers, where {left} bytes are left")]
    Headers {
        /// The count as sent.
        count: i32,
        /// What was left.
        left: usize,
    },
    /// Base time and delta do not fit 64 bits.
    #[error("time {base} and a delta of {delta} milliseconds overflow")]
    Time {
        /// The batch's base time.
        base: i64,
        /// The record's time delta.
        delta: i64,
    },
    /// Offsets of produced records count up from 0.
    #[error("offset delta {delta}; it must be the record's index")]
    OffsetDelta {
        /// The delta as sent.
        delta: i32,
    },
}

/// Reads the records of a batch. It ends after the count that the header gives, or at a fault.
pub struct Records<'a> {
    rest: &'a [u8],
    base_timestamp: i64,
    /// The time of all records, if it is that of their append.
    append_time: Option<i64>,
    to_come: i32,
}

impl<'a> Records<'a> {
    /// Starts at the first record of `body`: what follows the header, unpacked if it is compressed.
    pub fn new(header: &BatchHeader, body: &'a [u8]) -> Records<'a> {
        Records {
            rest: body,
            base_timestamp: header.base_timestamp,
            append_time: header.has_append_time().then_some(header.max_timestamp),
            to_come: header.record_count,
        }
    }

    /// Number of bytes that were not read yet.
    pub fn left_over(&self) -> usize {
        self.rest.len()
    }

    fn read(&mut self) -> Result<Record<'a>, RecordFault> {
        let left = self.rest.len();
        let mut body = sized(&mut self.rest)?.ok_or(RecordFault::Length { length: -1, left })?;
        take(&mut body, 1)?; // attributes, of which none are defined
        let delta = varlong(&mut body)?;
        let base = self.base_timestamp;
        let own = base.checked_add(delta).ok_or(RecordFault::Time { base, delta })?;
        let timestamp = self.append_time.unwrap_or(own);
        let offset_delta = varint(&mut body)?;
        let key = sized(&mut body)?;
        let value = sized(&mut body)?;
        let headers = body;
        skip_headers(&mut body)?;
        match body.len() {
            0 => Ok(Record { offset_delta, timestamp, key, value, headers }),
            bytes => Err(RecordFault::LeftOver { bytes }),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.to_come <= 0 {
            return None;
        }
        let record = self.read();
        self.to_come = if record.is_ok() { self.to_come - 1 } else { 0 };
        Some(record)
    }
}

fn skip_headers(body: &mut &[u8]) -> Result<(), RecordFault> {
    let count = varint(body)?;
    let left = body.len();
    if count < 0 || count as usize > left {
        return Err(RecordFault::Headers { count, left });
    }
    for _ in 0..count {
        let left = body.len();
        sized(body)?.ok_or(RecordFault::Length { length: -1, left })?;
        sized(body)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], RecordFault> {
    bytes.split_off(..count).ok_or(RecordFault::CutShort)
}

/// Bytes with their length in front; -1 is none.
fn sized<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    let length = varint(bytes)?;
    let left = bytes.len();
    match usize::try_from(length) {
        Ok(count) if count <= left => take(bytes, count).map(Some),
        Err(_) if length == -1 => Ok(None),
        _ => Err(RecordFault::Length { length, left }),
    }
}

fn varint(bytes: &mut &[u8]) -> Result<i32, RecordFault> {
    let value = unsigned(bytes, 5)? as u32;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}

fn varlong(bytes: &mut &[u8]) -> Result<i64, RecordFault> {
    let value = unsigned(bytes, 10)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// A number of seven bits a byte, lowest first. Bits beyond its type are dropped, as Kafka does.
fn unsigned(bytes: &mut &[u8], most: u32) -> Result<u64, RecordFault> {
    let mut value = 0;
    for n in 0..most {
        let (&byte, rest) = bytes.split_first().ok_or(RecordFault::CutShort)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (n * 7);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(RecordFault::Varint)
}
