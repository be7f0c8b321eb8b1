//! Fetch: batches of partitions, each from its home, now or when there are enough.
//!
//! Decided here: homes are asked one after another, since what is left of the size of an answer is
//! for the next; where it may be too little for all, in the order of the request. While there are
//! too few records, one waiter at each home wakes the request when the high watermark of a
//! partition moves, and everything is read again.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_response::PartitionData;
use tokio::sync::Notify;

use super::fetch_session::Kind;
use super::place::{self, At, check_leader_epoch};
use crate::core_thread::Thread;
use crate::homes::{Batches, Reading, Seen, WatchId};
use crate::log::{Outcome, PartitionKey};
use crate::message::Message;
use crate::wire::fetched::{Fetched, FetchedPartition, FetchedTopic};

/// From this version on topics are named by id (KIP-516).
const BY_ID: i16 = 13;
/// The isolation level of who reads only what is committed (KIP-98).
const READ_COMMITTED: i8 = 1;
/// The largest answer, whatever is asked for, Kafka's `fetch.max.bytes`. A first batch that is
/// larger comes whole.
const MAX_BYTES: usize = 55 << 20;

/// What is asked of a partition.
#[derive(Debug, Clone)]
struct Part {
    at: At,
    key: PartitionKey,
    offset: i64,
    max_bytes: usize,
    leader_epoch: i32,
}

/// What is asked of the partitions of one home.
struct AtHome {
    core: usize,
    parts: Arc<[Part]>,
    seen: Vec<Seen>,
}

/// What a partition gave.
struct Got {
    at: At,
    key: PartitionKey,
    result: Result<Read, ResponseError>,
}

struct Read {
    high_watermark: i64,
    log_start: i64,
    records: Vec<Bytes>,
}

/// What is left of the size of an answer.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: usize,
    /// Whether nothing was read yet, so that a batch may be larger.
    min_one: bool,
}

/// Answers a request.
pub(super) async fn answer(
    thread: &Rc<Thread>,
    mut request: FetchRequest,
    version: i16,
) -> Fetched {
    let by_id = version >= BY_ID;
    let now = thread.now().mono;
    let begun = thread.fetch_sessions.borrow_mut().begin(&mut request, by_id, now);
    let kind = match begun {
        Ok(kind) => kind,
        Err(error) => return Fetched { error_code: error.code(), ..Fetched::default() },
    };
    let mut response = read_enough(thread, &request, by_id).await;
    if kind != Kind::None {
        let mut sessions = thread.fetch_sessions.borrow_mut();
        sessions.end(kind, &request, &mut response, by_id, thread.random(), now);
    }
    response
}

/// Reads until there is enough, or the time is up.
async fn read_enough(thread: &Rc<Thread>, request: &FetchRequest, by_id: bool) -> Fetched {
    let (mut response, mut homes) = split(thread, request, by_id);
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(MAX_BYTES);
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes);
    let max_wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let until = thread.now().mono + max_wait;
    let wake = Arc::new(Notify::new());
    loop {
        let room = Room { bytes: max_bytes, min_one: true };
        let committed = request.isolation_level == READ_COMMITTED;
        let (bytes, failed) = read_all(thread, &mut homes, room, committed, &mut response).await;
        let enough = bytes >= min_bytes || failed || homes.is_empty() || max_wait.is_zero();
        if enough || thread.homes().borrow().is_stopping() || thread.now().mono >= until {
            return response;
        }
        let waiting = Waiting::begin(thread, &homes, &wake);
        tokio::select! {
            biased;
            () = wake.notified() => {}
            () = thread.sleep_until(until) => {}
        }
        drop(waiting);
    }
}

/// An answer that says what is wrong before anything is read, and what is asked of each home. Where
/// there may be more to read than the answer takes, partitions are read in the request's order.
fn split(thread: &Thread, request: &FetchRequest, by_id: bool) -> (Fetched, Vec<AtHome>) {
    let mut response = Fetched::default();
    let mut homes: Vec<(usize, Vec<Part>)> = Vec::new();
    let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
    let most: i64 = asked.map(|part| i64::from(part.partition_max_bytes)).sum();
    let in_order = most > i64::from(request.max_bytes).min(MAX_BYTES as i64);
    let topics = thread.topics();
    for (t, asked) in request.topics.iter().enumerate() {
        let topic = place::topic(&topics, by_id, &asked.topic, asked.topic_id);
        let mut answers = Vec::with_capacity(asked.partitions.len());
        for (p, part) in asked.partitions.iter().enumerate() {
            let index = part.partition;
            match topic.and_then(|topic| place::partition(topic, index)) {
                Err(error) => answers.push(unknown(index, error)),
                Ok(key) => {
                    let told = PartitionData::default().with_partition_index(index);
                    answers.push(FetchedPartition { told, records: Vec::new() });
                    let part = Part {
                        at: (t, p),
                        key,
                        offset: part.fetch_offset,
                        max_bytes: usize::try_from(part.partition_max_bytes).unwrap_or(0),
                        leader_epoch: part.current_leader_epoch,
                    };
                    let core = thread.home_of(key.topic_id, index);
                    let first = if in_order { homes.len().saturating_sub(1) } else { 0 };
                    match homes[first..].iter_mut().find(|home| home.0 == core) {
                        Some(home) => home.1.push(part),
                        None => homes.push((core, vec![part])),
                    }
                }
            }
        }
        response.topics.push(FetchedTopic {
            name: asked.topic.clone(),
            id: asked.topic_id,
            partitions: answers,
        });
    }
    let at_home =
        |(core, parts): (usize, Vec<Part>)| AtHome { core, parts: parts.into(), seen: vec![] };
    (response, homes.into_iter().map(at_home).collect())
}

