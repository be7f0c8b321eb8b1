//! What the two embedded databases share: how one is opened and locked, and its one writer thread.
//!
//! A broker keeps two databases, *coordinator and catalog* and *logs*, so that a burst of records
//! does not stall commits. Each has one [`Writer`]: fjall holds its journal's lock while it syncs,
//! so several threads would only queue behind one another. The writer takes what is queued, at
//! most [`MAX_FLUSH_BYTES`], writes it as one batch, syncs once and completes all of it. That is
//! group commit without a linger: a lone operation is written at once.
//!
//! A failed write or sync is never tried again, since the pages may be gone. The writer stops,
//! completes nothing more, and reports a [`Fatal`]; the process has to end.

pub mod codec;
mod open;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use open::{Database, Filters, OpenError, Options};
pub use writer::{Fatal, MAX_FLUSH_BYTES, OnFatal, Operation, Queue, Writer};

/// When an operation counts as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After `fdatasync`: it survives a power failure.
    Sync,
    /// Once the operating system has it: it survives the end of the process, not of the machine.
    Os,
}

/// Wakes the turn that polls a store. Cheap, callable from any thread, and callable too often.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Where one thread's completions wait until its turn takes them.
///
/// The turn is woken when the first completion comes in, not for each. It takes no lock where
/// nothing has come.
pub struct Mailbox<T> {
    items: Mutex<Vec<T>>,
    /// Whether there are any.
    some: AtomicBool,
    wake: Wake,
}

impl<T> Mailbox<T> {
    /// An empty mailbox whose owner is woken by `wake`.
    pub fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self { items: Mutex::default(), some: AtomicBool::new(false), wake })
    }

    /// Adds a completion, and wakes the owner if there was none.
    pub fn push(&self, item: T) {
        let mut items = locked(&self.items);
        items.push(item);
        let first = items.len() == 1;
        // Before the wake, so that the turn which that leads to looks.
        self.some.store(true, Ordering::Release);
        drop(items);
        if first {
            (self.wake)();
        }
    }

    /// Moves what is there, in the order it came, to the end of `out`.
    pub fn take(&self, out: &mut Vec<T>) {
        if !self.some.load(Ordering::Acquire) {
            return;
        }
        let mut items = locked(&self.items);
        self.some.store(false, Ordering::Release);
        out.append(&mut items);
    }
}

/// The guard of a mutex whose data stays whole also if a thread that held it panicked.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
