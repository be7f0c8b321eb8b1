//! Builds batches of message format 2, right ones and wrong ones.

pub const STARTED: i64 = 1_700_000_000_000;

/// A batch to be, right unless changed.
#[derive(Clone)]
pub struct Batch {
    pub base_offset: i64,
    pub magic: i8,
    pub crc: Option<u32>,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub producer: (i64, i16),
    pub sequence: i32,
    pub count: i32,
    pub body: Vec<u8>,
}

impl Batch {
    pub fn of(values: &[&[u8]]) -> Batch {
        let records = (0..).zip(values).map(|(n, value)| record(n, n, &sized(value)));
        Batch {
            base_offset: 0,
            magic: 2,
            crc: None,
            attributes: 0,
            last_offset_delta: values.len() as i32 - 1,
            base_timestamp: STARTED,
            producer: (-1, -1),
            sequence: -1,
            count: values.len() as i32,
            body: records.flatten().collect(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut tail = self.attributes.to_be_bytes().to_vec();
        tail.extend(self.last_offset_delta.to_be_bytes());
        tail.extend(self.base_timestamp.to_be_bytes());
        let last = self.base_timestamp.saturating_add(self.last_offset_delta.into());
        tail.extend(last.to_be_bytes());
        tail.extend(self.producer.0.to_be_bytes());
        tail.extend(self.producer.1.to_be_bytes());
        tail.extend(self.sequence.to_be_bytes());
        tail.extend(self.count.to_be_bytes());
        tail.extend(&self.body);
        let mut bytes = self.base_offset.to_be_bytes().to_vec();
        bytes.extend((tail.len() as i32 + 9).to_be_bytes());
        bytes.extend((-1_i32).to_be_bytes());
        bytes.extend(self.magic.to_be_bytes());
        bytes.extend(self.crc.unwrap_or(crc32c::crc32c(&tail)).to_be_bytes());
        bytes.extend(tail);
        bytes
    }
}

pub fn varint(value: i64) -> Vec<u8> {
    let mut left = (value << 1 ^ value >> 63) as u64;
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

pub fn sized(value: &[u8]) -> Vec<u8> {
    [varint(value.len() as i64), value.to_vec()].concat()
}

/// A record without a key; `value` is the value with its length in front.
pub fn record(offset: i64, time: i64, value: &[u8]) -> Vec<u8> {
    record_with(offset, time, value, &varint(0))
}

pub fn record_with(offset: i64, time: i64, value: &[u8], headers: &[u8]) -> Vec<u8> {
    sized(&[&[0], &*varint(time), &varint(offset), &varint(-1), value, headers].concat())
}
