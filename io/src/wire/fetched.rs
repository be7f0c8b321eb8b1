//! The answer to a Fetch, with its records in pieces.
//!
//! Decided here: records are not copied into the answer's bytes. The codec writes all around them:
//! each of its three structures ends with what varies, an array or the records, and with its tags,
//! of which there are none; so it is written empty, and its end again.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchResponse, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use uuid::Uuid;

use super::{Frame, ReplyShape, Unencodable};
use crate::pieces::{LONG, Pieces};
use crate::varint;

/// From this version on lengths are compact and structures have tags (KIP-482).
const FLEXIBLE: i16 = 12;
/// Bytes of an answer, a topic or a partition, but for long names and aborted transactions.
const AROUND: usize = 64;

/// The codec's `FetchResponse`, with its fields that are used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched {
    /// Of the whole request.
    pub error_code: i16,
    /// Of the fetch session (KIP-227), 0 for none.
    pub session_id: i32,
    /// By topic.
    pub topics: Vec<FetchedTopic>,
}

/// The partitions of a topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FetchedTopic {
    /// The topic's name; up to version 12.
    pub name: TopicName,
    /// The topic's id; from version 13 on.
    pub id: Uuid,
    /// By partition.
    pub partitions: Vec<FetchedPartition>,
}

/// What a partition gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FetchedPartition {
    /// All but the records, which are empty.
    pub told: PartitionData,
    /// Batches, which come one after another.
    pub records: Vec<Bytes>,
}

impl FetchedPartition {
    /// Bytes of records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

impl Frame for Fetched {
    fn frame(&self, shape: ReplyShape) -> Result<Pieces, Unencodable> {
        let bytes = BytesMut::with_capacity(self.copied());
        let mut writer = Writer { version: shape.version, bytes, cuts: Vec::new() };
        self.write(shape, &mut writer)
            .and_then(|()| writer.finish())
            .map_err(|reason| Unencodable { key: shape.key, version: shape.version, reason })
    }
}

impl Fetched {
    /// About how many bytes do not stay where they are.
    fn copied(&self) -> usize {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        let short = |partition: &FetchedPartition| {
            let short = partition.records.iter().map(Bytes::len).filter(|bytes| *bytes < LONG);
            AROUND + short.sum::<usize>()
        };
        AROUND * (1 + self.topics.len()) + partitions.map(short).sum::<usize>()
    }

    fn write<'a>(&'a self, shape: ReplyShape, to: &mut Writer<'a>) -> Result<(), String> {
        let header = ResponseHeader::default().with_correlation_id(shape.correlation_id);
        to.bytes.put_i32(0);
        to.whole(&header, FetchResponse::header_version(shape.version))?;
        to.open(
            &FetchResponse::default()
                .with_error_code(self.error_code)
                .with_session_id(self.session_id),
        )?;
        to.count(self.topics.len())?;
        for topic in &self.topics {
            to.open(
                &FetchableTopicResponse::default()
                    .with_topic(topic.name.clone())
                    .with_topic_id(topic.id),
            )?;
            to.count(topic.partitions.len())?;
            for partition in &topic.partitions {
                to.open(&partition.told)?;
                to.count(partition.bytes())?;
                partition.records.iter().for_each(|batch| to.records(batch));
                to.close();
            }
            to.close();
        }
        to.close();
        Ok(())
    }
}

/// Writes what is around the records, and keeps where they go.
struct Writer<'a> {
    version: i16,
    bytes: BytesMut,
    cuts: Vec<(usize, &'a Bytes)>,
}

impl<'a> Writer<'a> {
    fn whole(&mut self, structure: &impl Encodable, version: i16) -> Result<(), String> {
        structure.encode(&mut self.bytes, version).map_err(|e| e.to_string())
    }

    /// A structure without its end: that is no elements or no bytes, and no tags.
    fn open(&mut self, structure: &impl Encodable) -> Result<(), String> {
        self.whole(structure, self.version)?;
        let end = if self.version >= FLEXIBLE { 2 } else { 4 };
        self.bytes.truncate(self.bytes.len() - end);
        Ok(())
    }

    /// How many bytes or elements come.
    fn count(&mut self, count: usize) -> Result<(), String> {
        let count = i32::try_from(count).map_err(|e| e.to_string())?;
        if self.version < FLEXIBLE {
            self.bytes.put_i32(count);
        } else {
            varint::put(&mut self.bytes, count as u64 + 1);
        }
        Ok(())
    }

    fn records(&mut self, batch: &'a Bytes) {
        if batch.len() < LONG {
            self.bytes.extend_from_slice(batch);
        } else {
            self.cuts.push((self.bytes.len(), batch));
        }
    }

    /// No tags.
    fn close(&mut self) {
        if self.version >= FLEXIBLE {
            self.bytes.put_u8(0);
        }
    }

    fn finish(mut self) -> Result<Pieces, String> {
        let cut: usize = self.cuts.iter().map(|(_, batch)| batch.len()).sum();
        let length = i32::try_from(self.bytes.len() - 4 + cut).map_err(|e| e.to_string())?;
        self.bytes[..4].copy_from_slice(&length.to_be_bytes());
        let Some((first, _)) = self.cuts.first() else { return Ok(self.bytes.into()) };
        let mut done = *first;
        let mut pieces = Pieces::from(self.bytes.split_to(done));
        for (at, batch) in self.cuts {
            pieces.push(self.bytes.split_to(at - done).freeze());
            pieces.push(batch.clone());
            done = at;
        }
        pieces.push(self.bytes.freeze());
        Ok(pieces)
    }
}
