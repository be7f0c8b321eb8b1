//! Is everything that was acknowledged still there, in order and once, after the process is killed?
//!
//! A child process, which is this test again, writes records and topics as fast as it can and says
//! what was acknowledged. It is killed after a number of these that a seed gives, and started
//! again in the same folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use quorate_io::catalog::{Boot, Catalog, FjallCatalog, Operation as Change, Topic, random_id};
use quorate_io::disk::{Database, Durability, Fatal, Options, Wake, Writer};
use quorate_io::guard::batch::BatchHeader;
use quorate_io::guard::check::check;
use quorate_io::log::contract::{RULES, record_set};
use quorate_io::log::partition::Appended;
use quorate_io::log::{
    Completion, FjallLog, Log, LogOptions, LogStore, Operation, Outcome, Partition, PartitionKey,
    Read, Recovered, TailBudget,
};
use uuid::Uuid;

const FOLDER: &str = "QUORATE_CRASH_FOLDER";
const PARTITIONS: i32 = 3;
const IN_FLIGHT: usize = 20;
const ROUNDS: u64 = 8;
const PRODUCER: i64 = 7;

#[test]
fn what_was_acknowledged_outlives_the_process_that_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = 42_u64;
    let mut acknowledged = BTreeMap::new();
    let mut topics = 0;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let lines = (random >> 33) % 400;
        for line in run_and_kill(folder.path(), lines) {
            match line.split_once(' ') {
                Some(("topic", number)) => topics = number.parse::<u64>().expect("a number") + 1,
                Some((index, last)) => {
                    let last: i64 = last.parse().expect("an offset");
                    acknowledged.insert(index.parse::<i32>().expect("an index"), last);
                }
                None => panic!("{line:?}"),
            }
        }
        let found = topics_found(folder.path());
        assert!(found >= topics, "round {round}: {found} of {topics} topics");
        topics = found;
        for (index, end) in check_log(folder.path(), round) {
            let last = acknowledged.get(&index).copied().unwrap_or(-1);
            assert!(end > last, "round {round}: {index} ends at {end}, {last} was acknowledged");
        }
    }
    assert!(acknowledged.len() == PARTITIONS as usize && topics > 0, "something was written");
}

/// Starts the child, reads that many lines, kills it, and gives all the lines it has written.
fn run_and_kill(folder: &Path, lines: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "a_process_that_writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    // The first line of the child's own is marked, since the harness writes some before it.
    let mut output = output.lines().map(|line| line.expect("text"));
    let begun = output.by_ref().find(|line| line.ends_with("begin"));
    assert!(begun.is_some(), "the child has begun");
    let mut seen: Vec<_> = output.by_ref().take(lines as usize).collect();
    child.kill().expect("it runs");
    seen.extend(output);
    child.wait().expect("it has ended");
    // The last line may have been cut off.
    seen.pop();
    seen
}

#[test]
fn a_process_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    println!("begin");
    let folder = Path::new(&folder);
    let (wake, woken) = wake();
    let (mut catalog, boot, _writer) = open_catalog(folder, Arc::clone(&wake));
    let (log, recovered) = open_log(folder);
    let mut handle = log.handle(wake);
    let mut homes: BTreeMap<_, _> = (0..PARTITIONS)
        .map(|index| (key(index), Partition::new(key(index), 0, TailBudget::new(0))))
        .collect();
    for found in recovered {
        homes.insert(found.partition, Partition::recover(found, 0, TailBudget::new(0)));
    }
    let (mut topic, mut in_flight) = (boot.topics.len() as u64, 0);
    let mut turn = 0;
    catalog.submit(topic, Change::Create(new_topic(topic)));
    loop {
        while in_flight < IN_FLIGHT {
            turn = (turn + 1) % PARTITIONS;
            append(homes.get_mut(&key(turn)).expect("a home"), &mut *handle);
            in_flight += 1;
        }
        woken.recv().expect("the stores keep the wake");
        for last in appended(&mut *handle) {
            in_flight -= 1;
            say(format_args!("{} {}", last.0.index, last.1));
        }
        let mut created = Vec::new();
        catalog.poll(&mut created);
        for _ in created {
            say(format_args!("topic {topic}"));
            topic += 1;
            catalog.submit(topic, Change::Create(new_topic(topic)));
        }
    }
}

