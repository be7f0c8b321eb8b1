//! Bytes that came over a connection and are not taken as a frame yet.
//!
//! Decided here: how much memory they get. None while nothing is there; else what has come, never
//! what a length prefix claims.
//!
//! A short frame that comes alone, as a heartbeat does, gets one allocation that holds its bytes
//! and counts who shares them. The memory of a `BytesMut` would get a second one for the count.

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::frame::{FrameError, HEAD_BYTES, Head, PREFIX_BYTES, length};

/// See the module for what is decided.
#[derive(Debug, Default)]
pub struct Input {
    /// A short frame that came alone, with its prefix. What comes after it is in `bytes`.
    alone: Bytes,
    bytes: BytesMut,
}

/// What fits into the allocation of a frame that comes alone: with its length and the count of who
/// shares it that is 256 bytes, or 1024.
const SHORT: usize = 256 - 16;
const LESS_SHORT: usize = 1024 - 16;

/// Bytes within the allocation that counts who shares them.
struct Short<const SPACE: usize> {
    bytes: [u8; SPACE],
    length: usize,
}

impl<const SPACE: usize> Short<SPACE> {
    fn share(from: &[u8]) -> Bytes {
        let mut bytes = [0; SPACE];
        bytes[..from.len()].copy_from_slice(from);
        Bytes::from_owner(Self { bytes, length: from.len() })
    }
}

