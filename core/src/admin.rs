//! What administrators ask: list and describe groups (spec classic 17.1, 17.2).

use crate::classic::{ClassicGroup, State};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{GroupId, Text};
use crate::request::ListGroups;
use crate::response::{DescribedGroup, DescribedMember, ListedGroup};

const CLASSIC: &str = "classic";

/// Whether a list's filters let a group of that state through: state names are trimmed and, like
/// types, compared in any case; unknown ones match nothing.
fn lets_through(filter: &ListGroups, state: State) -> bool {
    let same_state = |name: &Text| name.as_str().trim().eq_ignore_ascii_case(state.name());
    let same_type = |name: &Text| name.as_str().eq_ignore_ascii_case(CLASSIC);
    (filter.states_filter.is_empty() || filter.states_filter.iter().any(same_state))
        && (filter.types_filter.is_empty() || filter.types_filter.iter().any(same_type))
}

impl Group {
    /// The group's entry in a list, if it is to be there.
    pub(crate) fn listed(&self, id: &GroupId, filter: &ListGroups) -> Option<ListedGroup> {
        let live = &self.live;
        (!self.is_being_created && lets_through(filter, live.state)).then(|| ListedGroup {
            group_id: id.clone(),
            protocol_type: live.protocol_type.clone().unwrap_or_default(),
            state: live.state.name(),
            group_type: CLASSIC,
        })
    }

    /// The group, described.
    pub(crate) fn described(&self, id: &GroupId) -> DescribedGroup {
        let live = &self.live;
        let chosen = live.protocol.clone().filter(|_| live.state == State::Stable);
        DescribedGroup {
            error: ErrorCode::None,
            message: None,
            group_id: id.clone(),
            state: live.state.name(),
            protocol_type: live.protocol_type.clone().unwrap_or_default(),
            members: live.described_members(chosen.as_ref()),
            protocol_data: chosen.unwrap_or_default(),
        }
    }
}

impl ClassicGroup {
    fn described_members(&self, chosen: Option<&Text>) -> Vec<DescribedMember> {
        let members = self.members.iter().map(|member| DescribedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: chosen.and_then(|name| member.metadata(name)).unwrap_or_default(),
            assignment: member.assignment.clone(),
        });
        members.collect()
    }
}

/// A group that does not exist: Dead, and an error where the version has one.
pub(crate) fn described_missing(id: &GroupId, is_an_error: bool) -> DescribedGroup {
    DescribedGroup {
        error: if is_an_error { ErrorCode::GroupIdNotFound } else { ErrorCode::None },
        message: is_an_error.then(|| Text::from(format!("Group {id} not found."))),
        group_id: id.clone(),
        state: "Dead",
        protocol_type: Text::EMPTY,
        protocol_data: Text::EMPTY,
        members: Vec::new(),
    }
}
