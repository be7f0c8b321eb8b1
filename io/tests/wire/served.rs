use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request};
use quorate_core::{ErrorCode, response};
use quorate_io::wire::{self, BrokerRequest, BrokerResponse, Call, Refused, Reply, SERVED};

use super::{CORRELATION, read, received, sent, shape};

/// Checks one line of the table, and that all its versions go in and out.
fn line<R: Request + Default>(done: &mut Vec<i16>, reply: impl Fn() -> Reply)
where
    R::Response: Message,
{
    let line = wire::served(R::KEY).unwrap();
    let codec = R::VERSIONS.intersect(&R::Response::VERSIONS);
    assert_eq!((line.min, line.max), (codec.min, codec.max), "{:?}", line.key);
    for version in line.min..=line.max {
        assert_eq!(received(version, &R::default()).shape, shape::<R>(version));
        read::<R>(version, reply());
    }
    done.push(R::KEY);
}

fn group(response: quorate_core::Response) -> impl Fn() -> Reply {
    move || Reply::Group(response.clone())
}

fn broker(response: BrokerResponse) -> impl Fn() -> Reply {
    move || Reply::Broker(response.clone())
}

#[test]
fn every_version_in_the_table_goes_in_and_out() {
    let mut done = Vec::new();
    let d = &mut done;
    use quorate_core::Response as G;
    let find = response::FindCoordinator { failed: false, coordinators: vec![] };
    line::<FindCoordinatorRequest>(d, group(G::FindCoordinator(find)));
    let join = response::JoinGroup::refused(ErrorCode::UnknownMemberId, "m".into());
    line::<JoinGroupRequest>(d, group(G::JoinGroup(Box::new(join))));
    let sync = response::SyncGroup::refused(ErrorCode::UnknownMemberId);
    line::<SyncGroupRequest>(d, group(G::SyncGroup(Box::new(sync))));
    line::<HeartbeatRequest>(d, group(G::Heartbeat(ErrorCode::None)));
    let leave = response::LeaveGroup { error: ErrorCode::None, members: vec![] };
    line::<LeaveGroupRequest>(d, group(G::LeaveGroup(leave)));
    let commit = response::OffsetCommit { topics: vec![] };
    line::<OffsetCommitRequest>(d, group(G::OffsetCommit(commit)));
    let fetch = response::OffsetFetch { groups: vec![] };
    line::<OffsetFetchRequest>(d, group(G::OffsetFetch(fetch)));
    let delete = response::OffsetDelete { error: ErrorCode::None, topics: vec![] };
    line::<OffsetDeleteRequest>(d, group(G::OffsetDelete(delete)));
    let list = response::ListGroups { error: ErrorCode::None, groups: vec![] };
    line::<ListGroupsRequest>(d, group(G::ListGroups(list)));
    let describe = response::DescribeGroups { groups: vec![] };
    line::<DescribeGroupsRequest>(d, group(G::DescribeGroups(describe)));
    let delete = response::DeleteGroups { results: vec![] };
    line::<DeleteGroupsRequest>(d, group(G::DeleteGroups(delete)));

    use BrokerResponse as B;
    line::<ApiVersionsRequest>(d, broker(B::ApiVersions(Default::default())));
    line::<MetadataRequest>(d, broker(B::Metadata(Default::default())));
    line::<CreateTopicsRequest>(d, broker(B::CreateTopics(Default::default())));
    line::<DeleteTopicsRequest>(d, broker(B::DeleteTopics(Default::default())));
    line::<CreatePartitionsRequest>(d, broker(B::CreatePartitions(Default::default())));
    line::<DescribeConfigsRequest>(d, broker(B::DescribeConfigs(Default::default())));
    line::<DescribeClusterRequest>(d, broker(B::DescribeCluster(Default::default())));
    line::<ProduceRequest>(d, broker(B::Produce(Default::default())));
    line::<FetchRequest>(d, broker(B::Fetch(Default::default())));
    line::<ListOffsetsRequest>(d, broker(B::ListOffsets(Default::default())));
    line::<InitProducerIdRequest>(d, broker(B::InitProducerId(Default::default())));
    line::<OffsetForLeaderEpochRequest>(d, broker(B::OffsetForLeaderEpoch(Default::default())));
    line::<DeleteRecordsRequest>(d, broker(B::DeleteRecords(Default::default())));
    line::<DescribeLogDirsRequest>(d, broker(B::DescribeLogDirs(Default::default())));
    line::<DescribeProducersRequest>(d, broker(B::DescribeProducers(Default::default())));
    line::<AlterConfigsRequest>(d, broker(B::AlterConfigs(Default::default())));
    let altered = B::IncrementalAlterConfigs(Default::default());
    line::<IncrementalAlterConfigsRequest>(d, broker(altered));
    line::<ListConfigResourcesRequest>(d, broker(B::ListConfigResources(Default::default())));
    let pages = B::DescribeTopicPartitions(Default::default());
    line::<DescribeTopicPartitionsRequest>(d, broker(pages));
    line::<DescribeQuorumRequest>(d, broker(B::DescribeQuorum(Default::default())));
    line::<DescribeAclsRequest>(d, broker(B::DescribeAcls(Default::default())));
    line::<DescribeClientQuotasRequest>(d, broker(B::DescribeClientQuotas(Default::default())));
    let credentials = B::DescribeUserScramCredentials(Default::default());
    line::<DescribeUserScramCredentialsRequest>(d, broker(credentials));
    let reassignments = B::ListPartitionReassignments(Default::default());
    line::<ListPartitionReassignmentsRequest>(d, broker(reassignments));

    done.sort_unstable();
    assert_eq!(done, SERVED.map(|line| line.key as i16));
}

