//! How rows are put into bytes: big-endian numbers, and lengths of four bytes in front.

use uuid::Uuid;

/// Appends to a row's bytes.
#[derive(Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// A byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Two bytes.
    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Four bytes.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Eight bytes.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.raw(value.as_bytes())
    }

    /// A number of elements, or a length.
    pub fn count(&mut self, value: usize) -> &mut Self {
        self.raw(&(value as u32).to_be_bytes())
    }

    /// A string with its length in front.
    pub fn str(&mut self, value: &str) -> &mut Self {
        self.count(value.len()).raw(value.as_bytes())
    }

    /// Bytes as they are.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// What was put in.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Takes a row's bytes apart. Everything is `None` where the bytes end too early.
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes.
    pub fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    /// Four bytes.
    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Option<Uuid> {
        self.array().map(Uuid::from_bytes)
    }

    /// A number of elements, or a length; no more than there are bytes left.
    pub fn count(&mut self) -> Option<usize> {
        let count = u32::from_be_bytes(self.array()?) as usize;
        (count <= self.rest.len()).then_some(count)
    }

    /// A string.
    pub fn str(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.rest.split_off(..length)?).ok()
    }

    /// `Some` if nothing is left.
    pub fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}
