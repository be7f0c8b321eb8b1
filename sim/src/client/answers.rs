//! How a consumer takes answers: per request and error, what Kafka's Java client does.
//!
//! Decided here: which errors end a membership, which ask for the coordinator anew, and which are
//! waited out. An error that ends a Java process (a full group, protocols that do not fit) makes
//! it start over here after a session timeout, so that a healed group gets all its members; a
//! fenced instance id ends it for good.

use std::time::Duration;

use quorate_core::{ErrorCode, Response, response};

use super::ClientEffect;
use super::assign::watched;
use super::process::{Client, Open, Phase, Purpose};
use super::protocol::decode_assignment;
use crate::event::{Call, ClientNote};

impl Client {
    /// Takes an answer in.
    pub(super) fn answered(
        &mut self,
        at: Duration,
        call: Call,
        open: &Open,
        response: &Response,
        out: &mut Vec<ClientEffect>,
    ) {
        let is_main = self.life.main == Some(call);
        match (open.purpose, response) {
            (Purpose::Commit, Response::OffsetCommit(answer)) => {
                let error = self.committed(&open.request, answer, out);
                self.on_commit(at, is_main, open, error, out);
            }
            (Purpose::ReadBack, Response::OffsetFetch(answer)) => self.on_read(at, answer, out),
            (Purpose::Leave, _) if is_main => self.end(out),
            _ if self.life.closing.is_some() => {}
            (Purpose::Find, Response::FindCoordinator(found)) => self.on_found(at, found),
            (Purpose::Join, Response::JoinGroup(joined)) if is_main => {
                self.on_join(at, joined, out);
            }
            (Purpose::Sync, Response::SyncGroup(synced)) if is_main => {
                self.on_sync(at, synced, out);
            }
            (Purpose::Heartbeat, Response::Heartbeat(error)) => {
                self.on_heartbeat(at, open, *error, out);
            }
            _ => {}
        }
    }

    /// A request is lost with its connection. If that was to the coordinator, it is looked for.
    pub(super) fn lost(
        &mut self,
        at: Duration,
        call: Call,
        open: &Open,
        out: &mut Vec<ClientEffect>,
    ) {
        if !self.runs {
            return;
        }
        let is_main = self.life.main == Some(call);
        if self.coordinator() == Some(open.node) {
            self.coordinator_unknown(at, false, out);
        }
        match open.purpose {
            Purpose::Commit if is_main => self.after_main_commit(at, out),
            Purpose::Leave if is_main => self.end(out),
            _ if self.life.closing.is_some() => {}
            Purpose::Find => self.life.retry_at = Some(self.backed_off(at)),
            Purpose::Join | Purpose::Sync if is_main => self.join_again(at, "the answer was lost"),
            Purpose::Heartbeat => self.beat_soon(at),
            Purpose::Commit => self.life.commit_at = Some(self.backed_off(at)),
            Purpose::ReadBack => self.life.read_at = Some(self.backed_off(at)),
            _ => {}
        }
    }

    fn on_found(&mut self, at: Duration, found: &response::FindCoordinator) {
        let node = found.coordinators.first().and_then(|found| found.node.ok());
        match node.and_then(|node| self.node(node)) {
            Some(node) => {
                self.life.coordinator = Some(node);
                if self.life.heartbeat_at.is_some() {
                    self.life.session_at = Some(at + self.spec.session);
                }
            }
            None => self.life.retry_at = Some(self.backed_off(at)),
        }
    }

    fn on_join(&mut self, at: Duration, joined: &response::JoinGroup, out: &mut Vec<ClientEffect>) {
        self.life.main = None;
        self.life.phase = Phase::Unjoined;
        match joined.error {
            ErrorCode::None => {
                if self.life.me.id != joined.member_id {
                    self.retire();
                }
                self.joined(joined, out);
                self.life.heartbeat_at = Some(at + self.spec.heartbeat);
                self.life.session_at = Some(at + self.spec.session);
                let watches = self.life.leads;
                let seen = || watched(&self.life.members, &self.topics);
                self.life.watched = watches.then(seen);
                let Some(node) = self.life.coordinator else { return };
                let request =
                    self.sync_group(&self.life.me, self.instance(), joined.skip_assignment);
                self.life.main = Some(self.send(at, node, request, Purpose::Sync, out));
            }
            ErrorCode::MemberIdRequired => {
                self.life.me.id = joined.member_id.clone();
                self.life.me.generation = quorate_core::Generation::NONE;
                self.life.rejoin.get_or_insert("the given member id");
            }
            ErrorCode::UnknownMemberId => self.lose_membership(false, out),
            ErrorCode::IllegalGeneration => self.lose_membership(true, out),
            ErrorCode::RebalanceInProgress | ErrorCode::CoordinatorLoadInProgress => {
                self.life.retry_at = Some(self.backed_off(at));
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(at, true, out);
            }
            ErrorCode::FencedInstanceId => self.fenced(out),
            _ => self.start_over(at, out),
        }
    }

