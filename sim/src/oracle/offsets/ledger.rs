//! What one incarnation has stored and on its way, and what it was asked about offsets.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use litemap::LiteMap;
use quorate_core::record::OffsetAndMetadata;
use quorate_core::response::{FetchedGroup, TopicErrors};
use quorate_core::{
    Batch, BatchId, ErrorCode, Generation, GroupId, GroupView, Input, Now, Record, RecordKey,
    RecordValue, Request, Response, Token, TopicName, Topics, WallTime, request,
};
use uuid::Uuid;

use super::{O1, O2, O4, O5, O8, fence};
use crate::event::{Context, Groups};
use crate::oracle::Found;

/// Names an offset.
pub(super) type Key = (GroupId, TopicName, i32);

/// `offset.metadata.max.bytes`, which plans leave as it is.
const MAX_METADATA: usize = 4_096;

/// A request that is not answered yet.
struct Open {
    request: Request,
    /// Its group waits for a batch: nobody knows yet in which step it is decided.
    is_deferred: bool,
    /// Its own batch, while that is on its way.
    batch: Option<BatchId>,
    /// What its own batch wrote, and whether it is durable.
    written: BTreeSet<Key>,
    is_durable: bool,
    /// The batches that it may have seen, while they are on their way.
    saw: BTreeSet<BatchId>,
    /// What the newest values were when it was decided.
    rows: Option<LiteMap<Key, OffsetAndMetadata>>,
    /// It was a member's commit that may not be refused (O4).
    must_be_accepted: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Ledger {
    durable: LiteMap<Key, OffsetAndMetadata>,
    in_flight: VecDeque<Batch>,
    open: LiteMap<Token, Open>,
    deleted: BTreeSet<(TopicName, Uuid)>,
    /// The topics that there are, whether or not the incarnation was told.
    pub(super) topics: Arc<Topics>,
    /// When groups became Empty.
    pub(super) since: LiteMap<GroupId, Option<WallTime>>,
    /// What the members of a group subscribed to when its generation began.
    pub(super) subscribed: LiteMap<GroupId, BTreeSet<String>>,
}

pub(super) fn key_of(key: &RecordKey) -> Option<Key> {
    match key {
        RecordKey::Offset { group, topic, partition } => {
            Some((group.clone(), topic.clone(), *partition))
        }
        RecordKey::Group(_) => None,
    }
}

fn put(rows: &mut LiteMap<Key, OffsetAndMetadata>, record: &Record) {
    let Some(key) = key_of(&record.key) else { return };
    match &record.value {
        Some(RecordValue::Offset(row)) => rows.insert(key, row.clone()),
        _ => rows.remove(&key),
    };
}

impl Ledger {
    /// As a log has it.
    pub(super) fn load<'a>(
        log: impl Iterator<Item = &'a Record>,
        groups: &Groups,
        topics: Arc<Topics>,
    ) -> Ledger {
        let mut ledger = Ledger { topics, ..Ledger::default() };
        for record in log {
            put(&mut ledger.durable, record);
            if let (RecordKey::Group(id), Some(RecordValue::Group(row))) =
                (&record.key, &record.value)
            {
                ledger.since.insert(id.clone(), row.state_since);
            }
        }
        for (id, group) in groups {
            ledger.subscribed.insert(id.clone(), subscriptions(group));
        }
        ledger
    }

    /// The input is taken in: what became of batches, and who asks.
    pub(super) fn input(&mut self, input: &Input, before: &Groups) {
        match input {
            Input::Request { token, body, .. } => {
                let is_deferred = groups_of(body)
                    .iter()
                    .any(|id| before.get(id).is_some_and(|group| group.held_by.is_some()));
                let must_be_accepted = !is_deferred && must_be_accepted(body, before);
                let open = Open {
                    request: body.clone(),
                    is_deferred,
                    batch: None,
                    written: BTreeSet::new(),
                    is_durable: false,
                    saw: BTreeSet::new(),
                    rows: None,
                    must_be_accepted,
                };
                self.open.insert(*token, open);
            }
            Input::Abandoned { token } => self.forget(*token),
            Input::Appended { through } => {
                while self.in_flight.front().is_some_and(|batch| batch.id <= *through) {
                    let Some(batch) = self.in_flight.pop_front() else { break };
                    batch.records.iter().for_each(|record| put(&mut self.durable, record));
                }
                for (_, open) in self.open.iter_mut() {
                    open.is_durable |= open.batch.is_some_and(|batch| batch <= *through);
                    open.saw.retain(|batch| batch > through);
                }
            }
            Input::Rejected { from, .. } => {
                self.in_flight.retain(|batch| batch.id < *from);
                for (_, open) in self.open.iter_mut() {
                    if !open.is_durable && open.batch.is_some_and(|batch| batch >= *from) {
                        open.batch = None;
                    }
                }
            }
            Input::Topics(delta) => {
                let gone = delta.deleted.iter().map(|topic| (topic.name.clone(), topic.id));
                self.deleted.extend(gone);
            }
            Input::Fenced { .. } | Input::Deadline | Input::Resign => {}
        }
    }

