//! SyncGroup, Heartbeat, LeaveGroup and sessions, by the numbers of spec classic 23.7 to 23.9.

use std::time::Duration;

use crate::support::*;
use quorate_core::*;

/// Members that have joined and not synced; the first leads.
fn joined(bench: &mut Bench, count: usize) -> Vec<MemberId> {
    let joins: Vec<u64> = (0..count).map(|_| bench.send(Join::new().v3())).collect();
    bench.pass_ms(0);
    joins.into_iter().map(|join| bench.join_answer(join).member_id).collect()
}

fn assigned(assignment: &MemberId) -> response::SyncGroup {
    response::SyncGroup {
        error: ErrorCode::None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: assignment.0.bytes(),
    }
}

#[test]
fn a_sync_without_protocol_is_refused_from_version_5_91() {
    let mut router = Router::new(Config::default(), vec![None; 4], Default::default());
    let Request::SyncGroup(mut request) = sync(&"m".into(), 1, None, vec![]) else { panic!() };
    request.protocol_name = None;
    let refused = response::SyncGroup::refused(ErrorCode::InconsistentGroupProtocol);
    let routed = router.request(Request::SyncGroup(request));
    assert_eq!(routed, Routed::Done(Response::SyncGroup(Box::new(refused))));
}

#[test]
fn a_sync_must_name_the_groups_protocol_member_and_generation_92_93() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 1);
    let Request::SyncGroup(good) = sync(&ids[0], 1, None, vec![]) else { panic!() };
    let cases = [
        (
            request::SyncGroup { protocol_type: Some("connect".into()), ..*good.clone() },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            request::SyncGroup { protocol_name: Some("rr".into()), ..*good.clone() },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            request::SyncGroup { member_id: "nobody".into(), ..*good.clone() },
            ErrorCode::UnknownMemberId,
        ),
        (
            request::SyncGroup { generation: Generation(2), ..*good.clone() },
            ErrorCode::IllegalGeneration,
        ),
        (request::SyncGroup { group_id: "x".into(), ..*good }, ErrorCode::UnknownMemberId),
    ];
    for (request, error) in cases {
        let token = bench.send(Request::SyncGroup(Box::new(request)));
        assert_eq!(bench.sync_answer(token), response::SyncGroup::refused(error));
    }
}

#[test]
fn syncs_are_answered_when_the_leaders_is_stored_95_96() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 3);
    let follower = bench.send(sync(&ids[1], 1, None, vec![]));
    bench.stores = false;
    let leader = bench.send(sync(&ids[0], 1, None, shares(&ids)));
    assert!(bench.is_parked(follower) && bench.is_parked(leader));
    assert_eq!(bench.state(), "CompletingRebalance");
    bench.append();
    assert_eq!(bench.sync_answer(follower), assigned(&ids[1]));
    assert_eq!(bench.sync_answer(leader), assigned(&ids[0]));
    assert_eq!(bench.state(), "Stable");
    let late = bench.send(sync(&ids[2], 1, None, vec![]));
    assert_eq!(bench.sync_answer(late), assigned(&ids[2]));
}

#[test]
fn who_is_left_out_gets_nothing_and_strangers_are_ignored_97_98() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 2);
    let follower = bench.send(sync(&ids[1], 1, None, vec![]));
    let leader = bench.send(sync(&ids[0], 1, None, shares(&["stranger".into()])));
    assert_eq!(bench.sync_answer(follower), assigned(&MemberId::default()));
    assert_eq!(bench.sync_answer(leader), assigned(&MemberId::default()));
}

#[test]
fn an_assignment_that_is_not_stored_fails_all_syncs_99_100() {
    for (cause, error) in [
        (RejectCause::NotLeader, ErrorCode::NotCoordinator),
        (RejectCause::Storage, ErrorCode::NotCoordinator),
        (RejectCause::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (RejectCause::TooLarge, ErrorCode::UnknownServerError),
    ] {
        let mut bench = Bench::new(quick());
        let ids = joined(&mut bench, 2);
        bench.stores = false;
        let syncs = [
            bench.send(sync(&ids[1], 1, None, vec![])),
            bench.send(sync(&ids[0], 1, None, shares(&ids))),
        ];
        bench.reject(cause);
        for token in syncs {
            assert_eq!(bench.sync_answer(token), response::SyncGroup::refused(error));
        }
        assert_eq!(bench.state(), "PreparingRebalance");
    }
}

#[test]
fn an_assignment_too_large_to_store_fails_all_syncs() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 1);
    let mut given = shares(&ids);
    given[0].assignment = vec![0; 1_100_000].into();
    let token = bench.send(sync(&ids[0], 1, None, given));
    let refused = response::SyncGroup::refused(ErrorCode::UnknownServerError);
    assert_eq!(bench.sync_answer(token), refused);
    assert_eq!(bench.state(), "PreparingRebalance");
}

