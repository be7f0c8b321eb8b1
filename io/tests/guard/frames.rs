//! Length prefixes and the eight bytes behind them.

use kafka_protocol::messages::ApiKey;
use quorate_io::frame::{DEFAULT_MAX_REQUEST_BYTES, FrameError, Head, SMALL_REQUEST_BYTES, length};

#[test]
fn a_frame_has_at_least_8_bytes_and_at_most_socket_request_max_bytes() {
    let most = DEFAULT_MAX_REQUEST_BYTES;
    assert_eq!(most, 104_857_600);
    let read = |prefix: i32| length(prefix.to_be_bytes(), most);
    for short in [0, 1, 3, 5, 7, -1, i32::MIN] {
        assert_eq!(read(short), Err(FrameError::TooShort { length: short }));
    }
    assert_eq!(read(8), Ok(8));
    assert_eq!(read(most as i32), Ok(most));
    assert_eq!(read(most as i32 + 1), Err(FrameError::TooLong { bytes: most + 1, most }));
    assert_eq!(read(i32::MAX), Err(FrameError::TooLong { bytes: i32::MAX as usize, most }));
    let http = FrameError::TooLong { bytes: 0x4745_5420, most };
    assert_eq!(length(*b"GET ", most), Err(http));
    let tls = FrameError::TooLong { bytes: 0x1603_0102, most };
    assert_eq!(length(*b"\x16\x03\x01\x02", most), Err(tls));
}

#[test]
fn the_head_is_read_whatever_it_holds() {
    let head = Head::read([0xff, 0xfe, 0x7f, 0xff, 0x80, 0, 0, 1]);
    let expected = Head { api_key: -2, api_version: i16::MAX, correlation_id: i32::MIN + 1 };
    assert_eq!(head, expected);
}

#[test]
fn only_apis_that_carry_much_may_send_more_than_a_mebibyte() {
    use ApiKey::*;
    let large: Vec<_> = (-1..100)
        .filter(|&api_key| {
            let head = Head { api_key, api_version: 0, correlation_id: 0 };
            assert_eq!(head.check_length(SMALL_REQUEST_BYTES), Ok(()));
            head.check_length(SMALL_REQUEST_BYTES + 1).is_ok()
        })
        .map(|api_key| ApiKey::try_from(api_key).unwrap())
        .collect();
    let expected = [
        Produce,
        Fetch,
        OffsetCommit,
        OffsetFetch,
        JoinGroup,
        SyncGroup,
        CreateTopics,
        TxnOffsetCommit,
        ConsumerGroupHeartbeat,
    ];
    assert_eq!(large, expected);
    let heartbeat = Head { api_key: 12, api_version: 4, correlation_id: 1 };
    let (bytes, most) = (2 << 20, 1 << 20);
    let expected = FrameError::TooLongForApi { bytes, api_key: 12, most };
    assert_eq!(heartbeat.check_length(bytes), Err(expected));
}