/// Reads all partitions into the answer: bytes of records, and whether there is an error.
async fn read_all(
    thread: &Rc<Thread>,
    homes: &mut [AtHome],
    mut room: Room,
    committed: bool,
    response: &mut Fetched,
) -> (usize, bool) {
    let (mut bytes, mut failed) = (0, false);
    for home in homes {
        let parts = Arc::clone(&home.parts);
        let read = move |thread: Rc<Thread>| async move { read_here(&thread, &parts, room).await };
        let Ok((got, left)) = thread.on(home.core, read).await else {
            return (bytes, true);
        };
        room = left;
        home.seen.clear();
        for Got { at: (t, p), key, result } in got {
            let topic = &mut response.topics[t];
            let gone = match topic.id.is_nil() {
                true => ResponseError::UnknownTopicOrPartition,
                false => ResponseError::UnknownTopicId,
            };
            topic.partitions[p] = match result {
                Ok(read) => {
                    let high_watermark = read.high_watermark;
                    home.seen.push(Seen { partition: key, high_watermark });
                    let partition = records(key.index, read, committed);
                    bytes += partition.bytes();
                    partition
                }
                // It was there when the request came, and is deleted.
                Err(ResponseError::UnknownTopicOrPartition) => {
                    failed = true;
                    unknown(key.index, gone)
                }
                Err(error) => {
                    failed = true;
                    refusal(key.index, error)
                }
            };
        }
    }
    (bytes, failed)
}

/// Reads what has its home on this thread.
async fn read_here(thread: &Rc<Thread>, parts: &[Part], mut room: Room) -> (Vec<Got>, Room) {
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        let result = read_one(thread, part, room).await;
        if let Ok(read) = &result {
            let bytes = read.records.iter().map(Bytes::len).sum();
            room.bytes = room.bytes.saturating_sub(bytes);
            room.min_one &= read.records.is_empty();
        }
        all.push(Got { at: part.at, key: part.key, result });
    }
    (all, room)
}

async fn read_one(thread: &Rc<Thread>, part: &Part, room: Room) -> Result<Read, ResponseError> {
    let Reading { high_watermark, log_start, batches } = begin_read(thread, part, room)?;
    let records = match batches {
        Batches::Here(batches) => batches,
        Batches::Coming(coming) => {
            thread.wake();
            match coming.await {
                Ok(Outcome::Read(batches)) => batches,
                outcome => {
                    tracing::error!("{:?} cannot be read: {outcome:?}", part.key);
                    return Err(ResponseError::KafkaStorageError);
                }
            }
        }
    };
    Ok(Read { high_watermark, log_start, records })
}

fn begin_read(thread: &Thread, part: &Part, room: Room) -> Result<Reading, ResponseError> {
    if !thread.has_partition(part.key) {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let homes = &mut *thread.homes().borrow_mut();
    check_leader_epoch(part.leader_epoch, homes.partition(part.key).leader_epoch())?;
    let max_bytes = part.max_bytes.min(room.bytes);
    let reading = homes.read(part.key, part.offset, max_bytes, room.min_one);
    reading.map_err(|_| ResponseError::OffsetOutOfRange)
}

/// Who reads only what is committed is told of aborted transactions, of which there are none.
fn records(index: i32, read: Read, committed: bool) -> FetchedPartition {
    let told = PartitionData::default()
        .with_partition_index(index)
        .with_high_watermark(read.high_watermark)
        .with_last_stable_offset(read.high_watermark)
        .with_log_start_offset(read.log_start)
        .with_aborted_transactions(committed.then(Vec::new));
    FetchedPartition { told, records: read.records }
}

/// A partition that there is not.
fn unknown(index: i32, error: ResponseError) -> FetchedPartition {
    let told = PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_high_watermark(-1);
    FetchedPartition { told, records: Vec::new() }
}

/// A partition that cannot be read as asked.
fn refusal(index: i32, error: ResponseError) -> FetchedPartition {
    let mut partition = unknown(index, error);
    partition.told.aborted_transactions = None;
    partition
}

/// A Fetch that waits at all its homes, until it is dropped. It waits on its own thread too, which
/// tells it when the broker stops.
struct Waiting<'a> {
    thread: &'a Rc<Thread>,
    id: WatchId,
    cores: Vec<usize>,
}

impl<'a> Waiting<'a> {
    fn begin(thread: &'a Rc<Thread>, homes: &[AtHome], wake: &Arc<Notify>) -> Waiting<'a> {
        let id = thread.next_watch();
        let mut seen_at = BTreeMap::from([(thread.index(), Vec::new())]);
        for home in homes {
            seen_at.entry(home.core).or_default().extend_from_slice(&home.seen);
        }
        let cores = seen_at.keys().copied().collect();
        for (core, seen) in seen_at {
            let wake = Arc::clone(wake);
            at(thread, core, move |home| home.homes().borrow_mut().watch(id, seen, wake));
        }
        Waiting { thread, id, cores }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let id = self.id;
        for core in self.cores.drain(..) {
            at(self.thread, core, move |home| home.homes().borrow_mut().unwatch(id));
        }
    }
}

/// Does something on another thread, or here at once. Nobody waits for it.
fn at(thread: &Rc<Thread>, core: usize, work: impl FnOnce(&Rc<Thread>) + Send + 'static) {
    if core == thread.index() {
        work(thread);
    } else {
        thread.send(core, Message::Run(Box::new(work)));
    }
}