impl<const SPACE: usize> AsRef<[u8]> for Short<SPACE> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Input {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_empty() && is_one_frame(bytes) {
            if bytes.len() <= SHORT {
                self.alone = Short::<SHORT>::share(bytes);
                return;
            }
            if bytes.len() <= LESS_SHORT {
                self.alone = Short::<LESS_SHORT>::share(bytes);
                return;
            }
        }
        // The rest of a frame that has begun with these finds its place.
        let begun = if self.is_empty() { begun(bytes) } else { 0 };
        self.bytes.reserve(bytes.len() + begun.saturating_sub(bytes.len()).min(bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alone.len() + self.bytes.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next frame without its length prefix, if all of it is there. `most` is
    /// `socket.request.max.bytes`; a length that cannot be is an error as soon as it is seen.
    pub fn take_frame(&mut self, most: usize) -> Result<Option<Bytes>, FrameError> {
        let Some(whole) = self.whole(most)? else { return Ok(None) };
        if !self.alone.is_empty() {
            let mut frame = std::mem::take(&mut self.alone);
            frame.advance(PREFIX_BYTES);
            return Ok(Some(frame));
        }
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let mut frame = if self.bytes.len() == whole {
            std::mem::take(&mut self.bytes)
        } else {
            self.bytes.split_to(whole)
        };
        frame.advance(PREFIX_BYTES);
        Ok(Some(frame.freeze()))
    }

    /// Whether the next frame is all there, or is refused.
    #[must_use]
    pub fn has_frame(&self, most: usize) -> bool {
        match self.whole(most) {
            Ok(whole) => whole.is_some_and(|whole| self.len() >= whole),
            Err(_) => true,
        }
    }

    /// How many bytes are missing from the next frame, where its length is known.
    #[must_use]
    pub fn missing(&self, most: usize) -> Option<usize> {
        self.whole(most).ok().flatten().map(|whole| whole.saturating_sub(self.len()))
    }

    /// Where a long frame goes on: the buffer with room for what is missing, at most as much again
    /// as has come. What comes after the frame has no room in it.
    pub fn spare(&mut self, missing: usize) -> Limit<&mut BytesMut> {
        let room = missing.min(self.bytes.len());
        self.bytes.reserve(room);
        (&mut self.bytes).limit(room)
    }

    /// Bytes of the next frame with its prefix, once the prefix is there.
    fn whole(&self, most: usize) -> Result<Option<usize>, FrameError> {
        let next = if self.alone.is_empty() { &self.bytes[..] } else { &self.alone };
        let Some((prefix, rest)) = next.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let bytes = length(*prefix, most)?;
        if let Some(head) = rest.first_chunk::<HEAD_BYTES>() {
            Head::read(*head).check_length(bytes)?;
        }
        Ok(Some(PREFIX_BYTES + bytes))
    }
}

/// Whether these bytes are a frame with its prefix and nothing else.
fn is_one_frame(bytes: &[u8]) -> bool {
    !bytes.is_empty() && begun(bytes) == bytes.len()
}

/// Bytes of the frame that begins here, its prefix included, as that claims; 0 without a whole
/// prefix.
fn begun(bytes: &[u8]) -> usize {
    let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else { return 0 };
    (u32::from_be_bytes(*prefix) as usize).saturating_add(PREFIX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 100 << 20;

    fn framed(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&length[..], body].concat()
    }

    #[test]
    fn a_frame_that_comes_byte_by_byte_is_there_with_its_last_byte() {
        let mut input = Input::default();
        let wire = framed(b"\0\x12\0\0\0\0\0\x07");
        for byte in &wire[..wire.len() - 1] {
            input.push(&[*byte]);
            assert_eq!(input.take_frame(MOST), Ok(None));
        }
        input.push(&wire[wire.len() - 1..]);
        assert_eq!(input.take_frame(MOST), Ok(Some(Bytes::from_static(b"\0\x12\0\0\0\0\0\x07"))));
        assert!(input.is_empty());
    }

    #[test]
    fn frames_that_come_together_are_taken_in_order_and_the_rest_stays() {
        let mut input = Input::default();
        input.push(&[framed(b"\0\x12\0\0 one"), framed(b"\0\x12\0\0 two"), vec![0, 0]].concat());
        assert!(input.has_frame(MOST));
        assert_eq!(input.take_frame(MOST), Ok(Some(Bytes::from_static(b"\0\x12\0\0 one"))));
        assert_eq!(input.take_frame(MOST), Ok(Some(Bytes::from_static(b"\0\x12\0\0 two"))));
        assert_eq!((input.take_frame(MOST), input.len()), (Ok(None), 2));
    }

    #[test]
    fn a_short_frame_that_comes_alone_is_taken_before_what_comes_after_it() {
        for length in [8, SHORT - 4, SHORT - 3, LESS_SHORT - 4, LESS_SHORT - 3] {
            let (first, second) = ([&[0, 0x12], &vec![1; length - 2][..]].concat(), [2; 8]);
            let mut input = Input::default();
            input.push(&framed(&first));
            assert_eq!((input.len(), input.missing(MOST)), (4 + length, Some(0)));
            input.push(&framed(&second)[..6]);
            assert_eq!(input.take_frame(MOST), Ok(Some(Bytes::from(first))));
            assert_eq!((input.has_frame(MOST), input.take_frame(MOST)), (false, Ok(None)));
            input.push(&framed(&second)[6..]);
            assert_eq!(input.take_frame(MOST), Ok(Some(Bytes::copy_from_slice(&second))));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_anything_is_kept_for_it() {
        let refused = |bytes: &[u8]| {
            let mut input = Input::default();
            input.push(bytes);
            (input.take_frame(MOST), input.has_frame(MOST))
        };
        let short = |length| (Err(FrameError::TooShort { length }), true);
        assert_eq!(refused(&[0, 0, 0, 7]), short(7));
        assert_eq!(refused(&[0xff; 4]), short(-1));
        let long = Err(FrameError::TooLong { bytes: 0x7f00_0000, most: MOST });
        assert_eq!(refused(&[0x7f, 0, 0, 0]), (long, true));
        let heartbeat = [0, 0x20, 0, 0, 0, 12, 0, 4, 0, 0, 0, 1];
        let (bytes, most) = (0x20_0000, crate::frame::SMALL_REQUEST_BYTES);
        let long = Err(FrameError::TooLongForApi { bytes, api_key: 12, most });
        assert_eq!(refused(&heartbeat), (long, true));
    }

    #[test]
    fn a_long_frame_gets_memory_as_it_comes() {
        let mut input = Input::default();
        input.push(&[&[0x05, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1][..], &[0; 1000]].concat());
        let missing = input.missing(MOST).expect("the length is there");
        assert_eq!(missing, 4 + 0x0500_0000 - 1012);
        assert_eq!(input.spare(missing).remaining_mut(), 1012);
        assert_eq!(input.bytes.capacity(), 2 * 1012);
    }

    #[test]
    fn a_long_frame_that_has_half_come_is_not_moved_any_more() {
        let wire = framed(&[&[0, 0, 0, 9, 0, 0, 0, 1][..], &[7; 10_000]].concat());
        let (first, last) = wire.split_at(6_000);
        let mut input = Input::default();
        input.push(first);
        let place = input.bytes.as_ptr();
        let missing = input.missing(MOST).expect("the length is there");
        let mut spare = input.spare(missing);
        assert_eq!(spare.remaining_mut(), last.len());
        spare.put_slice(last);
        assert_eq!(input.bytes.as_ptr(), place);
        assert_eq!(input.take_frame(MOST), Ok(Some(Bytes::copy_from_slice(&wire[4..]))));
        assert!(input.is_empty());
    }
}
