//! A connection: frames in, answers out.
//!
//! Decided here: that a connection executes one request at a time, in order, as Kafka does, and
//! reads ahead meanwhile; that answers are written when no whole frame waits or the next request
//! has to wait, so that pipelined ones share a write; that one whose request is parked is still
//! watched, for one that breaks is at its end, while the requests of one whose client has closed it
//! are executed as if it had not; and that it moves once, to the thread that has its group.

pub mod input;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use quorate_core::{Now, Text};
use tokio::io::{AsyncReadExt, ReadBuf};

use crate::admission::Admitted;
use crate::budget::{Charge, SMALL};
use crate::connections::{End, Handle, Key};
use crate::core_thread::{SCRATCH, Thread};
use crate::dispatch::{Verdict, begin};
use crate::message::Message;
use crate::net::Io;
use crate::pieces::Pieces;
use crate::turn::panic_message;
use input::Input;

/// Bytes that are read ahead while a request executes, and answers that are held back at most
/// while more requests wait.
const AHEAD: usize = SCRATCH;
/// The shortest rest of a frame that is read into memory of its own, once as much has come.
const DIRECT: usize = 16 << 10;

/// The two ends of a connection.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The client's.
    pub peer: SocketAddr,
    /// Ours, as the client reached it.
    pub local: SocketAddr,
    /// Which of the listeners it came to.
    pub listener: usize,
    /// The client's address in Java's form.
    pub client_host: Text,
}

/// What of a connection goes to another thread.
struct Luggage {
    ends: Ends,
    input: Input,
    frame: Option<Bytes>,
    moved: bool,
    admitted: Admitted,
}

struct Connection<I> {
    io: I,
    thread: Rc<Thread>,
    handle: Rc<Handle>,
    ends: Ends,
    input: Input,
    /// A frame that was taken on another thread.
    frame: Option<Bytes>,
    /// Answers that are not written yet.
    out: Pieces,
    /// Bytes of the request that executes.
    executing: usize,
    /// Nothing more will come: what came is still executed, for a producer that wants no answers
    /// sends and goes, and so does a consumer that leaves while its join is parked.
    ended: bool,
    /// It is broken: nobody is there to answer.
    broken: bool,
    charge: Charge,
    /// When what is executed was read. Clocks are read once for all requests that came together and
    /// are answered together.
    read_at: Option<Now>,
    moved: bool,
    admitted: Admitted,
}

/// Who was let in, and where.
pub struct Accepted {
    /// The client's end.
    pub peer: SocketAddr,
    /// Which of the listeners it came to.
    pub listener: usize,
    /// Counts it, until it is dropped.
    pub admitted: Admitted,
}

/// What becomes of a connection.
enum Then {
    Close,
    Move(usize, Bytes),
}

/// Serves a connection on this thread or another, until its end.
pub fn accepted<I: Io>(thread: &Rc<Thread>, core: usize, io: I, from: Accepted) -> io::Result<()> {
    // An IPv4 client of a socket for both kinds is known by its IPv4 address.
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let Accepted { peer, listener, admitted } = from;
    let (peer, local) = (canonical(peer), canonical(io.local_addr()?));
    let client_host = Text::from(format!("/{}", peer.ip()));
    let ends = Ends { peer, local, listener, client_host };
    let input = Input::default();
    let luggage = Luggage { ends, input, frame: None, moved: false, admitted };
    if core == thread.index() {
        start(thread, io, luggage);
        return Ok(());
    }
    send::<I>(thread, core, io.detach()?, luggage);
    Ok(())
}

fn send<I: Io>(thread: &Rc<Thread>, core: usize, io: I::Detached, luggage: Luggage) {
    let arrive = move |thread: &Rc<Thread>| match I::attach(io) {
        Ok(io) => start(thread, io, luggage),
        Err(error) => tracing::warn!("a connection of {} is lost: {error}", luggage.ends.peer),
    };
    thread.send(core, Message::Run(Box::new(arrive)));
}

