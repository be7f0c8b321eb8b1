//! The decoder that the guard is for: kafka-protocol's, by API key and version.

use std::ops::RangeInclusive;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Message, Request};

struct Api {
    key: i16,
    versions: RangeInclusive<i16>,
    decode: fn(&mut Bytes, i16) -> Option<()>,
}

fn api<T: Request>() -> Api {
    let versions = T::VERSIONS.intersect(&<T::Response as Message>::VERSIONS);
    Api {
        key: T::KEY,
        versions: versions.min..=versions.max,
        decode: |bytes, version| T::decode(bytes, version).map(drop).ok(),
    }
}

fn apis() -> [Api; 35] {
    [
        api::<ApiVersionsRequest>(),
        api::<MetadataRequest>(),
        api::<DescribeClusterRequest>(),
        api::<DescribeTopicPartitionsRequest>(),
        api::<DescribeQuorumRequest>(),
        api::<FindCoordinatorRequest>(),
        api::<CreateTopicsRequest>(),
        api::<DeleteTopicsRequest>(),
        api::<CreatePartitionsRequest>(),
        api::<DescribeConfigsRequest>(),
        api::<AlterConfigsRequest>(),
        api::<IncrementalAlterConfigsRequest>(),
        api::<ListConfigResourcesRequest>(),
        api::<ProduceRequest>(),
        api::<FetchRequest>(),
        api::<ListOffsetsRequest>(),
        api::<OffsetForLeaderEpochRequest>(),
        api::<InitProducerIdRequest>(),
        api::<DeleteRecordsRequest>(),
        api::<DescribeLogDirsRequest>(),
        api::<DescribeProducersRequest>(),
        api::<JoinGroupRequest>(),
        api::<SyncGroupRequest>(),
        api::<HeartbeatRequest>(),
        api::<LeaveGroupRequest>(),
        api::<OffsetCommitRequest>(),
        api::<OffsetFetchRequest>(),
        api::<OffsetDeleteRequest>(),
        api::<DescribeGroupsRequest>(),
        api::<ListGroupsRequest>(),
        api::<DeleteGroupsRequest>(),
        api::<DescribeAclsRequest>(),
        api::<DescribeClientQuotasRequest>(),
        api::<DescribeUserScramCredentialsRequest>(),
        api::<ListPartitionReassignmentsRequest>(),
    ]
}

/// The versions of an API that both its request and its response can be coded in.
pub fn versions(api_key: i16) -> RangeInclusive<i16> {
    find(api_key).versions
}

/// Decodes header and body, and gives the number of bytes of both, or nothing if it fails.
pub fn decode(api_key: i16, version: i16, mut frame: Bytes) -> Option<usize> {
    let all = frame.len();
    let header_version = ApiKey::try_from(api_key).unwrap().request_header_version(version);
    RequestHeader::decode(&mut frame, header_version).ok()?;
    (find(api_key).decode)(&mut frame, version)?;
    Some(all - frame.remaining())
}

fn find(api_key: i16) -> Api {
    apis().into_iter().find(|api| api.key == api_key).unwrap()
}
