//! Frames in, answers out, and who is closed.

use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatResponse,
};

use crate::broker::{framed, heartbeat, start};

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
