//! Time as the caller gives it: nothing in this crate reads a clock.

use std::ops::Add;
use std::time::Duration;

/// A moment on the caller's monotonic clock, counted from a start of the caller's choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The moment `elapsed` after the caller's start.
    #[must_use]
    pub const fn after_start(elapsed: Duration) -> Instant {
        Instant(elapsed)
    }

    /// Time since the caller's start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this moment; zero if `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The same moment on a clock that starts at `start`; the end of time stays where it is.
    pub(crate) fn rebased(self, start: Instant) -> Instant {
        if self.0 == Duration::MAX { self } else { Instant(self.since(start)) }
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(by))
    }
}

/// Milliseconds since 1970 on the caller's wall clock. Only stored and compared with itself:
/// no session depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

impl WallTime {
    /// Time from `earlier` to this moment; zero where the clock went back.
    #[must_use]
    pub fn since(self, earlier: WallTime) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now {
    /// For sessions and every other deadline.
    pub mono: Instant,
    /// For what is stored: commit times, retention.
    pub wall: WallTime,
}
