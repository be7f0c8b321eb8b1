//! The connections of one thread, so that they can be told to end.
//!
//! Decided here: when a connection has been silent for too long. One entry a connection waits in a
//! heap; it is not moved when bytes come, but looked at when it surfaces, so that a request costs
//! one write of a field.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quorate_core::Instant;
use slab::Slab;

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing came for `connections.max.idle.ms`: at once.
    Idle,
    /// The broker stops: once the request that runs is answered.
    Stopping,
}

/// What a connection and its thread know of each other.
#[derive(Debug)]
pub struct Handle {
    heard: Cell<Instant>,
    end: Cell<Option<End>>,
    waker: RefCell<Option<Waker>>,
}

impl Handle {
    /// Bytes came or went.
    pub fn heard(&self, now: Instant) {
        self.heard.set(now);
    }

    /// Whether the connection is to end, and why.
    pub fn end(&self) -> Option<End> {
        self.end.get()
    }

    /// Ready as soon as the connection is to end.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        if let Some(end) = self.end.get() {
            return Poll::Ready(end);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn tell(&self, end: End) {
        self.end.set(Some(end));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// All connections of a thread.
#[derive(Debug)]
pub struct Connections {
    max_idle: Option<Duration>,
    all: Slab<(u64, Rc<Handle>)>,
    due: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    opened: u64,
    stopping: bool,
}

/// Names a connection of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(usize);

impl Connections {
    /// No connection yet. Without `max_idle` none ends for silence.
    #[must_use]
    pub fn new(max_idle: Option<Duration>) -> Connections {
        Connections {
            max_idle,
            all: Slab::new(),
            due: BinaryHeap::new(),
            opened: 0,
            stopping: false,
        }
    }

    /// A new connection. One that comes while the broker stops is told so at once.
    pub fn add(&mut self, now: Instant) -> (Key, Rc<Handle>) {
        let end = self.stopping.then_some(End::Stopping);
        let handle =
            Rc::new(Handle { heard: Cell::new(now), end: Cell::new(end), waker: None.into() });
        self.opened += 1;
        let key = self.all.insert((self.opened, Rc::clone(&handle)));
        if let Some(max_idle) = self.max_idle {
            self.due.push(Reverse((now + max_idle, self.opened, key)));
        }
        (Key(key), handle)
    }

    /// A connection is gone.
    pub fn remove(&mut self, key: Key) {
        self.all.remove(key.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// When [`expire`](Self::expire) is next due. Waking earlier is harmless.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Ends those that were silent for too long.
    pub fn expire(&mut self, now: Instant) {
        let Some(max_idle) = self.max_idle else { return };
        while let Some(&Reverse((at, number, key))) = self.due.peek()
            && at <= now
        {
            self.due.pop();
            let Some((_, handle)) = self.all.get(key).filter(|(n, _)| *n == number) else {
                continue;
            };
            let due = handle.heard.get() + max_idle;
            if due <= now {
                handle.tell(End::Idle);
            } else {
                self.due.push(Reverse((due, number, key)));
            }
        }
    }

    /// Ends all as the broker stops.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.all.iter().for_each(|(_, (_, handle))| handle.tell(End::Stopping));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_silent_connection_ends_and_one_that_was_heard_does_not() {
        let mut connections = Connections::new(Some(Duration::from_secs(10)));
        let (_, silent) = connections.add(at(0));
        let (_, heard) = connections.add(at(0));
        heard.heard(at(7));
        connections.expire(at(10));
        assert_eq!((silent.end(), heard.end()), (Some(End::Idle), None));
        assert_eq!(connections.next_deadline(), Some(at(17)));
        connections.expire(at(17));
        assert_eq!(heard.end(), Some(End::Idle));
        assert_eq!(connections.next_deadline(), None);
    }

    #[test]
    fn the_entry_of_a_connection_that_is_gone_does_not_end_the_next_in_its_place() {
        let mut connections = Connections::new(Some(Duration::from_secs(10)));
        let (old, _) = connections.add(at(0));
        connections.remove(old);
        let (new, handle) = connections.add(at(5));
        assert_eq!(old, new);
        handle.heard(at(5));
        connections.expire(at(14));
        assert_eq!(handle.end(), None);
    }

    #[test]
    fn a_connection_that_comes_while_the_broker_stops_is_told() {
        let mut connections = Connections::new(None);
        let (_, before) = connections.add(at(0));
        connections.stop();
        let (_, after) = connections.add(at(1));
        assert_eq!((before.end(), after.end()), (Some(End::Stopping), Some(End::Stopping)));
    }
}
