//! Each change of a group is told with its cause.

use quorate_core::*;

use crate::support::*;

#[test]
fn the_life_of_a_group_is_told_transition_by_transition() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    let Request::LeaveGroup(mut request) = leave(&[(ids[0].as_str(), None)]) else { panic!() };
    request.members[0].reason = Some("the consumer is being closed".into());
    bench.send(Request::LeaveGroup(request));
    let joined = Cause::MemberJoined { member: ids[0].clone(), reason: None };
    let reason = Some("the consumer is being closed".into());
    let left = Cause::MemberLeft { member: ids[0].clone(), reason };
    let expected = [
        (None, Some("Empty"), 0, 0, Cause::Created),
        (Some("Empty"), Some("PreparingRebalance"), 0, 1, joined),
        (Some("PreparingRebalance"), Some("CompletingRebalance"), 1, 1, Cause::AllJoined),
        (Some("CompletingRebalance"), Some("Stable"), 1, 1, Cause::Assigned),
        (Some("Stable"), Some("PreparingRebalance"), 1, 0, left),
        (Some("PreparingRebalance"), Some("Empty"), 2, 0, Cause::NobodyLeft),
    ];
    let expected = expected.map(|(from, to, generation, members, cause)| Note::Transition {
        group: "g".into(),
        from,
        to,
        generation: Generation(generation),
        members,
        cause,
    });
    let told = bench.notes.into_iter().filter(|note| note.kind() == NoteKind::Transition);
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn a_member_that_goes_while_others_join_is_told_too() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None, None]);
    bench.send(Join::new().member(&ids[0]).v9());
    bench.send(leave(&[(ids[1].as_str(), None)]));
    bench.pass_ms(SESSION as u64);
    let told = bench.notes.into_iter().filter(|note| note.kind() == NoteKind::Member);
    let told: Vec<Note> = told.collect();
    let left = Cause::MemberLeft { member: ids[1].clone(), reason: None };
    let expired = Cause::SessionExpired { member: ids[2].clone() };
    let member = |cause| Note::Member { group: "g".into(), cause };
    let joined = told.len() - 2;
    assert_eq!(told[joined..], [member(left), member(expired)]);
}

#[test]
fn wanting_no_notes_changes_nothing_else() {
    let mut wanting = Bench::new(quick());
    wanting.stable(&[Some("a"), None]);
    let mut silent = Bench::silent(quick());
    silent.stable(&[Some("a"), None]);
    assert_eq!(silent.notes, []);
    assert_eq!(silent.answers, wanting.answers);
    assert_eq!(silent.shard.fingerprint(), wanting.shard.fingerprint());
}
