//! The records of a compressed batch: unpacked within a limit, and packed again.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use thiserror::Error;

use super::batch::Compression;

/// What a snappy stream of Java's begins with (its block format).
const SNAPPY_STREAM: &[u8] = b"\x82SNAPPY\0";
/// That, and two version numbers.
const SNAPPY_HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Bytes of one block of it, unpacked.
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;
/// The largest window of a Zstandard frame, as a power of two: 32 MiB.
const ZSTD_WINDOW_LOG: u32 = 25;

/// Why records cannot be unpacked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UnpackError {
    /// The bytes are not of their format.
    #[error("the records are not what {compression:?} packs")]
    Damaged {
        /// The format.
        compression: Compression,
    },
    /// There are more bytes than are unpacked.
    #[error("the records unpack to more than {most} bytes")]
    TooLarge {
        /// The limit.
        most: usize,
    },
}

/// The bytes that were packed, of which there may be `most`. No more memory is asked for than those
/// bytes, about: what is too much is counted, and not kept.
pub fn unpack(
    compression: Compression,
    packed: &[u8],
    most: usize,
) -> Result<Vec<u8>, UnpackError> {
    let damaged = UnpackError::Damaged { compression };
    let guess = USUAL.saturating_mul(packed.len());
    match compression {
        Compression::None => Ok(packed.to_vec()),
        Compression::Gzip => {
            read(|| Ok(MultiGzDecoder::new(packed)), guess, most).map_err(damaged.or())
        }
        Compression::Lz4 => {
            let open = || Ok(lz4_flex::frame::FrameDecoder::new(packed));
            read(open, guess, most).map_err(damaged.or())
        }
        Compression::Zstd => {
            let open = || {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(decoder)
            };
            read(open, guess, most).map_err(damaged.or())
        }
        Compression::Snappy => unpack_snappy(packed, damaged, most),
    }
}

impl UnpackError {
    /// What is said where a reader fails, unless there was too much.
    fn or(self) -> impl Fn(Option<UnpackError>) -> UnpackError {
        move |fault| fault.unwrap_or(self)
    }
}

/// Bytes that are read before it is known how many there are.
const PIECE: usize = 1 << 20;
/// How many times longer than what is packed most is: memory that grows is memory taken twice.
const USUAL: usize = 4;

/// Reads all that there is, `guess` bytes perhaps: small things at once, large ones are counted
/// first. Without an error of ours the reader has failed.
fn read<R: Read>(
    open: impl Fn() -> io::Result<R>,
    guess: usize,
    most: usize,
) -> Result<Vec<u8>, Option<UnpackError>> {
    let failed = |_| None;
    let piece = PIECE.min(most);
    let mut bytes = Vec::with_capacity(guess.min(piece));
    let mut from = open().map_err(failed)?;
    let read = from.by_ref().take(piece as u64).read_to_end(&mut bytes).map_err(failed)?;
    if read < piece {
        return Ok(bytes);
    }
    drop(bytes);
    let mut rest = from.take((most - piece) as u64 + 1);
    let rest = io::copy(&mut rest, &mut io::sink()).map_err(failed)?;
    let total = piece + usize::try_from(rest).unwrap_or(usize::MAX);
    if total > most {
        return Err(Some(UnpackError::TooLarge { most }));
    }
    let mut bytes = Vec::with_capacity(total);
    open().map_err(failed)?.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Java's clients pack blocks, each with its length in front; others pack all at once.
fn unpack_snappy(packed: &[u8], damaged: UnpackError, most: usize) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    if !packed.starts_with(SNAPPY_STREAM) {
        add_snappy_block(packed, &mut bytes, damaged, most)?;
        return Ok(bytes);
    }
    let mut rest = packed.get(SNAPPY_HEADER.len()..).ok_or(damaged)?;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or(damaged)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| damaged)?;
        let (block, behind) = behind.split_at_checked(length).ok_or(damaged)?;
        add_snappy_block(block, &mut bytes, damaged, most)?;
        rest = behind;
    }
    Ok(bytes)
}

fn add_snappy_block(
    block: &[u8],
    bytes: &mut Vec<u8>,
    damaged: UnpackError,
    most: usize,
) -> Result<(), UnpackError> {
    let length = snap::raw::decompress_len(block).map_err(|_| damaged)?;
    let start = bytes.len();
    if length > most - start {
        return Err(UnpackError::TooLarge { most });
    }
    // No byte of a block unfolds to more than 64; so a length that lies costs no memory.
    if length > block.len().saturating_mul(64) {
        return Err(damaged);
    }
    bytes.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut bytes[start..]).map(drop).map_err(|_| damaged)
}

/// Packs bytes as Java's clients do.
pub fn pack(compression: Compression, plain: &[u8]) -> Vec<u8> {
    const MEMORY: &str = "memory takes what is written";
    match compression {
        Compression::None => plain.to_vec(),
        Compression::Gzip => {
            let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
            packed.write_all(plain).expect(MEMORY);
            packed.finish().expect(MEMORY)
        }
        Compression::Lz4 => {
            let mut packed = lz4_flex::frame::FrameEncoder::new(Vec::new());
            packed.write_all(plain).expect(MEMORY);
            packed.finish().expect(MEMORY)
        }
        Compression::Zstd => {
            zstd::encode_all(plain, zstd::DEFAULT_COMPRESSION_LEVEL).expect(MEMORY)
        }
        Compression::Snappy => {
            let mut packed = SNAPPY_HEADER.to_vec();
            for block in plain.chunks(SNAPPY_BLOCK_BYTES) {
                let block = snap::raw::Encoder::new().compress_vec(block);
                let block = block.expect("a block is shorter than 4 GiB");
                packed.extend((block.len() as u32).to_be_bytes());
                packed.extend(block);
            }
            packed
        }
    }
}
