//! Does a whole broker, over real sockets and stores in memory, answer as a connection expects?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, ListGroupsRequest, ListGroupsResponse,
    RequestHeader, ResponseHeader, SyncGroupRequest, SyncGroupResponse,
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
        Settings { group_initial_rebalance_delay: Duration::ZERO, ..Settings::default() },
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

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// JoinGroup 3, in which nobody is handed an id first.
fn join(group: &str, member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text(member))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn sync(group: &str, generation: i32, member: &str) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(text(member))
        .with_assignment(Bytes::from_static(b"everything"));
    SyncGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_assignments(vec![assignment])
}

/// Waits until the one group that there is has that state.
fn wait_for(broker: &Running, state: &str) {
    let mut watcher = broker.connect();
    loop {
        watcher.send(&framed(ApiKey::ListGroups, 4, 3, &ListGroupsRequest::default()));
        let (_, listed) = watcher.receive::<ListGroupsResponse>(4);
        if listed.groups[0].group_state.as_str() == state {
            return;
        }
    }
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

#[test]
fn a_member_joins_gets_its_assignment_and_is_parked_when_it_joins_again() {
    for cores in [1, 3] {
        let broker = start(cores);
        let mut client = broker.connect();
        client.send(&framed(ApiKey::JoinGroup, 3, 1, &join("orders", "")));
        let (_, joined) = client.receive::<JoinGroupResponse>(3);
        let member = joined.member_id.to_string();
        assert_eq!(
            (joined.error_code, joined.generation_id, &joined.leader),
            (0, 1, &joined.member_id)
        );
        client.send(&framed(ApiKey::SyncGroup, 3, 2, &sync("orders", 1, &member)));
        let (_, synced) = client.receive::<SyncGroupResponse>(3);
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"everything"[..]));
        // Another member makes it rebalance; a third connection of the first joins in its place.
        let mut other = broker.connect();
        other.send(&framed(ApiKey::JoinGroup, 3, 1, &join("orders", "")));
        wait_for(&broker, "PreparingRebalance");
        let mut again = broker.connect();
        again.send(&framed(ApiKey::JoinGroup, 3, 9, &join("orders", &member)));
        let (id, second) = again.receive::<JoinGroupResponse>(3);
        assert_eq!((id, second.error_code, second.generation_id), (9, 0, 2));
        assert_eq!(other.receive::<JoinGroupResponse>(3).1.generation_id, 2);
        drop((client, other, again));
        assert_eq!(broker.stop(), Ok(()));
    }
}

#[test]
fn a_stop_answers_who_is_parked() {
    let broker = start(2);
    let mut leader = broker.connect();
    leader.send(&framed(ApiKey::JoinGroup, 3, 1, &join("orders", "")));
    leader.receive::<JoinGroupResponse>(3);
    // The leader never joins again, so the second member is parked for as long.
    let mut follower = broker.connect();
    follower.send(&framed(ApiKey::JoinGroup, 3, 8, &join("orders", "")));
    wait_for(&broker, "PreparingRebalance");
    assert_eq!(broker.stop(), Ok(()));
    let (id, answer) = follower.receive::<JoinGroupResponse>(3);
    assert_eq!((id, answer.error_code), (8, 16));
    assert!(follower.is_closed());
}

#[test]
fn what_was_sent_before_the_clients_end_is_still_executed() {
    let broker = start(2);
    let mut client = broker.connect();
    let sent: Vec<u8> = (0..5)
        .flat_map(|n| framed(ApiKey::Heartbeat, 4, n, &heartbeat(&format!("group-{n}"))))
        .collect();
    client.send(&sent);
    client.stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    for n in 0..5 {
        assert_eq!(client.receive::<HeartbeatResponse>(4).0, n);
    }
    assert!(client.is_closed());
    assert_eq!(broker.stop(), Ok(()));
}
