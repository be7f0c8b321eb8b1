//! The answer to a request that cannot be served: one code in the shape of each API
//! (spec classic 3.5).

use super::nobody;
use crate::error::ErrorCode;
use crate::id::Text;
use crate::request::{OffsetFetch, Request, TopicPartitions};
use crate::response::{
    self, Coordinator, DeleteGroups, DescribeGroups, DescribedGroup, FetchedGroup, FetchedOffset,
    FetchedTopic, JoinGroup, LeaveGroup, ListGroups, OffsetCommit, OffsetDelete, Response,
    SyncGroup, TopicErrors,
};

/// Answers a request with an error. For a shard that is being loaded the code is
/// COORDINATOR_LOAD_IN_PROGRESS (and a Heartbeat gets NONE, so that members are not disturbed),
/// for one that is not here NOT_COORDINATOR.
#[must_use]
pub fn refuse(request: &Request, error: ErrorCode) -> Response {
    match request {
        Request::FindCoordinator(find) => {
            let entry = |key: &Text| Coordinator { key: key.clone(), node: Err(error) };
            let coordinators = find.keys.iter().map(entry).collect();
            Response::FindCoordinator(response::FindCoordinator { failed: true, coordinators })
        }
        Request::JoinGroup(_) => Response::JoinGroup(Box::new(JoinGroup::refused(error, nobody()))),
        Request::SyncGroup(_) => Response::SyncGroup(Box::new(SyncGroup::refused(error))),
        Request::Heartbeat(_) => Response::Heartbeat(match error {
            ErrorCode::CoordinatorLoadInProgress => ErrorCode::None,
            error => error,
        }),
        Request::LeaveGroup(_) => Response::LeaveGroup(LeaveGroup { error, members: Vec::new() }),
        Request::OffsetCommit(commit) => {
            let topics = commit.topics.iter().map(|topic| TopicErrors {
                name: topic.name.clone(),
                partitions: topic.partitions.iter().map(|p| (p.partition, error)).collect(),
            });
            Response::OffsetCommit(OffsetCommit { topics: topics.collect() })
        }
        Request::OffsetFetch(fetch) => {
            let groups = (0..fetch.groups.len()).map(|n| fetch_refused(fetch, n, error)).collect();
            Response::OffsetFetch(response::OffsetFetch { groups })
        }
        Request::OffsetDelete(_) => {
            Response::OffsetDelete(OffsetDelete { error, topics: Vec::new() })
        }
        Request::ListGroups(_) => Response::ListGroups(ListGroups { error, groups: Vec::new() }),
        Request::DescribeGroups(describe) => {
            let groups = describe.groups.iter().map(|group| DescribedGroup {
                error,
                message: None,
                group_id: group.clone(),
                state: "",
                protocol_type: Text::EMPTY,
                protocol_data: Text::EMPTY,
                members: Vec::new(),
            });
            Response::DescribeGroups(DescribeGroups { groups: groups.collect() })
        }
        Request::DeleteGroups(delete) => {
            let results = delete.groups.iter().map(|group| (group.clone(), error)).collect();
            Response::DeleteGroups(DeleteGroups { results })
        }
    }
}

/// One group's entry of an OffsetFetch that fails: in version 1 the code is on each partition.
fn fetch_refused(fetch: &OffsetFetch, group: usize, error: ErrorCode) -> FetchedGroup {
    let group = &fetch.groups[group];
    let topics = match &group.topics {
        Some(topics) if fetch.errors_on_partitions => {
            topics.iter().map(|topic| no_offsets(topic, error)).collect()
        }
        _ => Vec::new(),
    };
    FetchedGroup { group_id: group.group_id.clone(), error, topics }
}

/// Partitions that have no offset, or whose offset is not told.
pub(crate) fn no_offsets(topic: &TopicPartitions, error: ErrorCode) -> FetchedTopic {
    let partitions =
        topic.partitions.iter().map(|&partition| FetchedOffset::none(partition, error));
    FetchedTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

impl FetchedOffset {
    /// No offset: -1, no metadata (spec classic 13.2).
    #[must_use]
    pub fn none(partition: i32, error: ErrorCode) -> FetchedOffset {
        FetchedOffset { partition, offset: -1, leader_epoch: -1, metadata: Text::EMPTY, error }
    }
}

impl Response {
    /// What the request gets instead when its write failed: the same shape, every code replaced.
    #[must_use]
    pub fn failed(self, error: ErrorCode) -> Response {
        match self {
            Response::FindCoordinator(mut find) => {
                find.coordinators.iter_mut().for_each(|c| c.node = Err(error));
                Response::FindCoordinator(response::FindCoordinator { failed: true, ..find })
            }
            Response::JoinGroup(_) => {
                Response::JoinGroup(Box::new(JoinGroup::refused(error, nobody())))
            }
            Response::SyncGroup(_) => Response::SyncGroup(Box::new(SyncGroup::refused(error))),
            Response::Heartbeat(_) => Response::Heartbeat(error),
            Response::LeaveGroup(_) => {
                Response::LeaveGroup(LeaveGroup { error, members: Vec::new() })
            }
            Response::OffsetCommit(mut commit) => {
                let codes = commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                codes.for_each(|(_, code)| *code = error);
                Response::OffsetCommit(commit)
            }
            Response::OffsetFetch(mut fetch) => {
                for group in &mut fetch.groups {
                    group.error = error;
                    group.topics.clear();
                }
                Response::OffsetFetch(fetch)
            }
            Response::OffsetDelete(_) => {
                Response::OffsetDelete(OffsetDelete { error, topics: Vec::new() })
            }
            Response::ListGroups(_) => {
                Response::ListGroups(ListGroups { error, groups: Vec::new() })
            }
            Response::DescribeGroups(mut describe) => {
                for group in &mut describe.groups {
                    group.error = error;
                    (group.state, group.message) = ("", None);
                    (group.protocol_type, group.protocol_data) = (Text::EMPTY, Text::EMPTY);
                    group.members.clear();
                }
                Response::DescribeGroups(describe)
            }
            Response::DeleteGroups(mut delete) => {
                delete.results.iter_mut().for_each(|(_, code)| *code = error);
                Response::DeleteGroups(delete)
            }
        }
    }
}
