//! A hash in which clients have no names: what differs only in who is who is equal.
//!
//! A client is named by the order in which it appears in what is hashed, and so are the ids of its
//! lives. Everything that names a client is made to be recognised here: see [`client_name`],
//! [`token`], [`assignment`] and [`metadata`].
//!
//! Generations are numbers from 0 to 99; nothing else that is hashed as an `i32` is one of these.
//! Where none can begin anew, only how far they are from each other matters.
//!
//! An approximation in one place: timers of one instant run in the order of ids, which this
//! takes for equal.

use std::hash::Hasher;

use bytes::Bytes;
use foldhash::fast::FoldHasher;
use quorate_core::Token;

const TOKEN: u64 = 0x7E57_0000_0000_0000;
/// `c0-` and a UUID.
const MEMBER_ID: usize = 39;

/// The client id, and the instance id of a static client.
pub fn client_name(client: usize) -> String {
    format!("c{client}")
}

/// Whose request a token is; a client has one at a time.
pub fn token(client: usize) -> Token {
    Token(TOKEN + client as u64)
}

/// Who asked.
pub fn asker(token: Token) -> usize {
    usize::try_from(token.0 - TOKEN).unwrap_or(usize::MAX)
}

/// Whose member id that is.
pub fn owner(member: &[u8]) -> usize {
    member.get(1).map_or(usize::MAX, |digit| usize::from(digit.wrapping_sub(b'0')))
}

/// What a leader assigns: it says which generation it is of, by whom, and for whom.
pub fn assignment(generation: i32, leader: usize, member: usize) -> Bytes {
    Bytes::from(vec![b'a', generation as u8, leader as u8, member as u8])
}

/// What a client says of itself when it joins.
pub fn metadata(client: usize) -> Bytes {
    Bytes::from(vec![b'm', client as u8])
}

/// The hasher.
#[derive(Clone)]
pub struct Alias<'a> {
    inner: FoldHasher<'a>,
    clients: [u8; 4],
    next: u8,
    ids: Vec<(u8, u64)>,
    /// The first generation that appeared, if they are told apart by their distance only.
    first: Option<i32>,
    relative: bool,
}

impl<'a> Alias<'a> {
    /// One that has seen nobody. With `relative`, generations are told apart by how far they are
    /// from each other.
    pub fn new(inner: FoldHasher<'a>, relative: bool) -> Alias<'a> {
        let (clients, ids) = ([u8::MAX; 4], Vec::new());
        Alias { inner, clients, next: 0, ids, first: None, relative }
    }

    /// Whether the client has appeared, and as which.
    pub fn seen(&self, client: usize) -> Option<u8> {
        Some(self.clients[client]).filter(|alias| *alias != u8::MAX)
    }

    /// Hashes who a client is.
    pub fn client(&mut self, client: u8) {
        let Some(alias) = self.clients.get_mut(usize::from(client)) else { return };
        if *alias == u8::MAX {
            (*alias, self.next) = (self.next, self.next + 1);
        }
        self.inner.write_u8(*alias);
    }

    fn generation(&mut self, generation: i32) {
        let first = *self.first.get_or_insert(if self.relative { generation } else { 0 });
        self.inner.write_i32(generation - first);
    }

    fn member_id(&mut self, bytes: &[u8]) {
        let client = bytes[1].wrapping_sub(b'0');
        let unique = u64::from_le_bytes(bytes[3..11].try_into().unwrap_or_default());
        let known = self.ids.iter().position(|id| *id == (client, unique));
        let place = known.unwrap_or_else(|| {
            self.ids.push((client, unique));
            self.ids.len() - 1
        });
        self.client(client);
        self.inner.write_usize(place);
    }
}

impl Hasher for Alias<'_> {
    fn finish(&self) -> u64 {
        self.inner.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        match bytes {
            [b'c', client, b'-', ..] if bytes.len() == MEMBER_ID && client.is_ascii_digit() => {
                self.member_id(bytes);
            }
            [b'c', client] if client.is_ascii_digit() => self.client(client - b'0'),
            [b'm', client] => self.client(*client),
            [b'a', generation, leader, member] => {
                self.generation(i32::from(*generation));
                self.client(*leader);
                self.client(*member);
            }
            _ => self.inner.write(bytes),
        }
    }

    fn write_i32(&mut self, number: i32) {
        match number {
            0..100 => self.generation(number),
            _ => self.inner.write_i32(number),
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.inner.write_u8(number);
    }

    fn write_u16(&mut self, number: u16) {
        self.inner.write_u16(number);
    }

    fn write_u32(&mut self, number: u32) {
        self.inner.write_u32(number);
    }

    fn write_u64(&mut self, number: u64) {
        match number.checked_sub(TOKEN) {
            Some(client @ 0..4) => self.client(client as u8),
            _ => self.inner.write_u64(number),
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.inner.write_u128(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.inner.write_usize(number);
    }
}
