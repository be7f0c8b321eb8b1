//! What a produced record set must be before a log takes it: message format 2, read by hand.
//!
//! [`check`] decides from the bytes of one partition of a Produce request, in the order in which
//! Kafka finds its faults, and allocates nothing. [`BatchHeader`] is the fixed part of a batch for
//! everyone who only needs offsets, times or producer ids.

use kafka_protocol::ResponseError;
use thiserror::Error;

use super::record::{RecordFault, Records};

/// Bytes of a batch in front of its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the batch length does not count: the base offset and the length itself.
pub const LENGTH_OVERHEAD: usize = 12;
/// Where the bytes start that the checksum covers: the attributes.
const CHECKED_FROM: usize = 21;
/// Where magic is: a set that ends before it holds no batch.
const MAGIC_AT: usize = 16;
/// The bit of the attributes that says that times are those of the append.
const APPEND_TIME: u8 = 0x08;
/// Kafka's smallest batch length, that of a message of format 0.
const SMALLEST_LENGTH: i32 = 14;
/// No record is shorter: its length, attributes, two deltas, two lengths and the header count.
const SMALLEST_RECORD: usize = 7;
/// A record time that says "none".
const NO_TIMESTAMP: i64 = -1;

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
    fn greatest_expansion(self) -> usize {
        match self {
            Compression::None => 1,
            Compression::Gzip => 1032,
            Compression::Snappy => 22,
            Compression::Lz4 => 255,
            Compression::Zstd => 32_768,
        }
    }
}

