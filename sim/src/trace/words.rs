//! Small words of a trace: spans, blobs, groups, steps of a script, faults.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use litemap::LiteMap;
use quorate_core::GroupId;

use crate::plan::{Ask, ClientId, Fault, NodeIndex, Op, ShardIndex, TopicSpec, Way, Who};

pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: the same in every release of everything.
pub(super) fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// `length.first 4 hex of a hash`.
pub(super) fn blob(bytes: &Bytes) -> String {
    let hash = fnv(FNV_START, bytes);
    let folded = (hash >> 48) ^ (hash >> 32) ^ (hash >> 16) ^ hash;
    format!("{}B.{:04x}", bytes.len(), folded & 0xffff)
}

/// A group's name; in quotes where it is empty or has blanks.
pub(super) fn group(id: &GroupId) -> String {
    let name = id.as_str();
    if name.is_empty() || name.contains(' ') { format!("{name:?}") } else { name.to_owned() }
}

/// `10s`, `1.5s`, `100ms`.
pub(super) fn span(of: Duration) -> String {
    if of.is_zero() || of.subsec_millis() == 0 {
        return format!("{}s", of.as_secs());
    }
    if of < Duration::from_secs(1) {
        return format!("{}ms", of.as_millis());
    }
    format!("{}s", of.as_secs_f64())
}

/// `1 key`, `2 keys`.
pub(super) fn count(of: usize, what: &str) -> String {
    if of == 1 { format!("1 {what}") } else { format!("{of} {what}s") }
}

/// `orders[0 1 2] other[0]`.
pub(super) fn owns(owned: &BTreeSet<(String, i32)>) -> String {
    if owned.is_empty() {
        return "nothing".to_owned();
    }
    let mut topics: LiteMap<&str, Vec<String>> = LiteMap::new();
    for (topic, partition) in owned {
        topics.entry(topic).or_default().push(partition.to_string());
    }
    let topics = topics.iter().map(|(topic, of)| format!("{topic}[{}]", of.join(" ")));
    topics.collect::<Vec<_>>().join(" ")
}

/// A client's alias.
pub(super) fn client(id: ClientId) -> String {
    format!("c{}", id.0 + 1)
}

fn node(node: NodeIndex) -> String {
    format!("n{}", node.0 + 1)
}

fn shard(shard: ShardIndex) -> String {
    format!("s{}", shard.0)
}

/// A step of a client, in words.
pub(super) fn op(by: ClientId, op: &Op) -> String {
    let by = client(by);
    match op {
        Op::Start => format!("{by} starts"),
        Op::Leave => format!("{by} leaves and ends"),
        Op::Crash => format!("{by} crashes"),
        Op::Pause(lasts) => format!("{by} sleeps for {}", span(*lasts)),
        Op::Subscribe(topics) => format!("{by} subscribes to {}", topics.join(" ")),
        Op::Rejoin => format!("{by} joins again"),
        Op::RetryElsewhere => format!("{by} asks again on a second connection"),
        Op::Say(ask, who) => format!("{by} says {}{}", asked(ask), in_whose_name(*who)),
    }
}

fn asked(ask: &Ask) -> String {
    match ask {
        Ask::FindCoordinator => "FindCoordinator".to_owned(),
        Ask::Join => "JoinGroup".to_owned(),
        Ask::JoinAs { protocol_type } => format!("JoinGroup as {protocol_type}"),
        Ask::Sync => "SyncGroup".to_owned(),
        Ask::Heartbeat => "Heartbeat".to_owned(),
        Ask::LeaveGroup => "LeaveGroup".to_owned(),
        Ask::Commit { topic, partitions, offset, metadata } => {
            let mut text = format!("OffsetCommit {topic} 0..{partitions} = {offset}");
            if *metadata > 0 {
                let _ = write!(text, " with {metadata} characters");
            }
            text
        }
        Ask::Fetch { stable: true } => "OffsetFetch, stable".to_owned(),
        Ask::Fetch { stable: false } => "OffsetFetch".to_owned(),
        Ask::DeleteOffsets { topic, partitions } => {
            format!("OffsetDelete {topic} 0..{partitions}")
        }
        Ask::Describe => "DescribeGroups".to_owned(),
        Ask::List => "ListGroups".to_owned(),
        Ask::DeleteGroup => "DeleteGroups".to_owned(),
        Ask::Remove(other) => format!("LeaveGroup for {}", client(*other)),
    }
}

fn in_whose_name(who: Who) -> String {
    match who {
        Who::Itself => String::new(),
        Who::OldGeneration => ", of the generation before".to_owned(),
        Who::NextGeneration => ", of the generation after".to_owned(),
        Who::OldMember => ", as the member it was before".to_owned(),
        Who::Nobody => ", as nobody".to_owned(),
        Who::Other(other) => format!(", as {}", client(other)),
        Who::OtherAs(other) => format!(", as {} under its own instance id", client(other)),
        Who::Stranger => ", as a stranger".to_owned(),
    }
}

