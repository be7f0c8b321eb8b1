//! JoinGroup and the join phase, by the numbers of spec classic 23.

use std::time::Duration;

use crate::support::*;
use quorate_core::*;

fn refused(error: ErrorCode, member: &str) -> response::JoinGroup {
    response::JoinGroup::refused(error, member.into())
}

#[test]
fn a_made_up_member_id_is_unknown_and_makes_no_group_16() {
    let mut bench = Bench::new(quick());
    let token = bench.send(Join::new().member(&"abc".into()).v9());
    assert_eq!(bench.join_answer(token), refused(ErrorCode::UnknownMemberId, "abc"));
    assert_eq!(bench.state(), "Dead");
}

#[test]
fn a_group_is_not_joined_without_a_protocol_type_or_protocols_17_18() {
    let mut bench = Bench::new(quick());
    for join in [Join::new().protocol_type("").v9(), Join::new().protocols(&[]).v9()] {
        let token = bench.send(join);
        assert_eq!(bench.join_answer(token), refused(ErrorCode::InconsistentGroupProtocol, ""));
    }
}

#[test]
fn another_type_or_no_common_protocol_is_refused_and_disturbs_nobody_19_20() {
    let mut bench = Bench::new(quick());
    let (ids, generation) = bench.stable(&[None]);
    for join in [
        Join::new().protocol_type("connect").v9(),
        Join::new().protocols(&[("roundrobin", "meta")]).v9(),
    ] {
        let token = bench.send(join);
        assert_eq!(bench.join_answer(token), refused(ErrorCode::InconsistentGroupProtocol, ""));
    }
    assert_eq!(bench.heartbeat(&ids[0], generation), ErrorCode::None);
}

#[test]
fn a_group_that_is_empty_again_takes_another_protocol_type_22() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    bench.send(leave(&[(ids[0].as_str(), None)]));
    let token = bench.send(Join::new().protocol_type("connect").v3());
    bench.pass_ms(0);
    assert_eq!(bench.join_answer(token).protocol_type, Some("connect".into()));
}

