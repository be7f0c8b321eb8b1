//! ListOffsets: the ends of a partition's log, and its records by time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::place::{self, At, each_home};
use crate::core_thread::Thread;
use crate::log::{Found, Outcome, PartitionKey, Wanted};

/// Times that are not times, and the version that each came with.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: (i64, i16) = (-3, 7);
const EARLIEST_LOCAL: (i64, i16) = (-4, 8);
const LATEST_TIERED: (i64, i16) = (-5, 9);

/// Isolation levels go to READ_COMMITTED.
const MAX_ISOLATION_LEVEL: i8 = 1;

/// What is asked of a partition.
struct Part {
    at: At,
    key: PartitionKey,
    timestamp: i64,
    leader_epoch: i32,
}

/// Answers a request.
pub(super) async fn answer(
    thread: &Rc<Thread>,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    // Of a partition that is named twice this is told once, where it is named first.
    let twice = named_twice(&request);
    let mut told = BTreeSet::new();
    let mut response = ListOffsetsResponse::default();
    let mut by_home: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for asked in &request.topics {
        let t = response.topics.len();
        let topics = thread.topics();
        let topic = place::topic(&topics, false, &asked.name, uuid::Uuid::nil());
        let mut answers = Vec::with_capacity(asked.partitions.len());
        for part in &asked.partitions {
            let index = part.partition_index;
            let named_twice = twice.contains(&(asked.name.as_str(), index));
            if named_twice && !told.insert((asked.name.as_str(), index)) {
                continue;
            }
            let checked = if named_twice {
                Err(ResponseError::InvalidRequest)
            } else if !is_known(part.timestamp, version) {
                Err(ResponseError::UnsupportedVersion)
            } else if request.isolation_level > MAX_ISOLATION_LEVEL {
                Err(ResponseError::UnknownServerError)
            } else {
                topic.and_then(|topic| place::partition(topic, index))
            };
            let p = answers.len();
            answers
                .push(refusal(index, checked.err().unwrap_or(ResponseError::NotLeaderOrFollower)));
            if let Ok(key) = checked {
                let (timestamp, leader_epoch) = (part.timestamp, part.current_leader_epoch);
                let part = Part { at: (t, p), key, timestamp, leader_epoch };
                by_home.entry(thread.home_of(key.topic_id, index)).or_default().push(part);
            }
        }
        if answers.is_empty() && !asked.partitions.is_empty() {
            continue;
        }
        response.topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(asked.name.clone())
                .with_partitions(answers),
        );
    }
    let found = each_home(thread, by_home, list_here).await;
    for ((t, p), told) in found.unwrap_or_default() {
        // Epochs came with version 4.
        let leader_epoch = if version >= 4 { told.leader_epoch } else { -1 };
        response.topics[t].partitions[p] = told.with_leader_epoch(leader_epoch);
    }
    response
}

fn named_twice(request: &ListOffsetsRequest) -> BTreeSet<(&str, i32)> {
    let mut seen = BTreeSet::new();
    let named = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|part| (topic.name.as_str(), part.partition_index))
    });
    named.filter(|name| !seen.insert(*name)).collect()
}

fn is_known(timestamp: i64, version: i16) -> bool {
    let since = |(sentinel, since): (i64, i16)| timestamp == sentinel && version >= since;
    timestamp >= EARLIEST || [MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED].into_iter().any(since)
}

/// Looks up what has its home on this thread; all that has to be searched is searched at once.
async fn list_here(
    thread: Rc<Thread>,
    parts: Vec<Part>,
) -> Vec<(At, ListOffsetsPartitionResponse)> {
    let mut answers = Vec::with_capacity(parts.len());
    let mut searching = Vec::new();
    for Part { at, key, timestamp, leader_epoch } in parts {
        if !thread.has_partition(key) {
            answers.push((at, refusal(key.index, ResponseError::UnknownTopicOrPartition)));
            continue;
        }
        let homes = &mut *thread.homes().borrow_mut();
        let partition = homes.partition(key);
        let epoch = partition.leader_epoch();
        let told = match place::check_leader_epoch(leader_epoch, epoch) {
            Err(error) => refusal(key.index, error),
            Ok(()) => match timestamp {
                LATEST => found(key.index, partition.high_watermark(), -1, epoch),
                EARLIEST | -4 => {
                    let start = partition.start();
                    let epochs = partition.epochs().starts().iter();
                    let first = epochs.rev().find(|epoch| epoch.start <= start);
                    found(key.index, start, -1, first.map_or(-1, |first| first.epoch))
                }
                -5 => found(key.index, -1, -1, -1),
                _ => {
                    let latest = timestamp == MAX_TIMESTAMP.0;
                    let what = if latest { Wanted::Latest } else { Wanted::Time(timestamp) };
                    searching.push((answers.len(), homes.find(key, what)));
                    found(key.index, -1, -1, -1)
                }
            },
        };
        answers.push((at, told));
    }
    thread.wake();
    for (place, search) in searching {
        let told = &mut answers[place].1;
        *told = match search.await {
            Ok(Outcome::Found(None)) => continue,
            Ok(Outcome::Found(Some(Found { offset, timestamp, leader_epoch }))) => {
                found(told.partition_index, offset, timestamp, leader_epoch)
            }
            _ => refusal(told.partition_index, ResponseError::KafkaStorageError),
        };
    }
    answers
}

fn found(index: i32, offset: i64, timestamp: i64, epoch: i32) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_offset(offset)
        .with_timestamp(timestamp)
        .with_leader_epoch(epoch)
}

fn refusal(index: i32, error: ResponseError) -> ListOffsetsPartitionResponse {
    found(index, -1, -1, -1).with_error_code(error.code())
}
