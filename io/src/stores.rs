//! Opening the stores of a broker: in memory, or in a data folder.

use std::sync::Arc;

use crate::broker::{Alarm, Stores};
use crate::catalog::MemoryCatalog;
use crate::core_thread::Entropy;
use crate::journal::memory::MemoryJournal;

/// Stores that are gone with the process: for `--ephemeral`, tests and simulation. A clone that is
/// [`open`](Self::open)ed again has what was stored.
#[derive(Clone, Default)]
pub struct Memory {
    journal: MemoryJournal,
    catalog: MemoryCatalog,
}

impl Memory {
    /// Opens them, as a broker does when it starts.
    #[must_use]
    pub fn open(&self, entropy: &Entropy) -> Stores {
        let (catalog, boot) = self.catalog.open(&mut |bytes| entropy(bytes));
        Stores {
            journal: Arc::new(self.journal.clone()),
            catalog,
            boot,
            alarm: Alarm::default(),
            sync: Box::new(|| Ok(())),
        }
    }
}