#[test]
fn a_first_join_is_handed_an_id_and_stores_an_empty_group_24_25() {
    let mut bench = Bench::new(quick());
    let token = bench.send(Join::new().v9());
    let answer = bench.join_answer(token);
    assert_eq!(answer, refused(ErrorCode::MemberIdRequired, answer.member_id.as_str()));
    let (prefix, uuid) = answer.member_id.as_str().split_at("client-".len());
    assert_eq!((prefix, uuid.len()), ("client-", 36));
    let value = record::GroupMetadata {
        protocol_type: "".into(),
        generation: Generation(0),
        protocol: None,
        leader: None,
        state_since: Some(bench.now.wall),
        members: Vec::new(),
    };
    let key = RecordKey::Group("g".into());
    assert_eq!(bench.log, [Record { key, value: Some(RecordValue::Group(Box::new(value))) }]);
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn a_group_whose_record_is_refused_never_was_26() {
    let mut bench = Bench::new(quick());
    bench.stores = false;
    let given = bench.send(Join::new().v9());
    let id = bench.join_answer(given).member_id;
    let waits = bench.send(Join::new().member(&id).v9());
    bench.reject(RejectCause::NotEnoughReplicas);
    assert_eq!(bench.join_answer(waits), refused(ErrorCode::UnknownMemberId, id.as_str()));
    let open = bench.send(Join::new().v3());
    bench.reject(RejectCause::NotEnoughReplicas);
    assert_eq!(bench.join_answer(open), refused(ErrorCode::CoordinatorNotAvailable, ""));
    assert_eq!(bench.state(), "Dead");
}

#[test]
fn a_lone_member_leads_its_group_after_the_delay_27_28_53() {
    let mut bench = Bench::new(Config::default());
    let token = bench.send(Join::new().v3());
    bench.pass_ms(2_999);
    assert!(bench.is_parked(token));
    bench.pass_ms(1);
    let answer = bench.join_answer(token);
    let member = response::JoinedMember {
        member_id: answer.member_id.clone(),
        instance_id: None,
        metadata: "meta".into(),
    };
    let expected = response::JoinGroup {
        error: ErrorCode::None,
        generation: Generation(1),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: answer.member_id.clone(),
        skip_assignment: false,
        member_id: answer.member_id.clone(),
        members: vec![member],
    };
    assert_eq!(answer, expected);
}

#[test]
fn a_handed_out_id_with_an_instance_id_is_a_fault_that_names_nobody_29() {
    let mut bench = Bench::new(quick());
    let given = bench.send(Join::new().v9());
    let id = bench.join_answer(given).member_id;
    let token = bench.send(Join::new().member(&id).instance(Some("i")).v9());
    assert_eq!(bench.join_answer(token), refused(ErrorCode::UnknownServerError, ""));
}

#[test]
fn a_handed_out_id_that_is_not_used_is_forgotten_after_its_session_30_31() {
    let mut bench = Bench::new(quick());
    let (ids, generation) = bench.stable(&[None]);
    let given = bench.send(Join::new().timeouts(5_000, 5_000).v9());
    let id = bench.join_answer(given).member_id;
    bench.pass_ms(4_999);
    assert_eq!(bench.heartbeat(&ids[0], generation), ErrorCode::None);
    bench.pass_ms(1);
    let token = bench.send(Join::new().member(&id).v9());
    assert_eq!(bench.join_answer(token), refused(ErrorCode::UnknownMemberId, id.as_str()));
    assert_eq!((bench.state(), bench.heartbeat(&ids[0], generation)), ("Stable", ErrorCode::None));
}

/// A rebalance in which all members have rejoined but one handed-out id is not used.
fn held_by_a_pending_id(bench: &mut Bench) -> (u64, MemberId) {
    let (ids, _) = bench.stable(&[None]);
    let given = bench.send(Join::new().timeouts(2_500, 5_000).v9());
    let id = bench.join_answer(given).member_id;
    let token = bench.send(Join::new().member(&ids[0]).v9());
    assert!(bench.is_parked(token));
    (token, id)
}

#[test]
fn a_pending_id_holds_the_join_phase_until_it_expires_32() {
    let mut bench = Bench::new(quick());
    let (token, _) = held_by_a_pending_id(&mut bench);
    bench.pass_ms(2_499);
    assert!(bench.is_parked(token));
    bench.pass_ms(1);
    assert_eq!(bench.join_answer(token).generation, Generation(2));
}

#[test]
fn a_pending_id_holds_the_join_phase_until_it_joins_33() {
    let mut bench = Bench::new(quick());
    let (token, id) = held_by_a_pending_id(&mut bench);
    let other = bench.send(Join::new().member(&id).v9());
    assert_eq!(bench.join_answer(token).members.len(), 2);
    assert_eq!(bench.join_answer(other).generation, Generation(2));
}

#[test]
fn a_pending_id_holds_the_join_phase_until_it_leaves_34() {
    let mut bench = Bench::new(quick());
    let (token, id) = held_by_a_pending_id(&mut bench);
    let before = bench.log.len();
    let gone = bench.send(leave(&[(id.as_str(), None)]));
    assert_eq!(left(bench.answers.get(&gone)), (ErrorCode::None, vec![ErrorCode::None]));
    assert_eq!(bench.join_answer(token).generation, Generation(2));
    assert_eq!(bench.log.len(), before);
}

#[test]
fn a_rejoin_with_equal_protocols_while_completing_is_answered_at_once_36_37() {
    let mut bench = Bench::new(quick());
    let joins = [bench.send(Join::new().v3()), bench.send(Join::new().v3())];
    bench.pass_ms(0);
    let [leader, follower] = joins.map(|join| bench.join_answer(join));
    let again = [&leader, &follower].map(|a| bench.send(Join::new().member(&a.member_id).v9()));
    assert_eq!(again.map(|token| bench.join_answer(token)), [leader, follower]);
    assert_eq!(bench.state(), "CompletingRebalance");
}

#[test]
fn a_rejoin_with_other_metadata_while_completing_sends_syncs_back_38() {
    let mut bench = Bench::new(quick());
    let joins = [bench.send(Join::new().v3()), bench.send(Join::new().v3())];
    bench.pass_ms(0);
    let [leader, follower] = joins.map(|join| bench.join_answer(join));
    let parked = bench.send(sync(&follower.member_id, 1, None, vec![]));
    let rejoin = Join::new().member(&leader.member_id).protocols(&[("range", "other")]);
    bench.send(rejoin.v9());
    let expected = response::SyncGroup::refused(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.sync_answer(parked), expected);
    assert_eq!(bench.state(), "PreparingRebalance");
}

#[test]
fn a_leader_that_rejoins_unchanged_starts_a_rebalance_39_45() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    for generation in 2..5 {
        let token = bench.send(Join::new().member(&ids[0]).v9());
        assert_eq!(bench.join_answer(token).generation, Generation(generation));
        bench.send(sync(&ids[0], generation, None, shares(&ids)));
    }
}

