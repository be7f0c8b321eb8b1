//! What is served: one table of APIs and versions. ApiVersions is made from it, and a request that
//! is not in it does not get past [`super::decode`].

use kafka_protocol::messages::ApiKey;

/// The versions of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The API.
    pub key: ApiKey,
    /// The oldest version that ApiVersions names.
    pub advertised_from: i16,
    /// The oldest version that is answered.
    pub min: i16,
    /// The newest version, named and answered.
    pub max: i16,
}

const fn api(key: ApiKey, min: i16, max: i16) -> Served {
    Served { key, advertised_from: min, min, max }
}

/// Produce is named from 0, for librdkafka takes a broker without it for one that is too old
/// (KIP-896); 0 to 2 close the connection, as Kafka does.
const PRODUCE: Served = Served { key: ApiKey::Produce, advertised_from: 0, min: 3, max: 13 };

/// Every API that is served, by key. Where Apache Kafka 4.4 has a newer version than this table,
/// the codec lacks it.
pub const SERVED: [Served; 35] = [
    PRODUCE,
    api(ApiKey::Fetch, 4, 18),
    api(ApiKey::ListOffsets, 1, 10),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 2, 9),
    api(ApiKey::OffsetFetch, 1, 9),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::DescribeLogDirs, 1, 4),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeClientQuotas, 0, 1),
    api(ApiKey::DescribeUserScramCredentials, 0, 0),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::DescribeCluster, 0, 2),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::ListConfigResources, 0, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0),
];

/// The line of an API, if it is served in any version.
#[must_use]
pub fn served(key: i16) -> Option<&'static Served> {
    let at = SERVED.binary_search_by_key(&key, |line| line.key as i16).ok()?;
    Some(&SERVED[at])
}