    /// A batch is on its way.
    pub(super) fn append(&mut self, batch: &Batch) {
        self.in_flight.push_back(batch.clone());
    }

    /// A request ended without an answer.
    pub(super) fn forget(&mut self, token: Token) {
        self.open.remove(&token);
    }

    /// Whether a row is of a topic that is gone, and the incarnation may know.
    pub(super) fn is_deleted(&self, topic: &TopicName, row: &OffsetAndMetadata) -> bool {
        let current = self.topics.get(topic).map(|topic| topic.id);
        if !row.topic_id.is_nil() && current != Some(row.topic_id) {
            return true;
        }
        let mut of = self.deleted.iter().filter(|(name, _)| name == topic);
        of.any(|(_, id)| row.topic_id.is_nil() || *id == row.topic_id)
    }

    /// The newest value of an offset.
    pub(super) fn newest(&self, key: &Key) -> Option<&OffsetAndMetadata> {
        let records = self.in_flight.iter().rev().flat_map(|batch| batch.records.iter().rev());
        let mut of = records.filter(|record| key_of(&record.key).as_ref() == Some(key));
        match of.next() {
            Some(Record { value: Some(RecordValue::Offset(row)), .. }) => Some(row),
            Some(_) => None,
            None => self.durable.get(key),
        }
    }

    /// All newest values.
    fn all(&self) -> LiteMap<Key, OffsetAndMetadata> {
        let mut rows = self.durable.clone();
        let records = self.in_flight.iter().flat_map(|batch| &batch.records);
        records.for_each(|record| put(&mut rows, record));
        rows
    }

    /// If the batch is a commit: whether it may be, and the generation it was made in.
    pub(super) fn commit(
        &mut self,
        batch: &Batch,
        input: &Input,
        context: Context<'_>,
        found: &mut Found,
    ) -> Option<Generation> {
        let is_offset = |record: &&Record| matches!(record.value, Some(RecordValue::Offset(_)));
        let written: Vec<&Record> = batch.records.iter().filter(is_offset).collect();
        if written.is_empty() {
            return None;
        }
        let of_input = match input {
            Input::Request { token, .. } => Some(*token),
            _ => None,
        };
        let mut open = self.open.iter_mut();
        let whose = open.find(|(token, open)| {
            of_input.map_or(open.is_deferred && open.batch.is_none(), |own| own == **token)
                && !open.is_durable
                && matches!(&open.request, Request::OffsetCommit(r) if has_all(r, &written))
        });
        let Some((_, open)) = whose else {
            found.violated(O5, || format!("{written:?} are of no commit as a whole"));
            return None;
        };
        let Request::OffsetCommit(asked) = &open.request else { return None };
        found.check(open.batch.is_none(), O5, || format!("{asked:?} is in two batches"));
        let before = fence::breaks(asked, context.before.get(&asked.group_id));
        let others =
            [fence::breaks(asked, context.after.get(&asked.group_id)), fence::breaks(asked, None)];
        // Who waited may be decided in a later state than the one before the step.
        let may = before.is_none() || open.is_deferred && others.contains(&None);
        if let (Some(property), false) = (before, may) {
            found.violated(property, || {
                format!("{asked:?} is accepted by {:?}", context.before.get(&asked.group_id))
            });
        }
        open.batch = Some(batch.id);
        open.written = written.iter().filter_map(|record| key_of(&record.key)).collect();
        (asked.generation.0 >= 0).then_some(asked.generation)
    }

    /// After a group's tombstone nothing of it is left (O8).
    pub(super) fn nothing_left(&self, batch: &Batch, found: &mut Found) {
        for record in batch.records.iter().filter(|record| record.value.is_none()) {
            let RecordKey::Group(id) = &record.key else { continue };
            let rows = self.all();
            let left: Vec<&Key> = rows.keys().filter(|(group, ..)| group == id).collect();
            found.check(left.is_empty(), O8, || format!("{id:?} is deleted and leaves {left:?}"));
        }
    }

