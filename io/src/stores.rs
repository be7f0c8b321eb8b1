//! Opening the stores of a broker: in memory, or in a data folder.
//!
//! Decided here: a data folder has two databases, `coordinator` (with the catalog) and `logs`, so
//! that a burst of records does not delay commits.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::broker::{Alarm, Stores};
use crate::catalog::{Boot, FjallCatalog, MemoryCatalog};
use crate::cli;
use crate::core_thread::Entropy;
use crate::disk::{Database, Durability, OnFatal, OpenError, Options, Writer};
use crate::journal::{FjallJournal, Folding, MemoryJournal};
use crate::log::{FjallLog, LogOptions, LogStore, MemoryLog};

/// Block cache of the coordinator's database: it is read at start only.
const COORDINATOR_CACHE_BYTES: u64 = 1 << 20;
const COORDINATOR_CACHED_FILES: usize = 16;
/// Threads that read records which are not in memory any more.
const LOG_READERS: usize = 2;

/// Stores that are gone with the process: for `--ephemeral`, tests and simulation. A clone that is
/// [`open`](Self::open)ed again has what was stored.
#[derive(Clone, Default)]
pub struct Memory {
    journal: MemoryJournal,
    catalog: MemoryCatalog,
    log: MemoryLog,
}

impl Memory {
    /// Opens them, as a broker does when it starts.
    #[must_use]
    pub fn open(&self, entropy: &Entropy) -> Stores {
        let (catalog, boot) = self.catalog.open(&mut |bytes| entropy(bytes));
        let partitions = self.log.open(&live(&boot), boot.leader_epoch);
        Stores {
            journal: Arc::new(self.journal.clone()),
            catalog,
            boot,
            log: Arc::new(self.log.clone()),
            partitions,
            folder: None,
            alarm: Alarm::default(),
            sync: Box::new(|| Ok(())),
            keep: Box::new(()),
            tap: None,
        }
    }
}

/// Opens the stores in a data folder, which is made if it is not there. `on_fatal` is told when a
/// store can no longer write; the process has to end then.
pub fn open_folder(
    folder: &Path,
    durability: cli::Durability,
    entropy: &Entropy,
    on_fatal: &OnFatal,
) -> Result<Stores, OpenError> {
    let durability = match durability {
        cli::Durability::Sync => Durability::Sync,
        cli::Durability::Os => Durability::Os,
    };
    let options = Options {
        durability,
        cache_bytes: COORDINATOR_CACHE_BYTES,
        cached_files: COORDINATOR_CACHED_FILES,
        filters: None,
    };
    let database = Database::open(&folder.join("coordinator"), options)?;
    let writer = Writer::start(database.clone(), Arc::clone(on_fatal))
        .map_err(|error| database.failed(error.into()))?;
    let fatal = Arc::clone(on_fatal);
    let journal = FjallJournal::open(&database, writer.queue(), Folding::default(), fatal)?;
    let alarm = Alarm::default();
    let mut random = |bytes: &mut [u8]| entropy(bytes);
    let (catalog, boot) = FjallCatalog::open(&database, writer.queue(), &mut random, alarm.wake())?;
    let options = LogOptions { durability, readers: LOG_READERS };
    let (logs, fatal) = (folder.join("logs"), Arc::clone(on_fatal));
    let (log, partitions) = FjallLog::open(&logs, options, &live(&boot), boot.leader_epoch, fatal)?;
    let log: Arc<dyn LogStore> = Arc::new(log);
    let last_of_log = Arc::clone(&log);
    Ok(Stores {
        journal: Arc::new(journal),
        catalog: Box::new(catalog),
        boot,
        log,
        partitions,
        folder: Some(folder.canonicalize().unwrap_or_else(|_| folder.to_owned())),
        alarm,
        sync: Box::new(move || {
            // Ends its writer, which writes what is queued and syncs; a failure there is fatal.
            drop(last_of_log);
            database.sync().map_err(|error| error.to_string())
        }),
        keep: Box::new(writer),
        tap: None,
    })
}

fn live(boot: &Boot) -> BTreeSet<Uuid> {
    boot.topics.iter().map(|topic| topic.id).collect()
}
