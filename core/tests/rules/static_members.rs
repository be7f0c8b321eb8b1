//! Static members (KIP-345), by the numbers of spec classic 23.6.

use crate::support::*;
use quorate_core::*;

#[test]
fn a_static_member_is_handed_no_id_69() {
    let mut bench = Bench::new(quick());
    let token = bench.send(Join::new().instance(Some("inst")).v9());
    assert!(bench.is_parked(token));
    bench.pass_ms(0);
    assert!(bench.join_answer(token).member_id.as_str().starts_with("inst-"));
}

fn replaced(
    bench: &Bench,
    token: u64,
    leader: &MemberId,
    members: Vec<response::JoinedMember>,
) -> response::JoinGroup {
    let answer = bench.join_answer(token);
    response::JoinGroup {
        error: ErrorCode::None,
        generation: Generation(1),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: leader.clone(),
        skip_assignment: !members.is_empty(),
        member_id: answer.member_id,
        members,
    }
}

#[test]
fn a_follower_that_restarts_keeps_its_assignment_and_disturbs_nobody_70_73_74() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
    let before = bench.log.len();
    let token = bench.send(Join::new().instance(Some("b")).v9());
    let answer = bench.join_answer(token);
    assert_eq!(answer, replaced(&bench, token, &ids[0], Vec::new()));
    assert_eq!((bench.state(), bench.log.len()), ("Stable", before + 1));
    let Some(RecordValue::Group(row)) = &bench.log[before].value else { panic!("a group") };
    assert_eq!(row.members[1].member_id, answer.member_id);
    assert_eq!(row.members[1].assignment, ids[1].0.bytes());
    let synced = bench.send(sync(&answer.member_id, 1, Some("b".into()), vec![]));
    assert_eq!(bench.sync_answer(synced).assignment, ids[1].0.bytes());
    let fenced = bench.send(beat(&ids[1], 1, Some("b")));
    assert_eq!(bench.answers[&fenced], Response::Heartbeat(ErrorCode::FencedInstanceId));
    assert_eq!(bench.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_restarts_leads_but_is_not_to_assign_71() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
    let token = bench.send(Join::new().instance(Some("a")).v9());
    let new = bench.join_answer(token).member_id;
    let member = |id: &MemberId, instance: &str| response::JoinedMember {
        member_id: id.clone(),
        instance_id: Some(instance.into()),
        metadata: "meta".into(),
    };
    let members = vec![member(&new, "a"), member(&ids[1], "b")];
    assert_eq!(bench.join_answer(token), replaced(&bench, token, &new, members));
}

#[test]
fn below_version_9_a_leader_that_restarts_is_told_its_old_id_72() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
    let token = bench.send(Join::new().instance(Some("a")).v8());
    assert_eq!(bench.join_answer(token), replaced(&bench, token, &ids[0], Vec::new()));
}

#[test]
fn a_restart_that_is_not_stored_brings_the_old_id_back_75_76() {
    for (cause, error) in [
        (RejectCause::NotLeader, ErrorCode::NotCoordinator),
        (RejectCause::TooLarge, ErrorCode::UnknownServerError),
    ] {
        let mut bench = Bench::new(quick());
        let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
        bench.stores = false;
        let token = bench.send(Join::new().instance(Some("a")).v9());
        assert!(bench.is_parked(token));
        bench.reject(cause);
        let expected = response::JoinGroup {
            generation: Generation(1),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            leader: ids[0].clone(),
            ..response::JoinGroup::refused(error, MemberId::default())
        };
        assert_eq!(bench.join_answer(token), expected);
        let beat = bench.send(beat(&ids[0], 1, Some("a")));
        assert_eq!(bench.answers[&beat], Response::Heartbeat(ErrorCode::None));
    }
}

#[test]
fn a_restart_that_changes_the_chosen_protocol_starts_a_rebalance_77_78() {
    let mut bench = Bench::new(quick());
    let both = [("range", "m"), ("rr", "m")];
    let token = bench.send(Join::new().instance(Some("a")).protocols(&both).v3());
    bench.pass_ms(0);
    let id = bench.join_answer(token).member_id;
    bench.send(sync(&id, 1, None, vec![]));
    let more = [("range", "m"), ("rr", "m"), ("third", "m")];
    let same = bench.send(Join::new().instance(Some("a")).protocols(&more).v9());
    assert_eq!(bench.join_answer(same).generation, Generation(1));
    let other = [("rr", "m"), ("range", "m")];
    let changed = bench.send(Join::new().instance(Some("a")).protocols(&other).v9());
    let answer = bench.join_answer(changed);
    assert_eq!((answer.generation, answer.protocol_name), (Generation(2), Some("rr".into())));
}

#[test]
fn a_restart_while_completing_fences_the_old_sync_and_sends_others_back_79() {
    let mut bench = Bench::new(quick());
    let joins = ["a", "b", "c"].map(|i| bench.send(Join::new().instance(Some(i)).v3()));
    bench.pass_ms(0);
    let ids = joins.map(|join| bench.join_answer(join).member_id);
    let old = bench.send(sync(&ids[1], 1, Some("b".into()), vec![]));
    let other = bench.send(sync(&ids[2], 1, Some("c".into()), vec![]));
    let token = bench.send(Join::new().instance(Some("b")).v9());
    assert!(bench.is_parked(token));
    assert_eq!(
        [bench.sync_answer(old).error, bench.sync_answer(other).error],
        [ErrorCode::FencedInstanceId, ErrorCode::RebalanceInProgress]
    );
}

