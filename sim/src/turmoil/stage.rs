//! What all hosts of a run share: the time, and who hears what happens.
//!
//! Decided here: the time of an event is that of the tick in which it happens, so that times never
//! go back although hosts run one after the other; within a tick the order of events counts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_core::Shard;

use crate::event::What;
use crate::recorder::Recorder;

/// How far a step of the simulation of a seed goes: messages are delivered at its edges, so a few
/// runs take the finer one, which costs more.
pub(crate) fn tick(seed: u64) -> Duration {
    Duration::from_millis(if seed % 20 == 7 { 1 } else { 10 })
}

/// See the module. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Mutex<Inner>>);

struct Inner {
    recorder: Option<Recorder>,
    at: Duration,
    tick: Duration,
    loads: u64,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

impl Stage {
    pub fn new(recorder: Recorder, tick: Duration) -> Stage {
        let inner = Inner { recorder: Some(recorder), at: Duration::ZERO, tick, loads: 0 };
        Stage(Arc::new(Mutex::new(inner)))
    }

    /// When the present tick began.
    pub fn at(&self) -> Duration {
        self.inner().at
    }

    /// When it ends.
    pub fn next(&self) -> Duration {
        let inner = self.inner();
        inner.at + inner.tick
    }

    /// The next tick begins.
    pub fn advance(&self) {
        let mut inner = self.inner();
        let tick = inner.tick;
        inner.at += tick;
    }

    /// Something happened that is not a shard's own.
    pub fn see(&self, what: What) {
        let mut inner = self.inner();
        let at = inner.at;
        if let Some(recorder) = &mut inner.recorder {
            recorder.see(at, what);
        }
    }

    /// A shard was loaded or took a step.
    pub fn see_shard(&self, what: What, shard: &Shard) {
        let mut inner = self.inner();
        let at = inner.at;
        if let Some(recorder) = &mut inner.recorder {
            recorder.see_shard(at, what, shard);
        }
    }

    /// The number of the next load.
    pub fn next_load(&self) -> u64 {
        let mut inner = self.inner();
        inner.loads += 1;
        inner.loads
    }

    /// The code under test has failed outside of a shard.
    pub fn crashed(&self, message: String) {
        if let Some(recorder) = &mut self.inner().recorder {
            recorder.crashed(message);
        }
    }

    /// Whether the run need not go on.
    pub fn has_failed(&self) -> bool {
        self.inner().recorder.as_ref().is_some_and(Recorder::has_failed)
    }

    /// The recorder, when the run is over: nothing is heard any more.
    pub fn close(&self) -> Recorder {
        self.inner().recorder.take().expect("a run ends once")
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("a run is single threaded, and over once it has panicked")
    }
}
