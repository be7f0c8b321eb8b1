//! The end of an incarnation: resigned, fenced, or of unknown fate (design 5, 15, spec 11.5).

use super::{Shard, Status};
use crate::effect::Effects;
use crate::env::{After, Deferred};
use crate::error::ErrorCode;
use crate::response::{JoinGroup, Response, SyncGroup};
use crate::router::refuse;

impl Shard {
    pub(super) fn resign(&mut self, out: &mut Effects) {
        if self.env.status == Status::Active {
            self.env.status = Status::Resigning;
            self.resigned(out);
        }
    }

    /// A shard that resigned is done when its appends are.
    pub(super) fn resigned(&mut self, out: &mut Effects) {
        if self.env.status == Status::Resigning && self.env.log.in_flight.is_empty() {
            self.fenced(out);
        }
    }

    /// Nothing more is appended; all that waits is answered NOT_COORDINATOR.
    pub(super) fn fenced(&mut self, out: &mut Effects) {
        if self.env.status == Status::Fenced {
            return;
        }
        self.env.status = Status::Fenced;
        let error = ErrorCode::NotCoordinator;
        let batches = std::mem::take(&mut self.env.log.in_flight);
        for after in batches.into_iter().flat_map(|batch| batch.after) {
            match after {
                After::Reply { token, body } => self.env.reply(out, token, body.failed(error)),
                After::StaticReplaced { token: Some(token), .. } => {
                    let body = JoinGroup::refused(error, Default::default());
                    self.env.reply(out, token, Response::JoinGroup(Box::new(body)));
                }
                _ => {}
            }
        }
        for (_, group) in &mut self.groups {
            let ids: Vec<_> = group.live.members.ids().cloned().collect();
            for id in ids {
                let Some(member) = group.live.members.get_mut(&id) else { continue };
                if let Some(join) = member.join.take() {
                    let body = JoinGroup::refused(error, id.clone());
                    self.env.reply(out, join.token, Response::JoinGroup(Box::new(body)));
                }
                if let Some(token) = member.sync.take() {
                    let body = SyncGroup::refused(error);
                    self.env.reply(out, token, Response::SyncGroup(Box::new(body)));
                }
            }
        }
        let deferred = std::mem::take(&mut self.env.deferred);
        for deferred in deferred.into_values().flatten() {
            if let Deferred::Request { token, body, .. } = deferred {
                self.env.reply(out, token, refuse(&body, error));
            }
        }
        self.groups.clear();
        self.env.rows = Default::default();
        self.env.log.waits.clear();
        self.env.timers = Default::default();
    }
}
