//! At what time is a request executed?

use std::sync::{Arc, Mutex};

use kafka_protocol::messages::{ApiKey, HeartbeatResponse, JoinGroupResponse};
use quorate_core::{Effect, Input, Instant, Now, Request, Shard, ShardId};
use quorate_io::cli::Settings;
use quorate_io::tap::{Ended, Tap};

use crate::broker::{Running, beat, framed, join, start_with, two_members, wait_for};

/// When shards were told of requests.
#[derive(Debug, Default)]
struct Times(Mutex<Vec<(Instant, Request)>>);

impl Tap for Times {
    fn loaded(&self, _: Now, _: &[Effect], _: &Shard) {}

    fn stepped(&self, now: Now, input: Input, _: &[Effect], _: &Shard) {
        if let Input::Request { body, .. } = input {
            self.0.lock().expect("no test panics with it").push((now.mono, body));
        }
    }

    fn ended(&self, _: ShardId, _: Ended<'_>) {}
}

impl Times {
    fn of(&self, which: impl Fn(&Request) -> bool) -> Vec<Instant> {
        let all = self.0.lock().expect("no test panics with it");
        all.iter().filter(|(_, request)| which(request)).map(|(at, _)| *at).collect()
    }
}

fn watched() -> (Running, Arc<Times>) {
    let times = Arc::new(Times::default());
    let tap = Arc::clone(&times);
    let settings = Settings {
        group_initial_rebalance_delay: std::time::Duration::ZERO,
        ..Settings::default()
    };
    let broker = start_with::<tokio::net::TcpListener>(
        1,
        settings,
        |mut stores| {
            stores.tap = Some(tap);
            stores
        },
        |listener| listener,
    );
    (broker, times)
}

fn is_heartbeat(request: &Request) -> bool {
    matches!(request, Request::Heartbeat(_))
}

#[test]
fn clocks_are_read_once_for_requests_that_came_together() {
    let (broker, times) = watched();
    let mut client = broker.connect();
    let sent = [1, 2, 3].map(|n| framed(ApiKey::Heartbeat, 4, n, &beat("orders", 1, "nobody")));
    client.send(&sent.concat());
    for n in 1..=3 {
        assert_eq!(client.receive::<HeartbeatResponse>(4).0, n);
    }
    client.send(&sent[0]);
    client.receive::<HeartbeatResponse>(4);
    let [first, second, third, later] = times.of(is_heartbeat)[..] else { panic!("four of them") };
    assert_eq!((first, first), (second, third));
    assert!(later > first);
    drop(client);
    assert_eq!(broker.stop(), Ok(()));
}

#[test]
fn what_was_read_ahead_is_executed_at_its_own_time() {
    let (broker, times) = watched();
    let [(mut leader, id), (mut follower, other)] = two_members(&broker, "orders");
    leader.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &id)));
    wait_for(&broker, "PreparingRebalance");
    leader.send(&framed(ApiKey::Heartbeat, 4, 5, &beat("orders", 3, &id)));
    wait_for(&broker, "PreparingRebalance");
    follower.send(&framed(ApiKey::JoinGroup, 3, 4, &join("orders", &other)));
    assert_eq!(follower.receive::<JoinGroupResponse>(3).1.generation_id, 3);
    assert_eq!(leader.receive::<JoinGroupResponse>(3).1.generation_id, 3);
    assert_eq!(leader.receive::<HeartbeatResponse>(4).1.error_code, 0);
    let joins = times.of(|request| matches!(request, Request::JoinGroup(_)));
    let beats = times.of(is_heartbeat);
    assert!(beats[0] > joins[joins.len() - 1], "{beats:?} {joins:?}");
    drop((leader, follower));
    assert_eq!(broker.stop(), Ok(()));
}
