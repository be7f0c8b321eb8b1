//! The error that an answer is counted under: its own, else the first one in it.

use quorate_core::{ErrorCode, Response};

use crate::wire::{BrokerResponse, Reply};

/// The error code of an answer; 0 is none.
pub(crate) fn error_of(reply: &Reply) -> i16 {
    match reply {
        Reply::Group(response) => of_group(response),
        Reply::Broker(response) => of_broker(response),
    }
}

/// Offsets that an answer says are committed.
pub(crate) fn committed_partitions(reply: &Reply) -> usize {
    let Reply::Group(Response::OffsetCommit(commit)) = reply else { return 0 };
    let partitions = commit.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.filter(|(_, error)| *error == ErrorCode::None).count()
}

fn first(codes: impl IntoIterator<Item = i16>) -> i16 {
    codes.into_iter().find(|code| *code != 0).unwrap_or(0)
}

fn of_group(response: &Response) -> i16 {
    let code = |error: &ErrorCode| error.code();
    match response {
        Response::FindCoordinator(found) => {
            let errors = found.coordinators.iter().filter_map(|one| one.node.as_ref().err());
            first(errors.map(code))
        }
        Response::JoinGroup(joined) => code(&joined.error),
        Response::SyncGroup(synced) => code(&synced.error),
        Response::Heartbeat(error) => code(error),
        Response::LeaveGroup(left) => {
            let members = left.members.iter().map(|member| code(&member.error));
            first(std::iter::once(code(&left.error)).chain(members))
        }
        Response::OffsetCommit(commit) => {
            let partitions = commit.topics.iter().flat_map(|topic| &topic.partitions);
            first(partitions.map(|(_, error)| code(error)))
        }
        Response::OffsetFetch(fetched) => first(fetched.groups.iter().map(|g| code(&g.error))),
        Response::OffsetDelete(deleted) => {
            let partitions = deleted.topics.iter().flat_map(|topic| &topic.partitions);
            let partitions = partitions.map(|(_, error)| code(error));
            first(std::iter::once(code(&deleted.error)).chain(partitions))
        }
        Response::ListGroups(listed) => code(&listed.error),
        Response::DescribeGroups(described) => {
            first(described.groups.iter().map(|group| code(&group.error)))
        }
        Response::DeleteGroups(deleted) => {
            first(deleted.results.iter().map(|(_, error)| code(error)))
        }
    }
}

fn of_broker(response: &BrokerResponse) -> i16 {
    use BrokerResponse as R;
    match response {
        R::ApiVersions(r) => r.error_code,
        R::Metadata(r) => first(r.topics.iter().map(|topic| topic.error_code)),
        R::DescribeTopicPartitions(r) => first(r.topics.iter().map(|topic| topic.error_code)),
        R::DescribeCluster(r) => r.error_code,
        R::DescribeQuorum(r) => r.error_code,
        R::CreateTopics(r) => first(r.topics.iter().map(|topic| topic.error_code)),
        R::DeleteTopics(r) => first(r.responses.iter().map(|topic| topic.error_code)),
        R::CreatePartitions(r) => first(r.results.iter().map(|topic| topic.error_code)),
        R::DescribeConfigs(r) => first(r.results.iter().map(|result| result.error_code)),
        R::AlterConfigs(r) => first(r.responses.iter().map(|result| result.error_code)),
        R::IncrementalAlterConfigs(r) => first(r.responses.iter().map(|result| result.error_code)),
        R::ListConfigResources(r) => r.error_code,
        R::Produce(r) => {
            let partitions = r.responses.iter().flat_map(|topic| &topic.partition_responses);
            first(partitions.map(|partition| partition.error_code))
        }
        R::Fetch(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            let partitions = partitions.map(|partition| partition.told.error_code);
            first(std::iter::once(r.error_code).chain(partitions))
        }
        R::ListOffsets(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            first(partitions.map(|partition| partition.error_code))
        }
        R::OffsetForLeaderEpoch(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            first(partitions.map(|partition| partition.error_code))
        }
        R::InitProducerId(r) => r.error_code,
        R::DeleteRecords(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            first(partitions.map(|partition| partition.error_code))
        }
        R::DescribeLogDirs(r) => r.error_code,
        R::DescribeProducers(r) => {
            let partitions = r.topics.iter().flat_map(|topic| &topic.partitions);
            first(partitions.map(|partition| partition.error_code))
        }
        R::DescribeAcls(r) => r.error_code,
        R::DescribeClientQuotas(r) => r.error_code,
        R::DescribeUserScramCredentials(r) => {
            let results = r.results.iter().map(|result| result.error_code);
            first(std::iter::once(r.error_code).chain(results))
        }
        R::ListPartitionReassignments(r) => r.error_code,
    }
}
