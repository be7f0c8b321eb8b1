//! Loading, fencing, resigning, limits, and the administration of groups: spec classic 23.15 and
//! 23.16, design 5, 6, 9, 10 and 15.

use crate::support::*;
use quorate_core::request::{DeleteGroups, ListGroups};
use quorate_core::*;

#[test]
fn members_heartbeat_on_after_a_reload_191_193() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), None]);
    let before = bench.describe();
    bench.pass_ms(SESSION as u64 - 1);
    bench.reload();
    assert_eq!(bench.describe(), before);
    bench.pass_ms(SESSION as u64 - 1);
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::None);
    bench.pass_ms(1);
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_reload_brings_the_last_stored_generation_back_192() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    let token = bench.send(Join::new().member(&ids[0]).v9());
    assert_eq!(bench.join_answer(token).generation, Generation(2));
    bench.reload();
    assert_eq!((bench.state(), bench.heartbeat(&ids[0], 1)), ("Stable", ErrorCode::None));
    let late = bench.send(sync(&ids[0], 2, None, vec![]));
    let refused = response::SyncGroup::refused(ErrorCode::IllegalGeneration);
    assert_eq!(bench.sync_answer(late), refused);
}

#[test]
fn a_row_without_a_rebalance_timeout_takes_the_session_timeout_194() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None]);
    for record in &mut bench.log {
        if let Some(RecordValue::Group(row)) = &mut record.value {
            row.members.iter_mut().for_each(|member| member.rebalance_timeout = Millis(-1));
        }
    }
    bench.reload();
    let token = bench.send(Join::new().member(&ids[0]).timeouts(SESSION, -1).v9());
    bench.pass_ms(SESSION as u64 - 1);
    assert!(bench.is_parked(token));
    bench.pass_ms(1);
    assert_eq!(bench.join_answer(token).members.len(), 1);
}

#[test]
fn ids_that_were_handed_out_do_not_survive_a_reload_and_never_come_again_195() {
    let mut bench = Bench::new(quick());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let given = bench.send(Join::new().v9());
        let id = bench.join_answer(given).member_id;
        assert!(seen.insert(id.clone()), "{id} was given twice");
        bench.reload();
        let token = bench.send(Join::new().member(&id).v9());
        let unknown = response::JoinGroup::refused(ErrorCode::UnknownMemberId, id);
        assert_eq!(bench.join_answer(token), unknown);
    }
}

#[test]
fn after_a_reload_only_the_chosen_protocol_is_known_196() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None]);
    bench.reload();
    let same = bench.send(Join::new().member(&ids[1]).v9());
    assert_eq!(bench.join_answer(same).generation, Generation(1));
    let two = Join::new().member(&ids[1]).protocols(&[("range", "meta"), ("rr", "meta")]);
    let more = bench.send(two.v9());
    assert!(bench.is_parked(more));
}

#[test]
fn a_log_loads_alike_however_its_keys_are_ordered_or_compacted() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    for offset in 0..5 {
        let request = commit(ids[0].as_str(), 1, &[("t", 0, offset), ("u", 1, offset)]);
        bench.send(Request::OffsetCommit(Box::new(request)));
    }
    bench.reload();
    let whole = (bench.describe(), bench.offsets(true));
    let mut rows: std::collections::BTreeMap<RecordKey, Record> = Default::default();
    for record in &bench.log {
        rows.insert(record.key.clone(), record.clone());
    }
    bench.log = rows.into_values().rev().collect();
    bench.reload();
    assert_eq!((bench.describe(), bench.offsets(true)), whole);
}

#[test]
fn a_fenced_shard_answers_all_that_waits_and_appends_nothing() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None]);
    bench.stores = false;
    let request = Request::OffsetCommit(Box::new(commit(ids[0].as_str(), 1, &[("t", 0, 5)])));
    let written = bench.send(request.clone());
    let joining = bench.send(Join::new().member(&ids[0]).v9());
    bench.pending.clear();
    bench.step(Input::Fenced { by: Some(Epoch(9)) });
    assert_eq!(codes(bench.answers.get(&written)), [ErrorCode::NotCoordinator]);
    let refused = response::JoinGroup::refused(ErrorCode::NotCoordinator, ids[0].clone());
    assert_eq!(bench.join_answer(joining), refused);
    assert_eq!(bench.shard.status(), Status::Fenced);
    let late = bench.send(request);
    assert_eq!(codes(bench.answers.get(&late)), [ErrorCode::NotCoordinator]);
    assert_eq!((bench.pending.len(), bench.shard.parked()), (0, 0));
}

