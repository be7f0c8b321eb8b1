//! Produce: record sets, each to the home of its partition.
//!
//! Decided here: the order of the checks, what is said of each fault, and when an answer is due:
//! once everything is stored, for acks 1 as for all, since there is one replica. With acks 0 a
//! fault closes the connection, as that is all the producer can be told.

use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;
use quorate_core::WallTime;

use super::Answer;
use super::place::{self, At, each_home};
use super::topic_rules::TopicRules;
use crate::core_thread::Thread;
use crate::guard::batch::{BatchHeader, Batches};
use crate::guard::check::{BatchError, ProduceRules};
use crate::guard::rejected::{MOST_TOLD, Reason, Rejected};
use crate::homes::{AppendError, Appending};
use crate::log::PartitionKey;

/// From this version on topics are named by id (KIP-516).
const BY_ID: i16 = 13;

/// Appends of a thread that may be on their way to the store before producers wait that want no
/// answer: nothing else would slow them down.
const UNACKNOWLEDGED_BYTES: usize = 8 << 20;
/// How long they wait.
const UNACKNOWLEDGED_WAIT: Duration = Duration::from_secs(30);
/// How many of the records that are rejected are shown for all.
const SHOWN: usize = 3;

/// A record set on its way to its home.
struct Part {
    at: At,
    key: PartitionKey,
    records: Bytes,
    rules: ProduceRules,
}

/// Answers a request.
pub(super) async fn answer(
    thread: &Rc<Thread>,
    request: ProduceRequest,
    version: i16,
) -> Answer<ProduceResponse> {
    let acks = request.acks;
    let refused = refuse_all(&request);
    let mut response = ProduceResponse::default();
    let mut by_home: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    let now = thread.now().wall;
    for (t, asked) in request.topic_data.into_iter().enumerate() {
        let TopicProduceData { name, topic_id, partition_data, .. } = asked;
        let topics = thread.topics();
        let topic = place::topic(&topics, version >= BY_ID, &name, topic_id);
        let mut answers = Vec::with_capacity(partition_data.len());
        for (p, asked) in partition_data.into_iter().enumerate() {
            let PartitionProduceData { index, records, .. } = asked;
            let checked = topic.and_then(|topic| Ok((topic, place::partition(topic, index)?)));
            let checked = checked.and_then(|found| match (refused, found.0.internal) {
                (Some(refusal), _) => Err(refusal),
                (None, true) => Err(ResponseError::InvalidTopicException),
                (None, false) => Ok(found),
            });
            let error = checked.err();
            answers.push(refusal(index, error.unwrap_or(ResponseError::NotLeaderOrFollower)));
            if let Ok((topic, key)) = checked {
                let rules = rules(&thread.rules_of(topic), version, now);
                let records = records.unwrap_or_default();
                let home = thread.home_of(key.topic_id, index);
                by_home.entry(home).or_default().push(Part { at: (t, p), key, records, rules });
            }
        }
        response.responses.push(
            TopicProduceResponse::default()
                .with_name(name)
                .with_topic_id(topic_id)
                .with_partition_responses(answers),
        );
    }
    let work = move |home, parts| produce_here(home, parts, acks != 0);
    // A thread that has stopped leaves its partitions as they are: not led here.
    for ((t, p), told) in each_home(thread, by_home, work).await.unwrap_or_default() {
        response.responses[t].partition_responses[p] = told;
    }
    if acks != 0 {
        return Answer::Send(response);
    }
    let mut all = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    if all.any(|told| told.error_code != 0) { Answer::Close } else { Answer::Silent }
}

/// Why no partition of a request is produced to. Transactions are not served yet, so nobody is
/// authorized for a transactional id; and acks are 0, 1 or -1.
fn refuse_all(request: &ProduceRequest) -> Option<ResponseError> {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let mut sets = partitions.filter_map(|partition| partition.records.as_deref());
    if sets.any(is_transactional) {
        return Some(ResponseError::TransactionalIdAuthorizationFailed);
    }
    (!(-1..=1).contains(&request.acks)).then_some(ResponseError::InvalidRequiredAcks)
}

fn is_transactional(records: &[u8]) -> bool {
    let Some(Ok(batch)) = Batches::new(records).next() else { return false };
    BatchHeader::parse(batch).is_ok_and(|head| head.magic == 2 && head.is_transactional())
}

fn rules(topic: &TopicRules, api_version: i16, now: WallTime) -> ProduceRules {
    ProduceRules {
        api_version,
        max_message_bytes: topic.max_message_bytes,
        append_time: topic.append_time.then_some(now.0),
        earliest: now.0.saturating_sub(topic.before_max.unwrap_or(i64::MAX)),
        latest: now.0.saturating_add(topic.after_max),
        keys: topic.compacts,
        max_record_bytes: topic.max_record_bytes,
    }
}

