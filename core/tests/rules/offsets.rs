//! Committed offsets, retention and deleted topics, by the numbers of spec classic 23.10 to 23.14.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use quorate_core::request::{FetchGroup, OffsetCommit, OffsetDelete, OffsetFetch, TopicPartitions};
use quorate_core::*;

fn committed(bench: &mut Bench, request: OffsetCommit) -> Vec<ErrorCode> {
    let token = bench.send(Request::OffsetCommit(Box::new(request)));
    codes(bench.answers.get(&token))
}

fn row(topic: &str, partition: i32, offset: i64) -> (String, i32, i64) {
    (topic.to_owned(), partition, offset)
}

#[test]
fn a_commit_of_nobody_makes_a_group_that_has_only_offsets_128() {
    let mut bench = Bench::new(quick());
    assert_eq!(committed(&mut bench, commit("", -1, &[("t", 0, 5)])), [ErrorCode::None]);
    assert_eq!(bench.offsets(false), [row("t", 0, 5)]);
    let described = bench.describe();
    assert_eq!((described.state, described.protocol_type.as_str()), ("Empty", ""));
    let value = record::OffsetAndMetadata {
        offset: 5,
        leader_epoch: -1,
        metadata: "note".into(),
        committed_at: bench.now.wall,
        expires_at: None,
        topic_id: uuid::Uuid::from_u128(1),
    };
    let key = RecordKey::Offset { group: "g".into(), topic: "t".into(), partition: 0 };
    assert_eq!(bench.log, [Record { key, value: Some(RecordValue::Offset(value)) }]);
}

#[test]
fn a_member_of_a_missing_group_is_told_so_129() {
    let mut bench = Bench::new(quick());
    let v9 = commit("m", 5, &[("t", 0, 5)]);
    let v8 = OffsetCommit { missing_group_has_a_code: false, ..v9.clone() };
    assert_eq!(committed(&mut bench, v9), [ErrorCode::GroupIdNotFound]);
    assert_eq!(committed(&mut bench, v8), [ErrorCode::IllegalGeneration]);
    assert_eq!(bench.state(), "Dead");
}

#[test]
fn a_stable_group_takes_commits_of_its_members_alone_131_132() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), None]);
    let (id, other) = (ids[0].as_str(), ids[1].as_str());
    let of = |member: &str, generation, instance: Option<&str>| OffsetCommit {
        instance_id: instance.map(InstanceId::from),
        ..commit(member, generation, &[("t", 0, 1)])
    };
    let cases = [
        (of(id, 1, None), ErrorCode::None),
        (of("stranger", 1, None), ErrorCode::UnknownMemberId),
        (of(id, 2, None), ErrorCode::IllegalGeneration),
        (of(id, -1, None), ErrorCode::IllegalGeneration),
        (of(id, 1, Some("unknown")), ErrorCode::UnknownMemberId),
        (of(other, 1, Some("a")), ErrorCode::FencedInstanceId),
        (of("", -1, None), ErrorCode::UnknownMemberId),
    ];
    for (request, error) in cases {
        assert_eq!(committed(&mut bench, request.clone()), [error], "{request:?}");
    }
}

#[test]
fn commits_are_taken_while_joining_and_refused_while_completing_133() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    let id = ids[0].as_str();
    let new = bench.send(Join::new().v3());
    assert_eq!(committed(&mut bench, commit(id, 1, &[("t", 0, 1)])), [ErrorCode::None]);
    bench.send(Join::new().member(&ids[0]).v9());
    assert_eq!(bench.join_answer(new).generation, Generation(2));
    let error = committed(&mut bench, commit(id, 2, &[("t", 0, 2)]));
    assert_eq!(error, [ErrorCode::RebalanceInProgress]);
    assert_eq!(bench.offsets(false), [row("t", 0, 1)]);
}

#[test]
fn an_empty_group_takes_commits_of_no_generation_from_anyone_134() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1)]));
    let named =
        OffsetCommit { instance_id: Some("i".into()), ..commit("someone", -1, &[("t", 0, 2)]) };
    assert_eq!(committed(&mut bench, named), [ErrorCode::None]);
    let error = committed(&mut bench, commit("someone", 1, &[("t", 0, 3)]));
    assert_eq!(error, [ErrorCode::UnknownMemberId]);
}