    /// A request that came with this step, and did not have to wait for its group, is decided.
    pub(super) fn decided(&mut self, input: &Input) {
        let Input::Request { token, body, .. } = input else { return };
        if !matches!(body, Request::OffsetFetch(_) | Request::OffsetDelete(_)) {
            return;
        }
        let groups = groups_of(body);
        let rows = self.all().into_iter().filter(|((group, ..), _)| groups.contains(group));
        let rows = rows.collect();
        let is_of =
            |batch: &&Batch| batch.records.iter().any(|record| groups.contains(record.key.group()));
        let saw = self.in_flight.iter().filter(is_of).map(|batch| batch.id).collect();
        if let Some(open) = self.open.get_mut(token).filter(|open| !open.is_deferred) {
            (open.rows, open.saw) = (Some(rows), saw);
        }
    }

    /// Judges an answer.
    pub(super) fn reply(&mut self, token: Token, body: &Response, found: &mut Found) {
        let Some(open) = self.open.remove(&token) else { return };
        match (&open.request, body) {
            (Request::OffsetCommit(asked), Response::OffsetCommit(body)) => {
                answered_commit(&open, asked, &body.topics, found);
            }
            (Request::OffsetFetch(asked), Response::OffsetFetch(body)) => {
                for group in body.groups.iter().filter(|group| group.error == ErrorCode::None) {
                    self.fetched(&open, asked, group, found);
                }
            }
            (Request::OffsetDelete(asked), Response::OffsetDelete(body)) => {
                let Some(rows) = &open.rows else { return };
                for (topic, partition, error) in each(&body.topics) {
                    let key = (asked.group_id.clone(), topic.clone(), partition);
                    let is_there = error == ErrorCode::None && rows.contains_key(&key);
                    found.check(!is_there, O8, || format!("{key:?} is deleted and still there"));
                }
            }
            (Request::DeleteGroups(_), Response::DeleteGroups(body)) => {
                for (id, _) in body.results.iter().filter(|(_, error)| *error == ErrorCode::None) {
                    let mut left = self.durable.keys().filter(|(group, ..)| group == id);
                    let first = left.next();
                    found.check(first.is_none(), O8, || format!("{id:?} is gone, not {first:?}"));
                }
            }
            _ => {}
        }
    }

    fn fetched(
        &self,
        open: &Open,
        asked: &request::OffsetFetch,
        group: &FetchedGroup,
        found: &mut Found,
    ) {
        let rows = match (&open.rows, asked.require_stable) {
            (_, false) => &self.durable,
            (Some(rows), true) => rows,
            // It is answered in the step that brought it if nothing was on its way.
            (None, true) if open.is_deferred => return,
            (None, true) => &self.durable,
        };
        found.check(open.saw.is_empty(), O2, || {
            format!("{group:?} is told while {:?} are on their way", open.saw)
        });
        let mut told = BTreeSet::new();
        for topic in &group.topics {
            for got in topic.partitions.iter().filter(|got| got.error == ErrorCode::None) {
                let key = (group.group_id.clone(), topic.name.clone(), got.partition);
                let row = rows.get(&key);
                told.insert(key.clone());
                let is_none = got.offset == -1 && got.metadata.is_empty();
                if is_none {
                    let is_lost = row
                        .is_some_and(|row| row.offset != -1 && !self.is_deleted(&topic.name, row));
                    found.check(!is_lost, O1, || format!("{key:?} is {row:?}, and not told"));
                } else {
                    let is_it = row.is_some_and(|row| {
                        row.offset == got.offset && row.metadata == got.metadata
                    });
                    found.check(is_it, O2, || format!("{key:?} is {row:?}, but told as {got:?}"));
                }
            }
        }
        let of = asked.groups.iter().find(|of| of.group_id == group.group_id);
        if of.is_some_and(|of| of.topics.is_none()) {
            let mine = rows.iter().filter(|((id, ..), _)| *id == group.group_id);
            let lost = mine
                .filter(|(key, row)| !told.contains(*key) && !self.is_deleted(&key.1, row))
                .map(|(key, _)| key)
                .next();
            found.check(lost.is_none(), O1, || format!("{lost:?} is committed, and not told"));
        }
    }

    /// Remembers what groups became.
    pub(super) fn watch(&mut self, now: Now, context: Context<'_>) {
        for (id, after) in context.after {
            let before = context.before.get(id);
            if after.state == "Empty" && before.is_none_or(|before| before.state != "Empty") {
                self.since.insert(id.clone(), Some(now.wall));
            }
            if before.is_none_or(|before| before.generation != after.generation) {
                self.subscribed.insert(id.clone(), subscriptions(after));
            }
        }
    }
}

