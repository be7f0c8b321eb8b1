//! The walk through one request, before anything decodes it.
//!
//! The decoder reserves room for an array as soon as it has read the count, and so can be told to
//! reserve hundreds of gigabytes by a frame of 20 bytes, which ends the process. The walk reads the
//! same fields, allocates nothing, and refuses what the decoder must not see. It takes time in
//! proportion to the bytes it has gone through.

use thiserror::Error;

use super::schema::{Op, Program, Tagged, program};
use crate::frame::HEAD_BYTES;

/// Elements of all arrays and tagged fields of one request, at most. Kafka has no such limit.
pub const MAX_ELEMENTS: usize = 100_000;
/// Tagged fields of one struct, at most. Kafka has no such limit.
pub const MAX_TAGS: usize = 64;
/// The longest string, in bytes: Kafka takes none that a 16-bit length cannot tell.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// Walks through the header and the body of a request and gives the number of bytes of both.
///
/// `frame` is all that follows the length prefix. What it holds after the body is ignored, as Kafka
/// does. If the walk ends well, the decoder reads the frame without an error, ends at the same
/// byte, and allocates no more than a constant times the frame's length.
pub fn walk(api_key: i16, version: i16, frame: &[u8]) -> Result<usize, Refused> {
    let Some(program) = program(api_key, version) else {
        return Err(Refused { at: 0, fault: Fault::NotServed { api_key, version } });
    };
    let mut walker = Walker { left: frame, elements: MAX_ELEMENTS, flexible: program.flexible };
    match walker.request(program) {
        Ok(()) => Ok(frame.len() - walker.left.len()),
        Err(fault) => Err(Refused { at: frame.len() - walker.left.len(), fault }),
    }
}

/// A request that is not decoded. The connection is closed, as Kafka does.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("byte {at}: {fault}")]
pub struct Refused {
    /// How many bytes of the frame were good, those of a bad length or count included.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// No program for this API and version.
    #[error("API key {api_key} version {version} is not served")]
    NotServed {
        /// Number of the API.
        api_key: i16,
        /// Version of the request.
        version: i16,
    },
    /// The frame ends inside of the request.
    #[error("the frame ends where {wanted} more bytes are due, {left} are left")]
    CutShort {
        /// How many bytes the next field has.
        wanted: usize,
        /// How many are left.
        left: usize,
    },
    /// Null in a version that does not allow it.
    #[error("null where this version does not allow it")]
    Null,
    /// Neither 1, before a struct, nor -1, in place of one. Kafka takes all that are not negative
    /// for 1, the decoder all that are not 1 for -1.
    #[error("{byte} where a struct is announced by 1 or left out by -1")]
    Presence {
        /// The byte as sent.
        byte: i8,
    },
    /// A negative length or count.
    #[error("a length of {length}")]
    NegativeLength {
        /// The length as sent.
        length: i64,
    },
    /// An array with more elements than there are bytes left.
    #[error("an array of {count} elements where {left} bytes are left")]
    Count {
        /// The count as sent.
        count: usize,
        /// How many bytes are left.
        left: usize,
    },
    /// More array elements and tagged fields than a request may have.
    #[error("more than 100000 array elements and tagged fields; split the request")]
    TooManyElements,
    /// More tagged fields than a struct may have.
    #[error("{count} tagged fields in one struct; 64 are allowed")]
    TooManyTags {
        /// The count as sent.
        count: usize,
    },
    /// A tagged field that is of other versions.
    #[error("tag {tag} is not valid for this version")]
    Tag {
        /// The tag.
        tag: u32,
    },
    /// A string that is longer than a string can be.
    #[error("a string of {length} bytes; 32767 are allowed")]
    StringTooLong {
        /// Its length.
        length: usize,
    },
    /// A string that is not UTF-8. Kafka takes those.
    #[error("a string that is not UTF-8")]
    NotUtf8,
    /// A variable-length number that does not end after five bytes.
    #[error("a variable-length number without end")]
    Varint,
}

struct Walker<'a> {
    left: &'a [u8],
    /// How many more elements and tags there may be.
    elements: usize,
    /// Whether lengths and counts are compact.
    flexible: bool,
}

impl<'a> Walker<'a> {
    fn request(&mut self, program: &Program) -> Result<(), Fault> {
        self.take(HEAD_BYTES)?;
        // The client id keeps its 16-bit length in every version of the header.
        let length = i16::from_be_bytes(self.array_of()?);
        let client_id = signed(length.into(), true)?;
        self.text_of(client_id)?;
        if program.flexible_header {
            self.tags(&[])?;
        }
        self.run(&program.body)
    }