/// Appends what has its home on this thread, all of it before it waits for any. Who is answered
/// waits until it is stored, however long that takes: the request's timeout is for other replicas.
async fn produce_here(
    thread: Rc<Thread>,
    parts: Vec<Part>,
    is_answered: bool,
) -> Vec<(At, PartitionProduceResponse)> {
    let now = thread.now();
    let mut answers = Vec::with_capacity(parts.len());
    let mut storing = Vec::new();
    let mut untold = MOST_TOLD;
    for Part { at, key, records, rules } in parts {
        if !thread.has_partition(key) {
            answers.push((at, refusal(key.index, ResponseError::UnknownTopicOrPartition)));
            continue;
        }
        let mut homes = thread.homes().borrow_mut();
        let told = match homes.append(key, &records, &rules, now.wall) {
            Ok(Appending { base, append_time, log_start, stored }) => {
                storing.push((answers.len(), stored));
                PartitionProduceResponse::default()
                    .with_index(key.index)
                    .with_base_offset(base)
                    .with_log_append_time_ms(append_time)
                    .with_log_start_offset(log_start)
            }
            Err(AppendError::Sequence { fault }) => {
                refusal(key.index, fault.code()).with_log_start_offset(homes.partition(key).start())
            }
            Err(AppendError::Batch { fault }) => {
                let log_start = fault.tells_log_start().then(|| homes.partition(key).start());
                broken(&thread, key, &fault, &mut untold)
                    .with_log_start_offset(log_start.unwrap_or(-1))
            }
        };
        answers.push((at, told));
    }
    thread.wake();
    if !is_answered && thread.homes().borrow().storing_bytes() <= UNACKNOWLEDGED_BYTES {
        return answers;
    }
    let mut timeout = pin!(thread.clock().sleep_until(now.mono + UNACKNOWLEDGED_WAIT));
    for (place, mut stored) in storing {
        let result = tokio::select! {
            biased;
            result = &mut stored => result,
            () = &mut timeout, if !is_answered => return answers,
        };
        let error = match result {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => ResponseError::UnknownTopicOrPartition,
        };
        let told = &mut answers[place].1;
        *told = refusal(told.index, error);
    }
    answers
}

fn refusal(index: i32, error: ResponseError) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(error.code())
        .with_base_offset(-1)
}

/// What is said of a record set that may not be appended. Kafka has words for few of its faults.
/// `untold` is how many records of all sets may still be told of.
fn broken(
    thread: &Thread,
    key: PartitionKey,
    fault: &BatchError,
    untold: &mut usize,
) -> PartitionProduceResponse {
    let answer = refusal(key.index, fault.code());
    let words = || Some(StrBytes::from_string(fault.to_string()));
    match fault {
        BatchError::Rejected(records) => {
            let name = thread.topics().by_id(key.topic_id).map(|topic| Arc::clone(&topic.name));
            let partition = format!("{}-{}", name.unwrap_or_default(), key.index);
            let told = records.told().len().min((*untold).max(SHOWN));
            *untold = untold.saturating_sub(told);
            rejected(answer, &partition, records, told)
        }
        BatchError::UnknownMagic { .. } | BatchError::Length { .. } => {
            answer.with_error_message(words())
        }
        _ => answer,
    }
}

/// Kafka says of each record that is rejected which one it is and why, and shows three of them for
/// all, unless it is the time of one that is wrong. Here the first `told` are told of.
fn rejected(
    answer: PartitionProduceResponse,
    partition: &str,
    records: &Rejected,
    told: usize,
) -> PartitionProduceResponse {
    let words = |reason: &Reason| match reason {
        Reason::NoKey => format!("{reason} in topic partition {partition}"),
        reason => reason.to_string(),
    };
    let message = if records.is_of_time() {
        "One or more records have been rejected due to invalid timestamp".to_owned()
    } else {
        let first = records.told().iter().take(SHOWN);
        let shown = first.map(|(index, reason)| {
            format!("RecordError(batchIndex={index}, message='{}')", words(reason))
        });
        format!(
            "One or more records have been rejected due to {} record errors in total, and only \
             showing the first three errors at most: [{}]",
            records.count(),
            shown.collect::<Vec<_>>().join(", ")
        )
    };
    let errors = records.told()[..told].iter().map(|(index, reason)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(*index)
            .with_batch_index_error_message(Some(StrBytes::from_string(words(reason))))
    });
    answer
        .with_record_errors(errors.collect())
        .with_error_message(Some(StrBytes::from_string(message)))
}
