//! What every log has to do, as a test that any implementation can be run through.

mod compaction;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use bytes::Bytes;
use uuid::Uuid;

pub use compaction::keyed_set;

use super::partition::Appended;
use super::{
    Batch, Completion, EpochStart, Found, Log, LogStore, Operation, Outcome, Partition,
    PartitionKey, Read, Recovered, Rejection, TailBudget, Wanted,
};
use crate::guard::check::{ProduceRules, check};

/// Opens the log under test, for these live topics and this leader epoch.
pub type Open<'a> = &'a mut dyn FnMut(&BTreeSet<Uuid>, i32) -> (Box<dyn LogStore>, Vec<Recovered>);

/// Runs the contract. Each call of `open` opens the same log again, after the one before and its
/// handles have been dropped; it must be new when this begins.
pub fn contract(mut open: impl FnMut(&BTreeSet<Uuid>, i32) -> (Box<dyn LogStore>, Vec<Recovered>)) {
    let open: Open<'_> = &mut open;
    gives_back_what_was_appended(open);
    cuts_a_read_at_its_limit(open);
    rejects_what_is_not_at_the_end(open);
    finds_records_by_time(open);
    truncates(open);
    forgets_deleted_topics(open);
    recovers_producers(open);
    keeps_epochs(open);
    is_as_a_model_says(open);
    compaction::the_last_record_of_each_key_stays(open);
    compaction::compaction_is_as_a_map_says(open);
}

