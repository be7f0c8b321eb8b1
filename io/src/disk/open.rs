//! Opening a database: its folder, its lock, and how much memory it may keep.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::compaction::filter::Factory;
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Durability;

/// Threads that flush and compact, for each database.
///
/// The first one only flushes, and passes compactions on: of two it would do nothing else for as
/// long as the other one compacts, and so take a core. A single one can wait for itself.
const WORKER_THREADS: usize = 3;
/// Bytes of journal after which keyspaces that are seldom written are flushed too, so that a start
/// has no more than that to read again.
const JOURNAL_BYTES: u64 = 128 << 20;

/// Gives the compaction filter of the keyspace of that name, if it has one.
pub type Filters = Arc<dyn Fn(&str) -> Option<Arc<dyn Factory>> + Send + Sync>;

/// How a database is opened.
pub struct Options {
    /// When an operation counts as stored.
    pub durability: Durability,
    /// Bytes of the block cache.
    pub cache_bytes: u64,
    /// Files kept open.
    pub cached_files: usize,
    /// Compaction filters by keyspace.
    pub filters: Option<Filters>,
}

impl Options {
    /// Those of the database of coordinator and catalog, which is small.
    pub fn coordinator(durability: Durability) -> Self {
        Self { durability, cache_bytes: 4 << 20, cached_files: 64, filters: None }
    }
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error(
        "the data in {} is in use by another process; stop it, or choose another data folder",
        folder.display()
    )]
    DataInUse {
        /// The database's folder.
        folder: PathBuf,
    },
    /// What is stored there was written by a later version.
    #[error(
        "the data in {} has format {found}, this version reads up to {known}; \
         start a newer version on it, or choose another data folder", folder.display()
    )]
    NewerFormat {
        /// The database's folder.
        folder: PathBuf,
        /// The format number found.
        found: u32,
        /// The newest format number this version reads.
        known: u32,
    },
    /// A row cannot be decoded.
    #[error("the data in {} is damaged: {what}; restore it from a copy", folder.display())]
    Damaged {
        /// The database's folder.
        folder: PathBuf,
        /// Which row, and what is wrong with it.
        what: String,
    },
    /// The folder cannot be read or written.
    #[error(
        "cannot open the data in {}: {source}. Check that it is a folder which may be written, and \
         the disk (space, health), or choose another with --data", folder.display()
    )]
    Failed {
        /// The database's folder.
        folder: PathBuf,
        /// What the database or the operating system says.
        source: fjall::Error,
    },
}

/// An open database. Its folder is locked until the last clone of it, and of its keyspaces, is
/// dropped.
#[derive(Clone)]
pub struct Database {
    db: fjall::Database,
    folder: Arc<PathBuf>,
    durability: Durability,
}

impl Database {
    /// Opens the database in `folder`, which is made if it is not there.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let failed = |source| failed(folder, source);
        discard_unfinished(folder).map_err(|e| failed(e.into()))?;
        let mut builder = fjall::Database::builder(folder)
            .cache_size(options.cache_bytes)
            .max_cached_files(Some(options.cached_files))
            .worker_threads(WORKER_THREADS)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true);
        if let Some(filters) = options.filters {
            builder = builder.with_compaction_filter_factories(filters);
        }
        let db = builder.open().map_err(failed)?;
        Ok(Self { db, folder: Arc::new(folder.to_owned()), durability: options.durability })
    }

    /// Opens a keyspace, which is made with `options` if it is not there.
    pub fn keyspace(
        &self,
        name: &str,
        options: KeyspaceCreateOptions,
    ) -> Result<Keyspace, OpenError> {
        self.db.keyspace(name, || options).map_err(|source| failed(&self.folder, source))
    }

    /// The folder it is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// When an operation counts as stored.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// A view of all keyspaces at this moment, which holds whole batches only. Old rows are kept
    /// for as long as it lives.
    pub fn snapshot(&self) -> fjall::Snapshot {
        self.db.snapshot()
    }

    /// An empty batch that is as durable as the database, once committed.
    pub fn batch(&self) -> fjall::OwnedWriteBatch {
        self.db.batch().durability(Some(match self.durability {
            Durability::Sync => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
        }))
    }

    /// Commits a batch outside of the writer thread: at start, before there is one.
    pub fn commit(&self, batch: fjall::OwnedWriteBatch) -> Result<(), OpenError> {
        batch.commit().map_err(|source| failed(&self.folder, source))
    }

    /// Makes everything written so far survive a power failure.
    pub fn sync(&self) -> fjall::Result<()> {
        self.db.persist(PersistMode::SyncAll)
    }

    /// A failure to read while opening.
    pub fn failed(&self, source: fjall::Error) -> OpenError {
        failed(&self.folder, source)
    }

    /// A row that cannot be decoded.
    pub fn damaged(&self, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { folder: self.folder.to_path_buf(), what: what.into() }
    }
}

fn failed(folder: &Path, source: fjall::Error) -> OpenError {
    match source {
        fjall::Error::Locked => OpenError::DataInUse { folder: folder.to_owned() },
        source => OpenError::Failed { folder: folder.to_owned(), source },
    }
}

/// Removes what a first start left that was killed before fjall's version marker was complete.
///
/// fjall can neither create nor recover such a folder. It makes keyspaces after the marker, so
/// where there is any, nothing is removed.
fn discard_unfinished(folder: &Path) -> io::Result<()> {
    let [journal, version, keyspaces, lock] =
        ["0.jnl", "version", "keyspaces", "lock"].map(|name| folder.join(name));
    let finished = fs::metadata(&version).is_ok_and(|marker| marker.len() > 0);
    let used = fs::read_dir(&keyspaces).is_ok_and(|mut folders| folders.next().is_some());
    if finished || used || !journal.try_exists()? {
        return Ok(());
    }
    let lock = fs::OpenOptions::new().write(true).create(true).truncate(false).open(lock)?;
    match lock.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Ok(()),
        Err(fs::TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    fs::remove_file(journal)?;
    if version.try_exists()? {
        fs::remove_file(version)?;
    }
    Ok(())
}
