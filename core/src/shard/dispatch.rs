//! Which group a request is for, and what a missing group means to it.

use super::{Shard, Status, reply_now};
use crate::admin::described_missing;
use crate::effect::Effects;
use crate::env::{After, Cx, Deferred, Waits};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{GroupId, Token};
use crate::note::{Cause, Note, NoteKind};
use crate::offsets::missing_offsets;
use crate::record::{Record, RecordKey, RecordValue};
use crate::request::{
    DeleteGroups, DescribeGroups, JoinGroup, LeaveGroup, OffsetCommit, OffsetFetch, Origin, Request,
};
use crate::response::{self, LeftMember, Response};
use crate::router::refuse;
use crate::time::Now;

impl Shard {
    pub(super) fn request(
        &mut self,
        now: Now,
        token: Token,
        origin: Origin,
        body: Request,
        out: &mut Effects,
    ) {
        if let Err(error) = self.admits(&body) {
            reply_now(out, token, refuse(&body, error));
            return;
        }
        if let Some(group) = self.held(&body) {
            self.env.parked.park(token);
            let waiting = self.env.deferred.entry(group).or_default();
            waiting.push_back(Deferred::Request { token, origin, body });
            return;
        }
        self.serve(now, token, origin, body, out);
    }

    fn admits(&self, body: &Request) -> Result<(), ErrorCode> {
        if self.env.status != Status::Active {
            return Err(ErrorCode::NotCoordinator);
        }
        let is_read = matches!(
            body,
            Request::Heartbeat(_)
                | Request::OffsetFetch(_)
                | Request::ListGroups(_)
                | Request::DescribeGroups(_)
                | Request::FindCoordinator(_)
        );
        if self.env.parked.len() >= self.env.config.max_parked || !is_read && !self.env.may_write()
        {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        Ok(())
    }

    /// The first group of the request that waits for its creation or removal to be stored.
    fn held(&self, body: &Request) -> Option<GroupId> {
        let held = |id: &GroupId| self.groups.get(id).is_some_and(|group| group.held_by.is_some());
        let one = |id: &GroupId| held(id).then(|| id.clone());
        match body {
            Request::JoinGroup(r) => one(&r.group_id),
            Request::SyncGroup(r) => one(&r.group_id),
            Request::Heartbeat(r) => one(&r.group_id),
            Request::LeaveGroup(r) => one(&r.group_id),
            Request::OffsetCommit(r) => one(&r.group_id),
            Request::OffsetDelete(r) => one(&r.group_id),
            Request::OffsetFetch(r) => {
                r.groups.iter().map(|g| &g.group_id).find(|g| held(g)).cloned()
            }
            Request::DescribeGroups(r) => r.groups.iter().find(|g| held(g)).cloned(),
            Request::DeleteGroups(r) => r.groups.iter().find(|g| held(g)).cloned(),
            Request::ListGroups(_) | Request::FindCoordinator(_) => None,
        }
    }

    /// Serves a request of groups that are not held.
    pub(super) fn serve(
        &mut self,
        now: Now,
        token: Token,
        origin: Origin,
        body: Request,
        out: &mut Effects,
    ) {
        match body {
            Request::JoinGroup(r) => self.join(now, token, origin, *r, out),
            Request::Heartbeat(r) => match self.with(now, &r.group_id, out) {
                Some((group, mut cx)) => group.heartbeat(&mut cx, token, &r),
                None => {
                    let body = Response::Heartbeat(ErrorCode::UnknownMemberId);
                    self.env.reply(out, token, body);
                }
            },
            Request::SyncGroup(r) => match self.with(now, &r.group_id.clone(), out) {
                Some((group, mut cx)) => group.sync(&mut cx, token, *r),
                None => {
                    let body = response::SyncGroup::refused(ErrorCode::UnknownMemberId);
                    self.env.reply(out, token, Response::SyncGroup(Box::new(body)));
                }
            },
            Request::LeaveGroup(r) => match self.with(now, &r.group_id.clone(), out) {
                Some((group, mut cx)) => group.leave(&mut cx, token, r),
                None => self.env.reply(out, token, nobody_leaves(r)),
            },
            Request::OffsetCommit(r) => self.commit(now, token, r, out),
            Request::OffsetDelete(r) => match self.with(now, &r.group_id.clone(), out) {
                Some((group, mut cx)) => group.delete_offsets(&mut cx, token, r),
                None => {
                    let body = refuse(&Request::OffsetDelete(r), ErrorCode::GroupIdNotFound);
                    self.env.reply(out, token, body);
                }
            },
            Request::OffsetFetch(r) => self.fetch(now, token, &r, out),
            Request::DescribeGroups(r) => self.describe(token, &r, out),
            Request::ListGroups(r) => {
                let groups = self.groups.iter().filter_map(|(id, group)| group.listed(id, &r));
                let (error, groups) = (ErrorCode::None, groups.collect());
                let body = Response::ListGroups(response::ListGroups { error, groups });
                self.env.reply(out, token, body);
            }
            Request::DeleteGroups(r) => self.delete_groups(now, token, r, out),
            // The router answers it; a shard knows no other.
            Request::FindCoordinator(_) => {
                let body = refuse(&body, ErrorCode::NotCoordinator);
                self.env.reply(out, token, body);
            }
        }
    }

    /// A group that exists, and what its handlers work with.
    pub(crate) fn with<'a>(
        &'a mut self,
        now: Now,
        id: &GroupId,
        out: &'a mut Effects,
    ) -> Option<(&'a mut Group, Cx<'a>)> {
        let (_, id, group) = self.groups.get_full_mut(id)?;
        if cfg!(debug_assertions) {
            self.touched.push(id.clone());
        }
        Some((group, Cx { env: &mut self.env, now, out, id }))
    }

