//! What comes next: by time, and at one time in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things to come.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Duration,
    number: u64,
    what: T,
}

impl<T> Schedule<T> {
    pub fn new() -> Schedule<T> {
        Schedule { heap: BinaryHeap::new(), planned: 0 }
    }

    /// Plans something.
    pub fn plan(&mut self, at: Duration, what: T) {
        self.planned += 1;
        self.heap.push(Reverse(Entry { at, number: self.planned, what }));
    }

    /// The next thing.
    pub fn next(&mut self) -> Option<(Duration, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_for_one_time_comes_in_the_order_of_planning() {
        let mut schedule = Schedule::new();
        let ms = Duration::from_millis;
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (1, "b")] {
            schedule.plan(ms(at), what);
        }
        let all: Vec<_> = std::iter::from_fn(|| schedule.next()).collect();
        assert_eq!(all, [(ms(1), "a"), (ms(1), "b"), (ms(5), "c"), (ms(5), "d")]);
    }
}