#[test]
fn a_follower_that_rejoins_unchanged_causes_no_rebalance_40() {
    let mut bench = Bench::new(quick());
    let (ids, generation) = bench.stable(&[None, None]);
    let token = bench.send(Join::new().member(&ids[1]).v9());
    let expected = response::JoinGroup {
        error: ErrorCode::None,
        generation: Generation(generation),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: ids[0].clone(),
        skip_assignment: false,
        member_id: ids[1].clone(),
        members: Vec::new(),
    };
    assert_eq!(bench.join_answer(token), expected);
    assert_eq!(bench.state(), "Stable");
}

#[test]
fn a_follower_with_other_metadata_or_order_starts_a_rebalance_41_42() {
    let both = [("range", "meta"), ("rr", "meta")];
    for changed in [[("range", "new"), ("rr", "meta")], [("rr", "meta"), ("range", "meta")]] {
        let mut bench = Bench::new(quick());
        let joins = [(); 2].map(|()| bench.send(Join::new().protocols(&both).v3()));
        bench.pass_ms(0);
        let ids = joins.map(|join| bench.join_answer(join).member_id);
        bench.send(sync(&ids[0], 1, None, shares(&ids)));
        let token = bench.send(Join::new().member(&ids[1]).protocols(&changed).v9());
        assert!(bench.is_parked(token));
        assert_eq!(bench.state(), "PreparingRebalance");
    }
}

#[test]
fn a_member_that_was_dropped_is_unknown_to_the_empty_group_43() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    bench.pass_ms(SESSION as u64);
    assert_eq!(bench.state(), "Empty");
    let token = bench.send(Join::new().member(&ids[0]).v9());
    assert_eq!(bench.join_answer(token), refused(ErrorCode::UnknownMemberId, ids[0].as_str()));
}

#[test]
fn the_protocol_that_all_know_and_most_prefer_is_chosen_46_47() {
    let cases: [(&[&[&str]], &str); 3] = [
        (&[&["range", "rr"], &["rr"]], "rr"),
        (&[&["range", "rr"], &["range", "rr"], &["rr", "range"]], "range"),
        (&[&["rr", "range"], &["range", "rr"]], "rr"),
    ];
    for (members, chosen) in cases {
        let mut bench = Bench::new(quick());
        let mut tokens = Vec::new();
        for names in members {
            let named: Vec<_> = names.iter().map(|name| (*name, "meta")).collect();
            tokens.push(bench.send(Join::new().protocols(&named).v3()));
        }
        bench.pass_ms(0);
        for token in tokens {
            assert_eq!(bench.join_answer(token).protocol_name, Some(chosen.into()));
        }
    }
}

#[test]
fn a_protocol_named_twice_counts_once_with_its_first_metadata() {
    let mut bench = Bench::new(quick());
    let twice = [("range", "first"), ("range", "second")];
    let token = bench.send(Join::new().protocols(&twice).v3());
    bench.pass_ms(0);
    assert_eq!(bench.join_answer(token).members[0].metadata, "first");
}

#[test]
fn a_join_that_is_sent_again_takes_the_place_of_the_first_49() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None]);
    let first = bench.send(Join::new().member(&ids[0]).v9());
    let again = bench.send(Join::new().member(&ids[0]).v9());
    bench.send(Join::new().member(&ids[1]).v9());
    assert_eq!(bench.dropped, [first]);
    assert_eq!(bench.join_answer(again).generation, Generation(2));
}

#[test]
fn a_join_whose_connection_is_gone_still_counts_and_is_not_answered() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None]);
    let gone = bench.send(Join::new().member(&ids[0]).v9());
    bench.step(Input::Abandoned { token: Token(gone) });
    let other = bench.send(Join::new().member(&ids[1]).v9());
    assert!(bench.is_parked(gone));
    assert_eq!(bench.join_answer(other).leader, ids[0]);
}

#[test]
fn a_new_member_may_be_parked_for_five_minutes_50() {
    let mut bench = Bench::new(quick());
    let silent = bench.send(Join::new().timeouts(1_000_000, 1_000_000).v3());
    bench.pass_ms(0);
    let leader = bench.join_answer(silent).member_id;
    bench.send(sync(&leader, 1, None, vec![]));
    let new = bench.send(Join::new().v3());
    bench.pass_ms(299_999);
    assert!(bench.is_parked(new));
    bench.pass_ms(1);
    assert_eq!(bench.join_answer(new), refused(ErrorCode::UnknownMemberId, ""));
}

