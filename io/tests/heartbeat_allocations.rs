//! What a heartbeat costs a whole broker. The only test of its program: it counts what all threads
//! do.

#[path = "support/member.rs"]
mod member;
#[path = "support/wire.rs"]
mod wire;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{GroupId, HeartbeatRequest};
use kafka_protocol::protocol::StrBytes;
use member::GENERATION;
use quorate_io::broker::{Broker, Loop};
use quorate_io::cli::Settings;
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use quorate_io::stores::Memory;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use wire::{Connection, frame};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HEARTBEATS: usize = 1000;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
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
    let group = GroupId(StrBytes::from_static_str("orders"));
    let mut connection = Connection::open(&address.to_string()).expect("open");
    let request = HeartbeatRequest::default()
        .with_group_id(group.clone())
        .with_generation_id(GENERATION)
        .with_member_id(member::join(&mut connection, &group));
    drop(connection);

    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.set_nodelay(true).expect("a socket");
    let frame = frame(4, 7, &request);
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
