//! The journal on disk: the contract, and a fold that is cut off at every point.

use std::path::Path;
use std::sync::{Arc, Mutex};

use quorate_core::{Epoch, ShardId};

use super::fold::{Fold, Sweep};
use super::tables::{Folded, Tables};
use super::{FjallJournal, Folding};
use crate::disk::{Database, Durability, Fatal, OnFatal, OpenError, Options, Wake, Writer, locked};
use crate::journal::contract::{Client, Model, commit, contract, tombstone};
use crate::journal::{Append, Completion, Journal, JournalStore, Outcome};

/// A journal with the writer that it needs; the writer ends after it.
struct OnDisk {
    journal: FjallJournal,
    _writer: Writer,
}

impl JournalStore for OnDisk {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        self.journal.handle(wake)
    }
}

fn open_database(folder: &Path, durability: Durability) -> Result<Database, OpenError> {
    let options = Options { durability, cache_bytes: 1 << 20, cached_files: 16, filters: None };
    Database::open(folder, options)
}

fn open(folder: &Path, durability: Durability, folding: Folding) -> OnDisk {
    open_with(folder, durability, folding, Arc::new(|fatal: Fatal| panic!("{fatal}")))
}

fn open_with(folder: &Path, durability: Durability, folding: Folding, on_fatal: OnFatal) -> OnDisk {
    let database = open_database(folder, durability).expect("opens");
    let writer = Writer::start(database.clone(), Arc::clone(&on_fatal)).expect("starts");
    let journal = FjallJournal::open(&database, writer.queue(), folding, on_fatal).expect("opens");
    OnDisk { journal, _writer: writer }
}

/// Folds after a few appends, in chunks of a few rows.
const EAGER: Folding =
    Folding { log_bytes: 500, chunk_bytes: 200, slice_bytes: 500, slice_keys: 3 };

/// Never folds by itself.
const NEVER: Folding = Folding { log_bytes: u64::MAX, ..EAGER };

fn keeps_the_contract(durability: Durability, folding: Folding) {
    contract(|| {
        let folder = tempfile::tempdir().expect("a folder");
        move || -> Box<dyn JournalStore> { Box::new(open(folder.path(), durability, folding)) }
    });
}

#[test]
fn the_journal_on_disk_keeps_the_contract() {
    keeps_the_contract(Durability::Sync, Folding::default());
}

#[test]
fn a_journal_that_folds_all_the_time_keeps_the_contract() {
    keeps_the_contract(Durability::Os, EAGER);
}

#[test]
fn a_journal_that_is_open_is_refused_as_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let _open = open(folder.path(), Durability::Os, NEVER);
    let refused = open_database(folder.path(), Durability::Os).err().expect("refused");
    assert!(matches!(refused, OpenError::DataInUse { .. }), "{refused}");
}

/// Appends that leave rows of several appends live, others overwritten, and others removed.
fn some_appends(model: &mut Model, client: &mut Client, round: i64) {
    for at in 0..8 {
        let partition = ((round * 5 + at * 3) % 40) as i32;
        let records =
            vec![commit("g", partition, round), commit("g", 50 + at as i32, round * 100 + at)];
        model.append(client, records);
    }
    model.append(client, vec![tombstone("g", (round % 40) as i32), tombstone("g", 50)]);
}

/// Folds and sweeps a shard, but writes so many slices only; whether that was all of it.
fn fold(folder: &Path, shard: ShardId, slices: usize) -> bool {
    let database = open_database(folder, Durability::Os).expect("opens");
    let on_fatal = Arc::new(|fatal: Fatal| panic!("{fatal}"));
    let writer = Writer::start(database.clone(), on_fatal).expect("starts");
    let tables = Tables::open(&database).expect("opens");
    let mut left = slices;
    let mut write = |slice: super::fold::Slice| {
        let room = left > 0;
        left -= usize::from(room);
        room && slice.write(&writer.queue())
    };
    let mut fold = Fold::new(&tables, shard, NEVER).expect("begins");
    while let Some(slice) = fold.next().expect("reads") {
        if !write(slice) {
            return false;
        }
    }
    let mut sweep = Sweep::new(&tables, shard, NEVER).expect("begins");
    while let Some(slice) = sweep.next().expect("reads") {
        if !write(slice) {
            return false;
        }
    }
    true
}

