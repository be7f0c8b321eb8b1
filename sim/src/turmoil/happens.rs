//! What each fault of a plan does to brokers, clients, the network and the journal.

use std::time::Duration;

use quorate_core::ShardId;

use super::nodes::Death;
use super::{Wake, World, nonsense};
use crate::event::{FaultText, What};
use crate::plan::{ClientId, Fault, NodeIndex, ShardIndex};

impl World<'_> {
    pub(super) fn fault(&mut self, fault: &Fault) {
        self.stage.see(What::Fault(FaultText(fault.clone())));
        let at = self.stage.at();
        match *fault {
            Fault::Slow { latency, lasts } => self.network.slow(latency, at + lasts),
            Fault::Partition { ref clients, ref nodes, way, lasts } => {
                for client in clients {
                    for node in nodes {
                        self.network.part(*client, *node, way, at + lasts);
                    }
                }
            }
            Fault::Hold { client, node, lasts } => self.network.hold(client, node, at + lasts),
            Fault::Cut(client)
            | Fault::LoseReply(client)
            | Fault::HalfFrame(client)
            | Fault::Malformed { client, .. }
            | Fault::Trickle { client, .. } => self.fault_of_client(client, fault),
            Fault::Kill { node, down } => self.end_process(node, Death::Kill, Some(down)),
            Fault::PowerLoss { node, down, kept } => {
                self.end_process(node, Death::PowerLoss(kept), Some(down));
            }
            Fault::RestartWith { node, down, max_group_size } => {
                if let Some(node) = self.node(node) {
                    node.max_group_size = max_group_size;
                }
                self.stop_process(node, down);
            }
            Fault::Pause { node, lasts } => self.pause_process(node, at + lasts),
            Fault::StaleMetadata { node, lasts } => self.controller.stale(node, at + lasts),
            Fault::Resign(_) => self.stop_process(self.leader, Duration::ZERO),
            Fault::Move { to, unaware, .. } => self.take_over(to, unaware),
            Fault::WallJump { .. } | Fault::WallFreeze { .. } => {}
            _ => self.fault_of_shard(fault),
        }
    }

    fn fault_of_client(&mut self, client: ClientId, fault: &Fault) {
        let at = self.stage.at();
        let Some(actor) = self.actors.get(usize::from(client.0)) else { return };
        match fault {
            Fault::Cut(_) => actor.cut(),
            Fault::LoseReply(_) => actor.lose_reply(true),
            Fault::HalfFrame(_) => actor.halve_frame(true),
            Fault::Trickle { lasts, .. } => actor.trickle(at + *lasts),
            Fault::Malformed { node, what, .. } => actor.blurt(*node, nonsense::bytes(*what)),
            _ => {}
        }
    }

    /// Another broker starts, and takes all shards over from one that does not know.
    pub(super) fn take_over(&mut self, to: NodeIndex, unaware: Duration) {
        if usize::from(to.0) >= self.nodes.len() || to == self.leader {
            return;
        }
        let (at, old) = (self.stage.at(), self.leader);
        self.lead(to);
        // One that was superseded itself starts anew.
        self.end_process(to, Death::Kill, None);
        self.start_process(to);
        let process = self.node(old).and_then(|node| node.running.as_ref());
        if let Some(number) = process.map(|running| running.number) {
            self.plan(at + unaware, Wake::Superseded(old, number));
        }
    }

    fn fault_of_shard(&mut self, fault: &Fault) {
        let at = self.stage.at();
        let id = |shard: ShardIndex| ShardId(shard.0);
        match *fault {
            Fault::Stall { shard, lasts } => self.journals.stall(id(shard), at + lasts),
            Fault::Refuse { shard, appends, cause } => {
                self.journals.refuse(id(shard), appends, cause.cause());
            }
            Fault::Unknown { shard, stored } => self.journals.forget_outcome(id(shard), stored),
            Fault::Compact { shard, up_to, tombstones } => {
                self.journals.compact(id(shard), up_to, tombstones);
            }
            Fault::SlowLoad { shard, by } => self.journals.slow_load(id(shard), by),
            Fault::FailLoad(shard) => self.journals.fail_load(id(shard)),
            _ => self.fault_of_topics(fault),
        }
    }

    fn fault_of_topics(&mut self, fault: &Fault) {
        let at = self.stage.at();
        let has_changed = match fault {
            Fault::CreateTopic(spec) => self.controller.create(at, spec),
            Fault::DeleteTopic(name) => self.controller.delete(at, name).is_some(),
            Fault::RecreateTopic(name) => {
                let Some(spec) = self.controller.delete(at, name) else { return };
                self.stage.see(What::Topics { view: self.controller.view() });
                self.controller.create(at, &spec)
            }
            Fault::GrowTopic(name, by) => self.controller.grow(at, name, *by),
            _ => false,
        };
        if !has_changed {
            return;
        }
        self.stage.see(What::Topics { view: self.controller.view() });
        for client in (0..self.actors.len() as u16).map(ClientId) {
            let takes = self.client_news.latency(&self.plan.knobs.metadata);
            self.plan(at + takes, Wake::ClientTopics(client));
        }
    }
}
