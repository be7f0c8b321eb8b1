//! The logs that there are, through the contract, and what only the one on disk can do.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use uuid::Uuid;

use super::contract::{RULES, contract, record_set};
use super::partition::Appended;
use super::{
    FjallLog, Log, LogOptions, LogStore, MemoryLog, Operation, Outcome, Partition, PartitionKey,
    Read, Recovered, TailBudget,
};
use crate::disk::{Durability, Fatal, OpenError};
use crate::guard::batch::{BatchHeader, HEADER_BYTES};
use crate::guard::check::check;
use crate::guard::record::Records;

fn open(
    folder: &Path,
    live: &BTreeSet<Uuid>,
    epoch: i32,
) -> Result<(FjallLog, Vec<Recovered>), OpenError> {
    let options = LogOptions { durability: Durability::Sync, readers: 2 };
    FjallLog::open(folder, options, live, epoch, Arc::new(|fatal: Fatal| panic!("{fatal}")))
}

#[test]
fn the_log_in_memory_keeps_the_contract() {
    let log = MemoryLog::default();
    contract(|live, epoch| {
        let recovered = log.open(live, epoch);
        (Box::new(log.clone()), recovered)
    });
}

#[test]
fn the_log_on_disk_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    contract(|live, epoch| {
        let (log, recovered) = open(folder.path(), live, epoch).expect("opens");
        (Box::new(log) as Box<dyn LogStore>, recovered)
    });
}

#[test]
fn a_log_that_is_open_is_refused_as_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let _log = open(folder.path(), &BTreeSet::new(), 0).expect("opens");
    let refused = open(folder.path(), &BTreeSet::new(), 0).map(|_| ());
    assert!(matches!(refused, Err(OpenError::DataInUse { .. })), "{refused:?}");
}

/// A log on disk with a handle, and the homes of partitions in it.
struct OnDisk {
    handle: Box<dyn Log>,
    woken: Receiver<()>,
    homes: Vec<Partition>,
    // Last, so that it is dropped after the handle.
    log: FjallLog,
}

impl OnDisk {
    fn open(folder: &Path) -> Self {
        let live: BTreeSet<Uuid> = (0..4).map(Uuid::from_u128).collect();
        let (log, recovered) = open(folder, &live, 0).expect("opens");
        let (wake, woken) = mpsc::channel();
        let handle = log.handle(Arc::new(move || {
            // One that comes after the test has looked for the last time is nobody's.
            let _ = wake.send(());
        }));
        let budget = TailBudget::new(0);
        let mut homes: Vec<_> = recovered
            .into_iter()
            .map(|found| Partition::recover(found, 0, budget.clone()))
            .collect();
        for id in homes.len() as u128..4 {
            let key = PartitionKey { topic_id: Uuid::from_u128(id), index: 0 };
            homes.push(Partition::new(key, 0, budget.clone()));
        }
        Self { handle, woken, homes, log }
    }

    fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        let mut completed = Vec::new();
        self.handle.poll(&mut completed);
        while completed.len() < count {
            self.woken.recv().expect("the store keeps the wake");
            self.handle.poll(&mut completed);
        }
        completed.into_iter().map(|completion| completion.outcome).collect()
    }

    /// Appends megabytes to each of the homes, in turns.
    fn fill(&mut self, megabytes: i64) {
        for _ in 0..8 * megabytes {
            for home in &mut self.homes {
                let set = record_set(&[&value(home.end())], 0, (-1, -1), -1);
                let checked = check(&set, &RULES).expect("a good batch");
                let appended = home.append(0, &checked, 0).expect("no producer");
                let Appended::New(batch) = appended else { panic!("{appended:?}") };
                self.handle.submit(0, Operation::Append { partition: home.key(), batch });
            }
        }
        self.outcomes(8 * megabytes as usize * self.homes.len());
        for home in &mut self.homes {
            home.appended(home.end() - 1);
        }
    }

    fn truncate(&mut self, home: usize, start: i64) {
        let truncate = self.homes[home].truncate_before(start).expect("in range");
        self.handle.submit(0, truncate.expect("it moves"));
        assert_eq!(self.outcomes(1), [Outcome::Done]);
    }

    /// Reads a partition from its start to its end, and checks each batch.
    fn check(&mut self, home: usize) {
        let (partition, end) = (self.homes[home].key(), self.homes[home].end());
        let mut offset = self.homes[home].start();
        while offset < end {
            let read = Read { partition, offset, end, max_bytes: 1, min_one: true };
            self.handle.submit(0, Operation::Read(read));
            let outcome = self.outcomes(1).remove(0);
            let Outcome::Read(batches) = &outcome else { panic!("{outcome:?}") };
            let header = BatchHeader::parse(&batches[0]).expect("a header");
            assert_eq!(header.base_offset, offset);
            let mut records = Records::new(&header, &batches[0][HEADER_BYTES..]);
            let record = records.next().expect("one").expect("whole");
            assert_eq!(record.value, Some(&value(offset)[..]));
            offset += 1;
        }
    }
}

/// 128 KiB that only the record of this offset has.
fn value(offset: i64) -> Vec<u8> {
    offset.to_be_bytes().repeat(1 << 14)
}

#[test]
fn the_space_of_what_was_truncated_or_deleted_is_given_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = OnDisk::open(folder.path());
    disk.fill(20);
    disk.log.compact().expect("compacts");
    let full = disk.log.records_bytes();
    assert!(full > 80 << 20, "{full}");
    let end = disk.homes[0].end();
    disk.truncate(0, end - 1);
    for id in [1, 2] {
        disk.handle.submit(0, Operation::Delete { topic_id: Uuid::from_u128(id) });
    }
    assert_eq!(disk.outcomes(2), [Outcome::Done, Outcome::Done]);
    disk.log.compact().expect("compacts");
    let left = disk.log.records_bytes();
    assert!((20 << 20..24 << 20).contains(&left), "{left}");
    disk.check(0);
    disk.check(3);
}

#[test]
fn records_outlive_the_compaction_of_those_around_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = OnDisk::open(folder.path());
    for round in 0..5 {
        disk.fill(6);
        for home in 0..3 {
            let (start, end) = (disk.homes[home].start(), disk.homes[home].end());
            disk.truncate(home, end - (end - start) / (2 + home as i64));
        }
        disk.log.compact().expect("compacts");
        if round % 2 == 1 {
            drop(disk);
            disk = OnDisk::open(folder.path());
        }
        for home in 0..4 {
            disk.check(home);
        }
    }
    let starts: Vec<_> = disk.homes.iter().map(|home| (home.start(), home.end())).collect();
    assert_eq!(starts[3], (0, 240));
}
