//! The clocks of a broker: neither need be right.
//!
//! Decided here: the monotonic clock runs fast or slow at a constant rate and never stops; the
//! wall clock can jump and stand still. A process that starts again goes on with both.

use std::time::Duration;

use quorate_core::{Instant, Now, WallTime};

use crate::plan::NodeSpec;

/// What the wall clock of the world shows at the start: some day in 2026.
const START: i64 = 1_780_000_000_000;
const MILLION: i128 = 1_000_000;

/// Two clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clock {
    ppm: i128,
    wall_offset: i64,
    frozen: Option<i64>,
}

impl Clock {
    pub fn new(spec: &NodeSpec) -> Clock {
        let ppm = i128::from(spec.clock_ppm.max(-900_000));
        Clock { ppm, wall_offset: spec.wall_offset_ms, frozen: None }
    }

    /// What the clocks show.
    pub fn now(&self, at: Duration) -> Now {
        let wall = self.frozen.unwrap_or_else(|| self.wall(at));
        Now { mono: Instant::after_start(self.mono(at)), wall: WallTime(wall) }
    }

    /// The first moment of the world, in whole microseconds, when the monotonic clock shows this.
    pub fn when(&self, mono: Instant) -> Duration {
        let nanos = mono.since_start().as_nanos() as i128 * MILLION;
        let micros = (nanos / ((MILLION + self.ppm) * 1_000)).max(0);
        let mut at = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        while self.mono(at) < mono.since_start() {
            at += Duration::from_micros(1);
        }
        at
    }

    /// The wall clock jumps.
    pub fn jump(&mut self, by_ms: i64) {
        self.wall_offset = self.wall_offset.saturating_add(by_ms);
        self.frozen = self.frozen.map(|shown| shown.saturating_add(by_ms));
    }

    /// The wall clock stops, or goes on and catches up.
    pub fn freeze(&mut self, at: Duration, frozen: bool) {
        self.frozen = frozen.then(|| self.wall(at));
    }

    fn mono(&self, at: Duration) -> Duration {
        let nanos = at.as_nanos() as i128 * (MILLION + self.ppm) / MILLION;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn wall(&self, at: Duration) -> i64 {
        let elapsed = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        START.saturating_add(self.wall_offset).saturating_add(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_reaches_a_deadline_early_and_never_misses_it() {
        for ppm in [-50_000, -7, 0, 7, 50_000] {
            let clock = Clock::new(&NodeSpec { clock_ppm: ppm, wall_offset_ms: 0 });
            for micros in [0, 1, 999, 10_000_000, 10_000_001, 86_400_000_000] {
                let due = Instant::after_start(Duration::from_micros(micros));
                let at = clock.when(due);
                assert!(clock.now(at).mono >= due, "{ppm} {micros}");
                let early = at.saturating_sub(Duration::from_micros(1));
                assert!(at.is_zero() || clock.now(early).mono < due, "{ppm} {micros}");
            }
        }
    }

    #[test]
    fn a_wall_clock_jumps_and_stands_still_and_catches_up() {
        let mut clock = Clock::new(&NodeSpec { clock_ppm: 0, wall_offset_ms: 5 });
        let wall = |clock: &Clock, ms| clock.now(Duration::from_millis(ms)).wall.0 - START;
        assert_eq!(wall(&clock, 10), 15);
        clock.jump(-100);
        assert_eq!(wall(&clock, 10), -85);
        clock.freeze(Duration::from_millis(10), true);
        assert_eq!(wall(&clock, 20), -85);
        clock.freeze(Duration::from_millis(30), false);
        assert_eq!(wall(&clock, 30), -65);
    }
}
