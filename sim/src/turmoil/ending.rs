//! How a run ends.
//!
//! Decided here: what it means that a core of the world is healed, as in the direct simulator: what
//! is outside of it dies at that moment, and what is inside runs and nothing goes wrong any more.
//! Of the brokers inside the leader runs, which is one of them from then on.

use std::time::Duration;

use quorate_core::ShardId;

use super::nodes::Death;
use super::{Wake, World};
use crate::event::{End, Phase, What};
use crate::oracle::liveness;
use crate::plan::{ClientId, Drive, Ending, NodeIndex, Op, Outside, Way};
use crate::recorder::Outcome;

impl World<'_> {
    pub(super) fn plan_ending(&mut self) {
        match self.plan.ending {
            Ending::At(at) => self.plan(at, Wake::End),
            Ending::Heal { after, .. } => self.plan(after, Wake::Heal),
        }
    }

    pub(super) fn heal(&mut self) {
        let Ending::Heal { nodes, clients, .. } = &self.plan.ending else { return };
        let at = self.stage.at();
        self.healed = true;
        self.network.heal();
        self.controller.heal();
        self.journals.heal();
        if !nodes.contains(&self.leader) {
            self.take_over(nodes[0], Duration::ZERO);
        }
        for node in (0..self.nodes.len() as u16).map(NodeIndex) {
            self.wake_process(node);
            if node != self.leader {
                self.end_process(node, Death::Kill, None);
            }
        }
        self.start_process(self.leader);
        for client in (0..self.actors.len() as u16).map(ClientId) {
            self.heal_client(client, clients.contains(&client));
        }
        self.stage.see(What::Phase(Phase::Healed));
        let bound = at + liveness::bound(self.plan);
        self.plan(bound, Wake::Converged);
        self.plan(bound + liveness::window(self.plan), Wake::End);
    }

    pub(super) fn converged(&mut self) {
        self.stage.see(What::Phase(Phase::Converged));
    }

    fn heal_client(&mut self, client: ClientId, in_core: bool) {
        let actor = &self.actors[usize::from(client.0)];
        actor.lose_reply(false);
        actor.halve_frame(false);
        actor.trickle(Duration::ZERO);
        let (runs, sleeps) = actor.runs();
        let is_consumer = self.plan.clients[usize::from(client.0)].drive == Drive::Consumer;
        match (in_core, runs) {
            (false, true) => self.leave_outside(client),
            // One that sleeps is awake in time: its pause ends with the process.
            (true, true) if sleeps && is_consumer => {
                self.op(client, Op::Crash);
                self.op(client, Op::Start);
            }
            (true, false) if is_consumer => self.op(client, Op::Start),
            _ => {}
        }
    }

    /// A client outside of the core ends, or is cut off one way.
    fn leave_outside(&mut self, client: ClientId) {
        let Ending::Heal { outside, .. } = self.plan.ending else { return };
        let way = match outside {
            Outside::Dead => return self.op(client, Op::Crash),
            Outside::Deaf => Way::ToClients,
            Outside::Mute => Way::ToNodes,
        };
        for node in (0..self.nodes.len() as u16).map(NodeIndex) {
            self.network.part(client, node, way, Duration::MAX);
        }
    }

    pub(super) fn end(self) -> Outcome {
        let recorder = self.stage.close();
        let leader = self.leader;
        let end = End {
            at: self.stage.at(),
            plan: self.plan,
            shards: recorder.serving(),
            logs: self.journals.logs(),
            clients: self.actors.iter().map(|actor| actor.view()).collect(),
            topics: self.controller.view(),
            leaders: (0..self.plan.shards).map(|shard| (ShardId(shard), leader)).collect(),
        };
        recorder.end(&end)
    }
}