/// The 61 bytes in front of the records of a batch, as they are; see [`check`] for what is right.
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
        match self.attributes & 7 {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Whether the times are those of the append (LogAppendTime), not those of the producer.
    pub fn has_append_time(&self) -> bool {
        self.attributes & i16::from(APPEND_TIME) != 0
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

/// What the topic and the request say about what may be produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceRules {
    /// Version of the Produce request.
    pub api_version: i16,
    /// `max.message.bytes`: size of the largest batch.
    pub max_message_bytes: usize,
    /// The time of the append, if it replaces those of the records (LogAppendTime).
    pub append_time: Option<i64>,
    /// Earliest record time taken, `now - message.timestamp.before.max.ms`; `i64::MIN` for any.
    pub earliest: i64,
    /// Latest record time taken, `now + message.timestamp.after.max.ms`; `i64::MAX` for any.
    pub latest: i64,
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// Its header.
    pub header: BatchHeader,
    /// Its bytes. What follows them in the record set is not a batch, and ignored, as Kafka does.
    pub bytes: &'a [u8],
    /// Greatest time of its records: counted if they are not compressed, else the header's word.
    pub max_timestamp: i64,
    /// The time that its records are to have instead of their own.
    pub append_time: Option<i64>,
}

/// Gives a batch the time of its append: all its records have it from then on.
pub fn set_append_time(batch: &mut [u8], time: i64) {
    batch[CHECKED_FROM + 1] |= APPEND_TIME;
    batch[35..43].copy_from_slice(&time.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Checks the record set of one partition of a Produce request, which must be exactly one batch.
///
/// The order of the checks is Kafka's, so that of two faults the same one is reported. The leader
/// epoch and unknown bits of the attributes may be anything. Compressed records are not unpacked.
pub fn check<'a>(records: &'a [u8], rules: &ProduceRules) -> Result<Checked<'a>, BatchError> {
    let bytes = sole_batch(records, rules.api_version)?;
    let base_offset = i64::from_be_bytes(std::array::from_fn(|n| bytes[n]));
    if base_offset != 0 {
        return Err(BatchError::BaseOffset { base_offset });
    }
    if bytes.len() > rules.max_message_bytes {
        return Err(BatchError::TooLarge { bytes: bytes.len(), most: rules.max_message_bytes });
    }
    let header = BatchHeader::parse(bytes)?;
    let computed = crc32c::crc32c(&bytes[CHECKED_FROM..]);
    if header.crc != computed {
        return Err(BatchError::Checksum { stored: header.crc, computed });
    }
    let compression = header
        .compression()
        .ok_or(BatchError::Compression { id: header.attributes & 7, before_append: false })?;
    check_header(&header, compression)?;
    let produced = match compression {
        Compression::None => check_records(&header, bytes, rules)?,
        _ => check_time(0, header.max_timestamp, rules).map(|()| header.max_timestamp)?,
    };
    let append_time = rules.append_time;
    let max_timestamp = append_time.unwrap_or(produced);
    Ok(Checked { header, bytes, max_timestamp, append_time })
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

/// What Kafka asks of a record set before it looks at the log it is for.
fn sole_batch(records: &[u8], api_version: i16) -> Result<&[u8], BatchError> {
    let mut batches = Batches::new(records);
    let batch = batches.next().ok_or(BatchError::NoBatch { bytes: records.len() })??;
    let magic = batch[MAGIC_AT] as i8;
    if magic != 2 {
        return Err(BatchError::OldMagic { magic });
    }
    if api_version < 7 {
        match batch[CHECKED_FROM + 1] & 7 {
            0..=3 => {}
            4 => return Err(BatchError::ZstdTooEarly { api_version }),
            id => return Err(BatchError::Compression { id: id.into(), before_append: true }),
        }
    }
    match batches.next().transpose()? {
        Some(_) => Err(BatchError::SeveralBatches),
        None => Ok(batch),
    }
}

fn check_header(header: &BatchHeader, compression: Compression) -> Result<(), BatchError> {
    let BatchHeader { last_offset_delta, record_count: count, .. } = *header;
    if last_offset_delta < 0 {
        return Err(BatchError::OffsetRange { last_offset_delta });
    }
    let body = header.size() - HEADER_BYTES;
    let most = body.saturating_mul(compression.greatest_expansion()) / SMALLEST_RECORD;
    if count <= 0 || count as usize > most {
        return Err(BatchError::Count { count, most });
    }
    if i64::from(last_offset_delta) + 1 != i64::from(count) {
        return Err(BatchError::CountAndOffsets { count, last_offset_delta });
    }
    if header.is_control() {
        return Err(BatchError::Control);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(BatchError::Sequence { sequence: header.base_sequence });
    }
    if header.has_append_time() {
        return Err(BatchError::AppendTime);
    }
    Ok(())
}

/// Reads every record and gives the greatest time of them.
fn check_records(
    header: &BatchHeader,
    bytes: &[u8],
    rules: &ProduceRules,
) -> Result<i64, BatchError> {
    let mut greatest = NO_TIMESTAMP;
    let mut records = Records::new(header, bytes);
    for (index, record) in (0..).zip(&mut records) {
        let record = record.map_err(|fault| BatchError::Record { index, fault })?;
        if record.offset_delta != index {
            let fault = RecordFault::OffsetDelta { delta: record.offset_delta };
            return Err(BatchError::Record { index, fault });
        }
        check_time(index, record.timestamp, rules)?;
        greatest = greatest.max(record.timestamp);
    }
    match records.left_over() {
        0 => Ok(greatest),
        bytes => Err(BatchError::LeftOver { bytes }),
    }
}

fn check_time(index: i32, timestamp: i64, rules: &ProduceRules) -> Result<(), BatchError> {
    let ProduceRules { earliest, latest, append_time, .. } = *rules;
    if append_time.is_some()
        || timestamp == NO_TIMESTAMP
        || (earliest..=latest).contains(&timestamp)
    {
        return Ok(());
    }
    Err(BatchError::Timestamp { index, timestamp, earliest, latest })
}

/// Why a record set is not appended. [`BatchError::code`] is what Kafka answers.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// Nothing in the set is a whole batch.
    #[error("no whole batch in {bytes} bytes; a produced partition must hold exactly one")]
    NoBatch {
        /// Size of the record set.
        bytes: usize,
    },
    /// The batch length is smaller than that of any format.
    #[error("batch length {length} is less than the smallest record overhead, 14")]
    Length {
        /// The batch length as sent.
        length: i32,
    },
    /// A message format from the future, or none.
    #[error("unknown magic {magic}; message formats are 0 to 2")]
    UnknownMagic {
        /// The magic byte.
        magic: i8,
    },
    /// Message format 0 or 1.
    #[error("magic {magic} in a request that takes message format 2 only; upgrade the producer")]
    OldMagic {
        /// The magic byte.
        magic: i8,
    },
    /// Zstandard before Produce version 7.
    #[error("zstd in Produce version {api_version}; it is taken from version 7 (KIP-110)")]
    ZstdTooEarly {
        /// Version of the request.
        api_version: i16,
    },
    /// More than one batch in the set.
    #[error("more than one batch for a partition; a produced partition must hold exactly one")]
    SeveralBatches,
    /// The base offset of a produced batch is not 0.
    #[error("base offset {base_offset} in a produced batch; it must be 0")]
    BaseOffset {
        /// The base offset as sent.
        base_offset: i64,
    },
    /// The batch is larger than `max.message.bytes`.
    #[error("a batch of {bytes} bytes; max.message.bytes of the topic is {most}")]
    TooLarge {
        /// Size of the batch.
        bytes: usize,
        /// `max.message.bytes`.
        most: usize,
    },
    /// The batch ends before its header does.
    #[error("a batch of {bytes} bytes; its header alone has 61")]
    HeaderCutShort {
        /// Size of the batch.
        bytes: usize,
    },
    /// The checksum is wrong.
    #[error("stored checksum {stored:#010x}, computed {computed:#010x}; the batch was damaged")]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A compression of no known kind.
    #[error("unknown compression {id}; known are 0 to 4")]
    Compression {
        /// The number in the attributes.
        id: i16,
        /// Found before the log was looked at, as in versions before 7.
        before_append: bool,
    },
    /// The last offset is before the first.
    #[error("last offset delta {last_offset_delta}; it must not be negative")]
    OffsetRange {
        /// The last offset delta.
        last_offset_delta: i32,
    },
    /// Not the number of records that the batch can hold.
    #[error("record count {count}; this batch can hold 1 to {most}")]
    Count {
        /// The count as sent.
        count: i32,
        /// The number of smallest records that fit.
        most: usize,
    },
    /// Count and offsets disagree.
    #[error("record count {count}, but last offset delta {last_offset_delta}; it must be one less")]
    CountAndOffsets {
        /// The count as sent.
        count: i32,
        /// The last offset delta.
        last_offset_delta: i32,
    },
    /// A control batch from a client.
    #[error("a control batch; only the broker writes those")]
    Control,
    /// A producer id without a sequence number.
    #[error("sequence number {sequence} in a batch that has a producer id; it must be 0 or more")]
    Sequence {
        /// The base sequence.
        sequence: i32,
    },
    /// A record cannot be read.
    #[error("record {index}: {fault}")]
    Record {
        /// Index of the record in its batch, from 0.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// Bytes behind the last record.
    #[error("{bytes} bytes after the last record; batch length and record count disagree")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// The producer claims the time of the append.
    #[error("time type LogAppendTime in a produced batch; only the broker sets it")]
    AppendTime,
    /// A record time out of the topic's bounds.
    #[error("record {index} has time {timestamp}; the topic takes {earliest} to {latest}")]
    Timestamp {
        /// Index of the record in its batch, from 0; 0 if the batch is compressed.
        index: i32,
        /// Its time.
        timestamp: i64,
        /// Earliest time taken.
        earliest: i64,
        /// Latest time taken.
        latest: i64,
    },
}

impl BatchError {
    /// The error code that Kafka answers.
    pub fn code(&self) -> ResponseError {
        use BatchError::*;
        match self {
            Length { .. } | UnknownMagic { .. } | HeaderCutShort { .. } | Checksum { .. } => {
                ResponseError::CorruptMessage
            }
            TooLarge { .. } => ResponseError::MessageTooLarge,
            ZstdTooEarly { .. } => ResponseError::UnsupportedCompressionType,
            Compression { .. } => ResponseError::UnknownServerError,
            AppendTime | Timestamp { .. } => ResponseError::InvalidTimestamp,
            NoBatch { .. } | OldMagic { .. } | SeveralBatches | BaseOffset { .. } => {
                ResponseError::InvalidRecord
            }
            OffsetRange { .. } | Count { .. } | CountAndOffsets { .. } | Control => {
                ResponseError::InvalidRecord
            }
            Sequence { .. } | Record { .. } | LeftOver { .. } => ResponseError::InvalidRecord,
        }
    }

    /// Whether Kafka's answer carries the log's start offset; it is -1 for the other faults.
    pub fn tells_log_start(&self) -> bool {
        use BatchError::*;
        match self {
            NoBatch { .. } | OldMagic { .. } | SeveralBatches | ZstdTooEarly { .. } => false,
            Length { .. } | UnknownMagic { .. } | HeaderCutShort { .. } => false,
            Checksum { .. } | TooLarge { .. } => false,
            Compression { before_append, .. } => !before_append,
            BaseOffset { .. } | OffsetRange { .. } | Count { .. } | CountAndOffsets { .. } => true,
            Control | Sequence { .. } | Record { .. } | LeftOver { .. } => true,
            AppendTime | Timestamp { .. } => true,
        }
    }
}
