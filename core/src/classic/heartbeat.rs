//! Heartbeat (spec classic 8).

use super::rebalance::restart_session;
use super::{ClassicGroup, State};
use crate::env::Cx;
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{MemberId, Token};
use crate::request::Heartbeat;
use crate::response::Response;

impl Group {
    /// Serves a Heartbeat: looks the member up, moves one deadline, answers.
    pub(crate) fn heartbeat(&mut self, cx: &mut Cx<'_>, token: Token, request: &Heartbeat) {
        let error = match self.live.check_heartbeat(request) {
            Err(error) => error,
            Ok(code) => {
                self.live.refresh(cx, &request.member_id);
                code
            }
        };
        cx.reply_behind(self, token, Response::Heartbeat(error));
    }
}

impl ClassicGroup {
    fn check_heartbeat(&self, request: &Heartbeat) -> Result<ErrorCode, ErrorCode> {
        self.validate(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => Ok(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(ErrorCode::None),
        }
    }

    /// The member was heard.
    pub(crate) fn refresh(&mut self, cx: &mut Cx<'_>, id: &MemberId) {
        if let Some(member) = self.members.get_mut(id) {
            restart_session(cx, member);
        }
    }
}
