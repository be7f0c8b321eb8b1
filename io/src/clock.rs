//! The only place that reads clocks.
//!
//! Decided here: sessions and every other deadline run on tokio's clock, so that a paused or a
//! simulated runtime governs them; the wall clock, which is only stored, comes from a function
//! that a simulator replaces.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use quorate_core::{Instant, Now, WallTime};

/// Reads the wall clock.
pub type Wall = Arc<dyn Fn() -> WallTime + Send + Sync>;

/// The two clocks of a broker. All its threads share one start.
#[derive(Clone)]
pub struct Clock {
    start: tokio::time::Instant,
    wall: Wall,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("start", &self.start).finish_non_exhaustive()
    }
}

impl Clock {
    /// Tokio's clock, and the machine's wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn system() -> Clock {
        Clock::with_wall(Arc::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            WallTime(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
        }))
    }

    /// Tokio's clock, and a wall clock of the caller's.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the other clock")]
    pub fn with_wall(wall: Wall) -> Clock {
        Clock { start: tokio::time::Instant::now(), wall }
    }

    /// The time on both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: (self.wall)() }
    }

    /// The time on the monotonic clock.
    #[must_use]
    pub fn mono(&self) -> Instant {
        Instant::after_start(self.start.elapsed())
    }

    /// Sleeps until a moment of the monotonic clock.
    pub fn sleep_until(&self, at: Instant) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.tokio(at))
    }

    /// The moment on tokio's clock, to re-arm a [`tokio::time::Sleep`] with.
    #[must_use]
    pub fn tokio(&self, at: Instant) -> tokio::time::Instant {
        // A deadline that no clock reaches is as good as one in thirty years, tokio's own far end.
        const FAR: std::time::Duration = std::time::Duration::from_secs(30 * 365 * 86_400);
        self.start + at.since_start().min(FAR)
    }
}
