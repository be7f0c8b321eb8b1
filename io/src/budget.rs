//! `queued.max.request.bytes`: memory for requests and unsent answers of all connections together.
//!
//! Decided here: what is counted, and what happens when nothing is left. What a connection holds
//! beyond [`SMALL`] is counted as it comes, never as it is claimed. When nothing is left, long
//! requests are not read on and no Fetch begins, until others are done; small requests, heartbeats
//! among them, go on. One connection at a time may go over the budget: else many half-read requests
//! could hold all of it and wait for one another.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::disk::locked;

/// Bytes that a connection may hold uncounted: bounded by the number of connections.
pub const SMALL: usize = 16 << 10;

/// The budget of a broker.
#[derive(Debug)]
pub struct Budget {
    left: AtomicI64,
    over: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Budget {
        let left = AtomicI64::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        Budget { left, over: AtomicBool::new(false), waiting: Mutex::default() }
    }

    /// Bytes that are left; negative where answers took more than there was.
    #[must_use]
    pub fn left(&self) -> i64 {
        self.left.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        std::mem::take(&mut *locked(&self.waiting)).into_iter().for_each(Waker::wake);
    }
}

/// What one connection holds of the budget; given back when this is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: i64,
    /// Whether this is the one that may go over.
    over: bool,
}

impl Charge {
    /// Nothing yet.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Charge {
        Charge { budget, bytes: 0, over: false }
    }

    /// Counts what the connection holds now. This never waits: what came is there.
    pub fn set(&mut self, holds: usize) {
        let bytes = i64::try_from(holds.saturating_sub(SMALL)).unwrap_or(i64::MAX);
        let more = bytes - self.bytes;
        if more == 0 {
            return;
        }
        self.bytes = bytes;
        let before = self.budget.left.fetch_sub(more, Ordering::Relaxed);
        let ended = bytes == 0 && std::mem::take(&mut self.over);
        if ended {
            self.budget.over.store(false, Ordering::Relaxed);
        }
        if ended || (before <= 0 && before - more > 0) {
            self.budget.wake();
        }
    }

    /// Ready when there is room for more.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = locked(&self.budget.waiting);
        if !waiting.iter().any(|known| known.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        drop(waiting);
        // Room that came before the waker was there has woken nobody.
        if self.has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn has_room(&mut self) -> bool {
        // Only who holds something can become the one that goes over: it gives that up when it
        // holds nothing again.
        if !self.over && self.budget.left() <= 0 && self.bytes > 0 {
            self.over = !self.budget.over.swap(true, Ordering::Relaxed);
        }
        self.over || self.budget.left() > 0
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn small_requests_are_not_counted_and_long_ones_are() {
        let budget = Arc::new(Budget::new(100));
        let mut charge = Charge::new(Arc::clone(&budget));
        charge.set(SMALL);
        assert_eq!(budget.left(), 100);
        charge.set(SMALL + 30);
        assert_eq!(budget.left(), 70);
        drop(charge);
        assert_eq!(budget.left(), 100);
    }

    #[test]
    fn one_at_a_time_goes_over_and_the_rest_wait_until_there_is_room() {
        let budget = Arc::new(Budget::new(100));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        let [mut first, mut second, mut third] =
            std::array::from_fn(|_| Charge::new(Arc::clone(&budget)));
        first.set(SMALL + 60);
        second.set(SMALL + 60);
        assert_eq!(first.poll_room(cx), Poll::Ready(()));
        assert_eq!(second.poll_room(cx), Poll::Pending);
        assert_eq!(third.poll_room(cx), Poll::Pending);
        first.set(0);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(budget.left(), 40);
        assert_eq!(second.poll_room(cx), Poll::Ready(()));
        assert_eq!(third.poll_room(cx), Poll::Ready(()));
    }
}