#[test]
fn an_assignment_stored_after_a_new_rebalance_has_no_effect_101() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 1);
    bench.stores = false;
    let token = bench.send(sync(&ids[0], 1, None, shares(&ids)));
    let new = bench.send(Join::new().v3());
    let refused = response::SyncGroup::refused(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.sync_answer(token), refused);
    bench.append();
    assert_eq!(bench.state(), "PreparingRebalance");
    assert!(bench.is_parked(new));
}

#[test]
fn a_slow_append_is_told_to_who_waits_and_counts_when_it_is_done() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 1);
    bench.stores = false;
    let token = bench.send(sync(&ids[0], 1, None, shares(&ids)));
    bench.pass_ms(4_999);
    assert!(bench.is_parked(token));
    bench.pass_ms(1);
    let refused = response::SyncGroup::refused(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(bench.sync_answer(token), refused);
    bench.append();
    let again = bench.send(sync(&ids[0], 1, None, vec![]));
    assert_eq!(bench.sync_answer(again), assigned(&ids[0]));
}

#[test]
fn a_leader_that_dies_before_its_sync_does_not_block_the_group_102() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 2);
    let parked = bench.send(sync(&ids[1], 1, None, vec![]));
    bench.pass_ms(SESSION as u64 - 1);
    assert!(bench.is_parked(parked));
    bench.pass_ms(1);
    let refused = response::SyncGroup::refused(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.sync_answer(parked), refused);
    let token = bench.send(Join::new().member(&ids[1]).v9());
    assert_eq!(bench.join_answer(token).leader, ids[1]);
}

#[test]
fn members_that_never_sync_are_dropped_103_104() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 3);
    bench.send(sync(&ids[0], 1, None, shares(&ids)));
    for _ in 0..3 {
        bench.pass_ms(6_000);
        ids.iter().for_each(|id| assert_eq!(bench.heartbeat(id, 1), ErrorCode::None));
    }
    bench.pass_ms(2_000);
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
    let mut bench = Bench::new(quick());
    let joins = [(); 2].map(|()| bench.send(Join::new().timeouts(100_000, 20_000).v3()));
    bench.pass_ms(20_000);
    assert_eq!(bench.join_answer(joins[0]).generation, Generation(1));
    assert_eq!(bench.state(), "Empty");
    let Some(RecordValue::Group(row)) = &bench.log.last().unwrap().value else { panic!("a group") };
    assert_eq!((row.generation, bench.log.len()), (Generation(2), 2));
}

#[test]
fn a_second_assignment_of_a_stable_leader_is_ignored_107() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    let before = bench.log.len();
    let token = bench.send(sync(&ids[0], 1, None, shares(&["other".into()])));
    assert_eq!(bench.sync_answer(token), assigned(&ids[0]));
    assert_eq!(bench.log.len(), before);
}

#[test]
fn a_leader_of_simple_clients_gets_partitions_dealt_by_the_server() {
    let subscription = "\0\0\0\0\0\u{1}\0\u{1}t\0\0\0\0";
    let mut bench = Bench::new(quick());
    let token = bench.send(Join::new().protocols(&[("range", subscription)]).v3());
    bench.pass_ms(0);
    let id = bench.join_answer(token).member_id;
    let synced = bench.send(sync(&id, 1, None, vec![]));
    let mut dealt = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x0a".to_vec();
    (0..10_i32).for_each(|partition| dealt.extend(partition.to_be_bytes()));
    dealt.extend((-1_i32).to_be_bytes());
    assert_eq!(bench.sync_answer(synced).assignment, dealt);
    let client_id: Text = "client".into();
    let note = Note::ServerAssigned { group: "g".into(), leader: id, client_id };
    assert!(bench.notes.contains(&note));
    let mut bench = Bench::new(Config { server_assignor: config::ServerAssignor::None, ..quick() });
    let token = bench.send(Join::new().protocols(&[("range", subscription)]).v3());
    bench.pass_ms(0);
    let id = bench.join_answer(token).member_id;
    let synced = bench.send(sync(&id, 1, None, vec![]));
    assert_eq!(bench.sync_answer(synced).assignment, "");
}

