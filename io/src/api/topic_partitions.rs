//! DescribeTopicPartitions (KIP-966): topics by name, page by page.
//!
//! Decided here: topics come in the order of their names, and a page ends after a number of
//! partitions, wherever that is; the next one goes on from there.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{NOT_ASKED, Node, TOPIC_OPERATIONS, topic_name};
use crate::catalog::{Topic, Topics};

/// Partitions of one page, Kafka's `max.request.partition.size.limit`.
pub const MAX_PARTITIONS: usize = 2000;

/// The answer. A cursor that is not one of an answer to the same request refuses all of it.
pub fn answer(
    request: &DescribeTopicPartitionsRequest,
    topics: &Topics,
    node: &Node,
) -> DescribeTopicPartitionsResponse {
    if let Some(error) = refused(request) {
        return refuse_all(request, error);
    }
    let from = request.cursor.as_ref().map(|cursor| (&*cursor.topic_name, cursor.partition_index));
    let first_name = from.map_or("", |(name, _)| name.as_str());
    let asked: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    let every = asked.is_empty();
    let names: Vec<&str> = if every {
        topics.iter().map(|topic| &*topic.name).filter(|name| *name >= first_name).collect()
    } else {
        asked.into_iter().filter(|name| *name >= first_name).collect()
    };
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut left = limit.clamp(1, MAX_PARTITIONS);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        let start = match from {
            Some((at, partition)) if at.as_str() == name => partition.max(0),
            _ => 0,
        };
        if left == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = topics.by_name(name) else {
            response.topics.push(missing(name));
            continue;
        };
        let start = start.min(topic.partitions);
        let end = topic.partitions.min(start.saturating_add(left as i32));
        response.topics.push(described(topic, start..end, node));
        left -= usize::try_from(end - start).unwrap_or(0);
        if end < topic.partitions {
            response.next_cursor = Some(cursor(name, end));
            break;
        }
    }
    response
}

fn refused(request: &DescribeTopicPartitionsRequest) -> Option<ResponseError> {
    let mut names = request.topics.iter().map(|topic| topic.name.as_str());
    if names.clone().any(str::is_empty) {
        return Some(ResponseError::UnknownServerError);
    }
    let cursor = request.cursor.as_ref()?;
    let named = request.topics.is_empty() || names.any(|name| name == cursor.topic_name.as_str());
    let right = named && cursor.partition_index >= 0;
    (!right).then_some(ResponseError::InvalidRequest)
}

fn refuse_all(
    request: &DescribeTopicPartitionsRequest,
    error: ResponseError,
) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic.name.clone()))
            .with_topic_authorized_operations(NOT_ASKED)
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

fn cursor(name: &str, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(name_of(name)).with_partition_index(partition)
}

fn name_of(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match topic_name::validate(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(name_of(name)))
        .with_is_internal(topic_name::is_internal(name))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn described(
    topic: &Topic,
    partitions: std::ops::Range<i32>,
    node: &Node,
) -> DescribeTopicPartitionsResponseTopic {
    let me = node.broker();
    let partitions = partitions.map(|index| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(me)
            .with_leader_epoch(node.leader_epoch)
            .with_replica_nodes(vec![me])
            .with_isr_nodes(vec![me])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name_of(&topic.name)))
        .with_topic_id(topic.id)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}
