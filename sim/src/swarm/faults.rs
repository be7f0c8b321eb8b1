//! What goes wrong in a plan. After each fault nothing else goes wrong for a while.

use std::time::Duration;

use super::{Draw, Profile, push};
use crate::plan::{
    Action, ClientId, Fault, Latency, NodeIndex, Nonsense, Plan, Refusal, ShardIndex, Step,
    TopicSpec, Way,
};
use crate::random::Stream;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Slow,
    Cut,
    LoseReply,
    Partition,
    Swizzle,
    Hold,
    Trickle,
    HalfFrame,
    Malformed,
    Kill,
    PowerLoss,
    RestartWith,
    PauseNode,
    Resign,
    Move,
    StaleMetadata,
    Stall,
    Refuse,
    Unknown,
    Compact,
    SlowLoad,
    FailLoad,
    WallJump,
    WallFreeze,
    Topics,
}

const ALL: [Kind; 24] = [
    Kind::Slow,
    Kind::Cut,
    Kind::LoseReply,
    Kind::Partition,
    Kind::Swizzle,
    Kind::Hold,
    Kind::Trickle,
    Kind::HalfFrame,
    Kind::Kill,
    Kind::PowerLoss,
    Kind::RestartWith,
    Kind::PauseNode,
    Kind::Resign,
    Kind::Move,
    Kind::StaleMetadata,
    Kind::Stall,
    Kind::Refuse,
    Kind::Unknown,
    Kind::Compact,
    Kind::SlowLoad,
    Kind::FailLoad,
    Kind::WallJump,
    Kind::WallFreeze,
    Kind::Topics,
];

/// What a profile has in any case.
fn always(profile: Profile) -> &'static [Kind] {
    match profile {
        Profile::Churn | Profile::Storms => &[Kind::LoseReply],
        Profile::Durability => &[
            Kind::Kill,
            Kind::PowerLoss,
            Kind::Unknown,
            Kind::Refuse,
            Kind::Compact,
            Kind::Stall,
            Kind::Resign,
        ],
        Profile::Sessions => &[Kind::PauseNode, Kind::Hold],
        Profile::SplitBrain => &[Kind::Move, Kind::StaleMetadata],
        Profile::Fencing => &[Kind::Stall, Kind::Refuse],
        Profile::Expiry => &[Kind::WallJump, Kind::WallFreeze, Kind::Topics],
        Profile::Everything => &ALL,
    }
}

fn is_possible(kind: Kind, draw: &Draw, plan: &Plan) -> bool {
    match kind {
        Kind::Trickle | Kind::HalfFrame => draw.is_for_shell(),
        Kind::WallJump | Kind::WallFreeze => !draw.is_for_shell(),
        Kind::Move => plan.nodes.len() > 1,
        _ => true,
    }
}

pub(super) fn steps(draw: &Draw, plan: &Plan) -> Vec<Step> {
    let mut stream = draw.stream("swarm faults");
    // Some worlds are well: what clients do must be enough to be wrong about.
    if stream.chance(5) {
        return Vec::new();
    }
    let percent = *stream.pick(&[8_u8, 15, 30]);
    let mut kinds = stream.swarm(&ALL, percent);
    for &kind in always(draw.profile) {
        kinds.push((kind, 50 + stream.below(50)));
    }
    // Not in `ALL`, which the direct simulator draws from as well.
    if draw.is_for_shell() && stream.chance(percent) {
        kinds.push((Kind::Malformed, 1 + stream.below(100)));
    }
    kinds.retain(|(kind, _)| is_possible(*kind, draw, plan));
    if kinds.is_empty() {
        kinds.push((Kind::Cut, 1));
    }
    let stability = *stream.pick(&[0_u64, 300, 2_000]);
    let gap = *stream.pick(&[500_u64, 1_500, 4_000]);
    let mut making = Making { steps: Vec::new(), plan, draw, stream };
    let mut at = Duration::from_millis(500);
    loop {
        at += Duration::from_millis(stability + making.stream.below(gap * 2) + 1);
        if at >= draw.until {
            break;
        }
        let kind = making.stream.weighted(&kinds);
        making.one(at, kind);
    }
    making.steps
}

