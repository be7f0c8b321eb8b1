//! D5 and D6: what was acknowledged, a commit or a deletion, is what later loads and fetches see,
//! or a later write in the order of the log. Commits that were not acknowledged may or may not be.

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::response::{FetchedGroup, FetchedOffset, TopicErrors};
use quorate_core::{
    ErrorCode, GroupId, Input, Offset, RecordKey, RecordValue, Request, Response, Token, TopicName,
    request, response,
};
use uuid::Uuid;

use super::journal::{Journal, Log};
use super::{D5, D6};
use crate::event::{Event, Place, What};
use crate::oracle::replies::book::{Observer, Step};
use crate::oracle::replies::words::row;
use crate::oracle::{Found, Property};
use crate::plan::NodeIndex;

/// Positions that later reads must not be behind.
type Floors = LiteMap<RecordKey, Offset>;
/// A topic of a certain creation.
type TopicId = (TopicName, Uuid);

/// An open request.
struct Open {
    /// The end of the log when it came.
    from: Offset,
    /// For a fetch: the floors then, and the topics that were known to be gone.
    floors: Floors,
    gone: BTreeSet<TopicId>,
}

/// D5 and D6.
#[derive(Default)]
pub struct Acknowledged {
    journal: Journal,
    floors: Floors,
    open: LiteMap<(Place, Token), Open>,
    /// Topics that each incarnation was told are deleted, or was loaded knowing.
    gone: LiteMap<Place, BTreeSet<TopicId>>,
    told: LiteMap<NodeIndex, BTreeSet<TopicId>>,
    /// Topics that have ever been, and those that are.
    ever: BTreeSet<TopicId>,
    current: BTreeSet<TopicId>,
}

impl Observer for Acknowledged {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        match step.input {
            None => self.loaded(step, found),
            Some(Input::Topics(delta)) => {
                let deleted = delta.deleted.iter().map(|t| (t.name.clone(), t.id));
                let deleted: BTreeSet<TopicId> = deleted.collect();
                self.told.entry(step.place.node).or_default().extend(deleted.iter().cloned());
                self.gone.entry(step.place).or_default().extend(deleted);
            }
            Some(Input::Request { token, body, .. }) => {
                let end = self.journal.log(step.place.shard).end;
                let (floors, gone) = match body {
                    Request::OffsetFetch(fetch) => {
                        let gone = self.gone.get(&step.place).cloned();
                        (self.floors_of(fetch), gone.unwrap_or_default())
                    }
                    _ => (Floors::new(), BTreeSet::new()),
                };
                self.open.insert((step.place, *token), Open { from: end, floors, gone });
            }
            Some(_) => {}
        }
        for (_, token, body) in step.replies() {
            let Some(asked) = step.of.asked.get(&token) else { continue };
            let Some(open) = self.open.remove(&(step.place, token)) else { continue };
            let from = open.from;
            match (&asked.request, body) {
                (Request::OffsetCommit(asked), Response::OffsetCommit(told)) => {
                    self.committed(step, asked, told, from, found);
                }
                (Request::OffsetDelete(asked), Response::OffsetDelete(told)) => {
                    let keys = accepted(&asked.group_id, &told.topics);
                    self.deleted(step, &keys.collect::<Vec<_>>(), from, found);
                }
                (Request::DeleteGroups(_), Response::DeleteGroups(told)) => {
                    let keys = self.keys_of(step, told);
                    self.deleted(step, &keys, from, found);
                }
                (Request::OffsetFetch(asked), Response::OffsetFetch(told)) => {
                    self.fetched(step, asked, told, &open, found);
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        self.journal.see(event);
        match &event.what {
            What::Topics { view } => {
                self.current = view.iter().map(|t| (t.name.clone(), t.id)).collect();
                self.ever.extend(self.current.iter().cloned());
            }
            What::Ended { place, .. } => {
                self.gone.remove(place);
                self.open.retain(|(of, _), _| of != place);
            }
            _ => {}
        }
    }
}

/// The partitions of an answer that have no error.
fn accepted<'a>(
    group: &'a GroupId,
    topics: &'a [TopicErrors],
) -> impl Iterator<Item = RecordKey> + 'a {
    let all = topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (&t.name, *p)));
    all.filter(|(_, (_, error))| *error == ErrorCode::None).map(|(topic, (partition, _))| {
        RecordKey::Offset { group: group.clone(), topic: topic.clone(), partition }
    })
}