#[test]
fn a_restart_while_joining_fences_the_old_join_80_81() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
    let old = bench.send(Join::new().member(&ids[0]).instance(Some("a")).v9());
    let new = bench.send(Join::new().instance(Some("a")).v9());
    let fenced = response::JoinGroup::refused(ErrorCode::FencedInstanceId, ids[0].clone());
    assert_eq!(bench.join_answer(old), fenced);
    assert!(bench.is_parked(new));
}

#[test]
fn a_first_join_that_was_replaced_outlives_its_session() {
    let mut bench = Bench::new(quick());
    bench.stable(&[None]);
    let join = || Join::new().instance(Some("i")).timeouts(1_000, REBALANCE);
    let old = bench.send(join().v9());
    let new = bench.send(join().v9());
    assert_eq!(bench.join_answer(old).error, ErrorCode::FencedInstanceId);
    bench.pass_ms(5_000);
    assert!(bench.is_parked(new));
    assert_eq!(bench.describe().members.len(), 2);
}

#[test]
fn a_follower_that_restarts_before_its_sync_is_still_waited_for_under_its_old_id() {
    for syncs in [false, true] {
        let mut bench = Bench::new(quick());
        let joins = [Some("a"), Some("b")].map(|i| bench.send(Join::new().instance(i).v9()));
        bench.pass_ms(0);
        let ids = joins.map(|join| bench.join_answer(join).member_id);
        bench.send(sync(&ids[0], 1, None, shares(&ids)));
        let restart = bench.send(Join::new().instance(Some("b")).v9());
        let new = bench.join_answer(restart).member_id;
        if syncs {
            let synced = bench.send(sync(&new, 1, Some("b".into()), vec![]));
            assert_eq!(bench.sync_answer(synced).assignment, ids[1].0.bytes());
        }
        for _ in 0..3 {
            bench.pass_ms(REBALANCE as u64 / 4);
            assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::None);
            assert_eq!(bench.heartbeat(&new, 1), ErrorCode::None);
        }
        bench.pass_ms(REBALANCE as u64 / 4);
        assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
        assert_eq!(bench.heartbeat(&new, 1), ErrorCode::RebalanceInProgress);
        assert_eq!(bench.describe().members.len(), 2);
    }
}

#[test]
fn the_instance_id_is_looked_at_before_the_member_id_82_83() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
    let cases = [
        (&ids[1], "a", ErrorCode::FencedInstanceId),
        (&ids[1], "unknown", ErrorCode::UnknownMemberId),
    ];
    for (member, instance, error) in cases {
        let join = bench.send(Join::new().member(member).instance(Some(instance)).v9());
        let expected = response::JoinGroup::refused(error, member.clone());
        assert_eq!(bench.join_answer(join), expected);
        let beat = bench.send(beat(member, 1, Some(instance)));
        assert_eq!(bench.answers[&beat], Response::Heartbeat(error));
    }
}

#[test]
fn a_silent_static_member_stays_in_the_next_generation_85_86_87() {
    let mut bench = Bench::new(quick());
    let long = |i| Join::new().instance(Some(i)).timeouts(100_000, 20_000);
    let joins = ["a", "b"].map(|i| bench.send(long(i).v3()));
    bench.pass_ms(0);
    let ids = joins.map(|join| bench.join_answer(join).member_id);
    bench.send(sync(&ids[1], 1, None, vec![]));
    bench.send(sync(&ids[0], 1, None, shares(&ids)));
    let other = long("b").member(&ids[1]).protocols(&[("range", "new")]);
    let token = bench.send(other.v9());
    bench.pass_ms(20_000);
    let answer = bench.join_answer(token);
    assert_eq!((answer.leader, answer.members.len()), (ids[1].clone(), 2));
    assert_eq!(bench.heartbeat(&ids[0], 1), ErrorCode::IllegalGeneration);
}

#[test]
fn without_anyone_to_lead_no_generation_starts_88_89() {
    let mut bench = Bench::new(quick());
    let long = |i: Option<&str>| Join::new().instance(i).timeouts(30_000, 20_000);
    let joins = [bench.send(long(Some("a")).v3()), bench.send(long(None).v3())];
    bench.pass_ms(0);
    let ids = joins.map(|join| bench.join_answer(join).member_id);
    bench.send(sync(&ids[1], 1, None, vec![]));
    bench.send(sync(&ids[0], 1, None, shares(&ids)));
    bench.send(leave(&[(ids[1].as_str(), None)]));
    bench.pass_ms(20_000);
    assert_eq!(bench.state(), "PreparingRebalance");
    bench.pass_ms(10_000);
    assert_eq!(bench.state(), "Empty");
    let Some(RecordValue::Group(row)) = &bench.log.last().unwrap().value else { panic!("a group") };
    assert_eq!(row.generation, Generation(2));
    let token = bench.send(long(Some("a")).v3());
    bench.pass_ms(0);
    assert_eq!(bench.join_answer(token).generation, Generation(3));
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id_90() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[Some("a"), Some("b")]);
    let parked = bench.send(Join::new().member(&ids[0]).instance(Some("a")).v9());
    let gone = bench.send(leave(&[("", Some("a"))]));
    assert_eq!(left(bench.answers.get(&gone)), (ErrorCode::None, vec![ErrorCode::None]));
    let unknown = response::JoinGroup::refused(ErrorCode::UnknownMemberId, MemberId::default());
    assert_eq!(bench.join_answer(parked), unknown);
}
