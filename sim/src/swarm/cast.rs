//! The world of a plan: brokers, topics, and groups with their clients.

use std::time::Duration;

use super::{Draw, Profile, true_clocks};
use crate::plan::{Assignor, ClientSpec, ClientVersion, Drive, NodeSpec, TopicSpec};
use crate::random::Stream;

const GROUPS: [&str; 6] = ["orders", "billing", "audit", "mail", "search", "reports"];
const TOPICS: [&str; 3] = ["clicks", "sales", "logs"];

/// One to three brokers, two at least for a split brain.
pub(super) fn nodes(draw: &Draw) -> Vec<NodeSpec> {
    let mut stream = draw.stream("swarm nodes");
    let least = u64::from(draw.profile == Profile::SplitBrain) + 1;
    let most = if draw.is_for_shell() { 2 } else { 3 };
    let mut nodes = true_clocks(least + stream.below(most - least + 1));
    let is_skewed = match draw.profile {
        Profile::Sessions | Profile::Expiry => true,
        _ => stream.chance(25),
    };
    if is_skewed && !draw.is_for_shell() {
        for node in &mut nodes {
            let ppm = *stream.pick(&[0, -50_000, 50_000, -200, 10_000]);
            node.clock_ppm = if draw.is_rounded { 0 } else { ppm };
            node.wall_offset_ms = *stream.pick(&[0, -60_000, 1_500, 3_600_000]);
        }
    }
    nodes
}

/// One to three topics of one to six partitions.
pub(super) fn topics(draw: &Draw) -> Vec<TopicSpec> {
    let mut stream = draw.stream("swarm topics");
    let count = 1 + stream.below(3) as usize;
    let make = |name: &&str| TopicSpec {
        name: (*name).to_owned(),
        partitions: 1 + stream.below(6) as i32,
    };
    TOPICS[..count].iter().map(make).collect()
}

/// One to three groups of one to six clients, two processes with one instance id among them at
/// times, and administrators.
pub(super) fn clients(draw: &Draw, topics: &[TopicSpec]) -> Vec<ClientSpec> {
    let mut stream = draw.stream("swarm clients");
    let groups = 1 + stream.below(if draw.is_for_shell() { 2 } else { 3 }) as usize;
    let mut clients = Vec::new();
    let first = stream.below(GROUPS.len() as u64) as usize;
    for group in GROUPS.iter().cycle().skip(first).take(groups) {
        let most = if draw.is_for_shell() { 3 } else { 6 };
        members(&mut clients, group, 1 + stream.below(most), topics, draw, &mut stream);
    }
    if draw.is_for_shell() {
        clients.truncate(4);
        if clients.len() < 2 {
            clients.push(clients[0].clone());
        }
    }
    let names: Vec<String> = clients.iter().map(|client| client.group.clone()).collect();
    let administrators = if draw.is_for_shell() { 1 } else { 1 + stream.below(2) };
    for _ in 0..administrators {
        let mut administrator = clients[0].clone();
        administrator.group = stream.pick(&names).clone();
        (administrator.instance, administrator.drive) = (None, Drive::Script);
        clients.push(administrator);
    }
    clients
}

fn members(
    clients: &mut Vec<ClientSpec>,
    group: &str,
    count: u64,
    topics: &[TopicSpec],
    draw: &Draw,
    stream: &mut Stream,
) {
    let ms = Duration::from_millis;
    let common = *stream.pick(&[
        &[Assignor::Range][..],
        &[Assignor::RoundRobin, Assignor::Range],
        &[Assignor::CooperativeSticky],
        &[Assignor::CooperativeSticky, Assignor::Range],
    ]);
    // A shell's run is short, and its time is dear.
    let (sessions, rebalances) = match draw.profile {
        _ if draw.is_for_shell() => (&[1_000, 3_000, 6_000][..], &[1_000, 5_000][..]),
        Profile::Sessions => (&[1_000, 3_000, 6_000][..], &[1_000, 5_000, 10_000][..]),
        // Few have long ones: how long a run has to become well, and with it its cost, grows.
        _ => (
            &[1_000, 3_000, 6_000, 6_000, 6_000, 10_000, 10_000, 45_000][..],
            &[1_000, 3_000, 5_000, 5_000, 5_000, 10_000, 10_000, 60_000][..],
        ),
    };
    let (session, rebalance) = (ms(*stream.pick(sessions)), ms(*stream.pick(rebalances)));
    let statics = *stream.pick(&[0_u8, 0, 40, 100]);
    let olds = *stream.pick(&[0_u8, 0, 0, 30, 100]);
    let commits = *stream.pick(&[None, Some(ms(500)), Some(ms(2_000)), Some(ms(5_000))]);
    for number in 0..count {
        let version = if stream.chance(olds) { ClientVersion::Old } else { ClientVersion::New };
        // An old client names no instance (KIP-345 is newer than KIP-394's predecessor).
        let is_static = version == ClientVersion::New && stream.chance(statics);
        // At times the one before has the same instance id: two processes that are one by mistake.
        let named = if stream.chance(12) { number.saturating_sub(1) } else { number };
        let session = if stream.chance(80) { session } else { session * 2 };
        let mut subscribed: Vec<String> = Vec::new();
        for topic in topics {
            if stream.chance(75) {
                subscribed.push(topic.name.clone());
            }
        }
        if subscribed.is_empty() {
            subscribed.push(topics[0].name.clone());
        }
        clients.push(ClientSpec {
            group: group.to_owned(),
            instance: is_static.then(|| format!("{group}-{named}")),
            topics: subscribed,
            assignors: assignors(common, stream),
            session,
            rebalance: if stream.chance(80) { rebalance } else { rebalance * 2 },
            heartbeat: session / *stream.pick(&[3, 3, 3, 2, 10]),
            commit_every: commits,
            version,
            leaves_assignment_to_server: stream.chance(8),
            drive: Drive::Consumer,
        });
    }
}

/// What all have in common, and at times something of one's own behind it.
fn assignors(common: &[Assignor], stream: &mut Stream) -> Vec<Assignor> {
    let mut own = common.to_vec();
    if !common.contains(&Assignor::CooperativeSticky) && stream.chance(20) {
        let more = *stream.pick(&[Assignor::RoundRobin, Assignor::Range]);
        if !own.contains(&more) {
            own.push(more);
        }
    }
    // The instance's other process may prefer another one.
    if own.len() > 1 && stream.chance(10) {
        own.reverse();
    }
    own
}