#[test]
fn a_shard_that_resigns_waits_for_its_appends_first() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None]);
    bench.stores = false;
    let request = Request::OffsetCommit(Box::new(commit(ids[0].as_str(), 1, &[("t", 0, 5)])));
    let written = bench.send(request);
    let joining = bench.send(Join::new().member(&ids[0]).v9());
    bench.step(Input::Resign);
    assert!(bench.is_parked(written) && bench.is_parked(joining));
    let late = bench.send(beat(&ids[0], 1, None));
    assert_eq!(bench.answers[&late], Response::Heartbeat(ErrorCode::NotCoordinator));
    bench.append();
    assert_eq!(codes(bench.answers.get(&written)), [ErrorCode::None]);
    assert_eq!(bench.join_answer(joining).error, ErrorCode::NotCoordinator);
    assert_eq!(bench.shard.status(), Status::Fenced);
}

#[test]
fn requests_of_a_group_that_is_being_created_wait_in_their_order() {
    let mut bench = Bench::new(quick());
    bench.stores = false;
    let given = bench.send(Join::new().v9());
    let id = bench.join_answer(given).member_id;
    let joining = bench.send(Join::new().member(&id).v9());
    let unsynced = bench.send(sync(&id, 0, None, vec![]));
    let list = bench.send(Request::ListGroups(ListGroups::default()));
    let none = response::ListGroups { error: ErrorCode::None, groups: vec![] };
    assert_eq!(bench.answers[&list], Response::ListGroups(none));
    assert!(bench.is_parked(joining) && bench.is_parked(unsynced));
    bench.append();
    let refused = response::SyncGroup::refused(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.sync_answer(unsynced), refused);
    bench.pass_ms(0);
    assert_eq!(bench.join_answer(joining).generation, Generation(1));
}

#[test]
fn a_stalled_journal_refuses_new_writes_and_still_answers_reads() {
    let config = Config { max_in_flight: 6, in_flight_reserve: 2, ..quick() };
    let mut bench = Bench::new(config);
    let first = bench.send(Request::OffsetCommit(Box::new(commit("", -1, &[("t", 0, 0)]))));
    assert_eq!(codes(bench.answers.get(&first)), [ErrorCode::None]);
    bench.stores = false;
    let send = |bench: &mut Bench, offset| {
        bench.send(Request::OffsetCommit(Box::new(commit("", -1, &[("t", 0, offset)]))))
    };
    let taken = [1, 2, 3, 4].map(|offset| send(&mut bench, offset));
    let over = send(&mut bench, 5);
    assert_eq!(codes(bench.answers.get(&over)), [ErrorCode::CoordinatorNotAvailable]);
    assert!(taken.iter().all(|token| bench.is_parked(*token)));
    assert_eq!(bench.offsets(false), [("t".to_owned(), 0, 0)]);
}

fn delete(bench: &mut Bench, groups: &[&str]) -> Vec<(GroupId, ErrorCode)> {
    let groups = groups.iter().map(|group| GroupId::from(*group)).collect();
    let token = bench.send(Request::DeleteGroups(DeleteGroups { groups }));
    match &bench.answers[&token] {
        Response::DeleteGroups(delete) => delete.results.clone(),
        other => panic!("no answer to delete: {other:?}"),
    }
}

#[test]
fn only_an_empty_group_is_deleted_with_all_it_has_188_189_190() {
    let mut bench = Bench::new(quick());
    assert_eq!(delete(&mut bench, &["g"]), [("g".into(), ErrorCode::GroupIdNotFound)]);
    let (ids, _) = bench.stable(&[None]);
    assert_eq!(delete(&mut bench, &["g"]), [("g".into(), ErrorCode::NonEmptyGroup)]);
    bench.send(Request::OffsetCommit(Box::new(commit(ids[0].as_str(), 1, &[("t", 0, 1)]))));
    bench.send(leave(&[(ids[0].as_str(), None)]));
    let given = bench.send(Join::new().v9());
    let pending = bench.join_answer(given).member_id;
    let before = bench.log.len();
    assert_eq!(delete(&mut bench, &["g"]), [("g".into(), ErrorCode::None)]);
    let offset = RecordKey::Offset { group: "g".into(), topic: "t".into(), partition: 0 };
    let tombstone = |key| Record { key, value: None };
    let expected = [tombstone(offset), tombstone(RecordKey::Group("g".into()))];
    assert_eq!(bench.log[before..], expected);
    let token = bench.send(Join::new().member(&pending).v9());
    assert_eq!(bench.join_answer(token).error, ErrorCode::UnknownMemberId);
    let (_, generation) = bench.stable(&[None]);
    assert_eq!(generation, 1);
}

