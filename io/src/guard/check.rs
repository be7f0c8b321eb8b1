//! What a produced record set must be before a log takes it: message format 2, read by hand.
//!
//! [`check`] decides from the bytes of one partition of a Produce request, in the order in which
//! Kafka finds its faults. It allocates only to unpack what is compressed, within a limit.

use kafka_protocol::ResponseError;
use thiserror::Error;

use super::batch::{BatchHeader, Batches, CHECKED_FROM, Compression, HEADER_BYTES, MAGIC_AT};
use super::packing::UnpackError;
use super::record::{Record, RecordFault, Records};
use super::rejected::{Reason, Rejected};

/// No record is shorter: its length, attributes, two deltas, two lengths and the header count.
const SMALLEST_RECORD: usize = 7;
/// A record time that says "none".
const NO_TIMESTAMP: i64 = -1;

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
    /// Whether each record must have a key, as in a compacted topic.
    pub keys: bool,
    /// `max.decompressed.message.bytes`: size of the largest record of a compressed batch.
    pub max_record_bytes: usize,
}

/// The bytes of all records of a compressed batch, at most. Kafka has no such limit.
pub const MAX_UNPACKED_BYTES: usize = 64 << 20;

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// Its header.
    pub header: BatchHeader,
    /// Its bytes. What follows them in the record set is not a batch, and ignored, as Kafka does.
    pub bytes: &'a [u8],
    /// Greatest time of its records.
    pub max_timestamp: i64,
    /// The time that its records are to have instead of their own.
    pub append_time: Option<i64>,
}

/// Checks the record set of one partition of a Produce request, which must be exactly one batch.
///
/// The order of the checks is Kafka's, so that of two faults the same one is reported. The leader
/// epoch and unknown bits of the attributes may be anything, and the greatest time is not believed.
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
    let body = header.unpacked(bytes)?;
    let produced = check_records(&header, &body, compression != Compression::None, rules)?;
    let append_time = rules.append_time;
    let max_timestamp = append_time.unwrap_or(produced);
    Ok(Checked { header, bytes, max_timestamp, append_time })
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
    Ok(())
}

/// Reads every record and gives the greatest time of them.
fn check_records(
    header: &BatchHeader,
    body: &[u8],
    packed: bool,
    rules: &ProduceRules,
) -> Result<i64, BatchError> {
    let mut greatest = NO_TIMESTAMP;
    let mut rejected = Rejected::default();
    let mut records = Records::new(header, body);
    for (index, record) in (0..).zip(&mut records) {
        let record = record.map_err(|fault| BatchError::Record { index, fault })?;
        if record.offset_delta != index {
            let delta = record.offset_delta;
            let fault = RecordFault::OffsetDelta { delta };
            return Err(match packed {
                true => BatchError::PackedOffset { index, delta },
                false => BatchError::Record { index, fault },
            });
        }
        if packed && size(&record) > rules.max_record_bytes {
            return Err(BatchError::RecordTooLarge { index, most: rules.max_record_bytes });
        }
        let timestamp =
            if header.has_append_time() { header.max_timestamp } else { record.timestamp };
        match reason(header, &record, timestamp, rules) {
            Some(reason) => rejected.add(index, reason),
            None => greatest = greatest.max(timestamp),
        }
    }
    match records.left_over() {
        0 if rejected.count() > 0 => Err(BatchError::Rejected(rejected)),
        0 => Ok(greatest),
        bytes => Err(BatchError::LeftOver { bytes }),
    }
}

/// Why a record that can be read is rejected, if it is.
fn reason(
    header: &BatchHeader,
    record: &Record<'_>,
    timestamp: i64,
    rules: &ProduceRules,
) -> Option<Reason> {
    let ProduceRules { earliest, latest, .. } = *rules;
    let offset = record.offset_delta;
    if rules.keys && record.key.is_none() {
        return Some(Reason::NoKey);
    }
    if rules.append_time.is_none() && timestamp != NO_TIMESTAMP {
        // A producer that claims the time of the append is believed its time, and not the claim.
        let is_good = (earliest..=latest).contains(&timestamp);
        return (!is_good).then_some(Reason::Time { offset, timestamp, earliest, latest });
    }
    header.has_append_time().then(|| Reason::AppendTime {
        packed: header.compression() != Some(Compression::None),
        offset,
        timestamp,
        key: record.key.map(<[u8]>::len),
        value: record.value.map(<[u8]>::len),
    })
}

fn size(record: &Record<'_>) -> usize {
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}

/// Why a record set is not appended. [`BatchError::code`] is what Kafka answers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
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
    /// The records of a compressed batch do not count up from 0.
    #[error("record {index} of a compressed batch has offset delta {delta}")]
    PackedOffset {
        /// Index of the record in its batch, from 0.
        index: i32,
        /// The delta as sent.
        delta: i32,
    },
    /// A record of a compressed batch is larger than it may be.
    #[error("record {index} has more than {most} bytes (max.decompressed.message.bytes)")]
    RecordTooLarge {
        /// Index of the record in its batch, from 0.
        index: i32,
        /// What is allowed.
        most: usize,
    },
    /// Records that can be read, and are not taken.
    #[error("{} records are rejected", .0.count())]
    Rejected(Rejected),
    /// Compressed records cannot be unpacked.
    #[error(transparent)]
    Unpack {
        /// Why.
        #[from]
        fault: UnpackError,
    },
    /// Bytes behind the last record.
    #[error("{bytes} bytes after the last record; batch length and record count disagree")]
    LeftOver {
        /// How many.
        bytes: usize,
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
            TooLarge { .. } | Unpack { fault: UnpackError::TooLarge { .. } } => {
                ResponseError::MessageTooLarge
            }
            ZstdTooEarly { .. } => ResponseError::UnsupportedCompressionType,
            Compression { .. } | PackedOffset { .. } => ResponseError::UnknownServerError,
            Unpack { fault: UnpackError::Damaged { .. } } => ResponseError::UnknownServerError,
            NoBatch { .. } | OldMagic { .. } | SeveralBatches | BaseOffset { .. } => {
                ResponseError::InvalidRecord
            }
            OffsetRange { .. } | Count { .. } | CountAndOffsets { .. } | Control => {
                ResponseError::InvalidRecord
            }
            Sequence { .. } | Record { .. } | LeftOver { .. } => ResponseError::InvalidRecord,
            RecordTooLarge { .. } => ResponseError::InvalidRecord,
            Rejected(rejected) => rejected.code(),
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
            PackedOffset { .. } | RecordTooLarge { .. } | Rejected(_) | Unpack { .. } => true,
        }
    }
}
