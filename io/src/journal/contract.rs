//! What every journal has to do, as a test that any implementation can be run through.
//!
//! The sentences of the [module](super) are the names of the functions here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use bytes::Bytes;
use quorate_core::record::{GroupMetadata, MemberMetadata, OffsetAndMetadata};
use quorate_core::{
    Batch, BatchId, Epoch, Generation, Millis, Offset, Record, RecordKey, RecordValue, RejectCause,
    ShardId, Text, WallTime,
};
use uuid::Uuid;

use super::{Append, Completion, Journal, JournalStore, MAX_BATCH_BYTES, Outcome, REPLAY_CHUNK};

/// Live rows by key.
pub type Rows = BTreeMap<RecordKey, (Offset, RecordValue)>;

/// A handle, and the test's way to wait for its completions.
pub struct Client {
    journal: Box<dyn Journal>,
    woken: Receiver<()>,
}

impl Client {
    /// A new handle of the store.
    pub fn new(store: &dyn JournalStore) -> Client {
        let (wake, woken) = mpsc::channel();
        let journal = store.handle(Arc::new(move || {
            // One that comes after the test has looked for the last time is nobody's.
            let _ = wake.send(());
        }));
        Client { journal, woken }
    }

    /// The next `count` completions, and no more.
    pub fn completions(&mut self, count: usize) -> Vec<Completion> {
        let mut completions = Vec::new();
        self.journal.poll(&mut completions);
        while completions.len() < count {
            self.woken.recv().expect("the store keeps the wake");
            self.journal.poll(&mut completions);
        }
        assert_eq!(completions.len(), count, "{completions:?}");
        completions
    }

    /// Takes a shard over: its epoch, and where its log goes on.
    pub fn acquire(&mut self, shard: ShardId) -> (Epoch, Offset) {
        self.journal.acquire(&[shard]);
        match self.completions(1).remove(0) {
            Completion::Acquired { shard: of, epoch, next } if of == shard => (epoch, next),
            other => panic!("{other:?}"),
        }
    }

    /// The chunks of a replay.
    pub fn chunks(&mut self, shard: ShardId, epoch: Epoch) -> Vec<Vec<(Offset, Record)>> {
        let mut chunks = Vec::new();
        loop {
            self.journal.replay(shard, epoch);
            let (rows, last) = rows(self.completions(1).remove(0), shard, epoch);
            assert!(rows.len() <= REPLAY_CHUNK, "a chunk of {} rows", rows.len());
            chunks.push(rows);
            if last {
                return chunks;
            }
        }
    }

    /// Replays a shard, where each row must come once and have a value.
    pub fn replay(&mut self, shard: ShardId, epoch: Epoch) -> Rows {
        let mut rows = Rows::new();
        for (at, record) in self.chunks(shard, epoch).into_iter().flatten() {
            let value = record.value.expect("tombstones are gone");
            let before = rows.insert(record.key.clone(), (at, value));
            assert_eq!(before, None, "{:?} came twice", record.key);
        }
        rows
    }

    /// Appends and gives the outcomes, in the order of the appends.
    pub fn append(&mut self, appends: Vec<Append>) -> Vec<Outcome> {
        let asked: Vec<_> =
            appends.iter().map(|append| (append.shard, append.batches[0].epoch)).collect();
        self.journal.append(appends);
        let outcomes = self.completions(asked.len()).into_iter().zip(asked);
        outcomes.map(|(completion, (shard, epoch))| outcome(completion, shard, epoch)).collect()
    }

    /// Asks without waiting.
    pub fn journal(&mut self) -> &mut dyn Journal {
        &mut *self.journal
    }
}

fn rows(completion: Completion, of: ShardId, with: Epoch) -> (Vec<(Offset, Record)>, bool) {
    match completion {
        Completion::Rows { shard, epoch, rows, last } if (shard, epoch) == (of, with) => {
            (rows, last)
        }
        other => panic!("{other:?}"),
    }
}

fn outcome(completion: Completion, of: ShardId, with: Epoch) -> Outcome {
    match completion {
        Completion::Append { shard, epoch, outcome } if (shard, epoch) == (of, with) => outcome,
        other => panic!("{other:?}"),
    }
}

