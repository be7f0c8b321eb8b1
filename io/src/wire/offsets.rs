//! OffsetCommit, OffsetFetch and OffsetDelete: what their versions mean (spec classic 12 to 14).

use std::time::Duration;

use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use quorate_core::request::{
    CommitPartition, CommitTopic, FetchGroup, OffsetCommit, OffsetDelete, OffsetFetch,
    TopicPartitions,
};
use quorate_core::response::{FetchedGroup, FetchedTopic};
use quorate_core::{Generation, Request, TopicsVersion, response};
use uuid::Uuid;

use super::CodecError;
use super::text::{group, instance, member, str_bytes, text, topic, wire_group, wire_topic};

pub(super) fn commit(from: OffsetCommitRequest, version: i16) -> Request {
    // -1 is the coordinator's own retention; another negative number expires at once, as Kafka's
    // sum of commit time and retention does.
    let retention = (version <= 4 && from.retention_time_ms != -1)
        .then(|| Duration::from_millis(u64::try_from(from.retention_time_ms).unwrap_or(0)));
    Request::OffsetCommit(Box::new(OffsetCommit {
        group_id: group(from.group_id),
        generation: Generation(from.generation_id_or_member_epoch),
        member_id: member(from.member_id),
        instance_id: instance(from.group_instance_id),
        retention,
        missing_group_has_a_code: version >= 9,
        checked: TopicsVersion::default(),
        topics: from.topics.into_iter().map(commit_topic).collect(),
    }))
}

fn commit_topic(from: OffsetCommitRequestTopic) -> CommitTopic {
    let partitions = from.partitions.into_iter().map(|p| CommitPartition {
        partition: p.partition_index,
        offset: p.committed_offset,
        leader_epoch: p.committed_leader_epoch,
        metadata: p.committed_metadata.map(text),
    });
    CommitTopic { name: topic(from.name), topic_id: Uuid::nil(), partitions: partitions.collect() }
}

pub(super) fn committed(from: response::OffsetCommit) -> OffsetCommitResponse {
    let topics = from.topics.into_iter().map(|errors| {
        let partitions = errors.partitions.into_iter().map(|(partition, error)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition)
                .with_error_code(error.code())
        });
        OffsetCommitResponseTopic::default()
            .with_name(wire_topic(errors.name))
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Null topics ask for all from version 2 on; version 1 has no null.
pub(super) fn fetch(from: OffsetFetchRequest, version: i16) -> Result<Request, CodecError> {
    if version == 1 && from.topics.is_none() {
        return Err("topics are null, which version 1 does not have".into());
    }
    let named = |name: TopicName, partitions| TopicPartitions { name: topic(name), partitions };
    let groups = if version < 8 {
        let topics = from
            .topics
            .map(|topics| topics.into_iter().map(|t| named(t.name, t.partition_indexes)).collect());
        let group_id = group(from.group_id);
        vec![FetchGroup { group_id, member_id: None, member_epoch: -1, topics }]
    } else {
        let groups = from.groups.into_iter().map(|g| FetchGroup {
            group_id: group(g.group_id),
            member_id: g.member_id.map(member),
            member_epoch: g.member_epoch,
            topics: g.topics.map(|topics| {
                topics.into_iter().map(|t| named(t.name, t.partition_indexes)).collect()
            }),
        });
        groups.collect()
    };
    Ok(Request::OffsetFetch(OffsetFetch {
        groups,
        require_stable: from.require_stable,
        errors_on_partitions: version == 1,
    }))
}

/// One group up to version 7, where version 1 has no place for its error.
pub(super) fn fetched(from: response::OffsetFetch, version: i16) -> OffsetFetchResponse {
    if version >= 8 {
        let groups = from.groups.into_iter().map(fetched_group);
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let Some(group) = from.groups.into_iter().next() else {
        return OffsetFetchResponse::default();
    };
    let error = if version >= 2 { group.error.code() } else { 0 };
    let topics = group.topics.into_iter().map(|topic| fetched_topic(topic, version));
    OffsetFetchResponse::default().with_topics(topics.collect()).with_error_code(error)
}

fn fetched_group(from: FetchedGroup) -> OffsetFetchResponseGroup {
    let topics = from.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|p| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(p.partition)
                .with_committed_offset(p.offset)
                .with_committed_leader_epoch(p.leader_epoch)
                .with_metadata(Some(str_bytes(p.metadata)))
                .with_error_code(p.error.code())
        });
        OffsetFetchResponseTopics::default()
            .with_name(wire_topic(topic.name))
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponseGroup::default()
        .with_group_id(wire_group(from.group_id))
        .with_topics(topics.collect())
        .with_error_code(from.error.code())
}

fn fetched_topic(from: FetchedTopic, version: i16) -> OffsetFetchResponseTopic {
    let partitions = from.partitions.into_iter().map(|p| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(p.partition)
            .with_committed_offset(p.offset)
            .with_committed_leader_epoch(if version >= 5 { p.leader_epoch } else { -1 })
            .with_metadata(Some(str_bytes(p.metadata)))
            .with_error_code(p.error.code())
    });
    OffsetFetchResponseTopic::default()
        .with_name(wire_topic(from.name))
        .with_partitions(partitions.collect())
}

pub(super) fn delete(from: OffsetDeleteRequest) -> Request {
    let topics = from.topics.into_iter().map(|t| TopicPartitions {
        name: topic(t.name),
        partitions: t.partitions.into_iter().map(|p| p.partition_index).collect(),
    });
    Request::OffsetDelete(OffsetDelete { group_id: group(from.group_id), topics: topics.collect() })
}

pub(super) fn deleted(from: response::OffsetDelete) -> OffsetDeleteResponse {
    let topics = from.topics.into_iter().map(|errors| {
        let partitions = errors.partitions.into_iter().map(|(partition, error)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition)
                .with_error_code(error.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(wire_topic(errors.name))
            .with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_error_code(from.error.code()).with_topics(topics.collect())
}
