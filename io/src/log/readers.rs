//! A few threads that do the reading of the log, so that no core thread waits for a disk.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::disk::locked;

/// Something to be read. It reports by itself.
pub type Job = Box<dyn FnOnce() + Send>;

/// The threads. Dropping it drops what they have not begun, and ends them.
pub struct Readers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Where jobs are put. Clones share one queue.
#[derive(Clone)]
pub struct Jobs {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    queued: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Readers {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let mut readers = Self { shared: Arc::default(), threads: Vec::new() };
        for number in 0..count.max(1) {
            let shared = Arc::clone(&readers.shared);
            let name = format!("reader-{number}");
            readers.threads.push(thread::Builder::new().name(name).spawn(move || run(&shared))?);
        }
        Ok(readers)
    }

    /// Where to put jobs.
    pub fn jobs(&self) -> Jobs {
        Jobs { shared: Arc::clone(&self.shared) }
    }
}

impl Jobs {
    /// Queues a job; never blocks. After the readers have ended it is dropped.
    pub fn submit(&self, job: Job) {
        let mut state = locked(&self.shared.state);
        if state.closed {
            return;
        }
        state.jobs.push_back(job);
        drop(state);
        self.shared.queued.notify_one();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let mut state = locked(&self.shared.state);
        state.closed = true;
        let dropped = std::mem::take(&mut state.jobs);
        drop(state);
        drop(dropped);
        self.shared.queued.notify_all();
        for thread in self.threads.drain(..) {
            // A job's panic does not reach its thread.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    while let Some(job) = next(shared) {
        // A job that panics has reported by being dropped; the next reader goes on.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

fn next(shared: &Shared) -> Option<Job> {
    let mut state = locked(&shared.state);
    loop {
        if state.closed {
            return None;
        }
        if let Some(job) = state.jobs.pop_front() {
            return Some(job);
        }
        state = shared.queued.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}
