//! The logs that there are, through the contract, and what only the one on disk can do.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::contract::contract;
use super::{FjallLog, LogOptions, LogStore, MemoryLog, Recovered};
use crate::disk::{Durability, Fatal, OpenError};

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