#[test]
fn heartbeats_are_answered_by_the_state_of_the_group_109_111() {
    let mut bench = Bench::new(quick());
    assert_eq!(bench.heartbeat(&"m".into(), 1), ErrorCode::UnknownMemberId);
    let ids = joined(&mut bench, 2);
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::None);
    assert_eq!(bench.heartbeat(&ids[0], 0), ErrorCode::IllegalGeneration);
    bench.send(sync(&ids[0], 1, None, shares(&ids)));
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::None);
    bench.send(leave(&[(ids[0].as_str(), None)]));
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    bench.pass_ms(SESSION as u64);
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_heartbeat_waits_for_what_its_group_has_written() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    bench.stores = false;
    bench.send(Request::OffsetCommit(Box::new(commit(ids[0].as_str(), 1, &[("t", 0, 5)]))));
    let token = bench.send(beat(&ids[0], 1, None));
    assert!(bench.is_parked(token));
    bench.append();
    assert_eq!(bench.answers[&token], Response::Heartbeat(ErrorCode::None));
}

#[test]
fn heartbeats_keep_a_member_and_silence_drops_it_112() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    for _ in 0..10 {
        bench.pass_ms(SESSION as u64 / 2);
        assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::None);
    }
    bench.pass_ms(SESSION as u64 - 1);
    assert_eq!(bench.state(), "Stable");
    bench.pass_ms(1);
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn a_member_with_a_parked_join_does_not_expire_114() {
    let mut bench = Bench::new(quick());
    let long = || Join::new().timeouts(SESSION, 60_000);
    let joins = [bench.send(long().v3()), bench.send(long().v3())];
    bench.pass_ms(0);
    let ids = joins.map(|join| bench.join_answer(join).member_id);
    bench.send(sync(&ids[1], 1, None, vec![]));
    bench.send(sync(&ids[0], 1, None, shares(&ids)));
    let parked = bench.send(long().member(&ids[0]).v9());
    for _ in 0..5 {
        bench.pass_ms(8_000);
        assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    }
    assert!(bench.is_parked(parked));
    bench.send(long().member(&ids[1]).v9());
    assert_eq!(bench.join_answer(parked).generation, Generation(2));
    bench.pass_ms(SESSION as u64 - 1);
    assert_eq!(bench.heartbeat(&ids[0], 2), ErrorCode::None);
}

#[test]
fn a_member_lives_through_a_pause_of_the_coordinator() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    bench.tick(Duration::from_secs(60));
    bench.step(Input::Deadline);
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::None);
    bench.tick(Duration::from_secs(60));
    bench.step(Input::Deadline);
    bench.pass_ms(999);
    assert_eq!(bench.state(), "Stable");
    bench.pass_ms(1);
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn leaving_is_answered_for_each_member_in_order_118_to_124() {
    let mut bench = Bench::new(quick());
    let unknown = ErrorCode::UnknownMemberId;
    let token = bench.send(leave(&[("a", None), ("b", None)]));
    assert_eq!(left(bench.answers.get(&token)), (ErrorCode::None, vec![unknown, unknown]));
    let (ids, _) = bench.stable(&[Some("i"), None, None]);
    let id = ids[1].as_str();
    let batch = [
        (id, None),
        (id, None),
        ("stranger", None),
        (ids[2].as_str(), Some("i")),
        (ids[2].as_str(), Some("other")),
        ("", Some("i")),
        ("", None),
    ];
    let token = bench.send(leave(&batch));
    let codes = [
        ErrorCode::None,
        unknown,
        unknown,
        ErrorCode::FencedInstanceId,
        unknown,
        ErrorCode::None,
        unknown,
    ];
    assert_eq!(left(bench.answers.get(&token)), (ErrorCode::None, codes.to_vec()));
    assert_eq!(bench.state(), "PreparingRebalance");
}

#[test]
fn the_last_member_that_leaves_is_answered_when_the_empty_group_is_stored_125_126() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    bench.stores = false;
    let token = bench.send(leave(&[(ids[0].as_str(), None)]));
    assert!(bench.is_parked(token));
    bench.append();
    assert_eq!(left(bench.answers.get(&token)), (ErrorCode::None, vec![ErrorCode::None]));
    bench.stores = true;
    let (ids, _) = bench.stable(&[None]);
    bench.stores = false;
    let token = bench.send(leave(&[(ids[0].as_str(), None)]));
    bench.reject(RejectCause::Storage);
    assert_eq!(left(bench.answers.get(&token)), (ErrorCode::NotCoordinator, vec![]));
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn a_pending_id_that_leaves_a_stable_group_starts_a_rebalance_127() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    let given = bench.send(Join::new().v9());
    let pending = bench.join_answer(given).member_id;
    bench.send(leave(&[(pending.as_str(), None)]));
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_parked_sync_of_a_member_that_leaves_is_never_answered() {
    let mut bench = Bench::new(quick());
    let ids = joined(&mut bench, 2);
    let parked = bench.send(sync(&ids[1], 1, None, vec![]));
    bench.send(leave(&[(ids[1].as_str(), None)]));
    assert_eq!(bench.dropped, [parked]);
}
