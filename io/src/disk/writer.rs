//! The writer thread of a database: what is queued goes into one batch and one sync.

use std::any::Any;
use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use fjall::OwnedWriteBatch;

use super::{Database, locked};

/// Bytes that go into one batch and one sync; one operation that is larger goes alone.
pub const MAX_FLUSH_BYTES: usize = 4 << 20;

/// Something to be written, in the order it was queued.
pub trait Operation: Send {
    /// About how many bytes [`write`](Self::write) adds.
    fn bytes(&self) -> usize;

    /// Adds to the batch. Runs on the writer thread, so it may read the database, where it does
    /// not see what operations before it in the same batch have added. An error is fatal.
    fn write(&mut self, batch: &mut OwnedWriteBatch) -> fjall::Result<()>;

    /// Called once, when what was added is durable.
    fn written(self: Box<Self>);
}

/// What ends a writer, and has to end the process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "writing to {} failed: {cause}. What was acknowledged is kept, what was not may be lost. \
     Check the disk (space, health), then start again", folder.display()
)]
pub struct Fatal {
    /// The database's folder.
    pub folder: PathBuf,
    /// What the database or the operating system says.
    pub cause: String,
}

/// Told once when a writer, or a reader of its database, fails. Ends the process with the message.
pub type OnFatal = Arc<dyn Fn(Fatal) + Send + Sync>;

/// Where operations for a writer are put. Clones share one queue.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

impl Queue {
    /// Queues an operation; never blocks. After the writer has stopped or failed the operation is
    /// dropped, and never completes.
    pub fn submit(&self, operation: Box<dyn Operation>) {
        let mut state = locked(&self.shared.state);
        if state.closed {
            return;
        }
        state.bytes += operation.bytes();
        state.operations.push_back(operation);
        drop(state);
        self.shared.queued.notify_one();
    }

    /// Bytes that are queued and not yet being written, so that a caller can slow down.
    pub fn queued_bytes(&self) -> usize {
        locked(&self.shared.state).bytes
    }
}

struct Shared {
    state: Mutex<State>,
    queued: Condvar,
}

#[derive(Default)]
struct State {
    operations: VecDeque<Box<dyn Operation>>,
    bytes: usize,
    closed: bool,
}

/// The writer thread of one database. Dropping it writes what is queued, syncs, and ends it.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `on_fatal` is called from it, at most once.
    pub fn start(database: Database, on_fatal: OnFatal) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), queued: Condvar::new() });
        let name = database.folder().file_name().unwrap_or_default().to_string_lossy();
        let thread = thread::Builder::new().name(format!("writer-{name}")).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &database, &on_fatal)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Where to put operations.
    pub fn queue(&self) -> Queue {
        Queue { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        locked(&self.shared.state).closed = true;
        self.shared.queued.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread reports its own panics as fatal.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, database: &Database, on_fatal: &OnFatal) {
    let mut operations = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        while next(shared, &mut operations) {
            flush(database, &mut operations)?;
        }
        database.sync()
    }));
    let cause = match result {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("the writer panicked: {}", panic_message(&*panic)),
    };
    // The process ends with this. What is queued is dropped only after, for who asked hears of that
    // and would answer and tell of a failure that is not its own.
    on_fatal(Fatal { folder: database.folder().to_owned(), cause });
    let mut state = locked(&shared.state);
    state.closed = true;
    let dropped = mem::take(&mut state.operations);
    drop(state);
    drop((operations, dropped));
}

/// Waits for operations and takes a flush of them; false when the queue is closed and empty.
fn next(shared: &Shared, taken: &mut Vec<Box<dyn Operation>>) -> bool {
    let mut state = locked(&shared.state);
    while state.operations.is_empty() {
        if state.closed {
            return false;
        }
        state = shared.queued.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let mut bytes = 0;
    while let Some(operation) = state.operations.front() {
        let more = operation.bytes();
        if bytes + more > MAX_FLUSH_BYTES && !taken.is_empty() {
            break;
        }
        bytes += more;
        taken.extend(state.operations.pop_front());
    }
    state.bytes -= bytes;
    true
}

fn flush(database: &Database, operations: &mut Vec<Box<dyn Operation>>) -> fjall::Result<()> {
    let mut batch = database.batch();
    for operation in &mut *operations {
        operation.write(&mut batch)?;
    }
    batch.commit()?;
    for operation in operations.drain(..) {
        operation.written();
    }
    Ok(())
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