    /// Spec classic 6.2: only a first join creates a group, and then there is a record of it.
    fn join(
        &mut self,
        now: Now,
        token: Token,
        origin: Origin,
        request: JoinGroup,
        out: &mut Effects,
    ) {
        let exists = self.groups.contains_key(&request.group_id);
        if !exists && !request.member_id.is_empty() {
            let error = ErrorCode::UnknownMemberId;
            let body = response::JoinGroup::refused(error, request.member_id);
            self.env.reply(out, token, Response::JoinGroup(Box::new(body)));
            return;
        }
        let id = request.group_id.clone();
        if !exists {
            self.create(now, &id, out);
        }
        let Some((group, mut cx)) = self.with(now, &id, out) else { return };
        group.join(&mut cx, token, origin, request);
        if !exists {
            let metadata = crate::record::GroupMetadata {
                protocol_type: crate::id::Text::EMPTY,
                generation: crate::id::Generation(0),
                protocol: None,
                leader: None,
                state_since: Some(now.wall),
                members: Vec::new(),
            };
            let value = Some(RecordValue::Group(Box::new(metadata)));
            let record = Record { key: RecordKey::Group(cx.id.clone()), value };
            let after = After::Created { group: cx.id.clone() };
            let batch = cx.append(group, vec![record], vec![after]);
            (group.held_by, group.is_being_created) = (Some(batch), true);
        }
    }

    fn create(&mut self, now: Now, id: &GroupId, out: &mut Effects) {
        let id = id.detached();
        out.note(NoteKind::Transition, || Note::Transition {
            group: id.clone(),
            from: None,
            to: Some("Empty"),
            generation: crate::id::Generation(0),
            members: 0,
            cause: Cause::Created,
        });
        self.groups.insert(id, Group::new(now.wall));
    }

    /// Spec classic 12.2: a commit of no member creates a group that has only offsets.
    fn commit(&mut self, now: Now, token: Token, request: Box<OffsetCommit>, out: &mut Effects) {
        let exists = self.groups.contains_key(&request.group_id);
        if !exists && request.generation.0 >= 0 {
            let error = if request.missing_group_has_a_code {
                ErrorCode::GroupIdNotFound
            } else {
                ErrorCode::IllegalGeneration
            };
            let body = refuse(&Request::OffsetCommit(request), error);
            self.env.reply(out, token, body);
            return;
        }
        let id = request.group_id.clone();
        if !exists {
            self.create(now, &id, out);
        }
        let Some((group, mut cx)) = self.with(now, &id, out) else { return };
        group.commit(&mut cx, token, request);
        if !exists && let Some(batch) = group.last_batch {
            (group.held_by, group.is_being_created) = (Some(batch), true);
            if let Some(in_flight) = cx.env.log.get_mut(batch) {
                in_flight.after.push(After::Created { group: cx.id.clone() });
            }
        }
    }