#[test]
fn metadata_is_measured_in_utf_16_units_135() {
    let mut bench = Bench::new(quick());
    for (text, error) in [
        ("x".repeat(4_096), ErrorCode::None),
        ("x".repeat(4_097), ErrorCode::OffsetMetadataTooLarge),
        ("\u{1F600}".repeat(2_048), ErrorCode::None),
        ("\u{1F600}".repeat(2_049), ErrorCode::OffsetMetadataTooLarge),
        ("é".repeat(4_096), ErrorCode::None),
    ] {
        let mut request = commit("", -1, &[("t", 0, 1), ("u", 0, 1)]);
        request.topics[0].partitions[0].metadata = Some(text.into());
        assert_eq!(committed(&mut bench, request), [error, ErrorCode::None]);
    }
}

#[test]
fn commits_keep_a_member_alive_115() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    for offset in 0..10 {
        bench.pass_ms(SESSION as u64 / 2);
        let request = commit(ids[0].as_str(), 1, &[("t", 0, offset)]);
        assert_eq!(committed(&mut bench, request), [ErrorCode::None]);
    }
    assert_eq!(bench.state(), "Stable");
}

#[test]
fn a_commit_is_answered_when_it_is_stored_and_undone_when_it_is_not_141() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1)]));
    let before = bench.shard.fingerprint();
    bench.stores = false;
    let tokens = [2, 3].map(|offset| {
        bench.send(Request::OffsetCommit(Box::new(commit(
            "",
            -1,
            &[("t", 0, offset), ("u", 0, offset)],
        ))))
    });
    assert!(tokens.iter().all(|token| bench.is_parked(*token)));
    assert_eq!(bench.offsets(false), [row("t", 0, 1)]);
    let stable = bench.send(fetch(true));
    assert!(bench.is_parked(stable));
    bench.reject(RejectCause::NotLeader);
    for token in tokens {
        let both = [ErrorCode::NotCoordinator; 2];
        assert_eq!(codes(bench.answers.get(&token)), both);
    }
    let Response::OffsetFetch(failed) = &bench.answers[&stable] else { panic!("a fetch") };
    assert_eq!(failed.groups[0].error, ErrorCode::NotCoordinator);
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
    assert_eq!(bench.shard.fingerprint(), before);
}

#[test]
fn a_commit_that_is_stored_late_is_told_and_stays() {
    let mut bench = Bench::new(quick());
    bench.stores = false;
    let token = bench.send(Request::OffsetCommit(Box::new(commit("", -1, &[("t", 0, 1)]))));
    bench.pass_ms(5_000);
    assert_eq!(codes(bench.answers.get(&token)), [ErrorCode::CoordinatorNotAvailable]);
    bench.append();
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
}

#[test]
fn a_fetch_of_nothing_is_no_error_144() {
    let mut bench = Bench::new(quick());
    let topics = vec![TopicPartitions { name: "t".into(), partitions: vec![0, 77] }];
    let ask =
        |topics| FetchGroup { group_id: "g".into(), member_id: None, member_epoch: -1, topics };
    let groups = vec![ask(Some(topics)), ask(None), ask(Some(vec![]))];
    let request = OffsetFetch { groups, require_stable: false, errors_on_partitions: false };
    let token = bench.send(Request::OffsetFetch(request));
    let none = |p| response::FetchedOffset::none(p, ErrorCode::None);
    let partitions = vec![none(0), none(77)];
    let topic = response::FetchedTopic { name: "t".into(), partitions };
    let group =
        |topics| response::FetchedGroup { group_id: "g".into(), error: ErrorCode::None, topics };
    let groups = vec![group(vec![topic]), group(vec![]), group(vec![])];
    assert_eq!(bench.answers[&token], Response::OffsetFetch(response::OffsetFetch { groups }));
}

#[test]
fn a_plain_fetch_sees_what_is_stored_and_a_stable_one_waits_146() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1)]));
    bench.stores = false;
    bench.send(Request::OffsetCommit(Box::new(commit("", -1, &[("t", 0, 2), ("t", 1, 2)]))));
    bench.send(Request::OffsetCommit(Box::new(commit("", -1, &[("t", 0, 3)]))));
    assert_eq!(bench.offsets(false), [row("t", 0, 1)]);
    let stable = bench.send(fetch(true));
    bench.append();
    assert_eq!(bench.offsets(false), [row("t", 0, 2), row("t", 1, 2)]);
    assert!(bench.is_parked(stable));
    bench.append();
    let Response::OffsetFetch(answer) = &bench.answers[&stable] else { panic!("a fetch") };
    assert_eq!(flat(answer), [row("t", 0, 3), row("t", 1, 2)]);
}

