use std::time::Duration;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse,
    TopicName,
};
use quorate_core::request::{
    CommitPartition, CommitTopic, FetchGroup, OffsetCommit, OffsetFetch, TopicPartitions,
};
use quorate_core::response::{self, FetchedGroup, FetchedOffset, FetchedTopic, TopicErrors};
use quorate_core::{ErrorCode, Generation, Request, Response, TopicsVersion};
use quorate_io::wire::{self, Refused};
use uuid::Uuid;

use super::{asked, encoded, read, s, sent, shape};

#[test]
fn what_a_commit_says_depends_on_its_version() {
    for version in 2..=9 {
        let mut partition = OffsetCommitRequestPartition::default()
            .with_partition_index(1)
            .with_committed_offset(5)
            .with_committed_metadata(None);
        if version >= 6 {
            partition.committed_leader_epoch = 4;
        }
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(s("t")))
            .with_partitions(vec![partition]);
        let mut request = OffsetCommitRequest::default()
            .with_group_id(GroupId(s("g")))
            .with_generation_id_or_member_epoch(3)
            .with_member_id(s("m"))
            .with_topics(vec![topic]);
        if version >= 7 {
            request.group_instance_id = Some(s("i"));
        }
        if version <= 4 {
            request.retention_time_ms = 1_000;
        }
        let expected = OffsetCommit {
            group_id: "g".into(),
            generation: Generation(3),
            member_id: "m".into(),
            instance_id: (version >= 7).then(|| "i".into()),
            retention: (version <= 4).then_some(Duration::from_secs(1)),
            missing_group_has_a_code: version >= 9,
            checked: TopicsVersion(0),
            topics: vec![CommitTopic {
                name: "t".into(),
                topic_id: Uuid::nil(),
                partitions: vec![CommitPartition {
                    partition: 1,
                    offset: 5,
                    leader_epoch: if version >= 6 { 4 } else { -1 },
                    metadata: None,
                }],
            }],
        };
        assert_eq!(asked(version, &request), Request::OffsetCommit(Box::new(expected)));
    }
}

#[test]
fn a_commit_without_a_retention_of_its_own_takes_the_brokers() {
    for (sent, expected) in [(-1, None), (0, Some(Duration::ZERO)), (-2, Some(Duration::ZERO))] {
        let request = OffsetCommitRequest::default().with_retention_time_ms(sent);
        let Request::OffsetCommit(commit) = asked(2, &request) else { panic!() };
        assert_eq!(commit.retention, expected, "{sent} ms");
    }
}

#[test]
fn a_fetch_asks_for_one_group_before_version_8() {
    for version in 1..=7 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(TopicName(s("t")))
            .with_partition_indexes(vec![1, 1]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(s("g")))
            .with_topics(Some(vec![topic]))
            .with_require_stable(version >= 7);
        let topics = vec![TopicPartitions { name: "t".into(), partitions: vec![1, 1] }];
        let group = FetchGroup {
            group_id: "g".into(),
            member_id: None,
            member_epoch: -1,
            topics: Some(topics),
        };
        let expected = OffsetFetch {
            groups: vec![group],
            require_stable: version >= 7,
            errors_on_partitions: version == 1,
        };
        assert_eq!(asked(version, &request), Request::OffsetFetch(expected));
    }
}

#[test]
fn a_fetch_asks_for_any_number_of_groups_from_version_8_on() {
    for version in 8..=9 {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(TopicName(s("t")))
            .with_partition_indexes(vec![1]);
        let mut some = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(s("g")))
            .with_topics(Some(vec![topic]));
        if version >= 9 {
            some.member_id = Some(s("m"));
            some.member_epoch = 6;
        }
        let all =
            OffsetFetchRequestGroup::default().with_group_id(GroupId(s("h"))).with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![some, all]);
        let topics = vec![TopicPartitions { name: "t".into(), partitions: vec![1] }];
        let some = FetchGroup {
            group_id: "g".into(),
            member_id: (version >= 9).then(|| "m".into()),
            member_epoch: if version >= 9 { 6 } else { -1 },
            topics: Some(topics),
        };
        let all =
            FetchGroup { group_id: "h".into(), member_id: None, member_epoch: -1, topics: None };
        let expected = OffsetFetch {
            groups: vec![some, all],
            require_stable: false,
            errors_on_partitions: false,
        };
        assert_eq!(asked(version, &request), Request::OffsetFetch(expected));
    }
}

#[test]
fn null_topics_ask_for_all_from_version_2_on_and_are_refused_in_version_1() {
    let request = OffsetFetchRequest::default().with_topics(None);
    let Request::OffsetFetch(fetch) = asked(2, &request) else { panic!() };
    assert_eq!(fetch.groups[0].topics, None);
    let mut frame = sent(2, &request).to_vec();
    frame[3] = 1;
    let error = wire::decode(frame.into()).unwrap_err();
    let reason = "topics are null, which version 1 does not have".into();
    let key = shape::<OffsetFetchRequest>(1).key;
    assert_eq!(error, Refused::Malformed { key, version: 1, reason });
}

fn fetched(error: ErrorCode) -> Response {
    let offset =
        FetchedOffset { partition: 1, offset: 5, leader_epoch: 4, metadata: "note".into(), error };
    let topics = vec![FetchedTopic { name: "t".into(), partitions: vec![offset] }];
    let group = FetchedGroup { group_id: "g".into(), error, topics };
    Response::OffsetFetch(response::OffsetFetch { groups: vec![group] })
}

#[test]
fn a_fetchs_answer_has_the_shape_of_its_version() {
    for version in 1..=9 {
        let code = ErrorCode::NotCoordinator.code();
        let expected = if version < 8 {
            let partition = OffsetFetchResponsePartition::default()
                .with_partition_index(1)
                .with_committed_offset(5)
                .with_committed_leader_epoch(if version >= 5 { 4 } else { -1 })
                .with_metadata(Some(s("note")))
                .with_error_code(code);
            let topic = OffsetFetchResponseTopic::default()
                .with_name(TopicName(s("t")))
                .with_partitions(vec![partition]);
            OffsetFetchResponse::default()
                .with_topics(vec![topic])
                .with_error_code(if version >= 2 { code } else { 0 })
        } else {
            let partition = OffsetFetchResponsePartitions::default()
                .with_partition_index(1)
                .with_committed_offset(5)
                .with_committed_leader_epoch(4)
                .with_metadata(Some(s("note")))
                .with_error_code(code);
            let topic = OffsetFetchResponseTopics::default()
                .with_name(TopicName(s("t")))
                .with_partitions(vec![partition]);
            let group = OffsetFetchResponseGroup::default()
                .with_group_id(GroupId(s("g")))
                .with_topics(vec![topic])
                .with_error_code(code);
            OffsetFetchResponse::default().with_groups(vec![group])
        };
        let got = read::<OffsetFetchRequest>(version, fetched(ErrorCode::NotCoordinator));
        assert_eq!(got, expected, "version {version}");
    }
}

#[test]
fn a_deletes_answer_has_its_error_before_the_throttle_time() {
    let topics = vec![TopicErrors {
        name: "t".into(),
        partitions: vec![(1, ErrorCode::GroupSubscribedToTopic)],
    }];
    let deleted = response::OffsetDelete { error: ErrorCode::None, topics };
    let frame = encoded(shape::<OffsetDeleteRequest>(0), Response::OffsetDelete(deleted));
    let body = b"\0\0\0\0\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x01\0\x56";
    assert_eq!(&frame[..], [&b"\0\0\0\x1b\0\0\0\x4d"[..], body].concat());
}