struct Making<'a> {
    steps: Vec<Step>,
    plan: &'a Plan,
    draw: &'a Draw,
    stream: Stream,
}

impl Making<'_> {
    fn fault(&mut self, at: Duration, fault: Fault) {
        push(&mut self.steps, at, Action::Fault(fault));
    }

    fn one(&mut self, at: Duration, kind: Kind) {
        let fault = match kind {
            Kind::Slow
            | Kind::Cut
            | Kind::LoseReply
            | Kind::Partition
            | Kind::Swizzle
            | Kind::Hold
            | Kind::Trickle
            | Kind::HalfFrame
            | Kind::Malformed => return self.network(at, kind),
            Kind::Kill
            | Kind::PowerLoss
            | Kind::RestartWith
            | Kind::PauseNode
            | Kind::Resign
            | Kind::Move => self.broker(kind),
            Kind::Stall
            | Kind::Refuse
            | Kind::Unknown
            | Kind::Compact
            | Kind::SlowLoad
            | Kind::FailLoad => self.journal(kind),
            Kind::StaleMetadata => {
                Fault::StaleMetadata { node: self.node(), lasts: self.lasts(300, 10_000) }
            }
            Kind::WallJump => {
                let by_ms = *self
                    .stream
                    .pick(&[-60_000, -1_000, 500, 5_000, 60_000, 7_200_000, -7_200_000]);
                Fault::WallJump { node: self.node(), by_ms }
            }
            Kind::WallFreeze => {
                Fault::WallFreeze { node: self.node(), lasts: self.lasts(500, 20_000) }
            }
            Kind::Topics => self.topics(),
        };
        self.fault(at, fault);
    }

    fn network(&mut self, at: Duration, kind: Kind) {
        let client = self.client();
        let fault = match kind {
            Kind::Slow => {
                let ms = Duration::from_millis;
                let latency = *self.stream.pick(&[
                    Latency { min: ms(10), mean: ms(300), max: ms(3_000) },
                    Latency::fixed(ms(500)),
                    Latency { min: ms(0), mean: ms(50), max: ms(5_000) },
                ]);
                Fault::Slow { latency, lasts: self.lasts(500, 10_000) }
            }
            Kind::Cut => Fault::Cut(client),
            Kind::LoseReply => Fault::LoseReply(client),
            Kind::Partition => {
                let way = *self.stream.pick(&[Way::Both, Way::Both, Way::ToNodes, Way::ToClients]);
                let (clients, nodes) = (self.clients(), self.nodes());
                Fault::Partition { clients, nodes, way, lasts: self.lasts(300, 12_000) }
            }
            Kind::Swizzle => return self.swizzle(at),
            Kind::Trickle => Fault::Trickle { client, lasts: self.lasts(300, 5_000) },
            Kind::HalfFrame => Fault::HalfFrame(client),
            Kind::Malformed => {
                let what = *self.stream.pick(&Nonsense::ALL);
                Fault::Malformed { client, node: self.node(), what }
            }
            _ => Fault::Hold { client, node: self.node(), lasts: self.around_a_session(client) },
        };
        self.fault(at, fault);
    }

    /// Clients are cut off one after the other in one order, and come back in another.
    fn swizzle(&mut self, at: Duration) {
        let (clients, nodes) = (self.clients(), self.nodes());
        for client in clients {
            let from = at + self.lasts(0, 2_000);
            let lasts = self.lasts(500, 6_000);
            let (clients, nodes) = (vec![client], nodes.clone());
            if from < self.draw.until {
                self.fault(from, Fault::Partition { clients, nodes, way: Way::Both, lasts });
            }
        }
    }

    fn broker(&mut self, kind: Kind) -> Fault {
        let (node, shard) = (self.node(), self.shard());
        match kind {
            Kind::Kill => Fault::Kill { node, down: self.lasts(50, 5_000) },
            Kind::PowerLoss => {
                let kept = *self.stream.pick(&[0, 50, 100]);
                Fault::PowerLoss { node, down: self.lasts(50, 5_000), kept }
            }
            Kind::RestartWith => {
                let max_group_size = *self.stream.pick(&[1, 2, 1_000, 1_000]);
                Fault::RestartWith { node, down: self.lasts(50, 2_000), max_group_size }
            }
            Kind::PauseNode => {
                let client = self.client();
                Fault::Pause { node, lasts: self.around_a_session(client) }
            }
            Kind::Move => {
                let unaware = self.lasts(0, 15_000);
                Fault::Move { shard, to: node, unaware }
            }
            _ => Fault::Resign(shard),
        }
    }

    fn journal(&mut self, kind: Kind) -> Fault {
        let shard = self.shard();
        match kind {
            Kind::Stall => Fault::Stall { shard, lasts: self.lasts(100, 8_000) },
            Kind::Refuse => {
                let cause = *self.stream.pick(&[
                    Refusal::TooLarge,
                    Refusal::NotEnoughReplicas,
                    Refusal::Storage,
                    Refusal::NotLeader,
                ]);
                Fault::Refuse { shard, appends: 1 + self.stream.below(3) as u8, cause }
            }
            Kind::Unknown => Fault::Unknown { shard, stored: self.stream.chance(50) },
            Kind::Compact => {
                let up_to = *self.stream.pick(&[25, 50, 75, 100]);
                Fault::Compact { shard, up_to, tombstones: self.stream.chance(50) }
            }
            Kind::SlowLoad => Fault::SlowLoad { shard, by: self.lasts(200, 4_000) },
            _ => Fault::FailLoad(shard),
        }
    }

    fn topics(&mut self) -> Fault {
        let name = self.stream.pick(&self.plan.topics).name.clone();
        match self.stream.below(5) {
            0 => Fault::DeleteTopic(name),
            1 => Fault::RecreateTopic(name),
            2 => Fault::GrowTopic(name, 1 + self.stream.below(2) as i32),
            // Also brings one back that was deleted.
            _ => {
                Fault::CreateTopic(TopicSpec { name, partitions: 1 + self.stream.below(4) as i32 })
            }
        }
    }

    fn lasts(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        let lasts =
            self.stream.between(Duration::from_millis(from_ms), Duration::from_millis(to_ms));
        if self.draw.is_rounded { super::tenths(lasts) } else { lasts }
    }

    /// Long enough for a session to end, or just not.
    fn around_a_session(&mut self, client: ClientId) -> Duration {
        let session = self.plan.clients[usize::from(client.0)].session;
        let off = *self.stream.pick(&[0_i64, -100, 100, -500, 900, 1_100, 2_500]);
        let whole = *self.stream.pick(&[session, session, session / 2, session * 3 / 2]);
        Duration::from_millis((whole.as_millis() as i64 + off).max(50) as u64)
    }

    fn client(&mut self) -> ClientId {
        ClientId(self.stream.below(self.plan.clients.len() as u64) as u16)
    }

    fn clients(&mut self) -> Vec<ClientId> {
        let one = self.client();
        let all = (0..self.plan.clients.len() as u16).map(ClientId);
        all.filter(|&client| client == one || self.stream.chance(40)).collect()
    }

    fn node(&mut self) -> NodeIndex {
        NodeIndex(self.stream.below(self.plan.nodes.len() as u64) as u16)
    }

    fn nodes(&mut self) -> Vec<NodeIndex> {
        let one = self.node();
        let all = (0..self.plan.nodes.len() as u16).map(NodeIndex);
        all.filter(|&node| node == one || self.stream.chance(40)).collect()
    }

    fn shard(&mut self) -> ShardIndex {
        ShardIndex(self.stream.below(u64::from(self.plan.shards)) as u32)
    }
}
