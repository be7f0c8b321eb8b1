//! What happens when a batch is durable, and when it is refused (design 5, spec classic 11.3).

use crate::classic::StaticReplacement;
use crate::env::{After, Cx};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::response::Response;

impl After {
    /// The group that it is about; none for a reply that stands alone.
    pub(crate) fn group(&self) -> Option<&crate::id::GroupId> {
        match self {
            After::Reply { .. } => None,
            After::Synced { group, .. }
            | After::StaticReplaced { group, .. }
            | After::Created { group }
            | After::Removed { group } => Some(group),
        }
    }
}

impl Group {
    /// The batch is durable.
    pub(crate) fn done(&mut self, cx: &mut Cx<'_>, after: After) {
        match after {
            After::Reply { token, body } => cx.reply(token, body),
            After::Synced { generation, assignments, .. } => {
                self.assignments_stored(cx, generation, assignments);
            }
            After::StaticReplaced { token, body, .. } => {
                if let Some(token) = token {
                    cx.reply(token, Response::JoinGroup(body));
                }
            }
            After::Created { .. } => self.is_being_created = false,
            After::Removed { .. } => {}
        }
    }

    /// The batch is not stored, and never will be.
    pub(crate) fn failed(&mut self, cx: &mut Cx<'_>, after: After, error: ErrorCode) {
        match after {
            After::Reply { token, body } => cx.reply(token, body.failed(error)),
            After::Synced { generation, .. } => self.assignments_failed(cx, generation, error),
            After::StaticReplaced { token, new, old, old_leader, .. } => {
                let replacement = StaticReplacement { token, new, old, old_leader };
                self.static_replacement_failed(cx, replacement, error);
            }
            // Rows are undone already; the shard drops a group that was not created.
            After::Created { .. } | After::Removed { .. } => {}
        }
    }
}
