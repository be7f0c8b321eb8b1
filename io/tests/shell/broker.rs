//! A broker in this process, and a client of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, ListGroupsResponse, RequestHeader, ResponseHeader,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use quorate_io::broker::{Broker, Loop, StopError, Stores};
use quorate_io::cli::Settings;
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use quorate_io::net::Listener;
use quorate_io::stores::Memory;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;

pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// A broker that runs in this process.
pub struct Running {
    pub runtime: Runtime,
    pub broker: Broker,
    pub threads: Vec<JoinHandle<()>>,
    pub address: SocketAddr,
}

/// A broker with stores in memory that lets groups form at once.
pub fn start(cores: usize) -> Running {
    let settings =
        Settings { group_initial_rebalance_delay: Duration::ZERO, ..Settings::default() };
    start_with::<tokio::net::TcpListener>(cores, settings, |stores| stores, |listener| listener)
}

/// A broker over these stores and this listener, with all shards loaded. It has accepted one
/// connection.
pub fn start_with<L: Listener>(
    cores: usize,
    settings: Settings,
    stores: impl FnOnce(Stores) -> Stores,
    listener: impl FnOnce(std::net::TcpListener) -> L::Detached,
) -> Running {
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
    let bound = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let (listener, stores) = (listener(bound), stores(Memory::default().open(&entropy)));
    let mut broker = Broker::start::<L>(
        settings,
        cores,
        spawn,
        vec![listener],
        stores,
        Clock::system(),
        entropy,
    );
    let address = runtime.block_on(broker.listening()).expect("it listens")[0];
    let running = Running { runtime, broker, threads, address };
    let mut first = running.connect();
    // Until all shards are loaded.
    while list(&mut first).error_code == COORDINATOR_LOAD_IN_PROGRESS {}
    running
}

fn list(client: &mut Client) -> ListGroupsResponse {
    client.send(&framed(ApiKey::ListGroups, 4, 3, &ListGroupsRequest::default()));
    client.receive::<ListGroupsResponse>(4).1
}

impl Running {
    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Client { stream }
    }

    pub fn stop(self) -> Result<(), StopError> {
        self.stop_while(|| ())
    }

    /// Stops the broker; `then` is called once its threads are told.
    pub fn stop_while(self, then: impl FnOnce()) -> Result<(), StopError> {
        assert_eq!(self.broker.panics(), 0);
        let (stopped, ()) = self
            .runtime
            .block_on(async { tokio::join!(biased; self.broker.stop(), async { then() }) });
        self.threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        stopped
    }
}

pub struct Client {
    pub stream: TcpStream,
}

/// A request with its length prefix.
pub fn framed<T: Encodable + HeaderVersion>(
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
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    pub fn receive<T: Decodable + HeaderVersion>(&mut self, version: i16) -> (i32, T) {
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

    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(bytes) => bytes == 0,
            // Nothing came, and the connection is still there.
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// A heartbeat of a member that there is not.
pub fn heartbeat(group: &str) -> HeartbeatRequest {
    beat(group, 1, "nobody")
}

pub fn beat(group: &str, generation: i32, member: &str) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text(member))
        .with_generation_id(generation)
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// JoinGroup 3, in which nobody is handed an id first.
pub fn join(group: &str, member: &str) -> JoinGroupRequest {
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

pub fn leave(group: &str, member: &str) -> LeaveGroupRequest {
    LeaveGroupRequest::default().with_group_id(GroupId(text(group))).with_member_id(text(member))
}

pub fn sync(group: &str, generation: i32, member: &str) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(text(member))
        .with_assignment(Bytes::from_static(b"everything"));
    SyncGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_assignments(vec![assignment])
}

/// The two members of generation 2 of a group, the leader first. Nobody has synced.
pub fn two_joined(broker: &Running, group: &str) -> [(Client, String); 2] {
    let (mut leader, mut follower) = (broker.connect(), broker.connect());
    leader.send(&framed(ApiKey::JoinGroup, 3, 1, &join(group, "")));
    let (_, first) = leader.receive::<JoinGroupResponse>(3);
    follower.send(&framed(ApiKey::JoinGroup, 3, 1, &join(group, "")));
    wait_for(broker, "PreparingRebalance");
    leader.send(&framed(ApiKey::JoinGroup, 3, 2, &join(group, &first.member_id)));
    let (_, again) = leader.receive::<JoinGroupResponse>(3);
    let (_, second) = follower.receive::<JoinGroupResponse>(3);
    assert_eq!((again.generation_id, second.generation_id), (2, 2));
    assert_eq!((&again.leader, &second.leader), (&first.member_id, &first.member_id));
    [(leader, first.member_id.to_string()), (follower, second.member_id.to_string())]
}

/// The two members of generation 2 of a group that is Stable, the leader first.
pub fn two_members(broker: &Running, group: &str) -> [(Client, String); 2] {
    let mut both = two_joined(broker, group);
    for (client, member) in &mut both {
        client.send(&framed(ApiKey::SyncGroup, 3, 3, &sync(group, 2, member)));
        assert_eq!(client.receive::<SyncGroupResponse>(3).1.error_code, 0);
    }
    both
}

/// Waits until the one group that there is has that state. What was sent to a broker of one thread
/// before is in its shard after.
pub fn wait_for(broker: &Running, state: &str) {
    let mut watcher = broker.connect();
    loop {
        if list(&mut watcher).groups[0].group_state.as_str() == state {
            return;
        }
    }
}

pub fn find(group: &str) -> FindCoordinatorRequest {
    FindCoordinatorRequest::default()
        .with_coordinator_keys(vec![StrBytes::from_string(group.to_owned())])
}
