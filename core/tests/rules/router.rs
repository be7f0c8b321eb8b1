//! What is decided before a shard is asked: spec classic 4, 6.1, 12.1, 13.1, 14 and 17.

use std::sync::Arc;

use quorate_core::request::*;
use quorate_core::response::{FetchedGroup, ListedGroup, TopicErrors};
use quorate_core::router::refuse;
use quorate_core::*;

use crate::support::{Join, commit, topic};

const HERE: NodeId = NodeId(1);

fn router(shards: usize) -> Router {
    let topics = Topics::new(TopicsVersion(7), [topic("t", 1), topic("u", 2)]);
    Router::new(Config::default(), vec![Some(HERE); shards], Arc::new(topics))
}

fn done(routed: Routed) -> Response {
    match routed {
        Routed::Done(response) => response,
        other => panic!("not answered here: {other:?}"),
    }
}

fn parts(routed: Routed) -> (router::GatherId, Vec<(ShardId, Request)>) {
    match routed {
        Routed::Gather(id, parts) => (id, parts),
        other => panic!("nothing to gather: {other:?}"),
    }
}

#[test]
fn coordinators_are_found_for_each_key_in_order_2_6_7() {
    let mut router = router(50);
    router.set_leader(ShardId(12), None);
    let mut find = |key_type, keys: &[&str]| {
        let keys = keys.iter().map(|key| Text::from(*key)).collect();
        match done(router.request(Request::FindCoordinator(FindCoordinator { key_type, keys }))) {
            Response::FindCoordinator(found) => {
                let nodes = found.coordinators.into_iter().map(|c| (c.key.to_string(), c.node));
                (found.failed, nodes.collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        }
    };
    let elsewhere = Err(ErrorCode::CoordinatorNotAvailable);
    let expected = ["a", "my-group", "", "a"]
        .map(|key| (key.to_owned(), if key == "my-group" { elsewhere } else { Ok(HERE) }));
    assert_eq!(find(0, &["a", "my-group", "", "a"]), (false, expected.to_vec()));
    assert_eq!(find(0, &[]), (false, vec![]));
    assert_eq!(find(1, &["tx"]), (false, vec![("tx".to_owned(), Ok(HERE))]));
    let invalid = Err(ErrorCode::InvalidRequest);
    assert_eq!(find(2, &["k"]), (false, vec![("k".to_owned(), invalid)]));
    let both = vec![("k".to_owned(), invalid), ("l".to_owned(), invalid)];
    assert_eq!(find(9, &["k", "l"]), (true, both));
}

#[test]
fn a_join_is_held_to_the_session_bounds_12_13() {
    let mut router = router(50);
    for (session, error) in [
        (5_999, Some(ErrorCode::InvalidSessionTimeout)),
        (6_000, None),
        (1_800_000, None),
        (1_800_001, Some(ErrorCode::InvalidSessionTimeout)),
        (-1, Some(ErrorCode::InvalidSessionTimeout)),
    ] {
        let join = Join::new().member(&"m".into()).timeouts(session, 1).v9();
        let expected = match error {
            Some(error) => Routed::Done(Response::JoinGroup(Box::new(
                response::JoinGroup::refused(error, "m".into()),
            ))),
            None => Routed::Shard(router.locate(&"g".into()), join.clone()),
        };
        assert_eq!(router.request(join), expected);
    }
    let Request::JoinGroup(join) = Join::new().member(&"m".into()).timeouts(1, 1).v9() else {
        panic!("a join")
    };
    let nameless =
        Request::JoinGroup(Box::new(JoinGroup { group_id: GroupId::default(), ..*join }));
    let refused = response::JoinGroup::refused(ErrorCode::InvalidGroupId, "m".into());
    assert_eq!(done(router.request(nameless)), Response::JoinGroup(Box::new(refused)));
}

#[test]
fn a_commit_of_unknown_topics_alone_asks_no_shard_137() {
    let mut router = router(50);
    let request = commit("", -1, &[("missing", 0, 1), ("t", 10, 1), ("t", -1, 1)]);
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let codes = |partitions: &[i32]| partitions.iter().map(|p| (*p, unknown)).collect();
    let topic = |name: &str, p| TopicErrors { name: name.into(), partitions: codes(p) };
    let topics = vec![topic("missing", &[0]), topic("t", &[10, -1])];
    let expected = Response::OffsetCommit(response::OffsetCommit { topics });
    assert_eq!(done(router.request(Request::OffsetCommit(Box::new(request)))), expected);
}

#[test]
fn of_topics_without_partitions_those_are_answered_that_do_not_exist() {
    let none = |name: &str| TopicErrors { name: name.into(), partitions: vec![] };
    let mut router = router(50);
    let mut commits = commit("", -1, &[("missing", 0, 1), ("t", 0, 1)]);
    commits.topics.iter_mut().for_each(|topic| topic.partitions.clear());
    let answer = response::OffsetCommit { topics: vec![none("missing")] };
    let answered = done(router.request(Request::OffsetCommit(Box::new(commits))));
    assert_eq!(answered, Response::OffsetCommit(answer));
    let topic = |name: &str| TopicPartitions { name: name.into(), partitions: vec![] };
    let delete = |topics| OffsetDelete { group_id: "g".into(), topics };
    let asked = Request::OffsetDelete(delete(vec![topic("missing"), topic("t")]));
    let (id, sent) = parts(router.request(asked));
    let shard = router.locate(&"g".into());
    assert_eq!(sent, [(shard, Request::OffsetDelete(delete(vec![])))]);
    let answer = |topics| {
        let body = response::OffsetDelete { error: ErrorCode::None, topics };
        Response::OffsetDelete(body)
    };
    let whole = answer(vec![none("missing")]);
    assert_eq!(router.gather(id, 0, answer(vec![])), Some(whole));
}

#[test]
fn a_commit_goes_on_with_what_is_known_and_is_answered_whole_136() {
    let mut router = router(50);
    let mut request = commit("", -1, &[("missing", 0, 1), ("t", 0, 1)]);
    let bad = CommitPartition { partition: 99, ..request.topics[1].partitions[0].clone() };
    request.topics[1].partitions.insert(0, bad);
    let (id, mut sent) = parts(router.request(Request::OffsetCommit(Box::new(request))));
    let (shard, Request::OffsetCommit(part)) = sent.remove(0) else { panic!("a commit") };
    assert_eq!((shard, sent.len()), (router.locate(&"g".into()), 0));
    let mut expected = commit("", -1, &[("t", 0, 1)]);
    expected.checked = TopicsVersion(7);
    assert_eq!(part, Box::new(expected));
    let topic = |name: &str, partitions| TopicErrors { name: name.into(), partitions };
    let stored = vec![topic("t", vec![(0, ErrorCode::None)])];
    let answer = Response::OffsetCommit(response::OffsetCommit { topics: stored });
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let whole = vec![
        topic("missing", vec![(0, unknown)]),
        topic("t", vec![(99, unknown), (0, ErrorCode::None)]),
    ];
    let whole = Response::OffsetCommit(response::OffsetCommit { topics: whole });
    assert_eq!(router.gather(id, 0, answer.clone()), Some(whole));
    assert_eq!(router.gather(id, 0, answer), None);
}

#[test]
fn offsets_of_several_groups_come_back_in_the_order_asked_152() {
    let mut router = router(50);
    let names = ["a", "my-group", "group", "a", "test-group"];
    let groups = names.map(|name| FetchGroup { group_id: name.into(), ..FetchGroup::default() });
    let fetch = OffsetFetch { groups: groups.to_vec(), ..OffsetFetch::default() };
    let (id, sent) = parts(router.request(Request::OffsetFetch(fetch)));
    let shards: Vec<_> = sent.iter().map(|(shard, _)| shard.0).collect();
    assert_eq!(shards, [47, 12]);
    let elsewhere = refuse(&sent[1].1, ErrorCode::NotCoordinator);
    assert_eq!(router.gather(id, 1, elsewhere), None);
    let here = refuse(&sent[0].1, ErrorCode::None);
    let Some(Response::OffsetFetch(whole)) = router.gather(id, 0, here) else { panic!("a fetch") };
    let (good, bad) = (ErrorCode::None, ErrorCode::NotCoordinator);
    let entry =
        |(name, error): (&str, _)| FetchedGroup { group_id: name.into(), error, topics: vec![] };
    let expected = names.into_iter().zip([good, bad, good, good, bad]).map(entry);
    assert_eq!(whole.groups, expected.collect::<Vec<_>>());
}

#[test]
fn a_list_is_of_all_shards_and_fails_while_one_loads_186() {
    let group = |name: &str| ListedGroup {
        group_id: name.into(),
        protocol_type: "consumer".into(),
        state: "Stable",
        group_type: "classic",
    };
    let answer = |error, groups| Response::ListGroups(response::ListGroups { error, groups });
    for (third, expected) in [
        (ErrorCode::NotCoordinator, (ErrorCode::None, vec![group("x"), group("y")])),
        (ErrorCode::CoordinatorLoadInProgress, (ErrorCode::CoordinatorLoadInProgress, vec![])),
    ] {
        let mut router = router(3);
        let (id, sent) = parts(router.request(Request::ListGroups(ListGroups::default())));
        assert_eq!(sent.len(), 3);
        assert_eq!(router.gather(id, 0, answer(ErrorCode::None, vec![group("x")])), None);
        assert_eq!(router.gather(id, 2, answer(third, vec![])), None);
        let whole = router.gather(id, 1, answer(ErrorCode::None, vec![group("y")]));
        assert_eq!(whole, Some(answer(expected.0, expected.1)));
    }
}

#[test]
fn a_deletion_names_each_group_once_188() {
    let mut router = router(50);
    let groups = ["a", "group", "a"].map(GroupId::from).to_vec();
    let (id, sent) = parts(router.request(Request::DeleteGroups(DeleteGroups { groups })));
    let groups = vec!["a".into(), "group".into()];
    assert_eq!(sent, [(ShardId(47), Request::DeleteGroups(DeleteGroups { groups }))]);
    let answer = refuse(&sent[0].1, ErrorCode::NonEmptyGroup);
    assert_eq!(router.gather(id, 0, answer.clone()), Some(answer));
}

#[test]
fn an_error_of_the_group_wipes_the_errors_of_topics_159() {
    let mut router = router(50);
    let topics = vec![TopicPartitions { name: "missing".into(), partitions: vec![0] }];
    let delete = |group: &str| {
        Request::OffsetDelete(OffsetDelete { group_id: group.into(), topics: topics.clone() })
    };
    let nameless = response::OffsetDelete { error: ErrorCode::InvalidGroupId, topics: vec![] };
    assert_eq!(done(router.request(delete(""))), Response::OffsetDelete(nameless));
    let (id, sent) = parts(router.request(delete("g")));
    let missing = refuse(&sent[0].1, ErrorCode::GroupIdNotFound);
    assert_eq!(router.gather(id, 0, missing.clone()), Some(missing));
}

#[test]
fn while_a_shard_loads_heartbeats_are_content_and_the_rest_waits() {
    let loading = ErrorCode::CoordinatorLoadInProgress;
    let beat = Request::Heartbeat(Heartbeat { group_id: "g".into(), ..Heartbeat::default() });
    assert_eq!(refuse(&beat, loading), Response::Heartbeat(ErrorCode::None));
    let join = refuse(&Join::new().member(&"m".into()).v9(), loading);
    let refused = response::JoinGroup::refused(loading, MemberId::default());
    assert_eq!(join, Response::JoinGroup(Box::new(refused)));
    let topics = vec![TopicPartitions { name: "t".into(), partitions: vec![3] }];
    let group = FetchGroup { topics: Some(topics), ..FetchGroup::default() };
    let v1 = OffsetFetch { groups: vec![group], require_stable: false, errors_on_partitions: true };
    let none = response::FetchedOffset::none(3, loading);
    let topic = response::FetchedTopic { name: "t".into(), partitions: vec![none] };
    let group = FetchedGroup { group_id: "".into(), error: loading, topics: vec![topic] };
    let expected = response::OffsetFetch { groups: vec![group] };
    assert_eq!(refuse(&Request::OffsetFetch(v1), loading), Response::OffsetFetch(expected));
}