#[test]
fn a_member_that_does_not_rejoin_in_time_is_dropped_52_113() {
    let mut bench = Bench::new(quick());
    let long = || Join::new().timeouts(100_000, 20_000);
    let joins = [bench.send(long().v3()), bench.send(long().v3())];
    bench.pass_ms(0);
    let ids = joins.map(|join| bench.join_answer(join).member_id);
    bench.send(sync(&ids[1], 1, None, vec![]));
    bench.send(sync(&ids[0], 1, None, shares(&ids)));
    let token = bench.send(long().member(&ids[0]).v9());
    bench.pass_ms(10_000);
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    bench.pass_ms(9_999);
    assert!(bench.is_parked(token));
    bench.pass_ms(1);
    assert_eq!(bench.join_answer(token).members.len(), 1);
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

fn delayed() -> Config {
    Config { initial_rebalance_delay: Duration::from_secs(3), ..quick() }
}

#[test]
fn a_window_in_which_someone_joined_is_followed_by_another_54() {
    let mut bench = Bench::new(delayed());
    let first = bench.send(Join::new().timeouts(10_000, 9_000).v3());
    bench.pass_ms(2_999);
    let second = bench.send(Join::new().v3());
    bench.pass_ms(3_000);
    assert!(bench.is_parked(first) && bench.is_parked(second));
    bench.pass_ms(1);
    assert_eq!(bench.join_answer(first).members.len(), 2);
    assert_eq!(bench.join_answer(second).generation, Generation(1));
}

#[test]
fn the_windows_end_with_the_first_members_rebalance_timeout_55() {
    let mut bench = Bench::new(delayed());
    let first = bench.send(Join::new().timeouts(10_000, 6_000).v3());
    bench.send(Join::new().v3());
    bench.pass_ms(3_001);
    bench.send(Join::new().v3());
    bench.pass_ms(2_998);
    assert!(bench.is_parked(first));
    bench.pass_ms(1);
    assert_eq!(bench.join_answer(first).members.len(), 3);
}

#[test]
fn an_initial_rebalance_whose_only_member_left_ends_empty_58() {
    let mut bench = Bench::new(delayed());
    let given = bench.send(Join::new().v9());
    let id = bench.join_answer(given).member_id;
    let token = bench.send(Join::new().member(&id).v9());
    bench.send(leave(&[(id.as_str(), None)]));
    assert_eq!(bench.join_answer(token), refused(ErrorCode::UnknownMemberId, ""));
    assert_eq!(bench.state(), "PreparingRebalance");
    bench.pass_ms(3_000);
    assert_eq!(bench.state(), "Empty");
    let Some(RecordValue::Group(row)) = &bench.log[1].value else { panic!("{:?}", bench.log) };
    assert_eq!((row.generation, row.members.len(), bench.log.len()), (Generation(1), 0, 2));
}

#[test]
fn a_pending_id_that_expires_completes_an_initial_rebalance_59() {
    let mut bench = Bench::new(delayed());
    let first = bench.send(Join::new().v3());
    bench.send(Join::new().timeouts(1_000, 1_000).v9());
    bench.pass_ms(1_000);
    assert_eq!(bench.join_answer(first).generation, Generation(1));
}

fn limited(max_group_size: usize) -> Config {
    Config { max_group_size, ..quick() }
}

#[test]
fn ids_are_handed_out_beyond_the_size_limit_and_do_not_all_join_61_62() {
    let mut bench = Bench::new(limited(2));
    let given = [(); 3].map(|()| bench.send(Join::new().v9()));
    let ids = given.map(|token| bench.join_answer(token).member_id);
    let joins = ids.map(|id| bench.send(Join::new().member(&id).v9()));
    assert!(bench.is_parked(joins[0]) && bench.is_parked(joins[1]));
    assert_eq!(bench.join_answer(joins[2]), refused(ErrorCode::GroupMaxSizeReached, ""));
}

#[test]
fn a_full_group_takes_its_members_back_and_nobody_else_64_68() {
    let mut bench = Bench::new(limited(2));
    let (ids, _) = bench.stable(&[Some("i"), None]);
    for join in [Join::new().v9(), Join::new().instance(Some("i")).v9()] {
        let token = bench.send(join);
        assert_eq!(bench.join_answer(token), refused(ErrorCode::GroupMaxSizeReached, ""));
    }
    let token = bench.send(Join::new().member(&ids[1]).v9());
    assert_eq!(bench.join_answer(token).error, ErrorCode::None);
}

#[test]
fn a_lowered_limit_drops_those_that_rejoin_last_65_67() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None, None, None]);
    bench.config.max_group_size = 2;
    bench.reload();
    assert_eq!(bench.state(), "PreparingRebalance");
    let joins: Vec<u64> = ids.iter().map(|id| bench.send(Join::new().member(id).v9())).collect();
    let full = refused(ErrorCode::GroupMaxSizeReached, "");
    assert_eq!((bench.join_answer(joins[2]), bench.join_answer(joins[3])), (full.clone(), full));
    bench.pass_ms(REBALANCE as u64);
    assert_eq!(bench.join_answer(joins[0]).members.len(), 2);
}
