//! Bytes that are no request.
//!
//! Decided here: what each kind of nonsense is. A broker closes the connection that it comes over,
//! or waits for the rest until it does; nobody else notices.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;

use crate::plan::Nonsense;

/// The bytes, with a frame's length in front where they are a frame.
pub(super) fn bytes(what: Nonsense) -> Bytes {
    match what {
        Nonsense::Text => Bytes::from_static(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n"),
        Nonsense::Negative => Bytes::from_static(&[0xff, 0xff, 0xff, 0xfe, 0, 11, 0, 9]),
        Nonsense::Endless => Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 11, 0, 9]),
        Nonsense::Short => Bytes::from_static(&[0, 0, 0, 3, 0, 11, 0]),
        Nonsense::UnknownApi => frame(999, 0, &[]),
        Nonsense::UnknownVersion => frame(ApiKey::JoinGroup as i16, 99, &[0; 20]),
        // Four empty strings and two times, and then more protocols than there are bytes.
        Nonsense::Overcounted => {
            let mut body = vec![0; 2 + 4 + 4 + 2 + 2];
            body.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
            frame(ApiKey::JoinGroup as i16, 3, &body)
        }
    }
}

fn frame(key: i16, version: i16, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    // Key, version, correlation id, and a client id that is null.
    out.put_u32(2 + 2 + 4 + 2 + body.len() as u32);
    out.put_i16(key);
    out.put_i16(version);
    out.put_i32(1);
    out.put_i16(-1);
    out.extend_from_slice(body);
    out.freeze()
}