/// A shard as it has to be.
pub struct Model {
    /// The shard.
    pub shard: ShardId,
    /// Of the incarnation that appends.
    pub epoch: Epoch,
    /// Where its log goes on.
    pub next: Offset,
    /// Its live rows.
    pub rows: Rows,
    id: BatchId,
}

impl Model {
    /// Takes over a shard that was never appended to.
    pub fn new(client: &mut Client, shard: u32) -> Model {
        let shard = ShardId(shard);
        let (epoch, next) = client.acquire(shard);
        let mut model = Model { shard, epoch, next: Offset(0), rows: Rows::new(), id: BatchId(0) };
        model.check(client, next);
        model
    }

    /// Takes the shard over again, and checks what is in it.
    pub fn reload(&mut self, client: &mut Client) {
        let (epoch, next) = client.acquire(self.shard);
        assert!(epoch > self.epoch, "epoch {epoch} after {}", self.epoch);
        (self.epoch, self.id) = (epoch, BatchId(0));
        self.check(client, next);
    }

    /// The next batch, as if it had been stored.
    pub fn batch(&mut self, records: Vec<Record>) -> Batch {
        self.id = BatchId(self.id.0 + 1);
        let batch = Batch { id: self.id, epoch: self.epoch, base: self.next, records };
        for record in batch.records.clone() {
            match record.value {
                Some(value) => self.rows.insert(record.key, (self.next, value)),
                None => self.rows.remove(&record.key),
            };
            self.next = Offset(self.next.0 + 1);
        }
        batch
    }

    /// Stores one batch, which must succeed.
    pub fn append(&mut self, client: &mut Client, records: Vec<Record>) {
        let batch = self.batch(records);
        let through = batch.id;
        let outcomes = client.append(vec![one(self.shard, batch)]);
        assert_eq!(outcomes, [Outcome::Appended { through }]);
    }

    fn check(&mut self, client: &mut Client, next: Offset) {
        assert_eq!(next, self.next, "of shard {}", self.shard);
        assert_eq!(client.replay(self.shard, self.epoch), self.rows);
    }
}

fn one(shard: ShardId, batch: Batch) -> Append {
    Append { shard, batches: vec![batch] }
}

/// A committed offset; partition and value alone tell one from another.
pub fn commit(group: &str, partition: i32, offset: i64) -> Record {
    let value = OffsetAndMetadata {
        offset,
        leader_epoch: 3,
        metadata: Text::from_static("from the contract"),
        committed_at: WallTime(1_700_000_000_000 + offset),
        expires_at: None,
        topic_id: Uuid::from_u128(0x0001_0203_0405_4607_8809_0a0b_0c0d_0e0f),
    };
    Record { key: offset_key(group, partition), value: Some(RecordValue::Offset(value)) }
}

/// Takes a committed offset away.
pub fn tombstone(group: &str, partition: i32) -> Record {
    Record { key: offset_key(group, partition), value: None }
}

fn offset_key(group: &str, partition: i32) -> RecordKey {
    RecordKey::Offset { group: group.into(), topic: "orders".into(), partition }
}

/// A group of one member with an assignment of so many bytes.
fn group(name: &str, assignment: usize) -> Record {
    let member = MemberMetadata {
        member_id: "consumer-1".into(),
        instance_id: None,
        client_id: "consumer".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: Millis(300_000),
        session_timeout: Millis(45_000),
        subscription: Bytes::from_static(b"\0\x01\0\0"),
        assignment: Bytes::from(vec![7; assignment]),
    };
    let value = GroupMetadata {
        protocol_type: "consumer".into(),
        generation: Generation(1),
        protocol: Some("range".into()),
        leader: Some("consumer-1".into()),
        state_since: Some(WallTime(1_700_000_000_000)),
        members: vec![member],
    };
    Record { key: RecordKey::Group(name.into()), value: Some(RecordValue::Group(Box::new(value))) }
}

/// Opens the same journal again.
type Open<'a> = &'a mut dyn FnMut() -> Box<dyn JournalStore>;

