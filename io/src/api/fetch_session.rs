//! Fetch sessions (KIP-227): a reader that names its partitions once, and is told of those that
//! have changed.
//!
//! Decided here: sessions belong to the thread that has the reader's connection. A reader that
//! comes to another thread is told that there is no such session, and begins anew, as after a
//! restart. Both their number and that of their partitions are bounded: who gets none is told so by
//! the id 0, and names all its partitions each time.

use std::time::Duration;

use indexmap::IndexMap;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use quorate_core::Instant;
use uuid::Uuid;

use crate::wire::fetched::{Fetched, FetchedPartition};

/// Sessions of a thread, Kafka's `max.incremental.fetch.session.cache.slots`.
const MAX_SESSIONS: usize = 1_000;
/// Partitions of all sessions of a thread, each of some 200 bytes.
const MAX_PARTITIONS: usize = 100_000;
/// A session that is not used for so long makes room for a new one, as in Kafka.
const IDLE: Duration = Duration::from_secs(120);

/// The sessions of one thread. See the [module](self) for what it decides.
#[derive(Debug, Default)]
pub struct Sessions {
    all: IndexMap<i32, Session>,
    partitions: usize,
}

#[derive(Debug)]
struct Session {
    /// That of the next request.
    epoch: i32,
    by_id: bool,
    used: Instant,
    partitions: IndexMap<Key, Cached>,
}

/// The topic's name or, from version 13 on, its id; and the partition.
type Key = (TopicName, Uuid, i32);

/// A partition as the reader was last told of it.
#[derive(Debug)]
struct Cached {
    asked: FetchPartition,
    high_watermark: i64,
    log_start: i64,
}

/// What a request has to do with sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    None,
    /// It asks for one.
    Opens,
    /// It goes on with this one.
    GoesOn(i32),
}

impl Sessions {
    /// Takes a request in. One that goes on with a session then names all its partitions.
    pub fn begin(
        &mut self,
        request: &mut FetchRequest,
        by_id: bool,
        now: Instant,
    ) -> Result<Kind, ResponseError> {
        let id = request.session_id;
        match request.session_epoch {
            0 | -1 => {
                self.remove(id);
                return Ok(if request.session_epoch == 0 { Kind::Opens } else { Kind::None });
            }
            _ => {}
        }
        let session = self.all.get_mut(&id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.used = now;
        let before = session.partitions.len();
        session.change(request);
        self.partitions = self.partitions - before + session.partitions.len();
        request.topics = session.topics();
        if request.topics.is_empty() {
            self.remove(id);
            return Ok(Kind::None);
        }
        if self.partitions > MAX_PARTITIONS {
            self.remove(id);
            return Err(ResponseError::FetchSessionIdNotFound);
        }
        Ok(Kind::GoesOn(id))
    }

    /// Makes the answer one of the request's session: opens it, or leaves out what has not changed.
    pub fn end(
        &mut self,
        kind: Kind,
        request: &FetchRequest,
        response: &mut Fetched,
        by_id: bool,
        random: [u8; 16],
        now: Instant,
    ) {
        match kind {
            Kind::None => {}
            Kind::Opens => response.session_id = self.open(request, response, by_id, random, now),
            Kind::GoesOn(id) => {
                response.session_id = id;
                if let Some(session) = self.all.get_mut(&id) {
                    session.leave_out_what_is_known(response);
                }
            }
        }
    }

    /// Opens a session, and gives its id; 0 if there is no room.
    fn open(
        &mut self,
        request: &FetchRequest,
        response: &Fetched,
        by_id: bool,
        random: [u8; 16],
        now: Instant,
    ) -> i32 {
        let mut session = Session { epoch: 1, by_id, used: now, partitions: IndexMap::new() };
        session.change(request);
        for topic in &response.topics {
            for partition in &topic.partitions {
                let key = (topic.name.clone(), topic.id, partition.told.partition_index);
                if let Some(cached) = session.partitions.get_mut(&key) {
                    cached.is_told(partition);
                }
            }
        }
        let more = session.partitions.len();
        while self.all.len() >= MAX_SESSIONS || self.partitions + more > MAX_PARTITIONS {
            let oldest = self.all.iter().min_by_key(|(_, session)| session.used);
            let Some((&oldest, _)) = oldest.filter(|(_, session)| session.used + IDLE <= now)
            else {
                return 0;
            };
            self.remove(oldest);
        }
        let (first, _) = random.split_first_chunk().expect("16 bytes are more than 4");
        let mut id = (i32::from_be_bytes(*first) & i32::MAX).max(1);
        while self.all.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(1);
        }
        self.partitions += more;
        self.all.insert(id, session);
        id
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.all.swap_remove(&id) {
            self.partitions -= session.partitions.len();
        }
    }
}

impl Session {
    /// Adds and changes the partitions that a request names, and forgets those that it lets go.
    fn change(&mut self, request: &FetchRequest) {
        for topic in &request.topics {
            // A copy, so that the session does not keep the whole request in memory.
            let name = TopicName(StrBytes::from_string(topic.topic.to_string()));
            for asked in &topic.partitions {
                let key = (name.clone(), topic.topic_id, asked.partition);
                let mut asked = asked.clone();
                asked.unknown_tagged_fields.clear();
                match self.partitions.get_mut(&key) {
                    Some(cached) => cached.asked = asked,
                    None => {
                        let cached = Cached { asked, high_watermark: -1, log_start: -1 };
                        self.partitions.insert(key, cached);
                    }
                }
            }
        }
        for topic in &request.forgotten_topics_data {
            for index in &topic.partitions {
                let key = (topic.topic.clone(), topic.topic_id, *index);
                self.partitions.shift_remove(&key);
            }
        }
    }

