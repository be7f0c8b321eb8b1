//! A record batch of message format 2: its fixed part, for everyone who only needs offsets, times
//! or producer ids, and where one batch ends and the next begins.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::check::{BatchError, MAX_UNPACKED_BYTES};
use super::packing::{UnpackError, unpack};

/// Bytes of a batch in front of its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the batch length does not count: the base offset and the length itself.
pub const LENGTH_OVERHEAD: usize = 12;
/// Where the bytes start that the checksum covers: the attributes.
pub(super) const CHECKED_FROM: usize = 21;
/// Where magic is: a set that ends before it holds no batch.
pub(super) const MAGIC_AT: usize = 16;
/// The bits of the attributes that say how the records are compressed, as a [`Compression`].
pub const COMPRESSION: i16 = 0x07;
/// The bit of the attributes that says that times are those of the append.
const APPEND_TIME: u8 = 0x08;
/// The bit of the attributes that says that the base time is the one until which tombstones stay.
pub const DELETE_HORIZON: i16 = 0x40;
/// Kafka's smallest batch length, that of a message of format 0.
const SMALLEST_LENGTH: i32 = 14;

/// How the records of a batch are compressed: the three lowest bits of its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: the records can be read in place.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard, from Produce version 7 (KIP-110).
    Zstd,
}

impl Compression {
    /// The number of bytes that one byte can at most unfold to.
    ///
    /// It bounds the record count of a batch that is not unpacked: the formats' own limits are 1032
    /// for a deflate match, 21 for a snappy copy, 255 for an LZ4 length byte, and 128 KiB in a
    /// four-byte block for Zstandard.
    pub(super) fn greatest_expansion(self) -> usize {
        match self {
            Compression::None => 1,
            Compression::Gzip => 1032,
            Compression::Snappy => 22,
            Compression::Lz4 => 255,
            Compression::Zstd => 32_768,
        }
    }
}

/// The 61 bytes in front of the records of a batch, as they are; see [`check`](super::check::check)
/// for what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes that follow this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Message format; 2 here.
    pub magic: i8,
    /// CRC-32C of all that follows the checksum.
    pub crc: u32,
    /// Compression, time type, transactional and control bits.
    pub attributes: i16,
    /// Offset of the last record less that of the first.
    pub last_offset_delta: i32,
    /// Time that the records' times are relative to, in milliseconds since 1970.
    pub base_timestamp: i64,
    /// Greatest time of the records, as the producer says.
    pub max_timestamp: i64,
    /// Producer id, or -1.
    pub producer_id: i64,
    /// Epoch of the producer id, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records, as the producer says.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, and judges nothing but that there are 61 of them.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let short = BatchError::HeaderCutShort { bytes: bytes.len() };
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(short)?;
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length: i32::from_be_bytes(field(head, 8)),
            partition_leader_epoch: i32::from_be_bytes(field(head, 12)),
            magic: i8::from_be_bytes(field(head, 16)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: i16::from_be_bytes(field(head, 21)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        })
    }

    /// The size of the whole batch in bytes; 0 if the batch length is negative.
    pub fn size(&self) -> usize {
        usize::try_from(self.batch_length).map_or(0, |length| length + LENGTH_OVERHEAD)
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The kind of compression, or `None` for a number that names none.
    pub fn compression(&self) -> Option<Compression> {
        match self.attributes & COMPRESSION {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The records of a batch that was checked: all behind its header, unpacked if it is
    /// compressed.
    pub fn unpacked<'a>(&self, batch: &'a [u8]) -> Result<Cow<'a, [u8]>, UnpackError> {
        let body = batch.get(HEADER_BYTES..).unwrap_or_default();
        match self.compression() {
            None | Some(Compression::None) => Ok(Cow::Borrowed(body)),
            Some(packed) => unpack(packed, body, MAX_UNPACKED_BYTES).map(Cow::Owned),
        }
    }

    /// Whether the times are those of the append (LogAppendTime), not those of the producer.
    pub fn has_append_time(&self) -> bool {
        self.attributes & i16::from(APPEND_TIME) != 0
    }

    /// The time until which the tombstones of a batch that was compacted stay, in milliseconds
    /// since 1970 (KIP-534).
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Writes it, as [`parse`](Self::parse) reads it. Length and checksum are for [`seal`] to set.
    pub fn write(&self, to: &mut BytesMut) {
        to.put_i64(self.base_offset);
        to.put_i32(self.batch_length);
        to.put_i32(self.partition_leader_epoch);
        to.put_i8(self.magic);
        to.put_u32(self.crc);
        to.put_i16(self.attributes);
        to.put_i32(self.last_offset_delta);
        to.put_i64(self.base_timestamp);
        to.put_i64(self.max_timestamp);
        to.put_i64(self.producer_id);
        to.put_i16(self.producer_epoch);
        to.put_i32(self.base_sequence);
        to.put_i32(self.record_count);
    }

    /// Whether the records belong to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// Whether the batch is a marker that ends a transaction.
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Whether a producer id is set, so that sequence numbers count.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }
}

fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|n| head[at + n])
}

/// Sets the greatest time of a batch's records; `is_append` says that it is the time of all of
/// them.
pub fn set_max_timestamp(batch: &mut [u8], time: i64, is_append: bool) {
    let attributes = &mut batch[CHECKED_FROM + 1];
    if is_append {
        *attributes |= APPEND_TIME;
    } else {
        *attributes &= !APPEND_TIME;
    }
    batch[35..43].copy_from_slice(&time.to_be_bytes());
    seal(batch);
}

/// Sets length and checksum of a whole batch.
pub fn seal(batch: &mut [u8]) {
    let length =
        i32::try_from(batch.len() - LENGTH_OVERHEAD).expect("a batch is shorter than 2 GiB");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// The whole batches at the start of a record set, one after another, unchecked.
///
/// It ends where no whole batch follows, and fails where Kafka gives up on the set: at a length
/// that no batch has, or an unknown magic.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// Starts at the first byte of `records`.
    pub fn new(records: &'a [u8]) -> Batches<'a> {
        Batches { rest: records }
    }

    fn size_of_first(&self) -> Result<Option<usize>, BatchError> {
        if self.rest.len() < LENGTH_OVERHEAD {
            return Ok(None);
        }
        let length = i32::from_be_bytes(std::array::from_fn(|n| self.rest[8 + n]));
        if length < SMALLEST_LENGTH {
            return Err(BatchError::Length { length });
        }
        match self.rest.get(MAGIC_AT).map(|&byte| byte as i8) {
            None => Ok(None),
            Some(0..=2) => Ok(Some(length as usize + LENGTH_OVERHEAD)),
            Some(magic) => Err(BatchError::UnknownMagic { magic }),
        }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<&'a [u8], BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.size_of_first() {
            Ok(size) => self.rest.split_off(..size?).map(Ok),
            Err(fault) => {
                self.rest = &[];
                Some(Err(fault))
            }
        }
    }
}
