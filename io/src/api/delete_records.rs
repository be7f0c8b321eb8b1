//! DeleteRecords (KIP-107): partitions begin at a later offset from now on.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use uuid::Uuid;

use super::place::{self, At, each_home};
use crate::core_thread::Thread;
use crate::log::{Outcome, PartitionKey};

/// What is asked of a partition.
struct Part {
    at: At,
    key: PartitionKey,
    offset: i64,
}

/// Answers a request.
///
/// The new start is durable when it is told. It can be told to take at most `timeout_ms`, but it
/// waits for one write of this node alone.
pub(super) async fn answer(
    thread: &Rc<Thread>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut response = DeleteRecordsResponse::default();
    let mut by_home: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for (t, asked) in request.topics.into_iter().enumerate() {
        let topics = thread.topics();
        let topic = place::topic(&topics, false, &asked.name, Uuid::nil());
        let topic = topic.and_then(|topic| match topic.internal {
            true => Err(ResponseError::InvalidTopicException),
            false => Ok(topic),
        });
        let mut answers = Vec::with_capacity(asked.partitions.len());
        for (p, part) in asked.partitions.iter().enumerate() {
            let index = part.partition_index;
            let checked = topic.and_then(|topic| {
                let key = place::partition(topic, index)?;
                match thread.rules_of(topic).deletes {
                    true => Ok(key),
                    false => Err(ResponseError::PolicyViolation),
                }
            });
            let error = checked.err().unwrap_or(ResponseError::NotLeaderOrFollower);
            answers.push(refusal(index, error));
            if let Ok(key) = checked {
                let home = thread.home_of(key.topic_id, index);
                let part = Part { at: (t, p), key, offset: part.offset };
                by_home.entry(home).or_default().push(part);
            }
        }
        response.topics.push(
            DeleteRecordsTopicResult::default().with_name(asked.name).with_partitions(answers),
        );
    }
    let done = each_home(thread, by_home, delete_here);
    for ((t, p), told) in done.await.unwrap_or_default() {
        response.topics[t].partitions[p] = told;
    }
    response
}

/// Moves the start of partitions whose home is this thread, all of them at once.
async fn delete_here(
    thread: Rc<Thread>,
    parts: Vec<Part>,
) -> Vec<(At, DeleteRecordsPartitionResult)> {
    let mut answers = Vec::with_capacity(parts.len());
    let mut storing = Vec::new();
    for Part { at, key, offset } in parts {
        if !thread.has_partition(key) {
            answers.push((at, refusal(key.index, ResponseError::UnknownTopicOrPartition)));
            continue;
        }
        let homes = &mut *thread.homes().borrow_mut();
        let told = match homes.truncate_before(key, offset) {
            Err(_) => refusal(key.index, ResponseError::OffsetOutOfRange),
            Ok(stored) => {
                storing.extend(stored.map(|stored| (answers.len(), stored)));
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(key.index)
                    .with_low_watermark(homes.partition(key).start())
            }
        };
        answers.push((at, told));
    }
    thread.wake();
    for (place, stored) in storing {
        if !matches!(stored.await, Ok(Outcome::Done)) {
            let told = &mut answers[place].1;
            *told = refusal(told.partition_index, ResponseError::UnknownTopicOrPartition);
        }
    }
    answers
}

fn refusal(index: i32, error: ResponseError) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult::default()
        .with_partition_index(index)
        .with_low_watermark(-1)
        .with_error_code(error.code())
}