fn start<I: Io>(thread: &Rc<Thread>, io: I, luggage: Luggage) {
    let (key, handle) = thread.connections.borrow_mut().add(thread.clock().mono());
    let Luggage { ends, input, frame, moved, admitted } = luggage;
    let thread = Rc::clone(thread);
    let out = Pieces::default();
    let charge = Charge::new(Arc::clone(&thread.shared().budget));
    let registered = Registered { thread: Rc::clone(&thread), key };
    let connection = Connection {
        io,
        thread,
        handle,
        ends,
        input,
        frame,
        out,
        executing: 0,
        ended: false,
        broken: false,
        charge,
        read_at: None,
        moved,
        admitted,
    };
    // It may be the first that is due to be closed for silence.
    connection.thread.wake();
    tokio::task::spawn_local(connection.serve(registered));
}

/// A connection that its thread knows of, for as long as this is there.
struct Registered {
    thread: Rc<Thread>,
    key: Key,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.thread.connections.borrow_mut().remove(self.key);
        // A thread that stops waits for its last connection.
        self.thread.wake();
    }
}

impl<I: Io> Connection<I> {
    async fn serve(mut self, registered: Registered) {
        let then = self.run().await;
        let (core, frame) = match then {
            Then::Close => return,
            Then::Move(core, frame) => (core, frame),
        };
        let Connection { io, thread, ends, input, admitted, .. } = self;
        let peer = ends.peer;
        let luggage = Luggage { ends, input, frame: Some(frame), moved: true, admitted };
        match io.detach() {
            Ok(io) => send::<I>(&thread, core, io, luggage),
            Err(error) => tracing::warn!("a connection of {peer} is lost: {error}"),
        }
        drop(registered);
    }

    async fn run(&mut self) -> Then {
        while let Some(frame) = self.next_frame().await {
            self.executing = frame.len();
            let verdict = self.execute(frame).await;
            self.executing = 0;
            match verdict {
                Verdict::Answer(answer) => {
                    self.out.append(answer);
                    self.count();
                }
                Verdict::Silent => {}
                Verdict::Mute => {
                    self.muted().await;
                    return Then::Close;
                }
                Verdict::Close => {
                    // What was asked before is still answered.
                    self.flushed().await;
                    return Then::Close;
                }
                Verdict::Move(core, frame) => {
                    if !self.flushed().await {
                        return Then::Close;
                    }
                    return Then::Move(core, frame);
                }
            }
        }
        Then::Close
    }

