//! A broker that is killed at any moment keeps what its journal has acknowledged.
//!
//! A child process appends and says what was acknowledged, until it is killed. What is in a shard
//! follows from its length alone, so all of it can be checked.

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use quorate_core::{Batch, BatchId, Epoch, Offset, Record, ShardId};
use quorate_io::disk::{Database, Durability, Fatal, Options, Wake, Writer};
use quorate_io::journal::contract::{Client, Rows, commit, tombstone};
use quorate_io::journal::{Append, FjallJournal, Folding, Journal, JournalStore, Outcome};

const FOLDER: &str = "QUORATE_TEST_JOURNAL";
const SHARDS: u64 = 3;
const ROUNDS: u64 = 12;

/// Folds every few appends, so that some are cut off.
const FOLDING: Folding =
    Folding { log_bytes: 8_000, chunk_bytes: 500, slice_bytes: 1_000, slice_keys: 20 };

struct OnDisk {
    journal: FjallJournal,
    _writer: Writer,
}

impl JournalStore for OnDisk {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        self.journal.handle(wake)
    }
}

fn open(folder: &Path) -> OnDisk {
    let durability = Durability::Os;
    let options = Options { durability, cache_bytes: 1 << 20, cached_files: 16, filters: None };
    let database = Database::open(folder, options).expect("opens");
    let on_fatal = Arc::new(|fatal: Fatal| panic!("{fatal}"));
    let writer = Writer::start(database.clone(), on_fatal.clone()).expect("starts");
    let journal = FjallJournal::open(&database, writer.queue(), FOLDING, on_fatal).expect("opens");
    OnDisk { journal, _writer: writer }
}

/// A number that looks random, made of another.
fn scattered(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^ (number >> 29)
}

/// The record at an offset: every fourth takes a row away.
fn record(at: u64) -> Record {
    let partition = (scattered(at) % 80) as i32;
    if scattered(at + 7).is_multiple_of(4) {
        tombstone("g", partition)
    } else {
        commit("g", partition, at as i64)
    }
}

/// Records of the batch that begins at an offset.
fn batch_length(base: u64) -> u64 {
    1 + scattered(base) % 20
}

/// The rows of a shard whose log goes on at `next`, which must be where a batch ends.
fn expected(next: u64) -> Rows {
    let mut rows = Rows::new();
    let mut base = 0;
    while base < next {
        for at in base..base + batch_length(base) {
            let Record { key, value } = record(at);
            match value {
                Some(value) => rows.insert(key, (Offset(at), value)),
                None => rows.remove(&key),
            };
        }
        base += batch_length(base);
    }
    assert_eq!(base, next, "half a batch is stored");
    rows
}

/// Takes over all shards, checks what is in them, and gives their epochs and lengths.
fn load(client: &mut Client) -> Vec<(Epoch, u64)> {
    let shards = (0..SHARDS).map(|shard| {
        let shard = ShardId(shard as u32);
        let (epoch, Offset(next)) = client.acquire(shard);
        assert_eq!(client.replay(shard, epoch), expected(next));
        (epoch, next)
    });
    shards.collect()
}

/// Not a test of its own: what the killed process runs.
#[test]
fn the_child_appends_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let store = open(folder.as_ref());
    let mut client = Client::new(&store);
    let mut shards = load(&mut client);
    let mut said = stdout().lock();
    writeln!(said).expect("the parent reads");
    for id in (1..).map(BatchId) {
        let lengths: Vec<String> = shards.iter().map(|(_, next)| next.to_string()).collect();
        writeln!(said, "stored {}", lengths.join(" ")).expect("the parent reads");
        let appends = shards.iter_mut().zip(0..).map(|((epoch, next), shard)| {
            let base = *next;
            *next += batch_length(base);
            let records = (base..*next).map(record).collect();
            let batch = Batch { id, epoch: *epoch, base: Offset(base), records };
            Append { shard: ShardId(shard), batches: vec![batch] }
        });
        let outcomes = client.append(appends.collect());
        assert_eq!(outcomes, vec![Outcome::Appended { through: id }; SHARDS as usize]);
    }
}

/// Runs the child, kills it when it has appended so often, and gives the lengths that it found and
/// those that it acknowledged last.
fn run_and_kill(folder: &Path, appends: usize) -> (Vec<u64>, Vec<u64>) {
    let mut child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "the_child_appends_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut stored = lines.map_while(Result::ok).filter_map(|line| {
        let lengths = line.strip_prefix("stored ")?.split(' ');
        lengths.map(|length| length.parse().ok()).collect::<Option<Vec<u64>>>()
    });
    let found = stored.next().expect("the child opens the journal");
    let last = stored.by_ref().take(appends).last();
    child.kill().expect("is killed");
    let last = stored.last().or(last);
    child.wait().expect("has ended");
    (found.clone(), last.unwrap_or(found))
}

#[test]
fn a_process_that_is_killed_keeps_what_it_has_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged = vec![0; SHARDS as usize];
    let mut kept = |found: Vec<u64>, last: Vec<u64>| {
        for (acknowledged, found) in acknowledged.iter().zip(&found) {
            assert!(acknowledged <= found, "{acknowledged} was acknowledged, {found} is stored");
        }
        acknowledged = last;
    };
    for round in 0..ROUNDS {
        let appends = (scattered(round + 1) % 250) as usize;
        let (found, last) = run_and_kill(folder.path(), appends);
        assert!(found.iter().zip(&last).all(|(found, last)| appends == 0 || found < last));
        kept(found, last);
    }
    let store = open(folder.path());
    let found: Vec<u64> = load(&mut Client::new(&store)).iter().map(|(_, next)| *next).collect();
    kept(found.clone(), found);
}
