//! A consumer's own doing: what it sends next, and when.
//!
//! Decided here, as Kafka's ConsumerCoordinator and AbstractCoordinator do: it finds the
//! coordinator, commits, revokes, joins, syncs, and heartbeats from the end of the join on; it
//! joins again when its subscription or, if it leads, the topics of the group change.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::Request;

use super::ClientEffect;
use super::process::{Client, Phase, Purpose};
use crate::event::ClientNote;
use crate::plan::{Assignor, NodeIndex};

impl Client {
    /// When it does something next if nothing comes.
    pub(super) fn consumer_deadline(&self) -> Option<Duration> {
        let own = [
            self.main_due(),
            self.heartbeat_due(),
            self.commit_due(),
            self.read_due(),
            self.life.session_at,
        ];
        own.into_iter().flatten().min().filter(|_| self.life.closing.is_none())
    }

    /// Does all that is due.
    pub(super) fn drive(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        if self.life.closing.is_some() {
            return;
        }
        if self.life.session_at.is_some_and(|ends| ends <= at) {
            self.coordinator_unknown(at, true, out);
        }
        self.look_for_changes();
        if self.main_due().is_some_and(|due| due <= at) {
            self.go_on(at, out);
        }
        if let (Some(due), Some(node)) = (self.heartbeat_due(), self.life.coordinator)
            && due <= at
        {
            let request = self.heartbeat(&self.life.me, self.instance());
            self.send(at, node, request, Purpose::Heartbeat, out);
            self.life.heartbeat_at = Some(at + self.spec.heartbeat);
        }
        self.commit_or_read(at, out);
    }

    /// After a pause it does not know yet that its session is over.
    pub(super) fn wake(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        if self.life.session_at.is_some_and(|ends| ends <= at) {
            self.life.session_at = Some(at + self.spec.session);
        }
        self.drive(at, out);
    }

    /// When it may go on finding the coordinator or joining, if it has to.
    fn main_due(&self) -> Option<Duration> {
        let life = &self.life;
        let has_to = match (life.coordinator, life.phase) {
            (None, _) => life.open.values().all(|open| open.purpose != Purpose::Find),
            (Some(_), Phase::Unjoined) => true,
            (Some(_), Phase::Stable) => life.rejoin.is_some(),
            (Some(_), Phase::Preparing | Phase::Joining | Phase::Syncing) => false,
        };
        has_to.then_some(life.retry_at.unwrap_or_default())
    }

    fn heartbeat_due(&self) -> Option<Duration> {
        self.life.heartbeat_at.filter(|_| self.is_idle(Purpose::Heartbeat))
    }

    fn go_on(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        self.life.retry_at = None;
        let Some(node) = self.life.coordinator else {
            let (node, request) = (self.asked(), self.find_coordinator());
            self.send(at, node, request, Purpose::Find, out);
            return;
        };
        if self.life.phase == Phase::Stable && self.commits_first() {
            self.life.phase = Phase::Preparing;
            self.life.main = Some(self.commit(at, node, out));
        } else {
            self.revoke_and_join(at, out);
        }
    }

    /// Gives up what it may not keep over a rebalance, and joins.
    pub(super) fn revoke_and_join(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        if self.is_cooperative() {
            let wanted: BTreeSet<&String> = self.spec.topics.iter().collect();
            self.life.owned.retain(|(topic, _)| wanted.contains(topic));
        } else {
            self.life.owned.clear();
        }
        self.life.phase = Phase::Unjoined;
        self.life.main = None;
        let Some(node) = self.life.coordinator else { return };
        let reason = self.life.rejoin.take();
        let join = self.join_group(&self.life.me, self.instance(), reason);
        self.life.joined_with.clone_from(&self.spec.topics);
        self.life.phase = Phase::Joining;
        self.life.heartbeat_at = None;
        self.life.session_at = None;
        self.life.main =
            Some(self.send(at, node, Request::JoinGroup(Box::new(join)), Purpose::Join, out));
    }

    /// Kafka's clients keep their partitions over a rebalance only if all their assignors let them.
    pub(super) fn is_cooperative(&self) -> bool {
        self.spec.assignors.iter().all(|assignor| *assignor == Assignor::CooperativeSticky)
    }

    fn look_for_changes(&mut self) {
        if self.life.phase != Phase::Stable || self.life.rejoin.is_some() {
            return;
        }
        if self.life.joined_with != self.spec.topics {
            self.life.rejoin = Some("the subscription has changed");
        } else if self.life.watched.as_ref().is_some_and(|watched| {
            watched.iter().any(|(topic, count)| self.partitions(topic) != *count)
        }) {
            self.life.rejoin = Some("cached metadata has changed");
        }
    }

    /// Where the coordinator is, is to be found out anew.
    pub(super) fn coordinator_unknown(
        &mut self,
        at: Duration,
        hangs_up: bool,
        out: &mut Vec<ClientEffect>,
    ) {
        let Some(node) = self.life.coordinator.take() else { return };
        self.life.session_at = None;
        self.life.retry_at = Some(self.backed_off(at));
        if hangs_up {
            self.disconnect(at, node, out);
        }
    }

    /// It ends, with a word to the group if it can.
    pub(super) fn close(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        if self.life.closing.is_some() {
            return;
        }
        self.life.closing = Some(self.closes_by(at));
        match self.coordinator() {
            Some(node) if self.life.phase == Phase::Stable && self.commits_first() => {
                self.life.main = Some(self.commit(at, node, out));
            }
            _ => self.say_good_bye(at, out),
        }
    }

    /// A static member does not leave: it is expected back.
    pub(super) fn say_good_bye(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        let is_member = !self.life.me.id.is_empty() && self.instance().is_none();
        match self.coordinator_to_tell() {
            Some(node) if is_member => {
                let request = self.leave_group(&self.life.me, None);
                self.life.main = Some(self.send(at, node, request, Purpose::Leave, out));
            }
            _ => self.end(out),
        }
    }

    fn coordinator_to_tell(&self) -> Option<NodeIndex> {
        match self.spec.drive {
            crate::plan::Drive::Consumer => self.life.coordinator,
            crate::plan::Drive::Script => Some(self.life.coordinator.unwrap_or_default()),
        }
    }

    /// It is no member any more: what it owned is lost.
    pub(super) fn lose_membership(&mut self, keeps_id: bool, out: &mut Vec<ClientEffect>) {
        let was_member = self.life.me.generation.0 >= 0;
        self.retire();
        self.life.me.generation = quorate_core::Generation::NONE;
        if !keeps_id {
            self.life.me.id = quorate_core::MemberId::default();
        }
        self.life.owned.clear();
        self.life.phase = Phase::Unjoined;
        self.life.main = None;
        self.life.heartbeat_at = None;
        self.life.session_at = None;
        self.life.watched = None;
        if was_member {
            out.push(ClientEffect::Note(ClientNote::Lost));
        }
    }
}
