//! Deadlines, each keyed by what it is for.
//!
//! A deadline that moves later is one field write: its entry in the heap stays, and is put back
//! where it belongs when it surfaces (a heartbeat costs O(1)). One that moves earlier gets a new
//! entry; the old one is stale and is skipped. A timer is looked up when its entry surfaces, so
//! what was cancelled or is gone cannot run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};

use crate::id::{GroupId, MemberId};
use crate::time::Instant;

/// What a timer is for. Sorts timers of the same instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimerKey {
    /// A member, or an id that was handed out, is silent for too long (spec classic 10.2).
    Session(GroupId, MemberId),
    /// The time to join is over (6.8, 6.10).
    Join(GroupId),
    /// The time to sync is over (7.3).
    Sync(GroupId),
    /// Offsets expire (16).
    Sweep,
    /// Offsets of deleted topics go (16).
    Cleanup,
}

/// One deadline. It lives with what it is for, and is equal to another if the deadline is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timer {
    deadline: Option<Instant>,
    /// Where the entry is that will bring this timer up; an older one is stale.
    entry: Option<Instant>,
    /// Whether the second of grace has been given for this deadline (design 8).
    graced: bool,
}

impl Timer {
    /// When it fires, if it is armed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether its one grace was given already; from now on it is.
    pub(crate) fn take_grace(&mut self) -> bool {
        !std::mem::replace(&mut self.graced, true)
    }

    /// Whether the entry that surfaced is this timer's own.
    pub(crate) fn owns(&self, entry: Instant) -> bool {
        self.entry == Some(entry)
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Timer) -> bool {
        self.deadline == other.deadline && self.graced == other.graced
    }
}

impl Eq for Timer {}

impl Hash for Timer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.deadline, self.graced).hash(state);
    }
}

/// What an entry that surfaced turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Surfaced {
    /// The timer fires; it is not armed any more.
    Fires,
    /// It was stale or moved later, and is dealt with.
    Skipped,
}

/// The entries of all timers of a shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, TimerKey)>>,
    stale: usize,
}

impl Timers {
    /// Sets a timer, whatever it was before.
    pub(crate) fn arm(
        &mut self,
        timer: &mut Timer,
        deadline: Instant,
        key: impl FnOnce() -> TimerKey,
    ) {
        timer.deadline = Some(deadline);
        timer.graced = false;
        self.ensure(timer, deadline, key);
    }

    /// Moves the deadline of a timer for its one grace.
    pub(crate) fn grace(&mut self, timer: &mut Timer, deadline: Instant, key: TimerKey) {
        timer.deadline = Some(deadline);
        self.ensure(timer, deadline, || key);
    }

    fn ensure(&mut self, timer: &mut Timer, deadline: Instant, key: impl FnOnce() -> TimerKey) {
        match timer.entry {
            Some(entry) if entry <= deadline => {}
            earlier => {
                self.stale += usize::from(earlier.is_some());
                timer.entry = Some(deadline);
                self.heap.push(Reverse((deadline, key())));
            }
        }
    }

    /// Takes over a timer of other entries, on a clock that starts at `start`.
    pub(crate) fn rebase(
        &mut self,
        timer: &mut Timer,
        start: Instant,
        key: impl FnOnce() -> TimerKey,
    ) {
        timer.deadline = timer.deadline.map(|deadline| deadline.rebased(start));
        timer.entry = None;
        if let Some(deadline) = timer.deadline {
            self.ensure(timer, deadline, key);
        }
    }

    /// Makes a timer not fire.
    pub(crate) fn cancel(&mut self, timer: &mut Timer) {
        timer.deadline = None;
    }

    /// Takes leave of a timer that goes away.
    pub(crate) fn discard(&mut self, timer: &Timer) {
        self.stale += usize::from(timer.entry.is_some());
    }

    /// The earliest entry; no armed timer is due before it.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the earliest entry out if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, TimerKey)> {
        match self.heap.peek() {
            Some(Reverse((at, _))) if *at <= now => self.heap.pop().map(|Reverse(entry)| entry),
            _ => None,
        }
    }

    /// Judges an entry that [`Timers::pop_due`] gave, with the timer that has its key now.
    pub(crate) fn surface(
        &mut self,
        timer: Option<&mut Timer>,
        entry: Instant,
        now: Instant,
        key: &TimerKey,
    ) -> Surfaced {
        let Some(timer) = timer.filter(|timer| timer.owns(entry)) else {
            self.stale = self.stale.saturating_sub(1);
            return Surfaced::Skipped;
        };
        timer.entry = None;
        match timer.deadline {
            None => Surfaced::Skipped,
            Some(deadline) if deadline > now => {
                timer.entry = Some(deadline);
                self.heap.push(Reverse((deadline, key.clone())));
                Surfaced::Skipped
            }
            Some(_) => {
                timer.deadline = None;
                Surfaced::Fires
            }
        }
    }

    /// Whether stale entries outnumber the others by so much that [`Timers::sweep`] pays.
    pub(crate) fn wants_sweep(&self) -> bool {
        self.stale > 1_024 && self.stale * 2 > self.heap.len()
    }

    /// Drops all entries that `is_live` does not own.
    pub(crate) fn sweep(&mut self, mut is_live: impl FnMut(Instant, &TimerKey) -> bool) {
        self.heap.retain(|Reverse((at, key))| is_live(*at, key));
        self.stale = 0;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::after_start(Duration::from_secs(seconds))
    }

    fn fired(timers: &mut Timers, timer: &mut Timer, now: Instant) -> usize {
        let mut count = 0;
        while let Some((entry, key)) = timers.pop_due(now) {
            let surfaced = timers.surface(Some(timer), entry, now, &key);
            count += usize::from(surfaced == Surfaced::Fires);
        }
        count
    }

    #[test]
    fn a_deadline_that_moves_later_adds_no_entry_and_fires_once_at_the_new_time() {
        let (mut timers, mut timer) = (Timers::default(), Timer::default());
        for seconds in 10..1_000 {
            timers.arm(&mut timer, at(seconds), || TimerKey::Sweep);
        }
        assert_eq!(timers.len(), 1);
        assert_eq!(fired(&mut timers, &mut timer, at(998)), 0);
        assert_eq!(timers.next(), Some(at(999)));
        assert_eq!(fired(&mut timers, &mut timer, at(999)), 1);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_that_moves_earlier_fires_at_the_earlier_time_only() {
        let (mut timers, mut timer) = (Timers::default(), Timer::default());
        timers.arm(&mut timer, at(300), || TimerKey::Sweep);
        timers.arm(&mut timer, at(10), || TimerKey::Sweep);
        assert_eq!(fired(&mut timers, &mut timer, at(10)), 1);
        assert_eq!(fired(&mut timers, &mut timer, at(400)), 0);
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let (mut timers, mut timer) = (Timers::default(), Timer::default());
        timers.arm(&mut timer, at(10), || TimerKey::Sweep);
        timers.cancel(&mut timer);
        assert_eq!(fired(&mut timers, &mut timer, at(20)), 0);
    }
}
