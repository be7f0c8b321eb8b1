//! What a heartbeat costs on the wire. The only test of its program: it counts what all threads do.

use std::alloc::System;

use bytes::BytesMut;
use kafka_protocol::messages::{ApiKey, GroupId, HeartbeatRequest, RequestHeader};
use kafka_protocol::protocol::{Encodable, StrBytes, encode_request_header_into_buffer};
use quorate_core::{ErrorCode, Response};
use quorate_io::wire;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_heartbeat_is_read_without_memory_and_answered_with_one_allocation() {
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Heartbeat as i16)
        .with_request_api_version(4)
        .with_client_id(Some(StrBytes::from_static_str("app")));
    let request = HeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("orders")))
        .with_member_id(StrBytes::from_static_str("app-1"));
    let mut buffer = BytesMut::new();
    for _ in 0..2 {
        encode_request_header_into_buffer(&mut buffer, &header).unwrap();
        request.encode(&mut buffer, 4).unwrap();
    }
    // A frame as a connection has it: a part of what was read.
    let frame = buffer.split_to(buffer.len() / 2).freeze();

    let reading = Region::new(MEMORY);
    let incoming = wire::decode(frame).unwrap();
    assert_eq!(reading.change().allocations, 0);

    let writing = Region::new(MEMORY);
    let reply = Response::Heartbeat(ErrorCode::None).into();
    let answer = wire::encode(incoming.shape, reply, &|_| None).unwrap();
    assert_eq!(writing.change().allocations, 1);
    let answer = answer.joined();
    assert_eq!(answer.capacity(), answer.len(), "of exactly its size");
}