    /// All partitions, in their order, as a request names them.
    fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        for ((name, id, _), cached) in &self.partitions {
            match topics.last_mut() {
                Some(last) if last.topic == *name && last.topic_id == *id => {
                    last.partitions.push(cached.asked.clone());
                }
                _ => topics.push(
                    FetchTopic::default()
                        .with_topic(name.clone())
                        .with_topic_id(*id)
                        .with_partitions(vec![cached.asked.clone()]),
                ),
            }
        }
        topics
    }

    /// Partitions that gave records go to the end of the order, so that none is left out for ever
    /// by those before it.
    fn leave_out_what_is_known(&mut self, response: &mut Fetched) {
        for topic in &mut response.topics {
            let (name, id) = (&topic.name, topic.id);
            topic.partitions.retain(|partition| {
                let key = (name.clone(), id, partition.told.partition_index);
                let Some((at, _, cached)) = self.partitions.get_full_mut(&key) else { return true };
                let is_news = cached.is_told(partition);
                if is_news && partition.bytes() > 0 {
                    self.partitions.move_index(at, self.partitions.len() - 1);
                }
                is_news
            });
        }
        response.topics.retain(|topic| !topic.partitions.is_empty());
    }
}

impl Cached {
    /// Keeps what the reader is told, and says whether it is news to it.
    fn is_told(&mut self, partition: &FetchedPartition) -> bool {
        let told = &partition.told;
        let failed = told.error_code != 0;
        let records = partition.bytes() > 0;
        let moved =
            (self.high_watermark, self.log_start) != (told.high_watermark, told.log_start_offset);
        // What comes after an error is news in any case.
        self.high_watermark = if failed { -1 } else { told.high_watermark };
        self.log_start = told.log_start_offset;
        failed || records || moved
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::fetch_response::PartitionData;

    use super::*;
    use crate::wire::fetched::FetchedTopic;

    const NOW: Instant = Instant::after_start(Duration::ZERO);

    fn request(id: i32, epoch: i32, partitions: std::ops::Range<i32>) -> FetchRequest {
        let partitions = partitions.map(|index| FetchPartition::default().with_partition(index));
        let topic = FetchTopic::default().with_partitions(partitions.collect());
        FetchRequest::default()
            .with_session_id(id)
            .with_session_epoch(epoch)
            .with_topics(vec![topic])
    }

    fn open(sessions: &mut Sessions, partitions: i32, now: Instant) -> i32 {
        let mut request = request(0, 0, 0..partitions);
        let kind = sessions.begin(&mut request, false, now).expect("it opens");
        let mut response = Fetched::default();
        sessions.end(kind, &request, &mut response, false, [7; 16], now);
        response.session_id
    }

    #[test]
    fn one_that_is_idle_makes_room_and_none_that_is_used() {
        let mut sessions = Sessions::default();
        let first = open(&mut sessions, 1, NOW);
        let more: Vec<i32> =
            (1..MAX_SESSIONS).map(|_| open(&mut sessions, 1, NOW + IDLE / 2)).collect();
        assert!(more.iter().all(|id| *id > 0 && *id != first));
        assert_eq!(open(&mut sessions, 1, NOW + IDLE / 2), 0);
        assert_eq!(open(&mut sessions, 1, NOW + IDLE), first, "its id is free again");
        assert_eq!(open(&mut sessions, 1, NOW + IDLE), 0);
        assert_eq!((sessions.all.len(), sessions.partitions), (MAX_SESSIONS, MAX_SESSIONS));
    }

    #[test]
    fn one_that_grows_too_large_is_gone() {
        let mut sessions = Sessions::default();
        assert_eq!(open(&mut sessions, 1 + MAX_PARTITIONS as i32, NOW), 0);
        let id = open(&mut sessions, 5, NOW);
        let gone = Err(ResponseError::FetchSessionIdNotFound);
        let mut more = request(id, 1, 0..1 + MAX_PARTITIONS as i32);
        assert_eq!(sessions.begin(&mut more, false, NOW), gone);
        assert_eq!(sessions.begin(&mut request(id, 2, 0..1), false, NOW), gone);
        assert_eq!(sessions.partitions, 0);
    }

    #[test]
    fn topics_are_named_as_they_were_when_it_was_opened() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1, NOW);
        let mixed = Err(ResponseError::FetchSessionTopicIdError);
        assert_eq!(sessions.begin(&mut request(id, 1, 0..0), true, NOW), mixed);
        assert_eq!(sessions.begin(&mut request(id, 1, 0..0), false, NOW), Ok(Kind::GoesOn(id)));
    }

    #[test]
    fn a_partition_that_gave_records_comes_last_the_next_time() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 3, NOW);
        let mut again = request(id, 1, 0..0);
        let kind = sessions.begin(&mut again, false, NOW).expect("it goes on");
        let told = |index: i32, records: &'static [u8]| FetchedPartition {
            told: PartitionData::default().with_partition_index(index),
            records: vec![Bytes::from_static(records)],
        };
        let partitions = vec![told(0, b"r"), told(1, b""), told(2, b"")];
        let topics = vec![FetchedTopic { partitions, ..FetchedTopic::default() }];
        let mut response = Fetched { topics, ..Fetched::default() };
        sessions.end(kind, &again, &mut response, false, [0; 16], NOW);
        let mut again = request(id, 2, 0..0);
        sessions.begin(&mut again, false, NOW).expect("it goes on");
        let order: Vec<i32> = again.topics[0].partitions.iter().map(|p| p.partition).collect();
        assert_eq!(order, [1, 2, 0]);
    }
}