/// Writes a line at once; what the reader does not see was not acknowledged.
fn say(line: std::fmt::Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    // The parent is gone when this fails, and the child with it.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Appends a batch whose sequence number is its offset.
fn append(home: &mut Partition, log: &mut dyn Log) {
    let offset = home.end();
    let value = vec![offset as u8; 100 + offset as usize % 3000];
    let set = record_set(&[&value], 0, (PRODUCER, 0), offset as i32);
    let checked = check(&set, &RULES).expect("a good batch");
    let appended = home.append(0, &checked, 0);
    let Ok(Appended::New(batch)) = appended else { panic!("{appended:?}") };
    log.submit(0, Operation::Append { partition: home.key(), batch });
    if offset % 50 == 0 {
        let snapshot = home.snapshot(true).expect("something is new");
        log.submit(1, snapshot);
    }
}

fn appended(log: &mut dyn Log) -> Vec<(PartitionKey, i64)> {
    let mut completed = Vec::new();
    log.poll(&mut completed);
    let appended = completed.into_iter().filter_map(|Completion { outcome, .. }| match outcome {
        Outcome::Appended { partition, last } => Some((partition, last)),
        Outcome::Done => None,
        other => panic!("{other:?}"),
    });
    appended.collect()
}

fn topics_found(folder: &Path) -> u64 {
    let (_catalog, boot, _writer) = open_catalog(folder, Arc::new(|| {}));
    boot.topics.len() as u64
}

/// Checks that each partition is whole, and gives their ends.
fn check_log(folder: &Path, round: u64) -> BTreeMap<i32, i64> {
    let (log, recovered) = open_log(folder);
    let (wake, woken) = wake();
    let mut handle = log.handle(wake);
    let mut ends = BTreeMap::new();
    for found in recovered {
        let (partition, end) = (found.partition, found.end);
        let read = Read { partition, offset: 0, end, max_bytes: usize::MAX, min_one: true };
        handle.submit(0, Operation::Read(read));
        let mut completed = Vec::new();
        while completed.is_empty() {
            woken.recv().expect("the store keeps the wake");
            handle.poll(&mut completed);
        }
        let Outcome::Read(batches) = &completed[0].outcome else { panic!("{completed:?}") };
        let headers = batches.iter().map(|batch| BatchHeader::parse(batch).expect("a header"));
        let offsets: Vec<_> = headers.map(|header| header.base_offset).collect();
        assert_eq!(offsets, (0..end).collect::<Vec<_>>(), "round {round}, {partition:?}");
        let mut home = Partition::recover(found, 0, TailBudget::new(0));
        if end > 0 {
            let last = &batches[batches.len() - 1];
            let sequence = (end - 1) as i32;
            let value = vec![sequence as u8; 100 + sequence as usize % 3000];
            let set = record_set(&[&value], 0, (PRODUCER, 0), sequence);
            assert_eq!(last[16..], set[16..]);
            let again = home.append(0, &check(&set, &RULES).expect("a good batch"), 0);
            assert!(matches!(again, Ok(Appended::Repeated(_))), "round {round}: {again:?}");
        }
        ends.insert(partition.index, end);
    }
    ends
}

fn wake() -> (Wake, Receiver<()>) {
    let (sender, receiver): (Sender<()>, _) = mpsc::channel();
    // One that comes after the last look is nobody's.
    (Arc::new(move || _ = sender.send(())), receiver)
}

fn key(index: i32) -> PartitionKey {
    PartitionKey { topic_id: Uuid::from_u128(1), index }
}

fn new_topic(number: u64) -> Topic {
    let mut bytes = number.to_be_bytes().into_iter().cycle();
    let id = random_id(&mut |id| id.fill_with(|| bytes.next().unwrap_or_default()));
    let (name, configs) = (format!("topic-{number}").into(), BTreeMap::new());
    Topic { name, id, partitions: 1, configs, internal: false }
}

fn open_catalog(folder: &Path, wake: Wake) -> (FjallCatalog, Boot, Writer) {
    let options = Options::coordinator(Durability::Sync);
    let database = Database::open(&folder.join("catalog"), options).expect("opens");
    let fatal = Arc::new(|fatal: Fatal| panic!("{fatal}"));
    let writer = Writer::start(database.clone(), fatal).expect("starts");
    let entropy = &mut |bytes: &mut [u8]| bytes.fill(1);
    let (catalog, boot) =
        FjallCatalog::open(&database, writer.queue(), entropy, wake).expect("opens");
    (catalog, boot, writer)
}

fn open_log(folder: &Path) -> (FjallLog, Vec<Recovered>) {
    let options = LogOptions { durability: Durability::Os, readers: 1 };
    let live = BTreeSet::from([Uuid::from_u128(1)]);
    let fatal = Arc::new(|fatal: Fatal| panic!("{fatal}"));
    FjallLog::open(&folder.join("logs"), options, &live, 0, fatal).expect("opens")
}
