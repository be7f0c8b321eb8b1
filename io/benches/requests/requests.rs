//! The requests of the loads, as frames, and what they need to be there.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, GroupId, HeartbeatRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, StrBytes};
use quorate_io::log::contract::record_set;

use super::member::{GENERATION, join};
use super::wire::{Connection, frame};

const TOPIC: &str = "committed";

fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(string(name))
}

/// A heartbeat of a member that has joined alone.
pub fn heartbeat(group: &str, member: &str) -> Vec<u8> {
    let request = HeartbeatRequest::default()
        .with_group_id(GroupId(string(group)))
        .with_generation_id(GENERATION)
        .with_member_id(string(member));
    frame(4, 0, &request).into()
}

fn create_topic(connection: &mut Connection, name: &str, partitions: i32) {
    let request = CreateTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![
        CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1),
    ]);
    let created = connection.call(7, &request).expect("an answer");
    assert_eq!(created.topics[0].error_code, 0, "{created:?}");
}

/// Groups of one member each, in generation 1.
pub struct Groups {
    /// Group and member.
    members: Vec<(String, StrBytes)>,
}

impl Groups {
    /// Forms them, and a topic that they have committed to.
    pub fn form(address: &str, groups: usize, partitions: i32) -> Groups {
        let mut connection = Connection::open(address).expect("it connects");
        create_topic(&mut connection, TOPIC, partitions);
        let members = (0..groups).map(|number| {
            let group = format!("bench-{number}");
            let member = join(&mut connection, &GroupId(string(&group)));
            (group, member)
        });
        let groups = Groups { members: members.collect() };
        for commit in groups.commit_requests(partitions) {
            let done = connection.call(9, &commit).expect("an answer");
            let mut stored = done.topics.iter().flat_map(|topic| &topic.partitions);
            assert!(stored.all(|partition| partition.error_code == 0), "{done:?}");
        }
        groups
    }

    /// A heartbeat of each.
    pub fn heartbeats(&self) -> Vec<Vec<u8>> {
        self.members.iter().map(|(group, member)| heartbeat(group, member)).collect()
    }

    /// A commit of each, of so many partitions.
    pub fn commits(&self, partitions: i32) -> Vec<Vec<u8>> {
        self.commit_requests(partitions).map(|request| frame(9, 0, &request).into()).collect()
    }

    fn commit_requests(&self, partitions: i32) -> impl Iterator<Item = OffsetCommitRequest> {
        self.members.iter().map(move |(group, member)| {
            let partitions = (0..partitions).map(|index| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(1_000_000)
                    .with_committed_leader_epoch(0)
                    .with_committed_metadata(Some(StrBytes::default()))
            });
            OffsetCommitRequest::default()
                .with_group_id(GroupId(string(group)))
                .with_generation_id_or_member_epoch(GENERATION)
                .with_member_id(member.clone())
                .with_topics(vec![
                    OffsetCommitRequestTopic::default()
                        .with_name(topic(TOPIC))
                        .with_partitions(partitions.collect()),
                ])
        })
    }

    /// An OffsetFetch of each, of so many partitions.
    pub fn fetches(&self, partitions: i32) -> Vec<Vec<u8>> {
        let fetch = |(group, _): &(String, StrBytes)| {
            let asked = OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(string(group)))
                .with_topics(Some(vec![
                    OffsetFetchRequestTopics::default()
                        .with_name(topic(TOPIC))
                        .with_partition_indexes((0..partitions).collect()),
                ]));
            frame(8, 0, &OffsetFetchRequest::default().with_groups(vec![asked])).into()
        };
        self.members.iter().map(fetch).collect()
    }
}

/// A topic of four partitions, each produced to by one connection.
pub struct Records {
    name: String,
    batch: Bytes,
}

/// Partitions of a topic of records.
const PARTITIONS: i32 = 4;
const FETCH_BYTES: i32 = 1 << 20;

impl Records {
    /// Makes a topic, and fills it with as much as is fetched at once.
    pub fn topic(address: &str, size: usize, records: usize) -> io::Result<Records> {
        let topic = Records {
            name: format!("records-{size}-{records}"),
            batch: record_set(&vec![&vec![b'v'; size][..]; records], 0, (-1, -1), -1),
        };
        let mut connection = Connection::open(address)?;
        create_topic(&mut connection, &topic.name, PARTITIONS);
        for index in 0..PARTITIONS {
            for _ in 0..=FETCH_BYTES as usize / topic.batch.len() {
                let stored = connection.call(9, &topic.produce_request(index))?;
                assert_eq!(stored.responses[0].partition_responses[0].error_code, 0, "{stored:?}");
            }
        }
        Ok(topic)
    }

    /// A batch for each partition.
    pub fn produce(&self) -> Vec<Vec<u8>> {
        (0..PARTITIONS).map(|index| frame(9, 0, &self.produce_request(index)).into()).collect()
    }

    /// Where the answer to a Produce has the base offset: behind correlation id and tags, the
    /// topic's name, two lengths, index and error.
    pub fn base_offset(&self) -> Range<usize> {
        let at = 4 + 1 + 1 + (1 + self.name.len()) + 1 + 4 + 2;
        at..at + 8
    }

    /// A Fetch of what the first batches are, one for each partition.
    pub fn fetch(&self) -> Vec<Vec<u8>> {
        let fetch = |index| {
            let partition = FetchPartition::default()
                .with_partition(index)
                .with_current_leader_epoch(-1)
                .with_partition_max_bytes(FETCH_BYTES);
            let asked = FetchTopic::default()
                .with_topic(topic(&self.name))
                .with_partitions(vec![partition]);
            let request = FetchRequest::default()
                .with_max_wait_ms(500)
                .with_min_bytes(1)
                .with_max_bytes(FETCH_BYTES)
                .with_session_epoch(-1)
                .with_topics(vec![asked]);
            frame(12, 0, &request).into()
        };
        (0..PARTITIONS).map(fetch).collect()
    }

    fn produce_request(&self, index: i32) -> ProduceRequest {
        let data = PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(self.batch.clone()));
        ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic(&self.name))
                .with_partition_data(vec![data]),
        ])
    }
}

/// How many bytes of records an answer to a Fetch has.
pub fn fetched_bytes(answer: &[u8]) -> usize {
    let mut answer = Bytes::copy_from_slice(answer);
    ResponseHeader::decode(&mut answer, FetchResponse::header_version(12)).expect("a header");
    let answer = FetchResponse::decode(&mut answer, 12).expect("an answer");
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum()
}
