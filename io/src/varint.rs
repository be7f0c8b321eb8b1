//! Unsigned numbers of seven bits a byte, the lowest first: Kafka's compact lengths (KIP-482), and
//! the lengths of what is stored.

use bytes::{Buf, BufMut};

/// Appends a number.
pub fn put(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Takes a number; none where the bytes end too early or go on for too long.
pub fn take(rest: &mut impl Buf) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