/// A record set of one batch with a record for each value, a millisecond apart from `timestamp`
/// on, from a producer with id and epoch, or (-1, -1), at `sequence`.
pub fn record_set(values: &[&[u8]], timestamp: i64, producer: (i64, i16), sequence: i32) -> Bytes {
    let mut records = Vec::new();
    for (number, value) in values.iter().enumerate() {
        let mut record = vec![0];
        varint(&mut record, number as i64);
        varint(&mut record, number as i64);
        varint(&mut record, -1);
        varint(&mut record, value.len() as i64);
        record.extend_from_slice(value);
        varint(&mut record, 0);
        varint(&mut records, record.len() as i64);
        records.extend_from_slice(&record);
    }
    let delta = values.len() as i32 - 1;
    let mut checked = Vec::new();
    checked.extend_from_slice(&0_i16.to_be_bytes());
    checked.extend_from_slice(&delta.to_be_bytes());
    checked.extend_from_slice(&timestamp.to_be_bytes());
    checked.extend_from_slice(&(timestamp + i64::from(delta)).to_be_bytes());
    checked.extend_from_slice(&producer.0.to_be_bytes());
    checked.extend_from_slice(&producer.1.to_be_bytes());
    checked.extend_from_slice(&sequence.to_be_bytes());
    checked.extend_from_slice(&(values.len() as i32).to_be_bytes());
    checked.extend_from_slice(&records);
    let mut batch = Vec::new();
    batch.extend_from_slice(&0_i64.to_be_bytes());
    batch.extend_from_slice(&(checked.len() as i32 + 9).to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
    batch.extend_from_slice(&checked);
    batch.into()
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A log that is open, one handle of it, and the homes of the partitions in it.
struct Opened {
    log: Box<dyn Log>,
    woken: Receiver<()>,
    homes: BTreeMap<PartitionKey, Partition>,
    budget: TailBudget,
    epoch: i32,
    token: u64,
    // Last, so that it is dropped after the handle.
    _store: Box<dyn LogStore>,
}

impl Opened {
    fn new(open: Open<'_>, topics: &[Uuid], epoch: i32) -> Self {
        let live = topics.iter().copied().collect();
        let (store, recovered) = open(&live, epoch);
        let (wake, woken) = mpsc::channel();
        let log = store.handle(Arc::new(move || {
            // One that comes after the test has looked for the last time is nobody's.
            let _ = wake.send(());
        }));
        let budget = TailBudget::new(0);
        let homes = recovered
            .into_iter()
            .map(|found| (found.partition, Partition::recover(found, epoch, budget.clone())));
        Self { homes: homes.collect(), log, woken, budget, epoch, token: 0, _store: store }
    }

    fn home(&mut self, partition: PartitionKey) -> &mut Partition {
        let (epoch, budget) = (self.epoch, self.budget.clone());
        self.homes.entry(partition).or_insert_with(|| Partition::new(partition, epoch, budget))
    }

    fn submit(&mut self, operation: Operation) -> u64 {
        self.token += 1;
        self.log.submit(self.token, operation);
        self.token
    }

    /// Has the partition's home give the set its offsets, and submits it.
    fn append(&mut self, partition: PartitionKey, set: &Bytes) -> Batch {
        let token = self.token + 1;
        let checked = check(set, &RULES).expect("a good batch");
        let appended = self.home(partition).append(token, &checked, checked.max_timestamp);
        let Ok(Appended::New(batch)) = appended else { panic!("{appended:?}") };
        self.submit(Operation::Append { partition, batch: batch.clone() });
        batch
    }

    /// The next `count` outcomes, by their tokens.
    fn outcomes(&mut self, count: usize) -> BTreeMap<u64, Outcome> {
        let mut completions = Vec::new();
        self.log.poll(&mut completions);
        while completions.len() < count {
            self.woken.recv().expect("the store keeps the wake");
            self.log.poll(&mut completions);
        }
        assert_eq!(completions.len(), count, "{completions:?}");
        for Completion { outcome, .. } in &completions {
            assert!(!matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
            if let Outcome::Appended { partition, last } = outcome {
                let home = self.home(*partition);
                assert!(home.high_watermark() <= *last, "appends complete in their order");
                home.appended(*last);
            }
        }
        completions.into_iter().map(|done| (done.token, done.outcome)).collect()
    }

    fn run(&mut self, operation: Operation) -> Outcome {
        let token = self.submit(operation);
        self.outcomes(1).remove(&token).expect("this one has completed")
    }

    fn read(&mut self, partition: PartitionKey, offset: i64, end: i64) -> Vec<Bytes> {
        self.read_bytes(partition, offset, end, usize::MAX, true)
    }

    fn read_bytes(
        &mut self,
        partition: PartitionKey,
        offset: i64,
        end: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Vec<Bytes> {
        let read = Read { partition, offset, end, max_bytes, min_one };
        match self.run(Operation::Read(read)) {
            Outcome::Read(batches) => batches,
            other => panic!("{other:?}"),
        }
    }

    fn find(&mut self, partition: PartitionKey, what: Wanted) -> Option<Found> {
        let find = self.home(partition).find(what);
        match self.run(find) {
            Outcome::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }
}

/// Rules that let every good batch through.
pub const RULES: ProduceRules = ProduceRules {
    api_version: 9,
    append_time: None,
    max_message_bytes: usize::MAX,
    earliest: i64::MIN,
    latest: i64::MAX,
    keys: false,
    max_record_bytes: usize::MAX,
};
const NOTHING: [Bytes; 0] = [];
const T: i64 = 1_700_000_000_000;

fn topic(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn partition(number: u128, index: i32) -> PartitionKey {
    PartitionKey { topic_id: topic(number), index }
}

fn plain(values: &[&[u8]]) -> Bytes {
    record_set(values, T, (-1, -1), -1)
}

fn gives_back_what_was_appended(open: Open<'_>) {
    let (one, two) = (partition(1, 0), partition(1, 1));
    let mut opened = Opened::new(open, &[topic(1)], 0);
    assert!(opened.homes.is_empty());
    let sent = plain(&[b"one", b"two"]);
    let first = opened.append(one, &sent);
    let large = vec![7; 1500];
    let second = opened.append(one, &plain(&[&large]));
    let other = opened.append(two, &plain(&[b"x"]));
    assert_eq!((first.base, first.last, second.base, other.base), (0, 1, 2, 0));
    assert_eq!(first.bytes[16..], sent[16..], "only offset and epoch were set");
    opened.outcomes(3);
    let all = [first.bytes, second.bytes];
    for _ in 0..2 {
        assert_eq!(opened.read(one, 0, 3), all);
        assert_eq!(opened.read(one, 1, 3), all, "from within the first batch");
        assert_eq!(opened.read(one, 2, 3), all[1..]);
        assert_eq!(opened.read(one, 0, 2), all[..1], "nothing from the end on");
        assert_eq!(opened.read(one, 0, 1), NOTHING);
        assert_eq!(opened.read(one, 3, 3), NOTHING);
        assert_eq!(opened.read(two, 0, 1), [other.bytes.as_ref()]);
        assert_eq!(opened.read(partition(1, 7), 0, 9), NOTHING);
        drop(opened);
        opened = Opened::new(open, &[topic(1)], 0);
        let ends: Vec<_> =
            opened.homes.values().map(|home| (home.key(), home.start(), home.end())).collect();
        assert_eq!(ends, [(one, 0, 3), (two, 0, 1)]);
    }
}

/// As Kafka's recorded answers to `PartitionMaxBytes` (subject logs, `fetch_limits`).
fn cuts_a_read_at_its_limit(open: Open<'_>) {
    let one = partition(2, 0);
    let mut opened = Opened::new(open, &[topic(1), topic(2)], 0);
    let batches: Vec<_> =
        [b'a', b'b', b'c'].map(|letter| opened.append(one, &plain(&[&[letter; 100]]))).into();
    opened.outcomes(3);
    let whole: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
    assert_eq!(whole.len(), 510);
    for (most, got) in [(0, 170), (1, 170), (170, 170), (200, 200), (400, 400), (600, 510)] {
        assert_eq!(opened.read_bytes(one, 0, 3, most, true).concat(), whole[..got], "{most}");
    }
    for (most, got) in [(0, 0), (169, 0), (170, 170), (200, 200)] {
        assert_eq!(opened.read_bytes(one, 0, 3, most, false).concat(), whole[..got], "{most}");
    }
}

fn rejects_what_is_not_at_the_end(open: Open<'_>) {
    let one = partition(3, 0);
    let mut opened = Opened::new(open, &[topic(1), topic(2), topic(3)], 0);
    let first = opened.append(one, &plain(&[b"a"]));
    opened.outcomes(1);
    opened.append(one, &plain(&[b"lost"]));
    let token = opened.token;
    let not_at_end =
        |offset, end| Outcome::Rejected(Rejection::NotAtEnd { partition: one, offset, end });
    opened.outcomes(1);
    // The store is told of an append that the home has not made, and of one behind that.
    let batch = Batch { base: 5, last: 5, ..first.clone() };
    let misplaced = opened.run(Operation::Append { partition: one, batch });
    assert_eq!(misplaced, not_at_end(5, 2));
    let again = opened.run(Operation::Append { partition: one, batch: first });
    assert_eq!(again, not_at_end(0, 2));
    opened.home(one).rejected(token);
    assert_eq!(opened.home(one).end(), 2, "what is durable is not taken back");
    let too_far = opened.run(Operation::TruncateBefore { partition: one, start: 3 });
    assert_eq!(too_far, not_at_end(3, 2));
    let next = opened.append(one, &plain(&[b"b"]));
    opened.outcomes(1);
    assert_eq!(opened.read(one, 2, 3), [next.bytes]);
}

/// As Kafka's recorded answers (subject logs, `list_offsets_by_time`).
fn finds_records_by_time(open: Open<'_>) {
    let one = partition(4, 0);
    let topics = [1, 2, 3, 4].map(topic);
    let mut opened = Opened::new(open, &topics, 0);
    assert_eq!(opened.find(one, Wanted::Time(T)), None);
    assert_eq!(opened.find(one, Wanted::Latest), None);
    for (values, timestamp) in [(&[b"a", b"b"][..], T), (&[b"c"], T + 5000), (&[b"d"], T + 3000)] {
        let values: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
        opened.append(one, &record_set(&values, timestamp, (-1, -1), -1));
    }
    opened.outcomes(3);
    let found = |offset, timestamp| Some(Found { offset, timestamp, leader_epoch: 0 });
    for (time, answer) in [
        (0, found(0, T)),
        (T, found(0, T)),
        (T + 1, found(1, T + 1)),
        (T + 2, found(2, T + 5000)),
        (T + 5000, found(2, T + 5000)),
        (T + 5001, None),
    ] {
        assert_eq!(opened.find(one, Wanted::Time(time)), answer, "{time}");
    }
    assert_eq!(opened.find(one, Wanted::Latest), found(2, T + 5000));
    let size = opened.read(one, 2, 3)[0].len() as u64;
    let retention = |older_than, keep_bytes| Wanted::Retention { older_than, keep_bytes };
    for (what, offset) in [
        (retention(None, None), 0),
        (retention(Some(T), None), 0),
        (retention(Some(T + 2), None), 2),
        (retention(Some(T + 4000), None), 2),
        (retention(Some(T + 9000), None), 4),
        (retention(None, Some(2 * size)), 2),
        (retention(None, Some(2 * size - 1)), 2),
        (retention(None, Some(size)), 3),
        (retention(None, Some(0)), 4),
    ] {
        let place = Some(Found { offset, timestamp: -1, leader_epoch: -1 });
        assert_eq!(opened.find(one, what), place, "{what:?}");
    }
}

fn truncates(open: Open<'_>) {
    let (one, two) = (partition(4, 0), partition(4, 1));
    let topics = [1, 2, 3, 4].map(topic);
    let mut opened = Opened::new(open, &topics, 0);
    let batch = opened.append(two, &plain(&[b"gone"]));
    opened.outcomes(1);
    for (key, start) in [(one, 1), (two, 1)] {
        let operation = opened.home(key).truncate_before(start).expect("in range");
        assert_eq!(opened.run(operation.expect("it moves")), Outcome::Done);
    }
    drop(opened);
    let mut opened = Opened::new(open, &topics, 0);
    assert_eq!((opened.home(one).start(), opened.home(one).end()), (1, 4));
    assert_eq!((opened.home(two).start(), opened.home(two).end()), (1, 1));
    assert_eq!(opened.read(one, 1, 4).len(), 3, "the batch that holds the start is there");
    let found = Found { offset: 1, timestamp: T + 1, leader_epoch: 0 };
    assert_eq!(opened.find(one, Wanted::Time(0)), Some(found));
    let next = opened.append(two, &plain(&[b"next"]));
    assert_eq!(next.base, batch.last + 1);
    opened.outcomes(1);
    assert_eq!(opened.read(two, 1, 2), [next.bytes]);
}

fn forgets_deleted_topics(open: Open<'_>) {
    let gone = partition(4, 0);
    let mut opened = Opened::new(open, &[1, 2, 3, 4].map(topic), 0);
    let end = opened.home(gone).end();
    let batch = opened.append(gone, &plain(&[b"too late"]));
    opened.outcomes(1);
    assert_eq!(opened.run(Operation::Delete { topic_id: topic(4) }), Outcome::Done);
    let rejected = Outcome::Rejected(Rejection::Deleted { partition: gone });
    for base in [0, end] {
        let batch = Batch { base, last: base, ..batch.clone() };
        assert_eq!(opened.run(Operation::Append { partition: gone, batch }), rejected);
    }
    assert_eq!(opened.run(Operation::TruncateBefore { partition: gone, start: 1 }), rejected);
    drop(opened);
    // The catalog says that topic 2 is gone too, since before the log was told.
    let opened = Opened::new(open, &[1, 3, 4].map(topic), 0);
    let found: Vec<_> = opened.homes.keys().map(|key| key.topic_id).collect();
    assert_eq!(found, [1, 1, 3].map(topic));
    drop(opened);
    assert_eq!(Opened::new(open, &[1, 2, 3, 4].map(topic), 0).homes.len(), 3);
}

fn recovers_producers(open: Open<'_>) {
    let one = partition(5, 0);
    let topics = [1, 3, 5].map(topic);
    let mut opened = Opened::new(open, &topics, 0);
    let set = |sequence| record_set(&[b"v"], T, (9, 0), sequence);
    opened.append(one, &set(0));
    opened.append(one, &set(1));
    let snapshot = opened.home(one).snapshot(true).expect("there is something new");
    opened.submit(snapshot.clone());
    opened.append(one, &set(2));
    opened.outcomes(4);
    let Operation::Snapshot { snapshot, .. } = snapshot else { panic!("{snapshot:?}") };
    let late = opened.run(Operation::Snapshot { partition: one, snapshot });
    let rejection = Rejection::NotAtEnd { partition: one, offset: 2, end: 3 };
    assert_eq!(late, Outcome::Rejected(rejection));
    drop(opened);
    let mut opened = Opened::new(open, &topics, 0);
    for sequence in [0, 1, 2] {
        let set = set(sequence);
        let checked = check(&set, &RULES).expect("a good batch");
        let again = opened.home(one).append(99, &checked, T);
        let Ok(Appended::Repeated(written)) = again else { panic!("{again:?}") };
        assert_eq!(written.base, i64::from(sequence), "from the snapshot, or from after it");
    }
    assert_eq!(opened.append(one, &set(3)).base, 3);
    opened.outcomes(1);
}

fn keeps_epochs(open: Open<'_>) {
    let one = partition(5, 0);
    let topics = [1, 3, 5].map(topic);
    let starts = |opened: &mut Opened| opened.home(one).epochs().starts().to_vec();
    let mut opened = Opened::new(open, &topics, 2);
    let expected = [EpochStart { epoch: 0, start: 0 }, EpochStart { epoch: 2, start: 4 }];
    assert_eq!(starts(&mut opened), expected);
    let batch = opened.append(one, &plain(&[b"in epoch 2"]));
    assert_eq!(batch.bytes[12..16], 2_i32.to_be_bytes());
    opened.append(partition(5, 1), &plain(&[b"new in epoch 2"]));
    opened.outcomes(2);
    drop(opened);
    let mut opened = Opened::new(open, &topics, 2);
    assert_eq!(starts(&mut opened), expected);
    let new = opened.home(partition(5, 1)).epochs().starts().to_vec();
    assert_eq!(new, [EpochStart { epoch: 2, start: 0 }]);
}

/// Random appends, truncations and restarts against a plain list of batches.
fn is_as_a_model_says(open: Open<'_>) {
    let topics = [1, 3, 5, 6].map(topic);
    let keys = [partition(6, 0), partition(6, 1), partition(6, 2)];
    let mut model: BTreeMap<PartitionKey, Vec<Batch>> = BTreeMap::new();
    let mut opened = Opened::new(open, &topics, 2);
    let mut random = 1_u64;
    for round in 0..400 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let key = keys[(random >> 33) as usize % keys.len()];
        let size = (random >> 40) as usize % 3000;
        let batch = opened.append(key, &plain(&[&vec![round as u8; size], b"second"]));
        model.entry(key).or_default().push(batch);
        opened.outcomes(1);
        if round % 37 == 0 {
            let start = opened.home(key).start() + 3;
            if let Ok(Some(operation)) = opened.home(key).truncate_before(start) {
                assert_eq!(opened.run(operation), Outcome::Done);
            }
        }
        if round % 90 == 0 {
            drop(opened);
            opened = Opened::new(open, &topics, 2);
        }
    }
    for (key, batches) in model {
        let (start, end) = (opened.home(key).start(), opened.home(key).end());
        let kept = batches.iter().filter(|batch| batch.last >= start);
        let kept: Vec<_> = kept.map(|batch| batch.bytes.clone()).collect();
        assert_eq!(opened.read(key, start, end), kept);
    }
}