    fn on_sync(&mut self, at: Duration, synced: &response::SyncGroup, out: &mut Vec<ClientEffect>) {
        self.life.main = None;
        match synced.error {
            ErrorCode::None => match decode_assignment(&synced.assignment) {
                Some(assigned) => self.take_assignment(at, assigned, out),
                None => self.start_over(at, out),
            },
            ErrorCode::RebalanceInProgress => {
                self.life.phase = Phase::Unjoined;
                self.life.rejoin.get_or_insert("group is already rebalancing");
            }
            ErrorCode::UnknownMemberId => self.lose_membership(false, out),
            ErrorCode::IllegalGeneration => self.lose_membership(true, out),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(at, true, out);
                self.join_again(at, "the coordinator has moved");
            }
            ErrorCode::CoordinatorLoadInProgress => self.join_again(at, "the coordinator loads"),
            ErrorCode::FencedInstanceId => self.fenced(out),
            _ => self.start_over(at, out),
        }
    }

    /// What it has and was not given it revokes, and joins again so that others get it (KIP-429).
    fn take_assignment(
        &mut self,
        at: Duration,
        assigned: super::protocol::Parts,
        out: &mut Vec<ClientEffect>,
    ) {
        let revokes = !self.life.owned.is_subset(&assigned);
        self.life.phase = Phase::Stable;
        self.life.owned.clone_from(&assigned);
        if revokes {
            self.life.rejoin = Some("need to revoke partitions and re-join");
        }
        let generation = self.life.me.generation;
        out.push(ClientEffect::Note(ClientNote::Assigned { generation, owned: assigned }));
        self.commits_again(at);
        self.life.read_at = Some(at);
    }

    fn on_heartbeat(
        &mut self,
        at: Duration,
        open: &Open,
        error: ErrorCode,
        out: &mut Vec<ClientEffect>,
    ) {
        let is_of_present = open.by == self.life.me;
        match error {
            ErrorCode::None => self.beaten(at),
            ErrorCode::RebalanceInProgress => {
                self.beaten(at);
                if self.life.phase == Phase::Stable {
                    self.life.rejoin.get_or_insert("group is already rebalancing");
                }
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.beat_soon(at);
                self.coordinator_unknown(at, true, out);
            }
            _ => self.on_error_of_member(is_of_present, error, out),
        }
        if error != ErrorCode::None && error != ErrorCode::RebalanceInProgress {
            self.beat_soon(at);
        }
    }

    fn on_commit(
        &mut self,
        at: Duration,
        is_main: bool,
        open: &Open,
        error: ErrorCode,
        out: &mut Vec<ClientEffect>,
    ) {
        let is_closing = self.life.closing.is_some();
        if !is_main {
            self.commits_again(at);
        }
        match error {
            _ if is_closing => {}
            ErrorCode::None => self.life.read_at = Some(at),
            ErrorCode::RebalanceInProgress => {
                if open.by == self.life.me {
                    self.life.rejoin.get_or_insert("group is already rebalancing");
                }
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(at, true, out);
                self.life.commit_at = Some(self.backed_off(at));
            }
            ErrorCode::CoordinatorLoadInProgress => {
                self.life.commit_at = Some(self.backed_off(at));
            }
            _ => self.on_error_of_member(open.by == self.life.me, error, out),
        }
        if is_main {
            self.after_main_commit(at, out);
        }
    }

    /// The commit before a join, or before the end, is over, whatever became of it.
    fn after_main_commit(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        if self.life.closing.is_some() {
            self.say_good_bye(at, out);
        } else if self.life.phase == Phase::Preparing {
            self.revoke_and_join(at, out);
        }
    }

    fn on_read(
        &mut self,
        at: Duration,
        answer: &response::OffsetFetch,
        out: &mut Vec<ClientEffect>,
    ) {
        if self.read_back(answer, out) || self.life.closing.is_some() {
            return;
        }
        self.life.read_at = Some(self.backed_off(at));
        let error = answer.groups.first().map_or(ErrorCode::None, |group| group.error);
        if matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
            self.coordinator_unknown(at, true, out);
        }
    }

    /// What says that it is not who it thinks; of no weight if it has become another since.
    fn on_error_of_member(
        &mut self,
        is_of_present: bool,
        error: ErrorCode,
        out: &mut Vec<ClientEffect>,
    ) {
        match error {
            _ if !is_of_present => {}
            ErrorCode::UnknownMemberId => self.lose_membership(false, out),
            ErrorCode::IllegalGeneration => self.lose_membership(true, out),
            ErrorCode::FencedInstanceId => self.fenced(out),
            _ => {}
        }
    }

    fn beaten(&mut self, at: Duration) {
        if self.life.session_at.is_some() {
            self.life.session_at = Some(at + self.spec.session);
        }
    }

    /// A heartbeat that failed is sent again after the back-off.
    fn beat_soon(&mut self, at: Duration) {
        if self.life.heartbeat_at.is_some() {
            self.life.heartbeat_at = Some(self.backed_off(at));
        }
    }

    fn join_again(&mut self, at: Duration, reason: &'static str) {
        self.life.main = None;
        self.life.phase = Phase::Unjoined;
        self.life.rejoin.get_or_insert(reason);
        self.life.retry_at = Some(self.backed_off(at));
    }

    /// Here a Java process would end; another one starts after a while in its place.
    fn start_over(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        self.lose_membership(false, out);
        self.life.retry_at = Some(at + self.spec.session);
    }

    fn fenced(&mut self, out: &mut Vec<ClientEffect>) {
        if let Some(instance) = self.instance() {
            out.push(ClientEffect::Note(ClientNote::Fenced { instance }));
        }
        self.end(out);
    }
}