    /// The next frame. None at the connection's end.
    async fn next_frame(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.frame.take() {
            return Some(frame);
        }
        let most = self.thread.settings().socket_request_max_bytes;
        loop {
            if self.out.len() > AHEAD && !self.flushed().await {
                return None;
            }
            match self.input.take_frame(most) {
                Ok(Some(frame)) if self.handle.end().is_none() => return Some(frame),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!("the connection of {} is closed: {error}", self.ends.peer);
                    self.flushed().await;
                    return None;
                }
            }
            if !self.flushed().await || self.ended {
                return None;
            }
            let came = poll_fn(|cx| match self.handle.poll_end(cx) {
                Poll::Ready(_) => Poll::Ready(false),
                Poll::Pending => self.poll_read(cx).map(|read| read.is_ok_and(|bytes| bytes > 0)),
            });
            if !came.await {
                return None;
            }
        }
    }

    /// Runs a request, writes what is due and reads ahead meanwhile.
    async fn execute(&mut self, frame: Bytes) -> Verdict {
        let waits = key(&frame).is_some_and(may_wait);
        if key(&frame) == Some(ApiKey::Fetch) && !self.has_room().await {
            return Verdict::Close;
        }
        let now = *self.read_at.get_or_insert_with(|| self.thread.now());
        let (mut frame, mut executing) = (Some(frame), None);
        poll_fn(|cx| {
            let (thread, ends) = (&self.thread, &self.ends);
            let polled = catch_unwind(AssertUnwindSafe(|| {
                if let Some(frame) = frame.take() {
                    match begin(thread, ends, now, frame, self.moved) {
                        Ok(begun) => executing = Some(begun),
                        Err(verdict) => return Poll::Ready(verdict),
                    }
                }
                executing.as_mut().map_or(Poll::Pending, |begun| begun.poll(thread, ends, cx))
            }));
            match polled {
                Ok(Poll::Ready(verdict)) => return Poll::Ready(verdict),
                Ok(Poll::Pending) => {}
                Err(panic) => {
                    self.thread.shared().panics.fetch_add(1, Ordering::Relaxed);
                    let (peer, message) = (self.ends.peer, panic_message(&*panic));
                    tracing::error!("a request of {peer} panicked, it is closed: {message}");
                    return Poll::Ready(Verdict::Close);
                }
            }
            let end = self.poll_parked(cx) || (self.broken && waits);
            if end { Poll::Ready(Verdict::Close) } else { Poll::Pending }
        })
        .await
    }

    /// Waits until the budget has room for an answer that may be long. False if this is the
    /// connection's end.
    async fn has_room(&mut self) -> bool {
        poll_fn(|cx| match self.charge.poll_room(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if self.poll_parked(cx) || self.broken => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn count(&mut self) {
        self.charge.set(self.input.len() + self.executing + self.out.len());
    }

    /// While a request executes: writes what is due and reads ahead. Whether nobody is left to
    /// answer.
    fn poll_parked(&mut self, cx: &mut Context<'_>) -> bool {
        if self.handle.poll_end(cx) == Poll::Ready(End::Idle) {
            return true;
        }
        if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
            return true;
        }
        while !self.ended && self.input.len() < AHEAD {
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => (self.ended, self.broken) = (true, true),
                Poll::Pending => break,
            }
        }
        // What was read ahead is executed at another time.
        self.read_at = None;
        false
    }

    /// Waits for the connection's end, as one whose request is never answered.
    async fn muted(&mut self) {
        poll_fn(|cx| {
            let end = self.handle.poll_end(cx).is_ready() || self.poll_parked(cx) || self.ended;
            if end { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Writes what is due. False if the connection is at its end.
    async fn flushed(&mut self) -> bool {
        poll_fn(|cx| {
            // A client that does not read what it asked for is silent too.
            if self.handle.poll_end(cx) == Poll::Ready(End::Idle) {
                return Poll::Ready(false);
            }
            self.poll_flush(cx).map(|written| written.is_ok())
        })
        .await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read_at = self.read_at.take();
        while !self.out.is_empty() {
            let written = ready!(self.out.poll_write(Pin::new(&mut self.io), cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.handle.heard(read_at.map_or_else(|| self.thread.clock().mono(), |now| now.mono));
        }
        // An idle connection keeps no buffer.
        self.out = Pieces::default();
        self.count();
        Poll::Ready(Ok(()))
    }

    /// Reads once: into the thread's scratch, but the rest of a long frame into its own memory.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let most = self.thread.settings().socket_request_max_bytes;
        let missing = self.input.missing(most).unwrap_or(0);
        if self.input.len() > SMALL && missing > 0 {
            ready!(self.charge.poll_room(cx));
        }
        let read = if missing >= DIRECT && self.input.len() >= DIRECT {
            let mut spare = self.input.spare(missing);
            let mut read = pin!(self.io.read_buf(&mut spare));
            ready!(read.as_mut().poll(cx))?
        } else {
            let mut scratch = self.thread.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            self.input.push(buffer.filled());
            buffer.filled().len()
        };
        self.count();
        let now = self.thread.now();
        self.handle.heard(now.mono);
        self.read_at = Some(now);
        Poll::Ready(Ok(read))
    }
}

/// The API of a request.
fn key(frame: &Bytes) -> Option<ApiKey> {
    let key = frame.first_chunk().map(|key| i16::from_be_bytes(*key))?;
    ApiKey::try_from(key).ok()
}

/// Whether a request may wait for others or for time, so that it is abandoned when its connection
/// breaks.
fn may_wait(key: ApiKey) -> bool {
    matches!(key, ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::Fetch)
}