    /// With `require_stable` the answer waits for all that it may have seen.
    fn fetch(&mut self, now: Now, token: Token, request: &OffsetFetch, out: &mut Effects) {
        let stable = request.require_stable;
        let mut newest = None;
        let groups = request.groups.iter().map(|asked| match self.groups.get(&asked.group_id) {
            None => missing_offsets(asked),
            Some(group) => {
                newest = newest.max(group.last_batch.filter(|_| stable));
                group.fetch(asked, stable, &self.clean_up)
            }
        });
        let groups = groups.collect();
        let body = Response::OffsetFetch(response::OffsetFetch { groups });
        match newest {
            None => self.env.reply(out, token, body),
            Some(batch) => self.env.wait_for(now, batch, token, body),
        }
    }

    fn describe(&mut self, token: Token, request: &DescribeGroups, out: &mut Effects) {
        let groups = request.groups.iter().map(|id| match self.groups.get(id) {
            Some(group) => group.described(id),
            None => described_missing(id, request.missing_is_an_error),
        });
        let body = response::DescribeGroups { groups: groups.collect() };
        self.env.reply(out, token, Response::DescribeGroups(body));
    }

    /// Spec classic 17.3: one batch for all groups that may go.
    fn delete_groups(&mut self, now: Now, token: Token, request: DeleteGroups, out: &mut Effects) {
        let mut results = Vec::with_capacity(request.groups.len());
        let mut gone = Vec::new();
        for id in request.groups {
            let error = match self.groups.get(&id) {
                None => ErrorCode::GroupIdNotFound,
                Some(group) if group.live.state != crate::classic::State::Empty => {
                    ErrorCode::NonEmptyGroup
                }
                Some(_) => {
                    gone.push(id.clone());
                    ErrorCode::None
                }
            };
            results.push((id, error));
        }
        let body = Response::DeleteGroups(response::DeleteGroups { results });
        if gone.is_empty() {
            self.env.reply(out, token, body);
            return;
        }
        self.env.parked.park(token);
        let batch = self.env.log.next_batch;
        self.env.give_up_on(now, batch, Waits::Token(token));
        self.remove_groups(&gone, Vec::new(), vec![After::Reply { token, body }], out);
    }

    /// Writes the tombstones of groups that go, and `others`, as one batch.
    pub(super) fn remove_groups(
        &mut self,
        gone: &[GroupId],
        others: Vec<RecordKey>,
        mut after: Vec<After>,
        out: &mut Effects,
    ) {
        let batch = self.env.log.next_batch;
        let mut touched: Vec<GroupId> = Vec::with_capacity(gone.len());
        for key in others {
            let Some((_, id, group)) = self.groups.get_full_mut(key.group()) else { continue };
            if touched.last() != Some(id) {
                touched.push(id.clone());
            }
            group.last_batch = Some(batch);
            self.env.put(group, Record { key, value: None });
        }
        for id in gone {
            let Some((_, id, group)) = self.groups.get_full_mut(id) else { continue };
            let rows = group.rows.offsets.iter().map(|(topic, partition, _)| {
                let (group, topic) = (id.clone(), topic.clone());
                RecordKey::Offset { group, topic, partition }
            });
            let mut keys: Vec<RecordKey> = rows.collect();
            keys.push(RecordKey::Group(id.clone()));
            for key in keys {
                self.env.put(group, Record { key, value: None });
            }
            (group.last_batch, group.held_by) = (Some(batch), Some(batch));
            touched.push(id.clone());
            after.push(After::Removed { group: id.clone() });
        }
        self.env.seal(out, touched, after);
    }
}

/// A group that does not exist has no member that could leave (spec classic 9, 5).
fn nobody_leaves(request: LeaveGroup) -> Response {
    let members = request.members.into_iter().map(|leaver| LeftMember {
        member_id: leaver.member_id,
        instance_id: leaver.instance_id,
        error: ErrorCode::UnknownMemberId,
    });
    let members = members.collect();
    Response::LeaveGroup(response::LeaveGroup { error: ErrorCode::None, members })
}
