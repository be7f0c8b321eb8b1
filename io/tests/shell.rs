//! Does a whole broker, over real sockets and stores in memory, answer as a connection expects?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest,
    HeartbeatResponse, ListGroupsRequest, ListGroupsResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use quorate_io::broker::{Broker, Loop, StopError};
use quorate_io::cli::Settings;
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use quorate_io::stores::Memory;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// A broker that runs in this process.
struct Running {
    runtime: Runtime,
    broker: Broker,
    threads: Vec<JoinHandle<()>>,
    address: SocketAddr,
}

fn start(cores: usize) -> Running {
    let entropy: Entropy =
        Arc::new(|bytes| getrandom::fill(bytes).expect("the system gives random bytes"));
    let runtime = runtime();
    let mut threads = Vec::new();
    let spawn = |_, run: Loop| {
        threads.push(std::thread::spawn(move || {
            let runtime = self::runtime();
            LocalSet::new().block_on(&runtime, async move { run().await });
        }));
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let stores = Memory::default().open(&entropy);
    let mut broker = Broker::start::<tokio::net::TcpListener>(
        Settings::default(),
        cores,
        spawn,
        listener,
        stores,
        Clock::system(),
        entropy,
    );
    let address = runtime.block_on(broker.listening()).expect("it listens");
    Running { runtime, broker, threads, address }
}

impl Running {
    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Client { stream }
    }

    fn stop(self) -> Result<(), StopError> {
        assert_eq!(self.broker.panics(), 0);
        let stopped = self.runtime.block_on(self.broker.stop());
        self.threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        stopped
    }
}

struct Client {
    stream: TcpStream,
}

/// A request with its length prefix.
fn framed<T: Encodable + HeaderVersion>(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    request: &T,
) -> Vec<u8> {
    let mut body = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    header.encode(&mut body, T::header_version(version)).expect("it encodes");
    request.encode(&mut body, version).expect("it encodes");
    let length = u32::try_from(body.len()).expect("it is short").to_be_bytes();
    [&length[..], &body].concat()
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    fn receive<T: Decodable + HeaderVersion>(&mut self, version: i16) -> (i32, T) {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer comes");
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).expect("the answer is whole");
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, T::header_version(version));
        let answer = T::decode(&mut frame, version).expect("the answer decodes");
        assert_eq!(frame.remaining(), 0);
        (header.expect("the header decodes").correlation_id, answer)
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

fn heartbeat(group: &str) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_member_id(StrBytes::from_static_str("nobody"))
        .with_generation_id(1)
}

fn find(group: &str) -> FindCoordinatorRequest {
    FindCoordinatorRequest::default()
        .with_coordinator_keys(vec![StrBytes::from_string(group.to_owned())])
}

#[test]
fn a_coordinator_is_found_where_the_client_reached_the_broker() {
    let broker = start(2);
    let mut client = broker.connect();
    client.send(&framed(ApiKey::FindCoordinator, 4, 7, &find("orders")));
    let (id, found) = client.receive::<FindCoordinatorResponse>(4);
    let found = &found.coordinators[0];
    let address = (found.host.to_string(), found.port, found.node_id.0, found.error_code);
    let port = i32::from(broker.address.port());
    assert_eq!((id, address), (7, ("127.0.0.1".to_owned(), port, 1, 0)));
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn pipelined_requests_of_groups_on_all_threads_are_answered_in_order() {
    for cores in [1, 3] {
        let broker = start(cores);
        let mut client = broker.connect();
        let sent: Vec<u8> = (0..50)
            .flat_map(|n| framed(ApiKey::Heartbeat, 4, n, &heartbeat(&format!("group-{n}"))))
            .collect();
        client.send(&sent);
        for n in 0..50 {
            assert_eq!(client.receive::<HeartbeatResponse>(4).0, n);
        }
        drop(client);
        assert_eq!(broker.stop(), Ok(()));
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let broker = start(1);
    let mut client = broker.connect();
    for byte in framed(ApiKey::FindCoordinator, 0, 1, &FindCoordinatorRequest::default()) {
        client.send(&[byte]);
    }
    assert_eq!(client.receive::<FindCoordinatorResponse>(0).0, 1);
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn the_groups_of_all_threads_are_gathered() {
    let broker = start(3);
    let mut client = broker.connect();
    client.send(&framed(ApiKey::ListGroups, 4, 3, &ListGroupsRequest::default()));
    assert_eq!(client.receive::<ListGroupsResponse>(4).0, 3);
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn what_cannot_be_a_request_closes_its_connection_alone() {
    let broker = start(2);
    let mut other = broker.connect();
    let heartbeat_of_the_future = [0, 0, 0, 8, 0, 12, 0, 99, 0, 0, 0, 1];
    let unknown_key = [0, 0, 0, 8, 0x7f, 0, 0, 0, 0, 0, 0, 1];
    let two_billion_topics =
        [0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff];
    let too_long = [0x7f, 0xff, 0xff, 0xff];
    let too_short = [0, 0, 0, 3, 1, 2, 3];
    let cases: [&[u8]; 5] =
        [&heartbeat_of_the_future, &unknown_key, &two_billion_topics, &too_long, &too_short];
    for bytes in cases {
        let mut client = broker.connect();
        client.send(bytes);
        assert!(client.is_closed(), "{bytes:?}");
    }
    other.send(&framed(ApiKey::Heartbeat, 4, 5, &heartbeat("orders")));
    assert_eq!(other.receive::<HeartbeatResponse>(4).0, 5);
    drop(other);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn a_stop_closes_connections_that_ask_nothing() {
    let broker = start(2);
    let mut client = broker.connect();
    client.send(&framed(ApiKey::Heartbeat, 4, 5, &heartbeat("orders")));
    assert_eq!(client.receive::<HeartbeatResponse>(4).0, 5);
    assert_eq!(broker.stop(), Ok(()));
    assert!(client.is_closed());
}
