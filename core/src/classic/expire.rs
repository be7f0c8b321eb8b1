//! Sessions that end (spec classic 10.2).

use super::State;
use crate::env::Cx;
use crate::group::Group;
use crate::id::MemberId;
use crate::note::{Cause, Note, NoteKind, TimerEvent};
use crate::timers::TimerKey;

impl Group {
    /// A session timer fired, for a member or for an id that was handed out.
    pub(crate) fn session_fired(&mut self, cx: &mut Cx<'_>, id: &MemberId) {
        let live = &mut self.live;
        let key = TimerKey::Session(cx.id.clone(), id.clone());
        if let Some(timer) = live.take_pending_join(id) {
            cx.note_timer(&key, TimerEvent::Fired);
            cx.env.timers.discard(&timer);
            if live.state == State::PreparingRebalance && live.all_joined() {
                self.complete_join(cx);
            }
            return;
        }
        let Some(member) = live.members.get(id) else { return };
        cx.note_timer(&key, TimerEvent::Fired);
        if !member.is_new && (member.join.is_some() || member.sync.is_some()) {
            // It waits for us, and its session starts anew with our answer.
            return;
        }
        live.evict(cx, id);
        let cause = Cause::SessionExpired { member: id.clone() };
        if matches!(live.state, State::Stable | State::CompletingRebalance) {
            self.start_rebalance(cx, cause);
            return;
        }
        cx.note(NoteKind::Member, |group| Note::Member { group: group.clone(), cause });
        if live.state == State::PreparingRebalance && live.all_joined() {
            self.complete_join(cx);
        }
    }
}