fn list<T: Copy>(of: &[T], one: impl Fn(T) -> String) -> String {
    of.iter().map(|item| one(*item)).collect::<Vec<_>>().join(" ")
}

/// A fault, in words.
pub(super) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Slow { latency, lasts } => {
            let (lasts, min, max) = (span(*lasts), span(latency.min), span(latency.max));
            let speed = if min == max { min } else { format!("{min} to {max}") };
            format!("slow network for {lasts}: {speed} each way")
        }
        Fault::Cut(of) => format!("cut connections of {}", client(*of)),
        Fault::LoseReply(to) => format!("lose the next reply to {}", client(*to)),
        Fault::Partition { clients, nodes, way, lasts } => {
            let sign = match way {
                Way::Both => "|",
                Way::ToNodes => "-|>",
                Way::ToClients => "<|-",
            };
            let (clients, nodes) = (list(clients, client), list(nodes, node));
            format!("partition {clients} {sign} {nodes} for {}", span(*lasts))
        }
        Fault::Hold { client: of, node: at, lasts } => {
            format!("hold {} - {} for {}", client(*of), node(*at), span(*lasts))
        }
        Fault::Trickle { client: of, lasts } => {
            format!("{} writes and reads byte by byte for {}", client(*of), span(*lasts))
        }
        Fault::HalfFrame(of) => format!("{} sends half a frame and hangs up", client(*of)),
        Fault::Malformed { client: of, node: to, what } => {
            format!("from the host of {} comes nonsense to {}: {what:?}", client(*of), node(*to))
        }
        Fault::CreateTopic(TopicSpec { name, partitions }) => {
            format!("create topic {name} with {}", count_of(*partitions))
        }
        Fault::DeleteTopic(name) => format!("delete topic {name}"),
        Fault::RecreateTopic(name) => format!("delete topic {name} and create it anew"),
        Fault::GrowTopic(name, by) => format!("topic {name} gets {} more", count_of(*by)),
        of_broker => fault_of_broker(of_broker),
    }
}

fn count_of(partitions: i32) -> String {
    count(usize::try_from(partitions).unwrap_or(0), "partition")
}

fn fault_of_broker(fault: &Fault) -> String {
    match fault {
        Fault::Kill { node: of, down } => format!("kill {}, down {}", node(*of), span(*down)),
        Fault::PowerLoss { node: of, down, kept } => {
            let (of, down) = (node(*of), span(*down));
            format!("power loss of {of}, down {down}, {kept} % of what is in flight kept")
        }
        Fault::RestartWith { node: of, down, max_group_size } => {
            let (of, down) = (node(*of), span(*down));
            format!("restart {of} with group.max.size {max_group_size}, down {down}")
        }
        Fault::Pause { node: of, lasts } => format!("pause {} for {}", node(*of), span(*lasts)),
        Fault::Resign(of) => format!("{} resigns and is loaded again", shard(*of)),
        Fault::Move { shard: of, to, unaware } => {
            let (of, to, unaware) = (shard(*of), node(*to), span(*unaware));
            format!("move {of} to {to}, its old leader unaware for {unaware}")
        }
        Fault::StaleMetadata { node: of, lasts } => {
            format!("{} hears no news for {}", node(*of), span(*lasts))
        }
        Fault::WallJump { node: of, by_ms } => {
            format!("wall clock of {} jumps by {by_ms} ms", node(*of))
        }
        Fault::WallFreeze { node: of, lasts } => {
            format!("wall clock of {} stands still for {}", node(*of), span(*lasts))
        }
        of_journal => fault_of_journal(of_journal),
    }
}

fn fault_of_journal(fault: &Fault) -> String {
    match fault {
        Fault::Stall { shard: of, lasts } => {
            format!("appends of {} wait for {}", shard(*of), span(*lasts))
        }
        Fault::Refuse { shard: of, appends, cause } => {
            let appends = match appends {
                1 => "append".to_owned(),
                several => format!("{several} appends"),
            };
            format!("refuse the next {appends} of {}: {cause:?}", shard(*of))
        }
        Fault::Unknown { shard: of, stored } => {
            let stored = if *stored { "stored" } else { "not stored" };
            format!("nobody is told of the next append of {}, {stored}", shard(*of))
        }
        Fault::Compact { shard: of, up_to, tombstones } => {
            let gone = if *tombstones { ", tombstones too" } else { "" };
            format!("compact {} up to {up_to} %{gone}", shard(*of))
        }
        Fault::SlowLoad { shard: of, by } => {
            format!("the next load of {} takes {} longer", shard(*of), span(*by))
        }
        Fault::FailLoad(of) => format!("the next load of {} fails half way", shard(*of)),
        other => format!("{other:?}"),
    }
}
