//! Bytes that came over a connection and are not taken as a frame yet.
//!
//! Decided here: how much memory they get. None while nothing is there; else what has come, never
//! what a length prefix claims.

use bytes::{Buf, Bytes, BytesMut};

use crate::frame::{FrameError, HEAD_BYTES, Head, PREFIX_BYTES, length};

/// See the module for what is decided.
#[derive(Debug, Default)]
pub struct Input {
    bytes: BytesMut,
}

impl Input {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next frame without its length prefix, if all of it is there. `most` is
    /// `socket.request.max.bytes`; a length that cannot be is an error as soon as it is seen.
    pub fn take_frame(&mut self, most: usize) -> Result<Option<Bytes>, FrameError> {
        let Some(whole) = self.whole(most)? else { return Ok(None) };
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
            Ok(whole) => whole.is_some_and(|whole| self.bytes.len() >= whole),
            Err(_) => true,
        }
    }

    /// How many bytes are missing from the next frame, where its length is known.
    #[must_use]
    pub fn missing(&self, most: usize) -> Option<usize> {
        self.whole(most).ok().flatten().map(|whole| whole.saturating_sub(self.bytes.len()))
    }

    /// Where a long frame goes on: the buffer with room for more, at most as much again as has
    /// come.
    pub fn spare(&mut self, missing: usize) -> &mut BytesMut {
        self.bytes.reserve(missing.min(self.bytes.len()));
        &mut self.bytes
    }

    /// Bytes of the next frame with its prefix, once the prefix is there.
    fn whole(&self, most: usize) -> Result<Option<usize>, FrameError> {
        let Some((prefix, rest)) = self.bytes.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let bytes = length(*prefix, most)?;
        if let Some(head) = rest.first_chunk::<HEAD_BYTES>() {
            Head::read(*head).check_length(bytes)?;
        }
        Ok(Some(PREFIX_BYTES + bytes))
    }
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
        let spare = input.spare(missing);
        assert!(spare.capacity() < 8 * 1012, "{}", spare.capacity());
    }
}
