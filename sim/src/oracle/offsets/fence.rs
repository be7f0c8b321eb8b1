//! Who may commit, said once more and apart from the core (spec classic 12.2).

use quorate_core::{GroupView, request};

use super::{O3, O4};
use crate::oracle::Property;

/// What a commit breaks if it is accepted by a group as it is; nothing if it may be.
pub(super) fn breaks(
    request: &request::OffsetCommit,
    group: Option<&GroupView>,
) -> Option<Property> {
    let has_generation = request.generation.0 >= 0;
    let Some(group) = group else { return has_generation.then_some(O3) };
    if !has_generation && group.state == "Empty" {
        return None;
    }
    if !has_generation && request.member_id.is_empty() && request.instance_id.is_none() {
        return Some(O4);
    }
    let is_member = match &request.instance_id {
        Some(instance) => group.static_members.get(instance) == Some(&request.member_id),
        None => group.members.iter().any(|member| member.id == request.member_id),
    };
    if !is_member || request.generation != group.generation {
        return Some(O3);
    }
    (group.state == "CompletingRebalance").then_some(O4)
}
