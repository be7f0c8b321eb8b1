//! Groups over more than one connection.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;

use kafka_protocol::messages::{
    ApiKey, FindCoordinatorResponse, HeartbeatResponse, JoinGroupResponse, ListGroupsRequest,
    ListGroupsResponse, SyncGroupResponse,
};

use crate::broker::{
    beat, find, framed, heartbeat, join, leave, start, sync, two_members, wait_for,
};

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
fn the_groups_of_all_threads_are_gathered() {
    let broker = start(3);
    let mut client = broker.connect();
    client.send(&framed(ApiKey::ListGroups, 4, 3, &ListGroupsRequest::default()));
    assert_eq!(client.receive::<ListGroupsResponse>(4).0, 3);
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
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
fn a_join_that_another_takes_the_place_of_is_never_answered_and_mutes_its_connection() {
    let broker = start(1);
    let [(mut leader, id), (mut follower, other)] = two_members(&broker, "orders");
    leader.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &id)));
    wait_for(&broker, "PreparingRebalance");
    let mut again = broker.connect();
    again.send(&framed(ApiKey::JoinGroup, 3, 9, &join("orders", &id)));
    leader.send(&framed(ApiKey::Heartbeat, 4, 5, &heartbeat("orders")));
    wait_for(&broker, "PreparingRebalance");
    follower.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &other)));
    let (number, joined) = again.receive::<JoinGroupResponse>(3);
    assert_eq!((number, joined.error_code, joined.generation_id), (9, 0, 3));
    assert_eq!(follower.receive::<JoinGroupResponse>(3).1.generation_id, 3);
    // Neither an answer nor the end, not even to the request behind it.
    leader.stream.set_nonblocking(true).expect("a socket");
    let nothing = leader.stream.read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(nothing, Err(ErrorKind::WouldBlock));
    leader.stream.set_nonblocking(false).expect("a socket");
    assert_eq!(broker.stop(), Ok(()));
    assert!(leader.is_closed());
}

#[test]
fn who_goes_while_its_join_is_parked_stays_a_member() {
    let broker = start(1);
    let [(mut leader, id), (mut follower, other)] = two_members(&broker, "orders");
    leader.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &id)));
    wait_for(&broker, "PreparingRebalance");
    drop(leader);
    wait_for(&broker, "PreparingRebalance");
    follower.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &other)));
    let (_, joined) = follower.receive::<JoinGroupResponse>(3);
    assert_eq!((joined.error_code, joined.generation_id), (0, 3));
    assert_eq!(joined.leader.as_str(), id);
    let mut back = broker.connect();
    back.send(&framed(ApiKey::Heartbeat, 4, 1, &beat("orders", 3, &id)));
    assert_eq!(back.receive::<HeartbeatResponse>(4).1.error_code, 0);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn who_asks_to_leave_and_goes_while_its_join_is_parked_has_left() {
    for cores in [1, 3] {
        let broker = start(cores);
        let [(mut leader, id), (mut follower, other)] = two_members(&broker, "orders");
        leader.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &id)));
        wait_for(&broker, "PreparingRebalance");
        leader.send(&framed(ApiKey::LeaveGroup, 2, 5, &leave("orders", &id)));
        drop(leader);
        wait_for(&broker, "PreparingRebalance");
        follower.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &other)));
        let (_, joined) = follower.receive::<JoinGroupResponse>(3);
        // It was there until then.
        assert_eq!((joined.generation_id, joined.leader.as_str()), (3, &*id));
        wait_for(&broker, "PreparingRebalance");
        follower.send(&framed(ApiKey::JoinGroup, 3, 5, &join("orders", &other)));
        let (_, joined) = follower.receive::<JoinGroupResponse>(3);
        assert_eq!((joined.generation_id, joined.members.len()), (4, 1));
        drop(follower);
        assert_eq!(broker.stop(), Ok(()));
    }
}

#[test]
fn who_says_no_more_while_its_join_is_parked_is_answered() {
    let broker = start(1);
    let [(mut leader, id), (mut follower, other)] = two_members(&broker, "orders");
    leader.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &id)));
    wait_for(&broker, "PreparingRebalance");
    leader.stream.shutdown(Shutdown::Write).expect("a socket");
    wait_for(&broker, "PreparingRebalance");
    follower.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &other)));
    assert_eq!(leader.receive::<JoinGroupResponse>(3).1.generation_id, 3);
    assert!(leader.is_closed());
    drop((leader, follower));
    assert_eq!(broker.stop(), Ok(()));
}
