//! Requests by the guard's own schemas, right ones and such that are wrong on purpose.

use quorate_io::guard::schema::{Op, Program, Tagged};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Numbers that lengths and counts go wrong with.
const ODD: [i32; 10] = [-1, -2, 0, 1, 2, 127, 0x7fff, 0xffff, i32::MAX, i32::MIN];

pub fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}

/// Whether one chance in `chances` comes true.
pub fn once_in(rng: &mut ChaCha8Rng, chances: usize) -> bool {
    below(rng, chances) == 0
}

/// What a request shall be like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Right in all.
    Right,
    /// Some of its fields are what they must not be.
    Wrong,
    /// At most one field is null that must not be; all else is right.
    OneNull,
}

/// A request with header and body.
pub fn request(rng: &mut ChaCha8Rng, head: (i16, i16), program: &Program, plan: Plan) -> Vec<u8> {
    let mut frame = head.0.to_be_bytes().to_vec();
    frame.extend(head.1.to_be_bytes());
    frame.extend([0, 0, 0, 7]);
    let mut writer = Writer { rng, out: frame, flexible: false, plan };
    writer.text(true);
    writer.flexible = program.flexible;
    if program.flexible_header {
        writer.tags(&[]);
    }
    writer.fields(&program.body);
    writer.out
}

struct Writer<'r> {
    rng: &'r mut ChaCha8Rng,
    out: Vec<u8>,
    flexible: bool,
    plan: Plan,
}

impl Writer<'_> {
    fn fields(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Fixed(bytes) => self.random(*bytes),
                Op::Text { nullable } => self.text(*nullable),
                Op::Blob { nullable } => self.blob(*nullable),
                Op::Array { nullable, element } => self.array(*nullable, element),
                Op::Optional(content) => self.optional(content),
                Op::Tags(known) => self.tags(known),
            }
        }
    }

    fn optional(&mut self, content: &[Op]) {
        let absent = once_in(self.rng, 3);
        let byte = if self.goes_wrong() { self.rng.next_u32() as u8 } else { 1 };
        self.out.push(if absent { 0xff } else { byte });
        if !absent {
            self.fields(content);
        }
    }

    fn text(&mut self, nullable: bool) {
        if self.null(nullable) {
            return if self.flexible { self.varint(0) } else { self.out.extend([0xff; 2]) };
        }
        let mut text =
            ["", "g", "topic", "größe", "\u{1F980}"][below(self.rng, 5)].as_bytes().to_vec();
        if once_in(self.rng, 200) {
            let most = if self.plan == Plan::Wrong { 40_000 } else { 32_768 };
            text = vec![b'x'; below(self.rng, most)];
        }
        if self.goes_wrong() {
            text.push(0xc3);
        }
        if self.flexible {
            self.varint(text.len() as u32 + 1);
        } else {
            self.out.extend((text.len() as i16).to_be_bytes());
        }
        self.out.extend(text);
    }

    fn blob(&mut self, nullable: bool) {
        if self.null(nullable) {
            return self.length(-1);
        }
        let bytes = below(self.rng, 30);
        self.length(bytes as i32);
        self.random(bytes);
    }

    fn array(&mut self, nullable: bool, element: &[Op]) {
        if self.null(nullable) {
            return self.length(-1);
        }
        let most = if once_in(self.rng, 300) { 300 } else { 4 };
        let count = below(self.rng, most);
        self.length(count as i32);
        for _ in 0..count {
            self.fields(element);
        }
    }

    fn tags(&mut self, known: &[Tagged]) {
        let allowed = |field: &&Tagged| self.plan == Plan::Wrong || field.content.is_some();
        let known = known.iter().filter(allowed).filter(|_| once_in(self.rng, 3));
        let known: Vec<_> = known.collect();
        let mut unknown = if once_in(self.rng, 4) { below(self.rng, 4) } else { 0 };
        if self.goes_wrong() {
            unknown += 62;
        }
        self.varint((known.len() + unknown) as u32);
        for Tagged { tag, content } in known {
            self.varint(*tag);
            let size = below(self.rng, 40) as u32;
            self.varint(size);
            self.fields(content.as_deref().unwrap_or_default());
        }
        for _ in 0..unknown {
            let (tag, size) = (10 + below(self.rng, 300) as u32, below(self.rng, 5));
            self.varint(tag);
            self.varint(size as u32);
            self.random(size);
        }
    }

    fn null(&mut self, nullable: bool) -> bool {
        if !nullable && self.plan == Plan::OneNull && once_in(self.rng, 4) {
            self.plan = Plan::Right;
            return true;
        }
        (nullable && once_in(self.rng, 4)) || self.goes_wrong()
    }

    fn goes_wrong(&mut self) -> bool {
        self.plan == Plan::Wrong && once_in(self.rng, 20)
    }

    fn random(&mut self, bytes: usize) {
        let start = self.out.len();
        self.out.resize(start + bytes, 0);
        self.rng.fill_bytes(&mut self.out[start..]);
    }

    /// The length of bytes, or a count; -1 is null.
    fn length(&mut self, mut length: i32) {
        if self.goes_wrong() {
            length = ODD[below(self.rng, ODD.len())];
        }
        if self.flexible {
            self.varint(length.wrapping_add(1) as u32);
        } else {
            self.out.extend(length.to_be_bytes());
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

/// Changes a few bytes after the first eight.
pub fn mutate(rng: &mut ChaCha8Rng, frame: &mut Vec<u8>) {
    for _ in 0..=below(rng, 3) {
        let at = 8 + below(rng, frame.len() - 7);
        let end = frame.len().min(at + below(rng, 8));
        match below(rng, 8) {
            0 => frame.truncate(at),
            1 => frame.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (end % 8)),
            2 => frame.iter_mut().skip(at).take(1).for_each(|byte| *byte = rng.next_u32() as u8),
            3 => drop(frame.splice(at..end, ODD[below(rng, ODD.len())].to_be_bytes())),
            4 => drop(
                frame.splice(at..end, [0xff, 0xff, 0xff, 0xff, 0x0f].into_iter().take(end % 6)),
            ),
            5 => drop(frame.drain(at..end)),
            6 => drop(frame.splice(at..at, frame[at..end].to_vec())),
            _ => frame.extend((0..end % 9).map(|_| rng.next_u32() as u8)),
        }
    }
}