    fn run(&mut self, ops: &[Op]) -> Result<(), Fault> {
        for op in ops {
            match op {
                Op::Fixed(bytes) => self.take(*bytes).map(drop)?,
                Op::Text { nullable } => self.text(*nullable)?,
                Op::Blob { nullable } => self.blob(*nullable)?,
                Op::Array { nullable, element } => self.array(*nullable, element)?,
                Op::Optional(content) => self.optional(content)?,
                Op::Tags(known) => self.tags(known)?,
            }
        }
        Ok(())
    }

    fn optional(&mut self, content: &[Op]) -> Result<(), Fault> {
        match i8::from_be_bytes(self.array_of()?) {
            1 => self.run(content),
            -1 => Ok(()),
            byte => Err(Fault::Presence { byte }),
        }
    }

    fn text(&mut self, nullable: bool) -> Result<(), Fault> {
        let length = if self.flexible {
            compact(self.varint()?, nullable)?
        } else {
            signed(i16::from_be_bytes(self.array_of()?).into(), nullable)?
        };
        self.text_of(length)
    }

    fn text_of(&mut self, length: Option<usize>) -> Result<(), Fault> {
        let Some(length) = length else { return Ok(()) };
        if length > MAX_STRING_BYTES {
            return Err(Fault::StringTooLong { length });
        }
        let text = self.take(length)?;
        std::str::from_utf8(text).map(drop).map_err(|_| Fault::NotUtf8)
    }

    fn blob(&mut self, nullable: bool) -> Result<(), Fault> {
        let length = self.length(nullable)?;
        self.take(length.unwrap_or(0)).map(drop)
    }

    fn array(&mut self, nullable: bool, element: &[Op]) -> Result<(), Fault> {
        let Some(count) = self.length(nullable)? else { return Ok(()) };
        let left = self.left.len();
        if count > left {
            return Err(Fault::Count { count, left });
        }
        self.spend(count)?;
        if let [Op::Fixed(bytes)] = element {
            return self.take(count * bytes).map(drop);
        }
        for _ in 0..count {
            self.run(element)?;
        }
        Ok(())
    }

    /// Tags may come in any order and more than once, as Kafka takes them. Like Kafka and the
    /// decoder it does not look at the size that is given for a field that is known.
    fn tags(&mut self, known: &[Tagged]) -> Result<(), Fault> {
        let count = self.varint()? as usize;
        if count > MAX_TAGS {
            return Err(Fault::TooManyTags { count });
        }
        self.spend(count)?;
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()?;
            match known.iter().find(|field| field.tag == tag) {
                Some(Tagged { content: Some(content), .. }) => self.run(content)?,
                Some(Tagged { content: None, .. }) => return Err(Fault::Tag { tag }),
                None => self.take(size as usize).map(drop)?,
            }
        }
        Ok(())
    }

    fn spend(&mut self, elements: usize) -> Result<(), Fault> {
        self.elements = self.elements.checked_sub(elements).ok_or(Fault::TooManyElements)?;
        Ok(())
    }

    /// The length of bytes or the count of an array; `None` is null.
    fn length(&mut self, nullable: bool) -> Result<Option<usize>, Fault> {
        if self.flexible {
            return compact(self.varint()?, nullable);
        }
        signed(i32::from_be_bytes(self.array_of()?), nullable)
    }

    /// Seven bits a byte, lowest first. Bits beyond 32 are dropped, as Kafka and the decoder do.
    fn varint(&mut self) -> Result<u32, Fault> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array_of()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Varint)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let fault = Fault::CutShort { wanted: N, left: self.left.len() };
        let (bytes, rest) = self.left.split_first_chunk().ok_or(fault)?;
        self.left = rest;
        Ok(*bytes)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let fault = Fault::CutShort { wanted: bytes, left: self.left.len() };
        self.left.split_off(..bytes).ok_or(fault)
    }
}

/// A length that is sent as it is, with -1 for null.
fn signed(length: i32, nullable: bool) -> Result<Option<usize>, Fault> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length < -1 => Err(Fault::NegativeLength { length: length.into() }),
        Err(_) => null(nullable),
    }
}

/// A length that is sent as one more, with 0 for null.
fn compact(sent: u32, nullable: bool) -> Result<Option<usize>, Fault> {
    match sent.checked_sub(1) {
        Some(length) => Ok(Some(length as usize)),
        None => null(nullable),
    }
}

fn null(nullable: bool) -> Result<Option<usize>, Fault> {
    if nullable { Ok(None) } else { Err(Fault::Null) }
}
