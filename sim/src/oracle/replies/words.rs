//! Requests and answers as the observers look at them: of which groups, with which codes.

use quorate_core::{ErrorCode, GroupId, RecordKey, Request, Response};

/// The groups that a request names, as often as it does.
#[must_use]
pub fn groups(request: &Request) -> Vec<&GroupId> {
    match request {
        Request::JoinGroup(r) => vec![&r.group_id],
        Request::SyncGroup(r) => vec![&r.group_id],
        Request::Heartbeat(r) => vec![&r.group_id],
        Request::LeaveGroup(r) => vec![&r.group_id],
        Request::OffsetCommit(r) => vec![&r.group_id],
        Request::OffsetDelete(r) => vec![&r.group_id],
        Request::OffsetFetch(r) => r.groups.iter().map(|asked| &asked.group_id).collect(),
        Request::DescribeGroups(r) => r.groups.iter().collect(),
        Request::DeleteGroups(r) => r.groups.iter().collect(),
        Request::ListGroups(_) | Request::FindCoordinator(_) => Vec::new(),
    }
}

/// Kafka's name of the API.
#[must_use]
pub fn api(request: &Request) -> &'static str {
    match request {
        Request::FindCoordinator(_) => "FindCoordinator",
        Request::JoinGroup(_) => "JoinGroup",
        Request::SyncGroup(_) => "SyncGroup",
        Request::Heartbeat(_) => "Heartbeat",
        Request::LeaveGroup(_) => "LeaveGroup",
        Request::OffsetCommit(_) => "OffsetCommit",
        Request::OffsetFetch(_) => "OffsetFetch",
        Request::OffsetDelete(_) => "OffsetDelete",
        Request::ListGroups(_) => "ListGroups",
        Request::DescribeGroups(_) => "DescribeGroups",
        Request::DeleteGroups(_) => "DeleteGroups",
    }
}

/// Kafka's name of the API that an answer is of.
#[must_use]
pub fn answered_api(response: &Response) -> &'static str {
    match response {
        Response::FindCoordinator(_) => "FindCoordinator",
        Response::JoinGroup(_) => "JoinGroup",
        Response::SyncGroup(_) => "SyncGroup",
        Response::Heartbeat(_) => "Heartbeat",
        Response::LeaveGroup(_) => "LeaveGroup",
        Response::OffsetCommit(_) => "OffsetCommit",
        Response::OffsetFetch(_) => "OffsetFetch",
        Response::OffsetDelete(_) => "OffsetDelete",
        Response::ListGroups(_) => "ListGroups",
        Response::DescribeGroups(_) => "DescribeGroups",
        Response::DeleteGroups(_) => "DeleteGroups",
    }
}

/// All codes of an answer, those of its parts too.
#[must_use]
pub fn codes(response: &Response) -> Vec<ErrorCode> {
    match response {
        Response::FindCoordinator(r) => {
            r.coordinators.iter().map(|c| c.node.err().unwrap_or_default()).collect()
        }
        Response::JoinGroup(r) => vec![r.error],
        Response::SyncGroup(r) => vec![r.error],
        Response::Heartbeat(error) => vec![*error],
        Response::LeaveGroup(r) if r.error != ErrorCode::None => vec![r.error],
        Response::LeaveGroup(r) => r.members.iter().map(|member| member.error).collect(),
        Response::OffsetCommit(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).map(|(_, error)| *error).collect()
        }
        Response::OffsetFetch(r) => r.groups.iter().map(|group| group.error).collect(),
        Response::OffsetDelete(r) if r.error != ErrorCode::None => vec![r.error],
        Response::OffsetDelete(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).map(|(_, error)| *error).collect()
        }
        Response::ListGroups(r) => vec![r.error],
        Response::DescribeGroups(r) => r.groups.iter().map(|group| group.error).collect(),
        Response::DeleteGroups(r) => r.results.iter().map(|(_, error)| *error).collect(),
    }
}

/// Whether something of it is no error. True of an answer with nothing in it.
#[must_use]
pub fn succeeds(response: &Response) -> bool {
    let codes = codes(response);
    codes.is_empty() || codes.contains(&ErrorCode::None)
}

/// Whether it says nothing but this error.
#[must_use]
pub fn is_only(response: &Response, error: ErrorCode) -> bool {
    codes(response).iter().all(|code| *code == error)
}

/// A row by name.
#[must_use]
pub fn row(key: &RecordKey) -> String {
    match key {
        RecordKey::Group(group) => format!("group {group}"),
        RecordKey::Offset { group, topic, partition } => {
            format!("offset {group}/{topic}-{partition}")
        }
    }
}