impl Acknowledged {
    fn floors_of(&self, fetch: &request::OffsetFetch) -> Floors {
        let is_asked = |key: &RecordKey| fetch.groups.iter().any(|g| g.group_id == *key.group());
        let floors = self.floors.iter().filter(|(key, _)| is_asked(key));
        floors.map(|(key, floor)| (key.clone(), *floor)).collect()
    }

    fn acknowledge(&mut self, key: RecordKey, at: Offset) {
        let floor = self.floors.entry(key).or_insert(at);
        *floor = at.max(*floor);
    }

    /// After any crash: what was acknowledged is there.
    fn loaded(&mut self, step: &Step<'_>, found: &mut Found) {
        let told = self.told.get(&step.place.node).cloned().unwrap_or_default();
        self.gone.insert(step.place, told);
        let rows: LiteMap<RecordKey, RecordValue> = step.context.shard.rows().into_iter().collect();
        let log = self.journal.log(step.place.shard);
        if log.epoch > step.place.epoch {
            return;
        }
        for (key, floor) in &self.floors {
            let Some(history) = log.history.get(key) else { continue };
            let row = rows.get(key);
            let mut later = history.iter().filter(|(at, _)| at >= floor);
            found.check(
                later.any(|(_, value)| value.as_ref() == row),
                broken(log, key, *floor),
                || format!("{:?} is loaded with {} as {row:?}", step.place, self::row(key)),
            );
        }
    }

    fn committed(
        &mut self,
        step: &Step<'_>,
        asked: &request::OffsetCommit,
        told: &response::OffsetCommit,
        from: Offset,
        found: &mut Found,
    ) {
        for key in accepted(&asked.group_id, &told.topics) {
            let RecordKey::Offset { topic, partition, .. } = &key else { continue };
            let sent: Vec<_> = asked
                .topics
                .iter()
                .filter(|t| t.name == *topic)
                .flat_map(|t| &t.partitions)
                .filter(|p| p.partition == *partition)
                .collect();
            let is_sent = |value: &RecordValue| match value {
                RecordValue::Offset(value) => sent.iter().any(|p| {
                    let words = p.metadata.clone().unwrap_or_default();
                    (p.offset, p.leader_epoch, &words)
                        == (value.offset, value.leader_epoch, &value.metadata)
                }),
                RecordValue::Group(_) => false,
            };
            let log = self.journal.log(step.place.shard);
            let history = log.history.get(&key).into_iter().flatten();
            let mut own = history.filter(|(at, _)| *at >= from);
            let stored = own.find(|(_, value)| value.as_ref().is_some_and(is_sent));
            match stored.map(|(at, _)| *at) {
                Some(at) => self.acknowledge(key, at),
                None => found.violated(D5, || {
                    format!(
                        "{:?} acknowledges {} which is not in the log: {sent:?}",
                        step.place,
                        row(&key)
                    )
                }),
            }
        }
    }

    fn keys_of(&mut self, step: &Step<'_>, told: &response::DeleteGroups) -> Vec<RecordKey> {
        let gone = told.results.iter().filter(|(_, error)| *error == ErrorCode::None);
        let gone: BTreeSet<&GroupId> = gone.map(|(group, _)| group).collect();
        let history = &self.journal.log(step.place.shard).history;
        history.keys().filter(|key| gone.contains(key.group())).cloned().collect()
    }

    /// Rows that were there are gone, unless they were written meanwhile.
    fn deleted(&mut self, step: &Step<'_>, keys: &[RecordKey], from: Offset, found: &mut Found) {
        for key in keys {
            let log = self.journal.log(step.place.shard);
            let is_superseded = log.epoch > step.place.epoch;
            let Some(history) = log.history.get(key) else { continue };
            let tombstone = history.iter().find(|(at, value)| *at >= from && value.is_none());
            let before = history.iter().rev().find(|(at, _)| *at < from);
            let was_there = before.is_some_and(|(_, value)| value.is_some());
            match tombstone.map(|(at, _)| *at) {
                Some(at) => self.acknowledge(key.clone(), at),
                None => found.check(!was_there || is_superseded, D6, || {
                    format!("{:?} says that {} is deleted; it is not", step.place, row(key))
                }),
            }
        }
    }

