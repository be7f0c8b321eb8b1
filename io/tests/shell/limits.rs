//! What a broker does at its limits: of time, of memory, of file descriptors.

use std::cell::Cell;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, HeartbeatResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    SyncGroupResponse,
};
use quorate_io::cli::Settings;
use quorate_io::net::Listener;
use tokio::net::{TcpListener, TcpStream};

use crate::broker::{Client, framed, heartbeat, start_with, sync, text};

const UNKNOWN_MEMBER_ID: i16 = 25;
/// Type of a resource: the settings of brokers.
const BROKER: i8 = 4;

fn beats(client: &mut Client) {
    client.send(&framed(ApiKey::Heartbeat, 4, 5, &heartbeat("orders")));
    let (id, answer) = client.receive::<HeartbeatResponse>(4);
    assert_eq!((id, answer.error_code), (5, UNKNOWN_MEMBER_ID));
}

#[test]
fn a_silent_connection_is_closed() {
    let settings =
        Settings { connections_max_idle: Some(Duration::from_millis(200)), ..Settings::default() };
    let broker = start_with::<TcpListener>(2, settings, |stores| stores, |listener| listener);
    let mut client = broker.connect();
    beats(&mut client);
    assert!(client.is_closed());
    assert!(broker.connect().is_closed());
    assert_eq!(broker.stop(), Ok(()));
}

/// Sets a limit of connections for all brokers, or takes it back.
fn limit(client: &mut Client, name: &str, value: Option<&str>) {
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(text));
    let resource =
        AlterConfigsResource::default().with_resource_type(BROKER).with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.send(&framed(ApiKey::IncrementalAlterConfigs, 1, 3, &request));
    let (_, answer) = client.receive::<IncrementalAlterConfigsResponse>(1);
    assert_eq!(answer.responses[0].error_code, 0);
}

#[test]
fn limits_of_connections_change_while_it_runs() {
    for cores in [1, 2] {
        let broker = start_with::<TcpListener>(
            cores,
            Settings::default(),
            |stores| stores,
            |listener| listener,
        );
        let mut client = broker.connect();
        limit(&mut client, "max.connections.per.ip", Some("1"));
        assert!(broker.connect().is_closed());
        limit(&mut client, "max.connections.per.ip", None);
        let mut other = broker.connect();
        beats(&mut other);
        // The next one is let in when there is room, and not before.
        limit(&mut client, "max.connections", Some("1"));
        let mut next = broker.connect();
        next.send(&framed(ApiKey::Heartbeat, 4, 9, &heartbeat("orders")));
        drop(other);
        beats(&mut client);
        next.stream.set_nonblocking(true).expect("a socket");
        let nothing = next.stream.read(&mut [0; 1]).map_err(|error| error.kind());
        assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
        next.stream.set_nonblocking(false).expect("a socket");
        limit(&mut client, "max.connections", Some("2"));
        assert_eq!(next.receive::<HeartbeatResponse>(4).0, 9);
        drop((client, next));
        assert_eq!(broker.stop(), Ok(()));
    }
}

/// A SyncGroup of nobody with a megabyte in it.
fn megabyte(id: i32) -> Vec<u8> {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id("nobody".into())
        .with_assignment(Bytes::from(vec![7; 1 << 20]));
    let request = sync("orders", 1, "nobody").with_assignments(vec![assignment]);
    framed(ApiKey::SyncGroup, 3, id, &request)
}

#[test]
fn more_long_requests_than_there_is_memory_for_are_all_answered_and_heartbeats_go_on() {
    for cores in [1, 2] {
        let settings = Settings { queued_max_request_bytes: 100_000, ..Settings::default() };
        let broker =
            start_with::<TcpListener>(cores, settings, |stores| stores, |listener| listener);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut client = broker.connect();
                scope.spawn(move || {
                    client.send(&[megabyte(1), megabyte(2), megabyte(3)].concat());
                    for id in 1..=3 {
                        let (answered, answer) = client.receive::<SyncGroupResponse>(3);
                        assert_eq!((answered, answer.error_code), (id, UNKNOWN_MEMBER_ID));
                    }
                });
            }
            let mut client = broker.connect();
            (0..50).for_each(|_| beats(&mut client));
        });
        assert_eq!(broker.stop(), Ok(()));
    }
}

/// A listener that fails three times after it has accepted two connections.
struct OutOfFiles {
    listener: TcpListener,
    asked: Cell<u32>,
}

impl Listener for OutOfFiles {
    type Io = TcpStream;
    type Detached = std::net::TcpListener;

    fn attach(detached: Self::Detached) -> io::Result<Self> {
        Ok(Self { listener: <TcpListener as Listener>::attach(detached)?, asked: Cell::default() })
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let asked = self.asked.replace(self.asked.get() + 1);
        if (2..=4).contains(&asked) {
            let too_many_open_files = 24;
            return Err(io::Error::from_raw_os_error(too_many_open_files));
        }
        Listener::accept(&self.listener).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[test]
fn a_broker_without_file_descriptors_serves_who_is_there_and_accepts_again_later() {
    let settings = Settings::default();
    let broker = start_with::<OutOfFiles>(2, settings, |stores| stores, |listener| listener);
    let mut first = broker.connect();
    beats(&mut first);
    let mut second = broker.connect();
    beats(&mut first);
    beats(&mut second);
    beats(&mut first);
    assert_eq!(broker.stop(), Ok(()));
}
