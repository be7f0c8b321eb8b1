//! `quorate-sim farm`: random seeds for a while.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use quorate_io::clock::Clock;
use quorate_sim::report;
use quorate_sim::suite::{Suite, run_seeds};

use crate::bar;

/// Runs seeds, tells of those that fail, and keeps their plans and traces in a folder.
pub fn farm(suite: Suite, minutes: u64, keep: &Path, from: Option<u64>) -> ExitCode {
    let clock = Clock::system();
    let until = clock.mono() + Duration::from_secs(minutes * 60);
    let first = from.unwrap_or_else(|| clock.now().wall.0.unsigned_abs() << 20);
    let bar = bar(None);
    let (mut next, mut failed, mut events, mut runs) = (first, 0, 0, 0);
    while clock.mono() < until {
        let summary = run_seeds(suite, next..next + 64, |seed, outcome| {
            bar.inc(1);
            if let Some(failure) = &outcome.failure {
                bar.println(format!("{seed:#x} {}", failure.id()));
                if let Err(error) = report::keep(keep, suite, seed, outcome) {
                    bar.println(format!("{seed:#x} could not be kept: {error}"));
                }
            }
            false
        });
        next += 64;
        failed += summary.failures.len();
        events += summary.events;
        runs += summary.runs;
        bar.set_message(format!("{failed} failed"));
    }
    bar.finish_and_clear();
    let seconds = clock.mono().since_start().as_secs().max(1);
    println!(
        "{runs} seeds from {first:#x}, {failed} failed; {} seeds and {} events a second",
        runs / seconds,
        events / seconds
    );
    ExitCode::from(u8::from(failed > 0))
}