fn answered_commit(
    open: &Open,
    asked: &request::OffsetCommit,
    topics: &[TopicErrors],
    found: &mut Found,
) {
    let mut of_batch = BTreeSet::new();
    for (topic, partition, error) in each(topics) {
        let key = (asked.group_id.clone(), topic.clone(), partition);
        let is_written = open.written.contains(&key);
        if error == ErrorCode::None {
            let is_stored = open.batch.is_some() && open.is_durable && is_written;
            found.check(is_stored, O1, || format!("{key:?} is acknowledged, but not stored"));
        }
        if is_written {
            of_batch.insert(error);
        }
        let fenced = matches!(
            error,
            ErrorCode::RebalanceInProgress
                | ErrorCode::IllegalGeneration
                | ErrorCode::UnknownMemberId
                | ErrorCode::FencedInstanceId
        );
        found.check(!(open.must_be_accepted && fenced), O4, || {
            format!("{asked:?} is refused in PreparingRebalance: {error:?}")
        });
        let is_long = longest(asked, topic, partition) > MAX_METADATA;
        let says_long = error == ErrorCode::OffsetMetadataTooLarge;
        found.check(!says_long || is_long, O5, || format!("{key:?} is not too long"));
        found.check(!is_long || error != ErrorCode::None, O5, || format!("{key:?} is too long"));
    }
    found.check(of_batch.len() <= 1, O5, || format!("one batch, and {topics:?}"));
}

/// The longest metadata of a partition in a commit.
fn longest(asked: &request::OffsetCommit, topic: &TopicName, partition: i32) -> usize {
    let topics = asked.topics.iter().filter(|of| of.name == *topic);
    let partitions = topics.flat_map(|of| &of.partitions).filter(|p| p.partition == partition);
    let lengths = partitions.filter_map(|p| p.metadata.as_ref()).map(|text| text.utf16_len());
    lengths.max().unwrap_or(0)
}

/// Whether all of them are of this commit.
fn has_all(asked: &request::OffsetCommit, written: &[&Record]) -> bool {
    written.iter().all(|record| {
        let (Some((group, topic, partition)), Some(RecordValue::Offset(row))) =
            (key_of(&record.key), &record.value)
        else {
            return false;
        };
        let mut topics = asked.topics.iter().filter(|of| of.name == topic);
        group == asked.group_id
            && topics.any(|of| {
                let mut all = of.partitions.iter();
                all.any(|p| p.partition == partition && p.offset == row.offset)
            })
    })
}

/// A member's commit in PreparingRebalance.
fn must_be_accepted(body: &Request, before: &Groups) -> bool {
    let Request::OffsetCommit(asked) = body else { return false };
    let group = before.get(&asked.group_id);
    group.is_some_and(|group| group.state == "PreparingRebalance")
        && fence::breaks(asked, group).is_none()
}

fn each(topics: &[TopicErrors]) -> impl Iterator<Item = (&TopicName, i32, ErrorCode)> {
    topics.iter().flat_map(|topic| topic.partitions.iter().map(|(p, e)| (&topic.name, *p, *e)))
}

fn groups_of(body: &Request) -> Vec<GroupId> {
    match body {
        Request::OffsetCommit(r) => vec![r.group_id.clone()],
        Request::OffsetDelete(r) => vec![r.group_id.clone()],
        Request::OffsetFetch(r) => r.groups.iter().map(|group| group.group_id.clone()).collect(),
        Request::DeleteGroups(r) => r.groups.clone(),
        _ => Vec::new(),
    }
}

/// The topics in all members' subscriptions for the chosen protocol.
fn subscriptions(group: &GroupView) -> BTreeSet<String> {
    let of = |member: &quorate_core::MemberView| {
        let mut protocols = member.protocols.iter();
        let chosen = protocols.find(|one| Some(&one.name) == group.protocol.as_ref());
        chosen.and_then(|one| topics_of(&one.metadata)).unwrap_or_default()
    };
    group.members.iter().flat_map(of).collect()
}

/// The topics of a consumer's subscription: a version, then the names.
fn topics_of(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at_checked(count)?;
        bytes = rest;
        Some(taken)
    };
    take(2)?;
    let count = u32::from_be_bytes(take(4)?.try_into().ok()?);
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = u16::from_be_bytes(take(2)?.try_into().ok()?);
        topics.push(String::from_utf8(take(length.into())?.to_vec()).ok()?);
    }
    Some(topics)
}