/// What the shard is folded to, the number of its appends, and that of its chunks.
fn stored(folder: &Path, shard: ShardId) -> (Folded, usize, usize) {
    let tables = Tables::open(&open_database(folder, Durability::Os).expect("opens"));
    let tables = tables.expect("opens");
    let folded = tables.folded(&tables.database.snapshot(), shard).expect("reads");
    let chunks = tables.shards.len().expect("reads") - 2;
    (folded, tables.log.len().expect("reads"), chunks)
}

#[test]
fn a_fold_that_is_cut_off_anywhere_changes_no_replay_and_the_next_one_leaves_no_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let shard = ShardId(3);
    let mut model = {
        let store = open(folder.path(), Durability::Os, NEVER);
        Model::new(&mut Client::new(&store), shard.0)
    };
    let mut slices = 0;
    loop {
        {
            let store = open(folder.path(), Durability::Os, NEVER);
            let mut client = Client::new(&store);
            model.reload(&mut client);
            some_appends(&mut model, &mut client, slices as i64);
        }
        let whole = fold(folder.path(), shard, slices);
        {
            let store = open(folder.path(), Durability::Os, NEVER);
            model.reload(&mut Client::new(&store));
        }
        if whole {
            break;
        }
        slices += 1;
    }
    assert!(slices > 8, "a fold of {slices} slices has too few places to cut it");
    let (folded, appends, chunks) = stored(folder.path(), shard);
    assert_eq!((folded.end, appends, chunks), (model.next, 0, folded.chunks as usize));
    assert!(chunks > 8, "{chunks} chunks");
    assert!(fold(folder.path(), shard, 0), "there is nothing to fold");
}

#[test]
fn a_shard_is_folded_by_itself_as_its_log_grows() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Durability::Os, EAGER);
    let mut client = Client::new(&store);
    let mut model = Model::new(&mut client, 0);
    let folded = || locked(&store.journal.threads.shared.heads)[&ShardId(0)].folded;
    let mut appends = 0;
    while folded() == Folded::default() {
        assert!(appends < 1_000_000, "nothing was folded");
        model.append(&mut client, vec![commit("g", 0, appends)]);
        appends += 1;
    }
    model.reload(&mut client);
}

#[test]
fn once_the_writer_has_ended_an_append_is_unknown_and_no_shard_can_be_acquired() {
    let folder = tempfile::tempdir().expect("a folder");
    let OnDisk { journal, _writer } = open(folder.path(), Durability::Os, NEVER);
    let mut client = Client::new(&journal);
    let mut model = Model::new(&mut client, 0);
    drop(_writer);
    let append = Append { shard: model.shard, batches: vec![model.batch(vec![commit("g", 0, 1)])] };
    assert_eq!(client.append(vec![append]), [Outcome::Unknown]);
    client.journal().acquire(&[ShardId(0), ShardId(9)]);
    let unavailable = |shard| Completion::Unavailable { shard: ShardId(shard) };
    assert_eq!(client.completions(2), [unavailable(0), unavailable(9)]);
}

#[test]
fn an_append_that_is_missing_is_found_at_replay_and_ends_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = {
        let store = open(folder.path(), Durability::Os, NEVER);
        let mut client = Client::new(&store);
        let mut model = Model::new(&mut client, 0);
        (0..3).for_each(|at| model.append(&mut client, vec![commit("g", at, 1)]));
        model
    };
    {
        let database = open_database(folder.path(), Durability::Os).expect("opens");
        let tables = Tables::open(&database).expect("opens");
        let second = tables.log.iter().nth(1).expect("is there").key().expect("reads");
        tables.log.remove(second).expect("writes");
    }
    let fatal = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&fatal);
    let store = open_with(
        folder.path(),
        Durability::Os,
        NEVER,
        Arc::new(move |fatal| locked(&told).push(fatal)),
    );
    let mut client = Client::new(&store);
    assert_eq!(client.acquire(model.shard), (Epoch(model.epoch.0 + 1), model.next));
    client.journal().replay(model.shard, Epoch(model.epoch.0 + 1));
    let shard = model.shard;
    assert_eq!(client.completions(1), [Completion::Unavailable { shard }]);
    let cause = "the log, which has a gap at 1, of shard 0 is damaged; \
                 restore the data folder from a copy";
    let folder = folder.path().to_owned();
    assert_eq!(*locked(&fatal), [Fatal { folder, cause: cause.to_owned() }]);
}
