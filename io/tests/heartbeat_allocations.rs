//! What a heartbeat costs a whole broker. The only test of its program: it counts what all threads
//! do.

#[path = "support/wire.rs"]
mod wire;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    ApiKey, GroupId, HeartbeatRequest, JoinGroupRequest, RequestHeader, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::{Encodable, StrBytes, encode_request_header_into_buffer};
use quorate_io::broker::{Broker, Loop};
use quorate_io::cli::Settings;
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use quorate_io::stores::Memory;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use wire::Connection;

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HEARTBEATS: usize = 1000;
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("orders"))
}

/// Joins as the only member; the member id and the generation.
fn member(connection: &mut Connection) -> (StrBytes, i32) {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    let join = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let joined = loop {
        let joined = connection.call(3, &join).expect("an answer");
        if joined.error_code != COORDINATOR_LOAD_IN_PROGRESS {
            break joined;
        }
    };
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    let sync = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(joined.member_id.clone());
    let synced = connection.call(3, &sync).expect("an answer");
    assert_eq!(synced, SyncGroupResponse::default());
    (joined.member_id, 1)
}

/// A heartbeat with its length prefix.
fn heartbeat(member: StrBytes, generation: i32) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Heartbeat as i16)
        .with_request_api_version(4)
        .with_correlation_id(7)
        .with_client_id(Some(StrBytes::from_static_str("app")));
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(member)
        .with_generation_id(generation);
    let mut frame = BytesMut::zeroed(4);
    encode_request_header_into_buffer(&mut frame, &header).expect("it encodes");
    request.encode(&mut frame, 4).expect("it encodes");
    let length = u32::try_from(frame.len() - 4).expect("it is short").to_be_bytes();
    frame[..4].copy_from_slice(&length);
    frame
}

#[test]
fn in_the_steady_state_a_heartbeat_allocates_its_frame_and_its_reply() {
    let entropy: Entropy =
        Arc::new(|bytes| getrandom::fill(bytes).expect("the system gives random bytes"));
    let mut threads = Vec::new();
    let spawn = |_, run: Loop| {
        threads.push(std::thread::spawn(move || {
            LocalSet::new().block_on(&runtime(), async move { run().await });
        }));
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let settings =
        Settings { group_initial_rebalance_delay: Duration::ZERO, ..Settings::default() };
    let stores = Memory::default().open(&entropy);
    let mut broker = Broker::start::<tokio::net::TcpListener>(
        settings,
        1,
        spawn,
        vec![listener],
        stores,
        Clock::system(),
        entropy,
    );
    let address = runtime().block_on(broker.listening()).expect("it listens")[0];
    let (member, generation) = member(&mut Connection::open(&address.to_string()).expect("open"));

    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.set_nodelay(true).expect("a socket");
    let frame = heartbeat(member, generation);
    let answered = [0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut beat = |times| {
        for _ in 0..times {
            let mut answer = [0; 16];
            stream.write_all(&frame).expect("the broker reads");
            stream.read_exact(&mut answer).expect("the broker answers");
            assert_eq!(answer, answered);
        }
    };
    beat(200);
    let region = Region::new(MEMORY);
    beat(HEARTBEATS);
    let cost = region.change();
    // What is not for each of them: timers, and that debug builds check all groups now and then.
    let each = (cost.allocations / HEARTBEATS, cost.reallocations / HEARTBEATS);
    assert_eq!(each, (2, 0), "{cost:?}");
    drop(stream);
    assert_eq!(runtime().block_on(broker.stop()), Ok(()));
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}
