//! How a run ends.
//!
//! Decided here: what it means that a core of the world is healed. What is outside of it dies at
//! that moment without a word; what is inside is started, and nothing goes wrong there any more.

use std::time::Duration;

use quorate_core::ShardId;

use super::faults::Death;
use super::{Wake, World};
use crate::event::{End, Phase, What};
use crate::oracle::liveness;
use crate::plan::{ClientId, Drive, Ending, NodeIndex, Op, Outside, Way};
use crate::recorder::Outcome;

impl World<'_> {
    pub(super) fn plan_ending(&mut self) {
        let wake = match self.plan.ending {
            Ending::At(at) => (at, Wake::End),
            Ending::Heal { after, .. } => (after, Wake::Heal),
        };
        self.schedule.plan(wake.0, wake.1);
    }

    pub(super) fn heal(&mut self) {
        let Ending::Heal { nodes, clients, .. } = &self.plan.ending else { return };
        self.healed = true;
        self.fabric.heal();
        for store in &mut self.stores {
            store.journal.heal();
            (store.slow, store.fails) = (Duration::ZERO, false);
        }
        self.actors.iter_mut().for_each(|actor| actor.loses_reply = false);
        for node in 0..self.nodes.len() {
            self.heal_node(NodeIndex(node as u16), nodes);
        }
        for shard in 0..self.plan.shards {
            self.schedule.plan(self.at, Wake::Decide(ShardId(shard)));
            if !nodes.contains(&self.leaders[shard as usize].node) {
                let to = nodes[shard as usize % nodes.len()];
                self.lead(ShardId(shard), to, Duration::ZERO);
            }
        }
        for client in 0..self.actors.len() {
            let client = ClientId(client as u16);
            self.heal_client(client, clients.contains(&client));
        }
        self.see(What::Phase(Phase::Healed));
        let bound = self.at + liveness::bound(self.plan);
        self.schedule.plan(bound, Wake::Converged);
        self.schedule.plan(bound + liveness::window(self.plan), Wake::End);
    }

    fn heal_node(&mut self, node: NodeIndex, core: &[NodeIndex]) {
        let at = self.at;
        let state = &mut self.nodes[usize::from(node.0)];
        (state.paused_until, state.stale_until) = (Duration::ZERO, Duration::ZERO);
        state.thaws = at;
        state.clock.freeze(at, false);
        if !core.contains(&node) {
            state.starts += 1;
            return self.end_process(node, Death::Kill, None);
        }
        self.start_process(node);
        self.schedule.plan(at, Wake::News(node));
        self.wake(node);
    }

    fn heal_client(&mut self, client: ClientId, in_core: bool) {
        let actor = &self.actors[usize::from(client.0)];
        let is_consumer = self.plan.clients[usize::from(client.0)].drive == Drive::Consumer;
        let outside = match self.plan.ending {
            Ending::Heal { outside, .. } => outside,
            Ending::At(_) => Outside::Dead,
        };
        let way = match outside {
            Outside::Dead => None,
            Outside::Deaf => Some(Way::ToClients),
            Outside::Mute => Some(Way::ToNodes),
        };
        match (in_core, actor.runs) {
            (false, true) => match way {
                None => self.op(client, Op::Crash),
                Some(way) => {
                    for node in 0..self.nodes.len() {
                        self.fabric.part(client, NodeIndex(node as u16), way, Duration::MAX);
                    }
                }
            },
            // One that sleeps is awake in time: its pause ends with the process.
            (true, true) if actor.sleeps && is_consumer => {
                self.op(client, Op::Crash);
                self.op(client, Op::Start);
            }
            (true, false) if is_consumer => self.op(client, Op::Start),
            _ => {}
        }
    }

    pub(super) fn end(self) -> Outcome {
        let end = End {
            at: self.at,
            plan: self.plan,
            shards: self.recorder.serving(),
            logs: (0..)
                .zip(&self.stores)
                .map(|(shard, store)| (ShardId(shard), store.journal.log()))
                .collect(),
            clients: self.actors.iter().map(|actor| actor.client.view(actor.runs)).collect(),
            topics: self.topics,
            leaders: (0..)
                .zip(&self.leaders)
                .map(|(shard, leader)| (ShardId(shard), leader.node))
                .collect(),
        };
        self.recorder.end(&end)
    }
}
