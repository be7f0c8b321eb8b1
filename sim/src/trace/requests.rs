//! Requests and replies in words: Kafka's names, without what is as always.

use quorate_core::request::{self, Request};
use quorate_core::response::{self, Response};
use quorate_core::{ErrorCode, InstanceId};

use super::names::Names;
use super::words;
use crate::client;

/// A request's name in a trace.
pub(super) fn api(request: &Request) -> &'static str {
    match request {
        Request::FindCoordinator(_) => "Find",
        Request::JoinGroup(_) => "Join",
        Request::SyncGroup(_) => "Sync",
        Request::Heartbeat(_) => "Heartbeat",
        Request::LeaveGroup(_) => "Leave",
        Request::OffsetCommit(_) => "Commit",
        Request::OffsetFetch(_) => "Fetch",
        Request::OffsetDelete(_) => "OffsetDel",
        Request::ListGroups(_) => "List",
        Request::DescribeGroups(_) => "Describe",
        Request::DeleteGroups(_) => "Delete",
    }
}

fn instance(id: Option<&InstanceId>) -> String {
    id.map(|id| format!("  i={id}")).unwrap_or_default()
}

/// What follows the name of a request.
pub(super) fn request(names: &mut Names, request: &Request) -> String {
    match request {
        Request::FindCoordinator(find) => {
            find.keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(" ")
        }
        Request::JoinGroup(join) => self::join(names, join),
        Request::SyncGroup(sync) => {
            let member = names.member(&sync.member_id);
            let dealt = sync.assignments.iter().map(|of| {
                format!("{}:{}", names.member(&of.member_id), words::blob(&of.assignment))
            });
            let dealt = dealt.collect::<Vec<_>>().join(" ");
            let dealt = if dealt.is_empty() { dealt } else { format!("  {{{dealt}}}") };
            let instance = instance(sync.instance_id.as_ref());
            let group = words::group(&sync.group_id);
            format!("{group}  {member}{instance}  gen {}{dealt}", sync.generation)
        }
        Request::Heartbeat(beat) => {
            let (group, member) = (words::group(&beat.group_id), names.member(&beat.member_id));
            let instance = instance(beat.instance_id.as_ref());
            format!("{group}  {member}{instance}  gen {}", beat.generation)
        }
        Request::LeaveGroup(leave) => {
            let members = leave.members.iter().map(|of| {
                let instance = of.instance_id.as_ref().map(|id| format!("/{id}"));
                format!("{}{}", names.member(&of.member_id), instance.unwrap_or_default())
            });
            let members = members.collect::<Vec<_>>().join(" ");
            format!("{}  {members}", words::group(&leave.group_id))
        }
        Request::OffsetCommit(commit) => self::commit(names, commit),
        Request::OffsetFetch(fetch) => {
            let groups = fetch.groups.iter().map(|of| words::group(&of.group_id));
            let groups = groups.collect::<Vec<_>>().join(" ");
            format!("{groups}{}", if fetch.require_stable { "  stable" } else { "" })
        }
        Request::OffsetDelete(delete) => {
            let topics = delete.topics.iter().map(|of| format!("{}{:?}", of.name, of.partitions));
            format!("{}  {}", words::group(&delete.group_id), topics.collect::<Vec<_>>().join(" "))
        }
        Request::ListGroups(_) => String::new(),
        Request::DescribeGroups(of) => {
            of.groups.iter().map(words::group).collect::<Vec<_>>().join(" ")
        }
        Request::DeleteGroups(of) => {
            of.groups.iter().map(words::group).collect::<Vec<_>>().join(" ")
        }
    }
}

fn join(names: &mut Names, join: &request::JoinGroup) -> String {
    let (group, member) = (words::group(&join.group_id), names.member(&join.member_id));
    let protocols: Vec<_> = join.protocols.iter().map(|of| of.name.as_str()).collect();
    let kind = if join.protocol_type == "consumer" {
        String::new()
    } else {
        format!("  type={}", join.protocol_type)
    };
    let instance = instance(join.instance_id.as_ref());
    let owned = join.protocols.first().and_then(|first| client::owned(&first.metadata));
    let owned = owned.filter(|owned| !owned.is_empty());
    let owned = owned.map(|owned| format!("  owns {}", words::owns(&owned))).unwrap_or_default();
    format!("{group}  m={member}{instance}{kind}  proto={}{owned}", protocols.join(","))
}

fn commit(names: &mut Names, commit: &request::OffsetCommit) -> String {
    let (group, member) = (words::group(&commit.group_id), names.member(&commit.member_id));
    let topics = commit.topics.iter().map(|topic| {
        let offsets = topic.partitions.iter().map(|of| format!("{}={}", of.partition, of.offset));
        format!("{}{{{}}}", topic.name, offsets.collect::<Vec<_>>().join(" "))
    });
    let topics = topics.collect::<Vec<_>>().join(" ");
    let instance = instance(commit.instance_id.as_ref());
    format!("{group}  {member}{instance}  gen {}  {topics}", commit.generation)
}

/// A response's name in a trace, equal to its request's.
pub(super) fn api_of(response: &Response) -> &'static str {
    match response {
        Response::FindCoordinator(_) => "Find",
        Response::JoinGroup(_) => "Join",
        Response::SyncGroup(_) => "Sync",
        Response::Heartbeat(_) => "Heartbeat",
        Response::LeaveGroup(_) => "Leave",
        Response::OffsetCommit(_) => "Commit",
        Response::OffsetFetch(_) => "Fetch",
        Response::OffsetDelete(_) => "OffsetDel",
        Response::ListGroups(_) => "List",
        Response::DescribeGroups(_) => "Describe",
        Response::DeleteGroups(_) => "Delete",
    }
}