/// Runs the contract. `make` makes an empty journal and gives the way to open it; what that opens
/// is dropped, with all its handles, before it is called again.
pub fn contract<O: FnMut() -> Box<dyn JournalStore>>(mut make: impl FnMut() -> O) {
    a_new_shard_is_empty(&mut make());
    a_replay_holds_all_that_was_acknowledged(&mut make());
    offsets_go_on_also_when_no_row_is_left(&mut make());
    an_older_epoch_is_fenced(&mut make());
    an_acquisition_fences_what_is_submitted_after_it(&mut make());
    many_shards_go_in_one_call(&mut make());
    batches_that_waited_together_go_together(&mut make());
    a_batch_behind_a_gap_is_refused(&mut make());
    what_is_too_large_is_refused_and_what_is_before_it_stored(&mut make());
    big_values_come_back(&mut make());
    a_replay_comes_in_chunks_while_other_shards_append(&mut make());
    a_replay_with_an_older_epoch_is_refused(&mut make());
    keeping_itself_small_changes_no_replay(&mut make());
}

fn a_new_shard_is_empty(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let (epoch, next) = client.acquire(ShardId(7));
    assert!(epoch > Epoch(0));
    assert_eq!(next, Offset(0));
    assert_eq!(client.chunks(ShardId(7), epoch), [vec![]]);
    drop((client, store));

    let store = open();
    let (again, next) = Client::new(&*store).acquire(ShardId(7));
    assert!(again > epoch);
    assert_eq!(next, Offset(0));
}

fn a_replay_holds_all_that_was_acknowledged(open: Open<'_>) {
    let mut store = open();
    let mut client = Client::new(&*store);
    let (mut model, mut other) = (Model::new(&mut client, 0), Model::new(&mut client, 1));
    model.append(&mut client, vec![commit("g", 0, 1), commit("g", 1, 1), group("g", 10)]);
    model.append(&mut client, vec![commit("g", 0, 2)]);
    other.append(&mut client, vec![commit("g", 0, 99)]);
    model.append(&mut client, vec![tombstone("g", 1), commit("h", 1, 5), commit("h", 1, 6)]);
    model.append(&mut client, vec![tombstone("never", 1)]);
    assert_eq!(model.rows.len(), 3);
    for _ in 0..2 {
        model.reload(&mut client);
        drop((client, store));
        store = open();
        client = Client::new(&*store);
        model.reload(&mut client);
        other.reload(&mut client);
        model.append(&mut client, vec![commit("g", 1, 3), tombstone("h", 1)]);
    }
}

fn offsets_go_on_also_when_no_row_is_left(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut model = Model::new(&mut client, 2);
    model.append(&mut client, vec![commit("g", 0, 1), tombstone("g", 0)]);
    assert_eq!((model.next, model.rows.len()), (Offset(2), 0));
    drop((client, store));
    let store = open();
    model.reload(&mut Client::new(&*store));
}

fn an_older_epoch_is_fenced(open: Open<'_>) {
    let store = open();
    let (mut first, mut second) = (Client::new(&*store), Client::new(&*store));
    let mut model = Model::new(&mut first, 0);
    model.append(&mut first, vec![commit("g", 0, 1)]);
    let zombie = Batch {
        id: BatchId(2),
        epoch: model.epoch,
        base: model.next,
        records: vec![commit("g", 0, 2)],
    };
    model.reload(&mut second);
    let by = model.epoch;
    let outcomes = first.append(vec![one(model.shard, zombie.clone())]);
    assert_eq!(outcomes, [Outcome::Fenced { by }]);
    model.append(&mut second, vec![commit("g", 0, 3)]);
    let outcomes = first.append(vec![one(model.shard, zombie)]);
    assert_eq!(outcomes, [Outcome::Fenced { by }]);
    model.reload(&mut first);
}