fn delete(topics: &[(&str, &[i32])]) -> Request {
    let topic = |(name, partitions): &(&str, &[i32])| TopicPartitions {
        name: (*name).into(),
        partitions: partitions.to_vec(),
    };
    let topics = topics.iter().map(topic).collect();
    Request::OffsetDelete(OffsetDelete { group_id: "g".into(), topics })
}

fn deleted(bench: &mut Bench, request: Request) -> (ErrorCode, Vec<ErrorCode>) {
    let token = bench.send(request);
    match &bench.answers[&token] {
        Response::OffsetDelete(delete) => {
            let codes = delete.topics.iter().flat_map(|t| t.partitions.iter().map(|(_, e)| *e));
            (delete.error, codes.collect())
        }
        other => panic!("no answer to delete: {other:?}"),
    }
}

#[test]
fn offsets_of_an_empty_group_are_deleted_154_155() {
    let mut bench = Bench::new(quick());
    let missing = (ErrorCode::GroupIdNotFound, vec![]);
    assert_eq!(deleted(&mut bench, delete(&[("t", &[0])])), missing);
    committed(&mut bench, commit("", -1, &[("t", 0, 1), ("u", 0, 1)]));
    let good = (ErrorCode::None, vec![ErrorCode::None, ErrorCode::None]);
    assert_eq!(deleted(&mut bench, delete(&[("t", &[0, 9])])), good);
    assert_eq!(bench.offsets(true), [row("u", 0, 1)]);
    assert_eq!(bench.log.len(), 3);
    assert_eq!(bench.log[2].value, None);
}

/// A consumer's subscription to topic `t`.
const TO_T: &str = "\0\0\0\0\0\u{1}\0\u{1}t\0\0\0\0";

fn subscribed(bench: &mut Bench, kind: &str) -> MemberId {
    let join = Join::new().protocol_type(kind).protocols(&[("range", TO_T)]);
    let token = bench.send(join.v3());
    bench.pass_ms(0);
    let id = bench.join_answer(token).member_id;
    let Request::SyncGroup(mut request) = sync(&id, 1, None, shares(std::slice::from_ref(&id)))
    else {
        panic!("a sync")
    };
    request.protocol_type = Some(kind.into());
    bench.send(Request::SyncGroup(request));
    assert_eq!(bench.state(), "Stable");
    id
}

#[test]
fn a_live_group_keeps_offsets_of_what_it_subscribes_to_156_157() {
    let mut bench = Bench::new(quick());
    let id = subscribed(&mut bench, "consumer");
    committed(&mut bench, commit(id.as_str(), 1, &[("t", 0, 1), ("u", 0, 1)]));
    let mixed = vec![ErrorCode::GroupSubscribedToTopic, ErrorCode::None];
    let both = delete(&[("t", &[0]), ("u", &[0])]);
    assert_eq!(deleted(&mut bench, both.clone()), (ErrorCode::None, mixed));
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
    let mut bench = Bench::new(quick());
    subscribed(&mut bench, "connect");
    assert_eq!(deleted(&mut bench, both), (ErrorCode::NonEmptyGroup, vec![]));
}

const DAY: u64 = 86_400;

fn pass_days(bench: &mut Bench, days: u64) {
    bench.pass(Duration::from_secs(days * DAY));
}

#[test]
fn a_group_of_offsets_alone_goes_when_they_are_old_170() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1)]));
    pass_days(&mut bench, 6);
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
    pass_days(&mut bench, 2);
    assert_eq!(bench.state(), "Dead");
    let tombstones = [
        RecordKey::Offset { group: "g".into(), topic: "t".into(), partition: 0 },
        RecordKey::Group("g".into()),
    ];
    let tombstones = tombstones.map(|key| Record { key, value: None });
    assert_eq!(bench.log[1..], tombstones);
}

#[test]
fn an_explicit_retention_is_honoured_140() {
    let mut bench = Bench::new(quick());
    let retention = Some(Duration::from_millis(1_000));
    let request = OffsetCommit { retention, ..commit("", -1, &[("t", 0, 1)]) };
    committed(&mut bench, request);
    bench.pass_ms(600_000);
    assert_eq!(bench.state(), "Dead");
}

#[test]
fn a_group_that_became_empty_keeps_its_offsets_from_then_on_171() {
    let mut bench = Bench::new(quick());
    let id = subscribed(&mut bench, "consumer");
    committed(&mut bench, commit(id.as_str(), 1, &[("t", 0, 1)]));
    for _ in 0..8 * DAY / 5 {
        bench.pass_ms(5_000);
        bench.heartbeat(&id, 1);
    }
    bench.send(leave(&[(id.as_str(), None)]));
    pass_days(&mut bench, 6);
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
    pass_days(&mut bench, 2);
    assert_eq!(bench.state(), "Dead");
}

