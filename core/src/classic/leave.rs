//! LeaveGroup (spec classic 9).

use super::State;
use crate::env::Cx;
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{MemberId, Text, Token};
use crate::note::{Cause, Note, NoteKind};
use crate::request::{LeaveGroup, Leaver};
use crate::response::{self, LeftMember, Response};

impl Group {
    /// Serves a LeaveGroup: each entry for itself, then at most one rebalance.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>, token: Token, request: LeaveGroup) {
        let mut cause = None;
        let mut members = Vec::with_capacity(request.members.len());
        for leaver in request.members {
            let error = match self.leave_one(cx, &leaver) {
                Ok(member) => {
                    let reason = leaver.reason.as_ref().map(Text::detached);
                    cause = cause.or(Some(Cause::MemberLeft { member, reason }));
                    ErrorCode::None
                }
                Err(error) => error,
            };
            let Leaver { member_id, instance_id, .. } = leaver;
            members.push(LeftMember { member_id, instance_id, error });
        }
        if let Some(cause) = cause {
            if matches!(self.live.state, State::Stable | State::CompletingRebalance) {
                self.start_rebalance(cx, cause);
            } else {
                cx.note(NoteKind::Member, |group| Note::Member { group: group.clone(), cause });
                if self.live.state == State::PreparingRebalance {
                    self.try_complete(cx);
                }
            }
        }
        let body = response::LeaveGroup { error: ErrorCode::None, members };
        cx.reply_behind(self, token, Response::LeaveGroup(body));
    }

    /// Takes one member out; its id.
    fn leave_one(&mut self, cx: &mut Cx<'_>, leaver: &Leaver) -> Result<MemberId, ErrorCode> {
        let live = &mut self.live;
        if leaver.member_id.is_empty() {
            let instance = leaver.instance_id.as_ref();
            let id = instance.and_then(|instance| live.static_members.get(instance)).cloned();
            let id = id.ok_or(ErrorCode::UnknownMemberId)?;
            live.evict(cx, &id);
            return Ok(id);
        }
        if let Some(timer) = live.take_pending_join(&leaver.member_id) {
            cx.env.timers.discard(&timer);
            return Ok(leaver.member_id.detached());
        }
        live.validate(&leaver.member_id, leaver.instance_id.as_ref())?;
        live.evict(cx, &leaver.member_id);
        Ok(leaver.member_id.detached())
    }
}
