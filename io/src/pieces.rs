//! Bytes to be written one after another, that need not lie one after another in memory.
//!
//! Decided here: from which length on a piece is worth a place of its own. Records go from the
//! store to the socket without a copy, while many small batches are still written together.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// The shortest piece that is not copied to those before it.
pub const LONG: usize = 4 << 10;
/// Pieces that one write takes at most.
const AT_ONCE: usize = 64;

/// See the [module](self). An empty one holds no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    first: BytesMut,
    rest: VecDeque<Bytes>,
}

impl From<BytesMut> for Pieces {
    fn from(first: BytesMut) -> Pieces {
        Pieces { first, rest: VecDeque::new() }
    }
}

impl Pieces {
    /// How many bytes are left to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.rest.is_empty()
    }

    /// Adds a piece at the end, without a copy.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.rest.push_back(piece);
        }
    }

    /// Adds what is to be written after all this.
    pub fn append(&mut self, mut after: Pieces) {
        if self.is_empty() {
            *self = after;
            return;
        }
        if self.rest.is_empty() && after.first.len() < LONG {
            self.first.extend_from_slice(&after.first);
        } else {
            self.push(after.first.freeze());
        }
        self.rest.append(&mut after.rest);
    }

    /// All of it in one.
    #[must_use]
    pub fn joined(mut self) -> BytesMut {
        self.rest.iter().for_each(|piece| self.first.extend_from_slice(piece));
        self.first
    }

    /// Writes once, and gives how many bytes were written.
    pub fn poll_write(
        &mut self,
        io: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let written = if self.rest.is_empty() {
            ready!(io.poll_write(cx, &self.first))?
        } else {
            let mut slices = [IoSlice::new(&[]); AT_ONCE];
            let pieces = std::iter::once(&self.first[..]).chain(self.rest.iter().map(|p| &p[..]));
            let pieces = pieces.filter(|piece| !piece.is_empty());
            let count =
                slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece));
            let count = count.count();
            ready!(io.poll_write_vectored(cx, &slices[..count]))?
        };
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, written: usize) {
        let of_first = written.min(self.first.len());
        self.first.advance(of_first);
        let mut left = written - of_first;
        while let Some(piece) = self.rest.front_mut()
            && left >= piece.len()
        {
            left -= piece.len();
            self.rest.pop_front();
        }
        if let Some(piece) = self.rest.front_mut() {
            piece.advance(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes `most` bytes of each write, of several pieces if it is to.
    struct Sink {
        most: usize,
        got: Vec<u8>,
        writes: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            let taken = bytes.len().min(self.most);
            self.got.extend(&bytes[..taken]);
            self.writes += 1;
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<std::io::Result<usize>> {
            assert!(slices.iter().all(|slice| !slice.is_empty()));
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn answer(first: &[u8], rest: &[&'static [u8]]) -> Pieces {
        let mut pieces = Pieces::from(BytesMut::from(first));
        rest.iter().for_each(|piece| pieces.push(Bytes::from_static(piece)));
        pieces
    }

    #[test]
    fn what_is_appended_is_written_in_order_however_little_each_write_takes() {
        let long = [b'l'; LONG];
        let mut pieces = Pieces::default();
        let parts = [answer(b"a", &[]), answer(b"b", &[b"cd", b"", b"efg"]), answer(b"", &[b"h"])];
        parts.into_iter().for_each(|part| pieces.append(part));
        pieces.append(answer(&long, &[b"i"]));
        pieces.append(answer(b"j", &[]));
        let expected = [b"abcdefgh", &long[..], b"ij"].concat();
        assert_eq!((pieces.len(), &pieces.clone().joined()[..]), (expected.len(), &expected[..]));
        for most in [1, 2, 3, 4, 5, LONG, 2 * LONG] {
            let mut pieces = pieces.clone();
            let mut sink = Sink { most, got: Vec::new(), writes: 0 };
            let cx = &mut Context::from_waker(Waker::noop());
            while !pieces.is_empty() {
                let before = pieces.len();
                let Poll::Ready(Ok(written)) = pieces.poll_write(Pin::new(&mut sink), cx) else {
                    panic!("a sink is always ready")
                };
                assert_eq!(before - pieces.len(), written);
            }
            assert_eq!((sink.got, sink.writes), (expected.clone(), expected.len().div_ceil(most)));
        }
    }

    #[test]
    fn more_pieces_than_a_write_takes_are_written_by_several() {
        let mut pieces = answer(b"", &[&b"p"[..]; 3 * AT_ONCE]);
        let mut sink = Sink { most: usize::MAX, got: Vec::new(), writes: 0 };
        let cx = &mut Context::from_waker(Waker::noop());
        while !pieces.is_empty() {
            assert!(pieces.poll_write(Pin::new(&mut sink), cx).is_ready());
        }
        assert_eq!((sink.got, sink.writes), (vec![b'p'; 3 * AT_ONCE], 3));
    }

    #[test]
    fn short_answers_share_their_memory() {
        let mut pieces = answer(b"one", &[]);
        pieces.append(answer(b"two", &[]));
        assert_eq!((pieces.first.len(), pieces.rest.len()), (6, 0));
    }
}