/// `ok`, or the error's name.
pub(super) fn error(code: ErrorCode) -> &'static str {
    if code == ErrorCode::None { "ok" } else { code.name() }
}

/// What follows the name of a reply.
pub(super) fn response(names: &mut Names, response: &Response) -> String {
    match response {
        Response::FindCoordinator(found) => {
            let found = found.coordinators.iter().map(|of| match of.node {
                Ok(node) => format!("n{node}"),
                Err(code) => code.name().to_owned(),
            });
            found.collect::<Vec<_>>().join(" ")
        }
        Response::JoinGroup(joined) => self::joined(names, joined),
        Response::SyncGroup(synced) if synced.error == ErrorCode::None => {
            format!("ok  {}", words::blob(&synced.assignment))
        }
        Response::SyncGroup(synced) => error(synced.error).to_owned(),
        Response::Heartbeat(code) => error(*code).to_owned(),
        Response::LeaveGroup(left) => {
            let members = left.members.iter().filter(|of| of.error != ErrorCode::None);
            let failed = members.map(|of| {
                let member = names.member(&of.member_id);
                let instance = of.instance_id.as_ref().map(|id| format!("/{id}"));
                format!("  {member}{} {}", instance.unwrap_or_default(), of.error)
            });
            let failed: String = failed.collect();
            format!("{}{failed}", error(left.error))
        }
        Response::OffsetCommit(answer) => partitions(&answer.topics),
        Response::OffsetFetch(fetched) => {
            fetched.groups.iter().map(self::fetched).collect::<Vec<_>>().join("  ")
        }
        Response::OffsetDelete(answer) if answer.error == ErrorCode::None => {
            partitions(&answer.topics)
        }
        Response::OffsetDelete(answer) => error(answer.error).to_owned(),
        of_admin => self::of_admin(names, of_admin),
    }
}

fn joined(names: &mut Names, joined: &response::JoinGroup) -> String {
    let member = names.member(&joined.member_id);
    if joined.error != ErrorCode::None {
        let member = if member == "-" { String::new() } else { format!("  m={member}") };
        return format!("{}{member}", joined.error);
    }
    let leader = names.member(&joined.leader);
    let members = if joined.members.is_empty() {
        String::new()
    } else {
        let of = joined.members.iter().map(|of| &of.member_id);
        format!("  members [{}]", names.members(of))
    };
    let protocol = joined.protocol_name.as_ref().map_or("-", |name| name.as_str());
    let skip = if joined.skip_assignment { "  skip" } else { "" };
    let generation = joined.generation;
    format!("ok  m={member}  gen {generation}  {protocol}  leader {leader}{members}{skip}")
}

/// One word where all partitions have the same answer; else each, in the order of the answer.
fn partitions(topics: &[response::TopicErrors]) -> String {
    let mut all = topics.iter().flat_map(|of| of.partitions.iter().map(|(_, code)| *code));
    let Some(first) = all.next() else { return "ok".to_owned() };
    if all.all(|code| code == first) {
        return error(first).to_owned();
    }
    let each = topics.iter().map(|of| {
        let parts = of.partitions.iter();
        let parts = parts.map(|(partition, code)| format!("{partition}={}", error(*code)));
        format!("{}{{{}}}", of.name, parts.collect::<Vec<_>>().join(" "))
    });
    each.collect::<Vec<_>>().join("  ")
}

fn fetched(of: &response::FetchedGroup) -> String {
    if of.error != ErrorCode::None {
        return of.error.name().to_owned();
    }
    let topics = of.topics.iter().map(|topic| {
        let offsets = topic.partitions.iter().map(|of| match of.error {
            ErrorCode::None => format!("{}={}", of.partition, of.offset),
            code => format!("{}={} {code}", of.partition, of.offset),
        });
        format!("  {}{{{}}}", topic.name, offsets.collect::<Vec<_>>().join(" "))
    });
    let topics: String = topics.collect();
    format!("ok{}", if topics.is_empty() { "  nothing".to_owned() } else { topics })
}

fn of_admin(names: &mut Names, response: &Response) -> String {
    match response {
        Response::ListGroups(list) if list.error == ErrorCode::None => {
            let groups = list.groups.iter();
            let groups = groups.map(|of| format!("  {} {}", words::group(&of.group_id), of.state));
            format!("ok{}", groups.collect::<String>())
        }
        Response::ListGroups(list) => list.error.name().to_owned(),
        Response::DescribeGroups(described) => {
            let groups = described.groups.iter().map(|of| {
                let members = names.members(of.members.iter().map(|member| &member.member_id));
                let kind =
                    if of.protocol_data.is_empty() { "-" } else { of.protocol_data.as_str() };
                format!("{}  {}  {kind}  {{{members}}}", error(of.error), of.state)
            });
            groups.collect::<Vec<_>>().join("  ")
        }
        Response::DeleteGroups(deleted) => {
            deleted.results.iter().map(|(_, code)| error(*code)).collect::<Vec<_>>().join("  ")
        }
        _ => String::new(),
    }
}
