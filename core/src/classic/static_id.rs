//! Static members (KIP-345): who an instance id belongs to, and a restart under a new member id
//! (spec classic 5.4, 6.7).

use indexmap::IndexMap;

use super::join::Joining;
use super::{AwaitingJoin, ClassicGroup, Member, State};
use crate::env::{After, Cx};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{InstanceId, MemberId, Token};
use crate::note::{Cause, Note, NoteKind};
use crate::record::{Record, RecordKey, RecordValue};
use crate::response::{JoinGroup, SyncGroup};
use crate::timers::TimerKey;

/// What a static member that came back is to be told once its record is stored.
pub(crate) struct StaticReplacement {
    pub(crate) token: Option<Token>,
    pub(crate) new: MemberId,
    pub(crate) old: Box<Member>,
    pub(crate) old_leader: Option<MemberId>,
}

impl ClassicGroup {
    /// Whether a request speaks for a member: the instance id is looked at first (spec 5.4).
    pub(crate) fn validate(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if known != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Puts the new id in the place of the old one; the member as it was.
    fn replace_id(&mut self, cx: &mut Cx<'_>, old: &MemberId, new: &MemberId) -> Option<Member> {
        let mut before = self.members.get(old)?.clone();
        if let Some(join) = before.join.take() {
            let refused = JoinGroup::refused(ErrorCode::FencedInstanceId, old.clone());
            cx.join_reply(join.token, refused);
            self.awaiting_join -= 1;
        }
        if let Some(sync) = before.sync.take() {
            let refused = SyncGroup::refused(ErrorCode::FencedInstanceId);
            cx.reply(sync, crate::response::Response::SyncGroup(Box::new(refused)));
        }
        cx.env.timers.discard(&before.session);
        let mut member = before.clone();
        member.id = new.clone();
        // Also if the old one was: the session of a new member that waits is not counted.
        member.is_new = false;
        member.session = crate::timers::Timer::default();
        let key = TimerKey::Session(cx.id.clone(), new.clone());
        cx.arm(&mut member.session, member.session_timeout.duration(), key);
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), new.clone());
        }
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        self.members.replace(old, member);
        Some(before)
    }
}

impl Group {
    /// A join with no member id and an instance id that is registered.
    pub(super) fn replace_static(
        &mut self,
        cx: &mut Cx<'_>,
        joining: Joining,
        old: MemberId,
        new: MemberId,
    ) {
        let old_leader = self.live.leader.clone();
        let chosen = self.live.protocol.clone();
        let (token, may_skip) = (joining.token, joining.request.may_skip_assignment);
        let Some(before) = self.live.replace_id(cx, &old, &new) else { return };
        let instance = before.instance_id.clone().unwrap_or_default();
        self.live.update(cx, joining, &new);
        let cause = Cause::StaticReplaced { instance, old, new: new.clone() };
        match self.live.state {
            State::PreparingRebalance => {
                cx.note(NoteKind::Member, |group| Note::Member { group: group.clone(), cause });
                self.try_complete(cx);
            }
            State::Stable if self.live.vote() == chosen => {
                cx.note(NoteKind::Member, |group| Note::Member { group: group.clone(), cause });
                let old = Box::new(before);
                let token = Some(token);
                let replacement = StaticReplacement { token, new, old, old_leader };
                self.store_replacement(cx, replacement, may_skip);
            }
            State::Stable | State::CompletingRebalance => self.start_rebalance(cx, cause),
            State::Empty => debug_assert!(false, "an Empty group has no static members"),
        }
    }

    /// The protocol stays: the group's record is written with the new id, the generation stays.
    fn store_replacement(
        &mut self,
        cx: &mut Cx<'_>,
        replacement: StaticReplacement,
        may_skip: bool,
    ) {
        let StaticReplacement { token, new, old, old_leader } = replacement;
        self.live.take_join(&new);
        let mut body = self.live.joined(&new);
        if self.live.is_leader(&new) {
            if may_skip {
                (body.skip_assignment, body.members) = (true, self.live.joined_members());
            } else {
                // Below version 9 it must not take itself for the leader, or it would assign.
                body.leader = old.id.clone();
            }
        }
        let assignments: IndexMap<_, _> =
            self.live.members.iter().map(|m| (m.id.clone(), m.assignment.clone())).collect();
        let value = Some(RecordValue::Group(Box::new(self.live.metadata(&assignments))));
        let record = Record { key: RecordKey::Group(cx.id.clone()), value };
        let group = cx.id.clone();
        let after =
            After::StaticReplaced { group, token, body: Box::new(body), new, old, old_leader };
        let batch = self.append_checked(cx, record, after);
        if let (Some(batch), Some(token)) = (batch, token) {
            cx.give_up_on(batch, crate::env::Waits::Token(token));
        }
    }

    /// Appends the group's record, or lets `after` fail at once where it is too large to store.
    pub(super) fn append_checked(
        &mut self,
        cx: &mut Cx<'_>,
        record: Record,
        after: After,
    ) -> Option<crate::id::BatchId> {
        let records = vec![record];
        if crate::record::batch_size(&records) > cx.env.config.max_batch_bytes {
            self.failed(cx, after, ErrorCode::UnknownServerError);
            return None;
        }
        Some(self.append(cx, records, after))
    }

    fn append(
        &mut self,
        cx: &mut Cx<'_>,
        records: Vec<Record>,
        after: After,
    ) -> crate::id::BatchId {
        cx.append(self, records, vec![after])
    }

    /// The record could not be stored: the old member comes back (spec classic 6.7).
    pub(crate) fn static_replacement_failed(
        &mut self,
        cx: &mut Cx<'_>,
        replacement: StaticReplacement,
        error: ErrorCode,
    ) {
        let StaticReplacement { token, new, old, old_leader } = replacement;
        let live = &mut self.live;
        let body = JoinGroup {
            generation: live.generation,
            protocol_type: live.protocol_type.clone(),
            protocol_name: live.protocol.clone(),
            leader: old_leader.clone().unwrap_or_default(),
            ..JoinGroup::refused(error, MemberId::default())
        };
        if let Some(token) = token {
            cx.join_reply(token, body);
        }
        let Some(member) = live.members.get(&new).cloned() else { return };
        let mut back = *old;
        live.uncount_protocols(&member.protocols);
        live.count_protocols(&back.protocols);
        cx.env.timers.discard(&member.session);
        back.session = crate::timers::Timer::default();
        let key = TimerKey::Session(cx.id.clone(), back.id.clone());
        cx.arm(&mut back.session, back.session_timeout.duration(), key);
        back.assignment = member.assignment.clone();
        (back.join, back.sync) = (member.join, member.sync);
        if let Some(instance) = &back.instance_id {
            live.static_members.insert(instance.clone(), back.id.clone());
        }
        if live.is_leader(&new) {
            live.leader = Some(back.id.clone());
        }
        live.members.replace(&new, back);
    }
}

impl ClassicGroup {
    /// Takes a member's parked JoinGroup out, to answer it in another way.
    pub(super) fn take_join(&mut self, id: &MemberId) -> Option<AwaitingJoin> {
        let join = self.members.get_mut(id)?.join.take();
        self.awaiting_join -= usize::from(join.is_some());
        join
    }
}
