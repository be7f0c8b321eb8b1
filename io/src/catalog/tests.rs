//! The catalogs that there are, through the contract, and what only the one on disk can do.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Database, Durability, Fatal, OpenError, Options, Wake, Writer};

use super::contract::contract;
use super::{Boot, Catalog, Completion, FORMAT, FjallCatalog, MemoryCatalog, Operation};

/// A catalog on disk with the writer that it needs; the writer ends after it.
struct OnDisk {
    catalog: FjallCatalog,
    _writer: Writer,
}

impl Catalog for OnDisk {
    fn submit(&mut self, token: u64, operation: Operation) {
        self.catalog.submit(token, operation);
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        self.catalog.poll(out);
    }
}

fn database(folder: &Path, durability: Durability) -> Database {
    Database::open(folder, Options::coordinator(durability)).expect("opens")
}

fn open(folder: &Path, durability: Durability, wake: Wake) -> (Box<dyn Catalog>, Boot) {
    let database = database(folder, durability);
    let on_fatal = Arc::new(|fatal: Fatal| panic!("{fatal}"));
    let writer = Writer::start(database.clone(), on_fatal).expect("starts");
    let entropy = &mut |bytes: &mut [u8]| bytes.fill(5);
    let (catalog, boot) =
        FjallCatalog::open(&database, writer.queue(), entropy, wake).expect("opens");
    (Box::new(OnDisk { catalog, _writer: writer }), boot)
}

#[test]
fn the_catalog_in_memory_keeps_the_contract() {
    let catalog = MemoryCatalog::default();
    contract(|_| catalog.open(&mut |bytes| bytes.fill(5)));
}

#[test]
fn the_catalog_on_disk_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    contract(|wake| open(folder.path(), Durability::Sync, wake));
}

#[test]
fn the_leader_epoch_rises_only_when_acknowledged_records_may_be_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let epoch_of = |durability| open(folder.path(), durability, Arc::new(|| {})).1.leader_epoch;
    assert_eq!(epoch_of(Durability::Sync), 0);
    assert_eq!(epoch_of(Durability::Os), 0, "after a run that synced");
    assert_eq!(epoch_of(Durability::Os), 1, "after a run that did not sync");
    let (mut catalog, boot) = open(folder.path(), Durability::Os, Arc::new(|| {}));
    assert_eq!(boot.leader_epoch, 2);
    catalog.submit(1, Operation::CleanStop);
    drop(catalog);
    assert_eq!(epoch_of(Durability::Sync), 2, "after a clean stop");
}

#[test]
fn a_format_from_the_future_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path(), Durability::Sync, Arc::new(|| {})));
    let database = database(folder.path(), Durability::Sync);
    let rows = database.keyspace("catalog", Default::default()).expect("opens");
    rows.insert("format", 7_i64.to_be_bytes()).expect("written");
    let on_fatal = Arc::new(|fatal: Fatal| panic!("{fatal}"));
    let writer = Writer::start(database.clone(), on_fatal).expect("starts");
    let entropy = &mut |bytes: &mut [u8]| bytes.fill(5);
    let refused = FjallCatalog::open(&database, writer.queue(), entropy, Arc::new(|| {}));
    match refused.map(|_| ()) {
        Err(OpenError::NewerFormat { found: 7, known: FORMAT, .. }) => {}
        other => panic!("{other:?}"),
    }
}