#[test]
fn only_produce_names_versions_that_it_does_not_answer() {
    for line in SERVED {
        let from = if line.key == ApiKey::Produce { 0 } else { line.min };
        assert_eq!(line.advertised_from, from, "{:?}", line.key);
    }
}

fn refused(key: i16, version: i16) -> Refused {
    let [k, v] = [key.to_be_bytes(), version.to_be_bytes()];
    let mut frame = vec![k[0], k[1], v[0], v[1], 0, 0, 0, 77];
    frame.extend([0; 64]);
    wire::decode(Bytes::from(frame)).unwrap_err()
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    for key in [-1, 7, 25, 68, 999] {
        assert_eq!(refused(key, 0), Refused::UnknownApi(key));
    }
    use ApiKey::*;
    let bad = [(Produce, 2), (Fetch, 3), (OffsetCommit, 1), (OffsetFetch, 0), (Heartbeat, 5)];
    for (key, version) in bad.into_iter().chain([(JoinGroup, -1), (Metadata, 99)]) {
        assert_eq!(refused(key as i16, version), Refused::UnsupportedVersion { key, version });
    }
}

#[test]
fn a_frame_without_room_for_a_header_is_refused() {
    for length in 0..8 {
        let frame = Bytes::from(vec![0; length]);
        assert_eq!(wire::decode(frame), Err(Refused::TooShort(length)));
    }
}

#[test]
fn api_versions_of_the_future_are_asked_as_version_0() {
    let mut frame = sent(3, &ApiVersionsRequest::default()).to_vec();
    frame[3] = 99;
    frame.truncate(8);
    let incoming = wire::decode(Bytes::from(frame)).unwrap();
    assert_eq!(incoming.shape, shape::<ApiVersionsRequest>(0));
    assert_eq!(incoming.call, Call::Broker(BrokerRequest::ApiVersionsUnsupported));
    assert_eq!(incoming.shape.correlation_id, CORRELATION);
}

#[test]
fn bytes_after_the_body_are_ignored() {
    let request = HeartbeatRequest::default().with_generation_id(3);
    let clean = sent(0, &request);
    let longer = Bytes::from([&clean[..], b"extra"].concat());
    assert_eq!(wire::decode(longer), wire::decode(clean));
}

#[test]
fn a_body_that_ends_early_is_refused_at_every_length() {
    let whole = sent(4, &HeartbeatRequest::default().with_member_id(super::s("member")));
    for length in 8..whole.len() {
        let error = wire::decode(whole.slice(..length)).unwrap_err();
        let Refused::Malformed { key, version, .. } = error else { panic!("{error}") };
        assert_eq!((key, version), (ApiKey::Heartbeat, 4));
    }
}
