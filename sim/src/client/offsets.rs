//! What a consumer commits, and what it reads back.
//!
//! Decided here: each commit is of all that it owns, with an offset that no commit of any client
//! had before; it is read back once it was acknowledged, and after each assignment.

use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{ErrorCode, Request, response};

use super::ClientEffect;
use super::process::{Client, Phase, Purpose};
use crate::event::{Call, ClientNote};
use crate::plan::NodeIndex;

/// Offsets of partitions.
type Offsets = LiteMap<(String, i32), i64>;

/// Offsets of different clients differ in their last three digits.
const CLIENTS: i64 = 1_000;

/// What of a commit was acknowledged.
pub(super) fn accepted(request: &Request, answer: &response::OffsetCommit) -> Offsets {
    let Request::OffsetCommit(commit) = request else { return Offsets::new() };
    let codes: LiteMap<_, _> = codes(answer).collect();
    let partitions = |topic: &quorate_core::request::CommitTopic| {
        let name = topic.name.to_string();
        let of = move |p: &quorate_core::request::CommitPartition| {
            ((name.clone(), p.partition), p.offset)
        };
        topic.partitions.iter().map(of).collect::<Vec<_>>()
    };
    let all = commit.topics.iter().flat_map(partitions);
    all.filter(|(part, _)| codes.get(part) == Some(&ErrorCode::None)).collect()
}

fn codes(answer: &response::OffsetCommit) -> impl Iterator<Item = ((String, i32), ErrorCode)> {
    answer.topics.iter().flat_map(|topic| {
        let code = |(partition, code): &(i32, _)| ((topic.name.to_string(), *partition), *code);
        topic.partitions.iter().map(code)
    })
}

/// The offsets that were found, -1 where none is committed; `None` if any could not be told.
pub(super) fn found(answer: &response::OffsetFetch) -> Option<Offsets> {
    let mut offsets = Offsets::new();
    for group in &answer.groups {
        if group.error != ErrorCode::None {
            return None;
        }
        for topic in &group.topics {
            for partition in &topic.partitions {
                if partition.error != ErrorCode::None {
                    return None;
                }
                offsets.insert((topic.name.to_string(), partition.partition), partition.offset);
            }
        }
    }
    Some(offsets)
}

impl Client {
    /// Whether it commits before it gives up what it owns.
    pub(super) fn commits_first(&self) -> bool {
        self.spec.commit_every.is_some() && !self.life.owned.is_empty()
    }

    pub(super) fn commit(
        &mut self,
        at: Duration,
        node: NodeIndex,
        out: &mut Vec<ClientEffect>,
    ) -> Call {
        self.commits += 1;
        let offset = self.commits * CLIENTS + i64::from(self.id.0);
        let offsets = self.life.owned.iter().map(|part| (part.clone(), offset)).collect();
        let request = self.offset_commit(&self.life.me, self.instance(), &offsets, 0);
        self.send(at, node, request, Purpose::Commit, out)
    }

    pub(super) fn commit_due(&self) -> Option<Duration> {
        let may = self.life.phase == Phase::Stable && !self.life.owned.is_empty();
        self.life.commit_at.filter(|_| may && self.is_idle(Purpose::Commit))
    }

    pub(super) fn read_due(&self) -> Option<Duration> {
        let may = self.life.phase == Phase::Stable && !self.life.owned.is_empty();
        self.life.read_at.filter(|_| may && self.is_idle(Purpose::ReadBack))
    }

    /// Whether there is a coordinator, and no open request to it of that kind.
    pub(super) fn is_idle(&self, purpose: Purpose) -> bool {
        self.life.coordinator.is_some()
            && self.life.open.values().all(|open| open.purpose != purpose)
    }

    pub(super) fn commit_or_read(&mut self, at: Duration, out: &mut Vec<ClientEffect>) {
        let Some(node) = self.life.coordinator else { return };
        if self.commit_due().is_some_and(|due| due <= at) {
            self.life.commit_at = None;
            self.commit(at, node, out);
        }
        if self.read_due().is_some_and(|due| due <= at) {
            self.life.read_at = None;
            let request = self.offset_fetch(Some(&self.life.owned), self.is_new());
            self.send(at, node, request, Purpose::ReadBack, out);
        }
    }

    /// Notes what was acknowledged, and says the error that decides what is next.
    pub(super) fn committed(
        &mut self,
        request: &Request,
        answer: &response::OffsetCommit,
        out: &mut Vec<ClientEffect>,
    ) -> ErrorCode {
        let offsets = accepted(request, answer);
        if !offsets.is_empty() {
            out.push(ClientEffect::Note(ClientNote::Committed { offsets }));
        }
        let error = codes(answer).map(|(_, code)| code).find(|code| *code != ErrorCode::None);
        error.unwrap_or(ErrorCode::None)
    }

    /// When it commits next of its own accord.
    pub(super) fn commits_again(&mut self, at: Duration) {
        self.life.commit_at = self.spec.commit_every.map(|every| at + every);
    }

    /// Takes what was read back; `false` if it has to be read again.
    pub(super) fn read_back(
        &mut self,
        answer: &response::OffsetFetch,
        out: &mut Vec<ClientEffect>,
    ) -> bool {
        let offsets = found(answer);
        let is_told = offsets.is_some();
        if let Some(offsets) = offsets {
            out.push(ClientEffect::Note(ClientNote::ReadBack { offsets }));
        }
        is_told
    }
}