#[test]
fn a_live_consumer_loses_only_offsets_of_other_topics_172_173() {
    for (kind, left) in
        [("consumer", vec![row("t", 0, 1)]), ("connect", vec![row("t", 0, 1), row("u", 0, 1)])]
    {
        let mut bench = Bench::new(quick());
        let id = subscribed(&mut bench, kind);
        committed(&mut bench, commit(id.as_str(), 1, &[("t", 0, 1), ("u", 0, 1)]));
        for _ in 0..8 * DAY / 5 {
            bench.pass_ms(5_000);
            bench.heartbeat(&id, 1);
        }
        assert_eq!(bench.offsets(true), left);
    }
}

#[test]
fn an_empty_group_without_offsets_goes_at_the_next_sweep_175() {
    let mut bench = Bench::new(quick());
    let given = bench.send(Join::new().timeouts(1_800_000, 1_000).v9());
    let id = bench.join_answer(given).member_id;
    bench.pass_ms(600_000);
    assert_eq!(bench.state(), "Dead");
    let token = bench.send(Join::new().member(&id).v9());
    let unknown = response::JoinGroup::refused(ErrorCode::UnknownMemberId, id);
    assert_eq!(bench.join_answer(token), unknown);
}

#[test]
fn a_wall_clock_that_jumps_ahead_expires_nothing_at_once() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1)]));
    bench.now.wall.0 += 30 * DAY as i64 * 1_000;
    bench.pass_ms(600_000);
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
    assert!(bench.notes.iter().any(|note| matches!(note, Note::SweepPutOff { .. })));
    bench.now.wall.0 -= 60 * DAY as i64 * 1_000;
    bench.pass_ms(600_000);
    assert_eq!(bench.offsets(true), [row("t", 0, 1)]);
}

#[test]
fn offsets_of_a_deleted_topic_vanish_and_are_not_inherited_178() {
    let mut bench = Bench::new(quick());
    let id = subscribed(&mut bench, "consumer");
    committed(&mut bench, commit(id.as_str(), 1, &[("t", 0, 1), ("u", 0, 1)]));
    let delta = bench.topics.change(vec![], &["t".into()]);
    bench.step(Input::Topics(delta.clone()));
    assert_eq!(bench.offsets(true), [row("u", 0, 1)]);
    let again = delta.view.change(vec![topic("t", 9)], &[]);
    bench.step(Input::Topics(again));
    bench.pass_ms(0);
    assert_eq!(bench.offsets(true), [row("u", 0, 1)]);
    assert_eq!(bench.log.last().unwrap().value, None);
    let late = commit(id.as_str(), 1, &[("t", 0, 7)]);
    assert_eq!(committed(&mut bench, late), [ErrorCode::UnknownTopicOrPartition]);
}

/// Found by simulation (D6): while the tombstones were in flight, and for ever if they were
/// refused, the offsets of the old topic were told as those of the new one.
#[test]
fn offsets_of_a_topic_made_anew_are_not_told_until_they_are_gone_for_certain() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1), ("u", 0, 1)]));
    let delta = bench.topics.change(vec![topic("t", 9)], &["t".into()]);
    bench.step(Input::Topics(delta.clone()));
    bench.topics = delta.view;
    bench.stores = false;
    bench.step(Input::Deadline);
    assert_eq!(bench.offsets(false), [row("u", 0, 1)]);
    bench.reject(RejectCause::NotEnoughReplicas);
    assert_eq!(bench.offsets(false), [row("u", 0, 1)]);
    bench.stores = true;
    let written = bench.log.len();
    bench.pass_ms(1_000);
    assert_eq!(bench.log.len(), written + 1);
    assert_eq!(bench.offsets(false), [row("u", 0, 1)]);
    bench.reload();
    assert_eq!(bench.offsets(false), [row("u", 0, 1)]);
}

#[test]
fn offsets_of_a_topic_deleted_while_the_shard_was_down_are_cleaned_up() {
    let mut bench = Bench::new(quick());
    committed(&mut bench, commit("", -1, &[("t", 0, 1), ("u", 0, 1)]));
    bench.topics = Arc::new(Topics::new(TopicsVersion(2), [topic("t", 9), topic("u", 2)]));
    bench.reload();
    assert_eq!(bench.offsets(false), [row("u", 0, 1)]);
    bench.pass_ms(0);
    assert_eq!(bench.log.last().unwrap().value, None);
    bench.reload();
    assert_eq!(bench.offsets(false), [row("u", 0, 1)]);
}
