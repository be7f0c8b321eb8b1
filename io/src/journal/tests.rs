//! The journals that there are, through the contract.

use super::contract::contract;
use super::{JournalStore, MemoryJournal};

#[test]
fn the_journal_in_memory_keeps_the_contract() {
    contract(|| {
        let journal = MemoryJournal::new();
        move || -> Box<dyn JournalStore> { Box::new(journal.clone()) }
    });
}
