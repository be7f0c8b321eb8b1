//! What a broker must bear of its own process and sockets, whatever the plan: tasks that are not
//! polled as soon as they could be, reads and writes of a few bytes, flushes that take longer, and
//! connections that end while an answer is on its way.
//!
//! Decided here: how often, in a run that is unruly (`Knobs::unruly`): one time in four, but for
//! the end of a connection, which is rare.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::random::Stream;

/// Of a hundred times.
const TIMES: u8 = 25;
/// One write in so many is the last one of its connection.
const LAST: u64 = 400;
/// What a short read or write moves at most.
const SHORT: usize = 16;

/// Draws whether things go otherwise. Clones draw from the same stream.
#[derive(Clone)]
pub(super) struct Unruly(Option<Arc<Mutex<Stream>>>);

impl Unruly {
    /// For one process of a run.
    pub fn new(is_unruly: bool, seed: u64, process: u64) -> Unruly {
        let stream = || Arc::new(Mutex::new(Stream::new(seed, "unruly", process)));
        Unruly(is_unruly.then(stream))
    }

    fn draw<T>(&self, of: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        let stream = self.0.as_ref()?;
        Some(of(&mut stream.lock().expect("a run is single threaded")))
    }

    fn hits(&self) -> bool {
        self.draw(|stream| stream.chance(TIMES)).unwrap_or(false)
    }

    /// How much of so many bytes is moved.
    fn part(&self, bytes: usize) -> usize {
        let short = |stream: &mut Stream| {
            let most = bytes.min(SHORT) as u64;
            stream.chance(TIMES).then(|| 1 + stream.below(most) as usize)
        };
        self.draw(short).flatten().map_or(bytes, |part| part.min(bytes))
    }

    fn ends(&self) -> bool {
        self.draw(|stream| stream.below(LAST) == 0).unwrap_or(false)
    }

    /// Whether a task that could go on gives way to others first.
    fn gives_way(&self, cx: &Context<'_>) -> bool {
        let gives_way = self.hits();
        if gives_way {
            cx.waker().wake_by_ref();
        }
        gives_way
    }

    /// A task that now and then gives way.
    pub async fn task(self, task: impl Future<Output = ()>) {
        let mut task = std::pin::pin!(task);
        let poll = |cx: &mut Context<'_>| {
            if self.gives_way(cx) { Poll::Pending } else { task.as_mut().poll(cx) }
        };
        poll_fn(poll).await;
    }
}

/// A connection's end that is unruly.
pub(super) struct Unsteady<S> {
    pub stream: S,
    pub unruly: Unruly,
    has_ended: bool,
}

impl<S> Unsteady<S> {
    pub fn new(stream: S, unruly: Unruly) -> Unsteady<S> {
        Unsteady { stream, unruly, has_ended: false }
    }
}

fn ended<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Unsteady<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_ended {
            return ended();
        }
        if self.unruly.gives_way(cx) {
            return Poll::Pending;
        }
        let part = self.unruly.part(buf.remaining());
        if part == buf.remaining() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let mut bytes = [0; SHORT];
        let mut short = ReadBuf::new(&mut bytes[..part]);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut short);
        buf.put_slice(short.filled());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unsteady<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_ended || self.unruly.ends() {
            self.has_ended = true;
            return ended();
        }
        if self.unruly.gives_way(cx) {
            return Poll::Pending;
        }
        let part = self.unruly.part(buf.len());
        Pin::new(&mut self.stream).poll_write(cx, &buf[..part])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unruly.gives_way(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn block_on(task: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(task);
    }

    #[test]
    fn bytes_come_whole_and_in_order_through_an_unruly_connection() {
        let unruly = Unruly::new(true, 1, 1);
        block_on(async {
            let sent: Vec<u8> = (0..2_000_u32).map(|n| n as u8).collect();
            let (near, mut far) = tokio::io::duplex(4_096);
            let mut near = Unsteady::new(near, unruly);
            let mut written = 0;
            // It may end early: what was written before is there all the same.
            while written < sent.len() {
                match near.write(&sent[written..]).await {
                    Ok(count) => written += count,
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                        break;
                    }
                }
            }
            drop(near);
            let mut read = Vec::new();
            far.read_to_end(&mut read).await.expect("all that was written");
            assert_eq!(read, sent[..written]);
            assert!(written > 0);
        });
    }

    #[test]
    fn a_run_that_is_not_unruly_is_as_it_would_be_without() {
        let unruly = Unruly::new(false, 1, 1);
        assert_eq!((unruly.hits(), unruly.part(100), unruly.ends()), (false, 100, false));
    }
}
