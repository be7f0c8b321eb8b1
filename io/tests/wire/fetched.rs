//! The answer to a Fetch is what the codec would have written, but for the copies.

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ProducerId, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use quorate_io::pieces::{LONG, Pieces};
use quorate_io::wire::fetched::{Fetched, FetchedPartition, FetchedTopic};
use quorate_io::wire::{self, BrokerResponse, served};
use uuid::Uuid;

use super::{CORRELATION, encoded, s, shape};

fn batches(lengths: &[usize]) -> Vec<Bytes> {
    let batch = |(i, length): (usize, &usize)| Bytes::from(vec![b'a' + i as u8; *length]);
    lengths.iter().enumerate().map(batch).collect()
}

fn gave(index: i32, records: Vec<Bytes>) -> FetchedPartition {
    let told = PartitionData::default()
        .with_partition_index(index)
        .with_high_watermark(70)
        .with_last_stable_offset(60)
        .with_aborted_transactions(None);
    FetchedPartition { told, records }
}

fn topic(name: &'static str, id: u128, partitions: Vec<FetchedPartition>) -> FetchedTopic {
    FetchedTopic { name: TopicName(s(name)), id: Uuid::from_u128(id), partitions }
}

fn refused(index: i32) -> FetchedPartition {
    let error = ResponseError::OffsetOutOfRange.code();
    let mut refused = gave(index, Vec::new());
    refused.told.error_code = error;
    refused
}

fn with_transactions(index: i32) -> FetchedPartition {
    let aborted =
        AbortedTransaction::default().with_producer_id(ProducerId(5)).with_first_offset(6);
    let mut partition = gave(index, batches(&[200, LONG]));
    partition.told.aborted_transactions = Some(vec![aborted]);
    partition
}

/// What the codec writes for the same answer.
fn by_codec(answer: &Fetched, version: i16) -> BytesMut {
    let partition = |partition: &FetchedPartition| {
        partition.told.clone().with_records(Some(partition.records.concat().into()))
    };
    let topics = answer.topics.iter().map(|topic| {
        FetchableTopicResponse::default()
            .with_topic(topic.name.clone())
            .with_topic_id(topic.id)
            .with_partitions(topic.partitions.iter().map(partition).collect())
    });
    let response = FetchResponse::default()
        .with_error_code(answer.error_code)
        .with_session_id(answer.session_id)
        .with_responses(topics.collect());
    let mut body = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(CORRELATION);
    header.encode(&mut body, FetchResponse::header_version(version)).unwrap();
    response.encode(&mut body, version).unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    BytesMut::from(&[&length[..], &body].concat()[..])
}

fn answers() -> Vec<Fetched> {
    let many: Vec<FetchedPartition> = (0..200).map(|i| gave(i, batches(&[i as usize]))).collect();
    let all = [
        vec![],
        vec![topic("empty", 1, vec![])],
        vec![topic("nothing new", 2, vec![gave(0, vec![])])],
        vec![topic("short", 3, vec![gave(0, batches(&[1])), gave(1, batches(&[127, 128]))])],
        vec![
            topic("long", 4, vec![gave(0, batches(&[LONG])), gave(1, batches(&[LONG, 3, LONG]))]),
            topic("mixed", 5, vec![refused(3), gave(4, batches(&[3, 2 * LONG, 7])), refused(5)]),
            topic("last", 6, vec![with_transactions(0)]),
        ],
        vec![topic("many", 7, many)],
    ];
    all.into_iter().map(|topics| Fetched { topics, ..Fetched::default() }).collect()
}

#[test]
fn its_bytes_are_those_of_the_codec_in_every_version() {
    let line = served(1).expect("Fetch is served");
    for version in line.min..=line.max {
        for mut answer in answers() {
            if version >= 7 {
                (answer.error_code, answer.session_id) = (71, 9);
            }
            let expected = by_codec(&answer, version);
            let reply = BrokerResponse::Fetch(answer);
            assert_eq!(encoded(shape::<FetchRequest>(version), reply), expected, "{version}");
        }
    }
}

#[test]
fn records_are_not_copied_unless_they_are_short() {
    let [long, short] = [LONG, LONG - 1].map(|length| Bytes::from(vec![b'r'; length]));
    let records = vec![long.clone(), short.clone(), long.clone()];
    let topics = vec![topic("t", 1, vec![gave(0, records)])];
    let reply = BrokerResponse::Fetch(Fetched { topics, ..Fetched::default() });
    let pieces = wire::encode(shape::<FetchRequest>(12), reply.into(), &|_| None).unwrap();
    assert!(short.is_unique() && !long.is_unique(), "only the short one was copied");
    let whole = pieces.clone().joined();
    let head = whole.len() - 2 * LONG - short.len() - 3;
    let mut expected = Pieces::from(BytesMut::from(&whole[..head]));
    expected.push(long.clone());
    expected.push(short);
    expected.push(long);
    expected.push(Bytes::from_static(&[0, 0, 0]));
    assert_eq!(pieces, expected);
}