#[test]
fn a_deletion_that_is_not_stored_leaves_the_group_as_it_was() {
    let mut bench = Bench::new(quick());
    bench.send(Request::OffsetCommit(Box::new(commit("", -1, &[("t", 0, 1)]))));
    let before = bench.shard.fingerprint();
    bench.stores = false;
    let groups = vec!["g".into()];
    let token = bench.send(Request::DeleteGroups(DeleteGroups { groups }));
    let waits = bench.send(fetch(false));
    assert!(bench.is_parked(waits));
    bench.reject(RejectCause::Storage);
    let results = vec![("g".into(), ErrorCode::NotCoordinator)];
    let expected = Response::DeleteGroups(response::DeleteGroups { results });
    assert_eq!(bench.answers[&token], expected);
    let Response::OffsetFetch(answer) = &bench.answers[&waits] else { panic!("a fetch") };
    assert_eq!(flat(answer), [("t".to_owned(), 0, 1)]);
    assert_eq!(bench.shard.fingerprint(), before);
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case_184_185() {
    let mut bench = Bench::new(quick());
    bench.stable(&[None]);
    let mut list = |states: &[&str], types: &[&str]| {
        let texts = |names: &[&str]| names.iter().map(|name| Text::from(*name)).collect();
        let filter = ListGroups { states_filter: texts(states), types_filter: texts(types) };
        let token = bench.send(Request::ListGroups(filter));
        match &bench.answers[&token] {
            Response::ListGroups(list) => list.groups.clone(),
            other => panic!("no answer to list: {other:?}"),
        }
    };
    let group = response::ListedGroup {
        group_id: "g".into(),
        protocol_type: "consumer".into(),
        state: "Stable",
        group_type: "classic",
    };
    for filter in [list(&[], &[]), list(&[" stable "], &[]), list(&["x", "STABLE"], &["Classic"])] {
        assert_eq!(filter, std::slice::from_ref(&group));
    }
    for filter in
        [list(&["Empty"], &[]), list(&["Stable"], &["consumer"]), list(&[], &[" classic"])]
    {
        assert_eq!(filter, []);
    }
}

#[test]
fn a_group_is_described_as_far_as_its_state_allows_179_180() {
    let mut bench = Bench::new(quick());
    let missing = bench.describe();
    assert_eq!((missing.error, missing.state), (ErrorCode::GroupIdNotFound, "Dead"));
    assert_eq!(missing.message, Some("Group g not found.".into()));
    let (ids, _) = bench.stable(&[None]);
    let member = response::DescribedMember {
        member_id: ids[0].clone(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        metadata: "meta".into(),
        assignment: ids[0].0.bytes(),
    };
    let expected = response::DescribedGroup {
        error: ErrorCode::None,
        message: None,
        group_id: "g".into(),
        state: "Stable",
        protocol_type: "consumer".into(),
        protocol_data: "range".into(),
        members: vec![member],
    };
    assert_eq!(bench.describe(), expected);
    bench.send(Join::new().v3());
    let mut expected = response::DescribedGroup {
        state: "PreparingRebalance",
        protocol_data: "".into(),
        ..expected
    };
    expected.members[0].metadata = Default::default();
    let described = bench.describe();
    assert_eq!(described.members[0], expected.members[0]);
    assert_eq!((described.state, described.protocol_data), ("PreparingRebalance", "".into()));
}

#[test]
fn a_timer_that_waited_for_its_group_does_not_run_if_it_was_armed_again_meanwhile() {
    let mut bench = Bench::new(quick());
    bench.stores = false;
    let static_join = bench.send(Join::new().instance(Some("a")).v9());
    bench.pass_ms(300_000);
    bench.append();
    assert_eq!(bench.join_answer(static_join).error, ErrorCode::None);
    assert_eq!(bench.state(), "CompletingRebalance");
}
