//! DescribeLogDirs and DescribeProducers: what the log holds, for an operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::place::{self, At, each_home};
use super::topics::UNKNOWN_TOPIC;
use super::{Error, topic_name};
use crate::core_thread::Thread;
use crate::log::{Outcome, PartitionKey};

/// What cannot be said of a folder in memory.
const UNKNOWN_BYTES: i64 = -1;

/// Answers DescribeLogDirs: the data folder, and the bytes of the partitions asked for; of all if
/// none are named. Partitions that there are not are left out, as Kafka does.
pub(super) async fn log_dirs(
    thread: &Rc<Thread>,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let mut topics = Vec::new();
    let mut by_home: BTreeMap<usize, Vec<(At, PartitionKey)>> = BTreeMap::new();
    for (name, indexes) in asked(thread, request) {
        let view = thread.topics();
        let Some(topic) = view.by_name(&name) else { continue };
        let mut partitions = Vec::new();
        for index in indexes {
            let Ok(key) = place::partition(topic, index) else { continue };
            let home = thread.home_of(key.topic_id, index);
            by_home.entry(home).or_default().push(((topics.len(), partitions.len()), key));
            partitions.push(DescribeLogDirsPartition::default().with_partition_index(index));
        }
        if !partitions.is_empty() {
            topics
                .push(DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions));
        }
    }
    let sizes = each_home(thread, by_home, sizes_here);
    for ((t, p), bytes) in sizes.await.unwrap_or_default() {
        topics[t].partitions[p].partition_size = i64::try_from(bytes).unwrap_or(i64::MAX);
    }
    let folder = thread.shared().folder.as_deref();
    let (total, usable) = folder.map_or((UNKNOWN_BYTES, UNKNOWN_BYTES), capacity);
    let folder = folder.map_or("memory".into(), |folder| folder.display().to_string());
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(folder))
        .with_topics(topics)
        .with_total_bytes(total)
        .with_usable_bytes(usable);
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn asked(thread: &Thread, request: DescribeLogDirsRequest) -> Vec<(TopicName, Vec<i32>)> {
    match request.topics {
        Some(topics) => topics.into_iter().map(|asked| (asked.topic, asked.partitions)).collect(),
        None => {
            let view = thread.topics();
            let all = view.iter().map(|topic| {
                let name = TopicName(StrBytes::from_string(topic.name.to_string()));
                (name, (0..topic.partitions).collect())
            });
            all.collect()
        }
    }
}

/// Bytes of the file system that the data folder is on: in all, and those that are free.
fn capacity(folder: &Path) -> (i64, i64) {
    let Ok(found) = rustix::fs::statvfs(folder) else { return (UNKNOWN_BYTES, UNKNOWN_BYTES) };
    let bytes =
        |blocks: u64| i64::try_from(blocks.saturating_mul(found.f_frsize)).unwrap_or(i64::MAX);
    (bytes(found.f_blocks), bytes(found.f_bavail))
}

async fn sizes_here(thread: Rc<Thread>, parts: Vec<(At, PartitionKey)>) -> Vec<(At, u64)> {
    let measuring: Vec<_> = {
        let homes = &mut *thread.homes().borrow_mut();
        parts.into_iter().filter_map(|(at, key)| Some((at, homes.measure(key, None)?))).collect()
    };
    thread.wake();
    let mut sizes = Vec::with_capacity(measuring.len());
    for (at, measured) in measuring {
        if let Ok(Outcome::Size(bytes)) = measured.await {
            sizes.push((at, bytes));
        }
    }
    sizes
}

/// Answers DescribeProducers (KIP-664): who wrote to partitions and is remembered.
pub(super) async fn producers(
    thread: &Rc<Thread>,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut response = DescribeProducersResponse::default();
    let mut by_home: BTreeMap<usize, Vec<(At, PartitionKey)>> = BTreeMap::new();
    for (t, asked) in request.topics.into_iter().enumerate() {
        let topics = thread.topics();
        let invalid = topic_name::validate(&asked.name)
            .map_err(|message| Error::new(ResponseError::InvalidTopicException, message));
        let topic = invalid.and_then(|()| {
            let topic = place::topic(&topics, false, &asked.name, Uuid::nil());
            topic.map_err(|error| Error::new(error, UNKNOWN_TOPIC))
        });
        let mut answers = Vec::with_capacity(asked.partition_indexes.len());
        for (p, &index) in asked.partition_indexes.iter().enumerate() {
            let checked = topic
                .clone()
                .and_then(|topic| place::partition(topic, index).map_err(Error::silent));
            let stopped = Error::silent(ResponseError::NotLeaderOrFollower);
            answers.push(refusal(index, checked.as_ref().err().cloned().unwrap_or(stopped)));
            if let Ok(key) = checked {
                let home = thread.home_of(key.topic_id, index);
                by_home.entry(home).or_default().push(((t, p), key));
            }
        }
        response
            .topics
            .push(TopicResponse::default().with_name(asked.name).with_partitions(answers));
    }
    let known = each_home(thread, by_home, |home, parts| async move {
        parts.into_iter().map(|(at, key)| (at, producers_here(&home, key))).collect()
    });
    for ((t, p), told) in known.await.unwrap_or_default() {
        response.topics[t].partitions[p] = told;
    }
    response
}

fn producers_here(thread: &Thread, key: PartitionKey) -> PartitionResponse {
    if !thread.has_partition(key) {
        let gone = Error::new(ResponseError::UnknownTopicOrPartition, UNKNOWN_TOPIC);
        return refusal(key.index, gone);
    }
    let homes = &mut *thread.homes().borrow_mut();
    let producers = homes.partition(key).producers().iter().map(|active| {
        ProducerState::default()
            .with_producer_id(ProducerId(active.id))
            .with_producer_epoch(active.epoch.into())
            .with_last_sequence(active.last_sequence)
            .with_last_timestamp(active.last_timestamp)
            .with_coordinator_epoch(-1)
            .with_current_txn_start_offset(-1)
    });
    PartitionResponse::default()
        .with_partition_index(key.index)
        .with_error_message(None)
        .with_active_producers(producers.collect())
}

fn refusal(index: i32, error: Error) -> PartitionResponse {
    PartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(error.code)
        .with_error_message(error.message)
}
