//! OffsetForLeaderEpoch (KIP-320): where an epoch ended, for a consumer that may have read what a
//! leader has lost.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use uuid::Uuid;

use super::place::{self, At, each_home};
use crate::core_thread::Thread;
use crate::log::PartitionKey;

/// What is asked of a partition.
struct Part {
    at: At,
    key: PartitionKey,
    epoch: i32,
    known: i32,
}

/// Answers a request.
pub(super) async fn answer(
    thread: &Rc<Thread>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut response = OffsetForLeaderEpochResponse::default();
    let mut by_home: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for (t, asked) in request.topics.into_iter().enumerate() {
        let topics = thread.topics();
        let topic = place::topic(&topics, false, &asked.topic, Uuid::nil());
        let mut answers = Vec::with_capacity(asked.partitions.len());
        for (p, part) in asked.partitions.iter().enumerate() {
            let checked = topic.and_then(|topic| place::partition(topic, part.partition));
            let error = checked.err().unwrap_or(ResponseError::NotLeaderOrFollower);
            answers.push(refusal(part.partition, error));
            if let Ok(key) = checked {
                let (epoch, known) = (part.leader_epoch, part.current_leader_epoch);
                let home = thread.home_of(key.topic_id, key.index);
                by_home.entry(home).or_default().push(Part { at: (t, p), key, epoch, known });
            }
        }
        response.topics.push(
            OffsetForLeaderTopicResult::default().with_topic(asked.topic).with_partitions(answers),
        );
    }
    let ends = each_home(thread, by_home, |home, parts| async move {
        parts.into_iter().map(|part| (part.at, end_here(&home, &part))).collect()
    });
    for ((t, p), told) in ends.await.unwrap_or_default() {
        response.topics[t].partitions[p] = told;
    }
    response
}

/// The end of an epoch, in a partition whose home is this thread. That of the present epoch is the
/// high watermark; nobody has read further.
fn end_here(thread: &Thread, part: &Part) -> EpochEndOffset {
    let index = part.key.index;
    if !thread.has_partition(part.key) {
        return refusal(index, ResponseError::UnknownTopicOrPartition);
    }
    let homes = &mut *thread.homes().borrow_mut();
    let partition = homes.partition(part.key);
    if let Err(error) = place::check_leader_epoch(part.known, partition.leader_epoch()) {
        return refusal(index, error);
    }
    let end = partition.epochs().end_of(part.epoch, partition.high_watermark());
    let (epoch, offset) = end.unwrap_or((-1, -1));
    EpochEndOffset::default().with_partition(index).with_leader_epoch(epoch).with_end_offset(offset)
}

fn refusal(index: i32, error: ResponseError) -> EpochEndOffset {
    EpochEndOffset::default().with_partition(index).with_error_code(error.code())
}