fn an_acquisition_fences_what_is_submitted_after_it(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut model = Model::new(&mut client, 0);
    let (shard, epoch) = (model.shard, model.epoch);
    let before = model.batch(vec![commit("g", 0, 1)]);
    let after = Batch { id: BatchId(2), epoch, base: model.next, records: vec![commit("g", 0, 2)] };
    client.journal().append(vec![one(shard, before)]);
    client.journal().acquire(&[shard]);
    client.journal().append(vec![one(shard, after)]);
    let newer = Epoch(epoch.0 + 1);
    assert_eq!(
        client.completions(3),
        [
            Completion::Append { shard, epoch, outcome: Outcome::Appended { through: BatchId(1) } },
            Completion::Acquired { shard, epoch: newer, next: model.next },
            Completion::Append { shard, epoch, outcome: Outcome::Fenced { by: newer } },
        ]
    );
    model.reload(&mut client);
}

fn many_shards_go_in_one_call(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut models: Vec<Model> = (0..20).map(|shard| Model::new(&mut client, shard)).collect();
    let fenced = ShardId(20);
    let (old, _) = client.acquire(fenced);
    let (by, _) = client.acquire(fenced);
    let mut appends: Vec<Append> = models
        .iter_mut()
        .map(|model| one(model.shard, model.batch(vec![commit("g", 0, 4), group("g", 3)])))
        .collect();
    let records = vec![commit("g", 0, 5)];
    appends.push(one(fenced, Batch { id: BatchId(1), epoch: old, base: Offset(0), records }));
    let mut expected = vec![Outcome::Appended { through: BatchId(1) }; 20];
    expected.push(Outcome::Fenced { by });
    assert_eq!(client.append(appends), expected);
    drop((client, store));

    let store = open();
    let mut client = Client::new(&*store);
    let shards: Vec<ShardId> = models.iter().map(|model| model.shard).collect();
    client.journal().acquire(&shards);
    let acquired: Vec<Completion> = models
        .iter()
        .map(|model| {
            let Model { shard, epoch, next, .. } = *model;
            Completion::Acquired { shard, epoch: Epoch(epoch.0 + 1), next }
        })
        .collect();
    assert_eq!(client.completions(20), acquired);
    for model in &mut models {
        model.epoch = Epoch(model.epoch.0 + 1);
        assert_eq!(client.replay(model.shard, model.epoch), model.rows);
    }
}

fn batches_that_waited_together_go_together(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut model = Model::new(&mut client, 0);
    let records = (0..5).map(|at| vec![commit("g", at, 1), commit("g", 9, at.into())]);
    let batches = records.map(|records| model.batch(records)).collect();
    let append = Append { shard: model.shard, batches };
    assert_eq!(client.append(vec![append]), [Outcome::Appended { through: BatchId(5) }]);
    let nothing = model.batch(vec![]);
    let outcomes = client.append(vec![one(model.shard, nothing)]);
    assert_eq!(outcomes, [Outcome::Appended { through: BatchId(6) }]);
    model.append(&mut client, vec![tombstone("g", 2)]);
    drop((client, store));
    let store = open();
    model.reload(&mut Client::new(&*store));
}

fn a_batch_behind_a_gap_is_refused(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut model = Model::new(&mut client, 0);
    model.append(&mut client, vec![commit("g", 0, 1)]);
    let (shard, epoch) = (model.shard, model.epoch);
    let refused = |from, stored| Outcome::Rejected { stored, from, cause: RejectCause::Earlier };
    let batch = |id, base| {
        let records = vec![commit("gap", 0, 2)];
        Batch { id: BatchId(id), epoch, base: Offset(base), records }
    };
    for base in [0, 2] {
        let outcomes = client.append(vec![one(shard, batch(2, base))]);
        assert_eq!(outcomes, [refused(BatchId(2), None)]);
    }
    let good = model.batch(vec![commit("g", 0, 2)]);
    let append = Append { shard, batches: vec![good, batch(3, 4), batch(4, 5)] };
    assert_eq!(client.append(vec![append]), [refused(BatchId(3), Some(BatchId(2)))]);
    model.append(&mut client, vec![commit("g", 0, 3)]);
    model.reload(&mut client);
}

