//! CPU time of a process or a thread as what criterion measures, in nanoseconds.

use std::fs;
use std::path::{Path, PathBuf};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Whose CPU time is measured: user and system, as the scheduler counts it.
#[derive(Clone, Debug)]
pub enum Cpu {
    /// All threads of a process; one that ends takes its time with it, and none of the broker does.
    Process(u32),
    /// A thread, by its folder below `/proc`.
    Thread(PathBuf),
}

impl Cpu {
    /// What is used while something is done.
    pub fn of(&self, done: impl FnOnce()) -> u64 {
        let start = self.start();
        done();
        self.end(start)
    }

    fn used(&self) -> u64 {
        match self {
            Cpu::Process(id) => {
                let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("the process runs");
                tasks.map(|task| of_task(&task.expect("a task").path())).sum()
            }
            Cpu::Thread(task) => of_task(task),
        }
    }
}

fn of_task(task: &Path) -> u64 {
    let stat = fs::read_to_string(task.join("schedstat")).expect("the task runs");
    let used = stat.split(' ').next().and_then(|used| used.parse().ok());
    used.expect("the first number is the time on a processor")
}

impl Measurement for Cpu {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        self.used()
    }

    fn end(&self, start: u64) -> u64 {
        self.used() - start
    }

    fn add(&self, one: &u64, other: &u64) -> u64 {
        one + other
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
