//! What goes wrong in the world, and changes of it.
//!
//! Decided here: what each fault of a plan does to brokers, clients, the network and the journal.
//! A broker that is away keeps the leadership of its shards: only a move takes it away.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{ShardId, Topic, TopicName};
use uuid::Uuid;

use super::fabric::Down;
use super::node::{Item, Leader, News, Process, Seat};
use super::{Wake, World};
use crate::event::{Ended, FaultText, What};
use crate::plan::{ClientId, Fault, NodeIndex, ShardIndex, TopicSpec};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Its connections end with it.
    Kill,
    /// Nobody hears of it; so many percent of what was not stored are all the same.
    PowerLoss(u8),
}

impl World<'_> {
    pub(super) fn fault(&mut self, fault: &Fault) {
        self.see(What::Fault(FaultText(fault.clone())));
        let at = self.at;
        match *fault {
            Fault::Slow { latency, lasts } => self.fabric.slow(latency, at + lasts),
            Fault::Cut(client) => {
                for id in self.fabric.select(|conn| conn.client == client) {
                    self.end_conn(id);
                }
            }
            Fault::LoseReply(client) => {
                if let Some(actor) = self.actors.get_mut(usize::from(client.0)) {
                    actor.loses_reply = true;
                }
            }
            Fault::Partition { ref clients, ref nodes, way, lasts } => {
                for (client, node) in pairs(clients, nodes) {
                    self.fabric.part(client, node, way, at + lasts);
                }
            }
            Fault::Hold { client, node, lasts } => self.fabric.hold(client, node, at + lasts),
            Fault::Trickle { .. } | Fault::HalfFrame(_) | Fault::Malformed { .. } => {}
            Fault::Kill { node, down } => self.end_process(node, Death::Kill, Some(down)),
            Fault::PowerLoss { node, down, kept } => {
                self.end_process(node, Death::PowerLoss(kept), Some(down));
            }
            Fault::RestartWith { node, down, max_group_size } => {
                if let Some(state) = self.nodes.get_mut(usize::from(node.0)) {
                    state.max_group_size = max_group_size;
                }
                self.end_process(node, Death::Kill, Some(down));
            }
            Fault::Pause { node, lasts } => {
                let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
                state.paused_until = state.paused_until.max(at + lasts);
                let until = state.paused_until;
                self.schedule.plan(until, Wake::Turn(node));
            }
            Fault::StaleMetadata { node, lasts } => {
                let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
                state.stale_until = state.stale_until.max(at + lasts);
            }
            Fault::WallJump { node, by_ms } => {
                let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
                state.clock.jump(by_ms);
            }
            Fault::WallFreeze { node, lasts } => {
                let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
                state.clock.freeze(at, true);
                state.thaws = state.thaws.max(at + lasts);
                let thaws = state.thaws;
                self.schedule.plan(thaws, Wake::Thaw(node));
            }
            _ => self.fault_of_shard(fault),
        }
    }

    fn fault_of_shard(&mut self, fault: &Fault) {
        let at = self.at;
        let known = |shard: ShardIndex| {
            (shard.0 < self.plan.shards).then_some((ShardId(shard.0), shard.0 as usize))
        };
        match *fault {
            Fault::Resign(shard) => {
                let Some((shard, index)) = known(shard) else { return };
                let node = self.leaders[index].node;
                if let Some(running) = self.running(node) {
                    running.inbox.push_back(Item::Resign(shard));
                    self.wake(node);
                }
            }
            Fault::Move { shard, to, unaware } => {
                let is_there = usize::from(to.0) < self.nodes.len();
                let Some((shard, _)) = known(shard).filter(|_| is_there) else { return };
                self.lead(shard, to, unaware);
            }
            Fault::Stall { shard, lasts } => {
                let Some((_, index)) = known(shard) else { return };
                self.stores[index].journal.stall(at + lasts);
            }
            Fault::Refuse { shard, appends, cause } => {
                let Some((_, index)) = known(shard) else { return };
                self.stores[index].journal.refuse(appends, cause.cause());
            }
            Fault::Unknown { shard, stored } => {
                let Some((_, index)) = known(shard) else { return };
                self.stores[index].journal.forget_outcome(stored);
            }
            Fault::Compact { shard, up_to, tombstones } => {
                let Some((shard, index)) = known(shard) else { return };
                // As with Kafka's delete.retention.ms, a reader sees the tombstones of what it saw.
                let tombstones = tombstones && !self.is_loading(shard);
                let left = self.stores[index].journal.compact(up_to, tombstones);
                self.see(What::Compacted { shard, left });
            }
            Fault::SlowLoad { shard, by } => {
                let Some((shard, _)) = known(shard) else { return };
                self.slow_load(shard, by);
            }
            Fault::FailLoad(shard) => {
                let Some((_, index)) = known(shard) else { return };
                self.stores[index].fails = true;
            }
            _ => self.fault_of_topics(fault),
        }
    }

    fn fault_of_topics(&mut self, fault: &Fault) {
        match fault {
            Fault::CreateTopic(spec) => {
                let is_new = self.topics.get(&TopicName::from(spec.name.as_str())).is_none();
                if is_new {
                    let topic = self.new_topic(spec);
                    self.change_topics(vec![topic], &[]);
                }
            }
            Fault::DeleteTopic(name) => {
                let name = TopicName::from(name.as_str());
                if self.topics.get(&name).is_some() {
                    self.change_topics(Vec::new(), &[name]);
                }
            }
            Fault::RecreateTopic(name) => {
                let key = TopicName::from(name.as_str());
                let Some(old) = self.topics.get(&key).cloned() else { return };
                let spec = TopicSpec { name: name.clone(), partitions: old.partitions };
                let topic = self.new_topic(&spec);
                self.change_topics(vec![topic], &[key]);
            }
            Fault::GrowTopic(name, by) => {
                let key = TopicName::from(name.as_str());
                let Some(mut topic) = self.topics.get(&key).cloned() else { return };
                topic.partitions += by;
                self.change_topics(vec![topic], &[]);
            }
            _ => {}
        }
    }

    pub(super) fn new_topic(&mut self, spec: &TopicSpec) -> Topic {
        let mut bytes = [0; 16];
        self.topic_ids.fill(&mut bytes);
        let id: Uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Topic { name: TopicName::from(spec.name.as_str()), id, partitions: spec.partitions }
    }

    fn change_topics(&mut self, changed: Vec<Topic>, deleted: &[TopicName]) {
        let delta = self.topics.change(changed, deleted);
        self.topics = Arc::clone(&delta.view);
        self.see(What::Topics { view: Arc::clone(&delta.view) });
        for node in 0..self.nodes.len() {
            let node = NodeIndex(node as u16);
            self.spread(node, News::Topics(delta.clone()), Duration::ZERO);
        }
        for client in 0..self.actors.len() {
            let takes = self.client_news.latency(&self.plan.knobs.metadata);
            let client = ClientId(client as u16);
            self.schedule.plan(self.at + takes, Wake::ClientTopics(client));
        }
    }

    /// A shard gets a leader. The one before does not hear of it for so long at least.
    pub(super) fn lead(&mut self, shard: ShardId, to: NodeIndex, unaware: Duration) {
        let old = self.leaders[shard.0 as usize];
        let leader = Leader { node: to, term: old.term + 1 };
        self.leaders[shard.0 as usize] = leader;
        self.see(What::Leader { shard, node: to });
        for node in 0..self.nodes.len() {
            let node = NodeIndex(node as u16);
            let wait = if node == old.node && node != to { unaware } else { Duration::ZERO };
            self.spread(node, News::Leader(shard, leader), wait);
        }
    }

    /// A broker hears of a change after a while, and of changes in order.
    fn spread(&mut self, node: NodeIndex, news: News, not_before: Duration) {
        let (at, latency) = (self.at, self.plan.knobs.metadata);
        let state = &mut self.nodes[usize::from(node.0)];
        let last = state.news.back().map_or(Duration::ZERO, |(due, _)| *due);
        let due = at + state.hears.latency(&latency).max(not_before);
        let due = due.max(last).max(state.stale_until);
        state.news.push_back((due, news));
        self.schedule.plan(due, Wake::News(node));
    }

    pub(super) fn news(&mut self, node: NodeIndex) {
        let at = self.at;
        let state = &mut self.nodes[usize::from(node.0)];
        if state.stale_until > at {
            return self.schedule.plan(state.stale_until, Wake::News(node));
        }
        while let Some((_, news)) = state.news.pop_front_if(|(due, _)| *due <= at) {
            // A process that starts later knows it anyway.
            if let Some(running) = state.running.as_mut() {
                running.inbox.push_back(Item::News(news));
            }
        }
        self.wake(node);
    }

    /// A process ends, and starts again after a while.
    pub(super) fn end_process(&mut self, node: NodeIndex, death: Death, down: Option<Duration>) {
        let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
        let Some(mut running) = state.running.take() else { return };
        state.paused_until = Duration::ZERO;
        state.starts += 1;
        let start = state.starts;
        self.dark.retain(|dark| *dark != node);
        if death != Death::Kill {
            self.dark.push(node);
        }
        let shards: Vec<ShardId> = running.seats.keys().copied().collect();
        for shard in shards {
            if let Some(serving) = running.serving(shard, None) {
                let place = serving.place;
                self.see(What::Ended { place, why: Ended::Killed });
            }
        }
        self.end_appends(running.id, death);
        self.end_conns(node, death);
        if let Some(down) = down {
            self.schedule.plan(self.at + down, Wake::Start(node, start));
        }
    }

    fn end_appends(&mut self, writer: Process, death: Death) {
        let Death::PowerLoss(kept) = death else { return };
        for shard in 0..self.plan.shards {
            let decided = self.stores[shard as usize].journal.power_lost(writer, kept);
            decided.into_iter().for_each(|one| self.see_decided(ShardId(shard), one));
        }
    }

    fn end_conns(&mut self, node: NodeIndex, death: Death) {
        for id in self.fabric.select(|conn| conn.node == node) {
            let arrives = self.fabric.down(self.at, id);
            let Some(conn) = self.fabric.get(id) else { continue };
            conn.waiting.clear();
            conn.busy = false;
            if conn.process.is_none() || death != Death::Kill {
                continue;
            }
            conn.closed = true;
            if let Some(at) = arrives {
                self.schedule.plan(at, Wake::Down(id, Down::Closed));
            }
        }
    }

    /// Whether a broker has no power: then nobody even says that it is not there.
    pub(super) fn is_dark(&self, node: NodeIndex) -> bool {
        self.dark.contains(&node)
    }

    pub(super) fn start_process(&mut self, node: NodeIndex) {
        if self.nodes[usize::from(node.0)].running.is_some() {
            return;
        }
        self.dark.retain(|dark| *dark != node);
        self.processes += 1;
        let id = Process { node, number: self.processes };
        let leaders: Vec<_> = self.leaders.clone();
        let (seed, knobs) = (self.plan.seed, &self.plan.knobs);
        let state = &mut self.nodes[usize::from(node.0)];
        let running = state.start(id, seed, knobs, &leaders, &self.topics);
        let mine = (0..).zip(&leaders).filter(|(_, leader)| leader.node == node);
        let mine: Vec<(ShardId, u64)> = mine.map(|(n, leader)| (ShardId(n), leader.term)).collect();
        for (shard, term) in &mine {
            running.seats.insert(*shard, Seat::new(*term));
        }
        mine.into_iter().for_each(|(shard, _)| self.acquire(node, shard));
    }
}

fn pairs(clients: &[ClientId], nodes: &[NodeIndex]) -> Vec<(ClientId, NodeIndex)> {
    let of = |client: &ClientId| nodes.iter().map(|node| (*client, *node)).collect::<Vec<_>>();
    clients.iter().flat_map(of).collect()
}