fn what_is_too_large_is_refused_and_what_is_before_it_stored(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut model = Model::new(&mut client, 0);
    let (shard, epoch) = (model.shard, model.epoch);
    let good = model.batch(vec![commit("g", 0, 1)]);
    let at = |id, records| Batch { id: BatchId(id), epoch, base: model.next, records };
    let large = at(2, vec![commit("g", 0, 2), group("g", MAX_BATCH_BYTES)]);
    let behind = at(3, vec![commit("g", 0, 3)]);
    let append = Append { shard, batches: vec![good, large, behind] };
    let cause = RejectCause::TooLarge;
    let (stored, from) = (Some(BatchId(1)), BatchId(2));
    assert_eq!(client.append(vec![append]), [Outcome::Rejected { stored, from, cause }]);
    let long = "g".repeat(40_000);
    let outcomes = client.append(vec![one(shard, at(2, vec![commit(&long, 0, 2)]))]);
    assert_eq!(outcomes, [Outcome::Rejected { stored: None, from, cause }]);
    model.append(&mut client, vec![commit("g", 0, 4)]);
    drop((client, store));
    let store = open();
    model.reload(&mut Client::new(&*store));
}

fn big_values_come_back(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let mut model = Model::new(&mut client, 0);
    for name in ["a", "b", "c", "a", "b", "c"] {
        model.append(&mut client, vec![group(name, 1 << 20), commit(name, 0, 1)]);
    }
    model.reload(&mut client);
    drop((client, store));
    let store = open();
    model.reload(&mut Client::new(&*store));
}

fn a_replay_comes_in_chunks_while_other_shards_append(open: Open<'_>) {
    let store = open();
    let (mut client, mut busy) = (Client::new(&*store), Client::new(&*store));
    let mut model = Model::new(&mut client, 0);
    for at in 0..25 {
        let records = (0..100).map(|row| commit("g", at * 100 + row, 1)).collect();
        model.append(&mut client, records);
    }
    let mut other = Model::new(&mut busy, 1);
    (model.epoch, _) = client.acquire(model.shard);
    let (mut given, mut chunks) = (Rows::new(), 0);
    loop {
        other.append(&mut busy, vec![commit("g", 0, chunks)]);
        client.journal().replay(model.shard, model.epoch);
        other.append(&mut busy, vec![commit("g", 1, chunks)]);
        let (rows, last) = rows(client.completions(1).remove(0), model.shard, model.epoch);
        assert!(rows.len() <= REPLAY_CHUNK);
        let rows = rows.into_iter();
        given.extend(rows.map(|(at, row)| (row.key, (at, row.value.expect("a value")))));
        chunks += 1;
        if last {
            break;
        }
    }
    assert_eq!(given, model.rows);
    assert!(chunks >= 3, "{chunks} chunks");
    other.reload(&mut busy);
}

fn a_replay_with_an_older_epoch_is_refused(open: Open<'_>) {
    let store = open();
    let mut client = Client::new(&*store);
    let shard = ShardId(0);
    let (old, _) = client.acquire(shard);
    client.acquire(shard);
    client.journal().replay(shard, old);
    assert_eq!(client.completions(1), [Completion::Unavailable { shard }]);
}

/// Random appends to few keys, with takeovers and reopenings in between.
fn keeping_itself_small_changes_no_replay(open: Open<'_>) {
    let mut random = 1_u64;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % limit
    };
    let mut models: Vec<Model> = {
        let store = open();
        let mut client = Client::new(&*store);
        (0..3).map(|shard| Model::new(&mut client, shard)).collect()
    };
    for _ in 0..6 {
        let store = open();
        let mut client = Client::new(&*store);
        models.iter_mut().for_each(|model| model.reload(&mut client));
        for _ in 0..60 {
            let model = &mut models[below(3) as usize];
            let records = (0..=below(8)).map(|_| {
                let (kind, partition) = (below(10), below(30) as i32);
                match kind {
                    0 => group("g", 10 + below(300) as usize),
                    1..4 => tombstone("g", partition),
                    _ => commit("g", partition, below(1_000_000) as i64),
                }
            });
            let records = records.collect();
            model.append(&mut client, records);
            if below(10) == 0 {
                model.reload(&mut client);
            }
        }
    }
}