    fn fetched(
        &mut self,
        step: &Step<'_>,
        asked: &request::OffsetFetch,
        told: &response::OffsetFetch,
        open: &Open,
        found: &mut Found,
    ) {
        if self.journal.log(step.place.shard).epoch > step.place.epoch {
            return;
        }
        for (asked, told) in asked.groups.iter().zip(&told.groups) {
            if told.error != ErrorCode::None {
                continue;
            }
            let mut seen = BTreeSet::new();
            for (key, value) in offsets(told) {
                self.read(step, &key, Some(value), open, found);
                seen.insert(key);
            }
            if asked.topics.is_none() {
                let of_group = |key: &&RecordKey| *key.group() == told.group_id;
                for key in open.floors.keys().filter(of_group).filter(|key| !seen.contains(*key)) {
                    if matches!(key, RecordKey::Offset { .. }) {
                        self.read(step, key, None, open, found);
                    }
                }
            }
        }
    }

    /// Judges one value that was read: it is that at the floor, or a later one.
    fn read(
        &mut self,
        step: &Step<'_>,
        key: &RecordKey,
        value: Option<&FetchedOffset>,
        open: &Open,
        found: &mut Found,
    ) {
        let RecordKey::Offset { topic, .. } = key else { return };
        let floor = open.floors.get(key);
        let log = self.journal.log(step.place.shard);
        let from = floor.copied().unwrap_or_default();
        let history = log.history.get(key).into_iter().flatten();
        let later: Vec<_> = history.filter(|(at, _)| *at >= from).collect();
        let is_none = value.is_none_or(|value| (value.offset, value.leader_epoch) == (-1, -1));
        let is_gone = |id: &Uuid| {
            let topic = (topic.clone(), *id);
            id.is_nil() || self.ever.contains(&topic) && !self.current.contains(&topic)
        };
        let is_it = |row: &&(Offset, Option<RecordValue>)| match &row.1 {
            Some(RecordValue::Offset(row)) => value.is_some_and(|value| {
                (value.offset, value.leader_epoch, &value.metadata)
                    == (row.offset, row.leader_epoch, &row.metadata)
            }),
            _ => false,
        };
        // Of a topic that is gone nothing is told, before and after its rows are cleaned up.
        let may_be_none = later.iter().any(|(_, row)| match row {
            None => true,
            Some(RecordValue::Offset(row)) => is_gone(&row.topic_id),
            Some(RecordValue::Group(_)) => false,
        });
        let matches: Vec<_> = later.iter().copied().filter(is_it).collect();
        let is_right = !matches.is_empty() || is_none && may_be_none || floor.is_none();
        found.check(is_right, broken(log, key, from), || {
            format!(
                "{:?} answers {} with {value:?}; since {from:?} the log has {later:?}",
                step.place,
                row(key)
            )
        });
        let is_of_gone = |row: &&&(Offset, Option<RecordValue>)| match &row.1 {
            Some(RecordValue::Offset(row)) => open.gone.contains(&(topic.clone(), row.topic_id)),
            _ => false,
        };
        let all_gone = !matches.is_empty() && matches.iter().all(|row| is_of_gone(&row));
        found.check(is_none || !all_gone, D6, || {
            format!("{:?} knows that the topic is gone, and tells {value:?}", step.place)
        });
    }
}

/// All offsets of a group in an answer that have no error.
fn offsets(told: &FetchedGroup) -> impl Iterator<Item = (RecordKey, &FetchedOffset)> {
    let all = told.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (&t.name, p)));
    all.filter(|(_, value)| value.error == ErrorCode::None).map(|(topic, value)| {
        let (group, topic) = (told.group_id.clone(), topic.clone());
        (RecordKey::Offset { group, topic, partition: value.partition }, value)
    })
}

/// Which property a read behind the floor breaks.
fn broken(log: &Log, key: &RecordKey, floor: Offset) -> Property {
    let at_floor = log.history.get(key).into_iter().flatten().find(|(at, _)| *at == floor);
    if at_floor.is_some_and(|(_, value)| value.is_none()) { D6 } else { D5 }
}
