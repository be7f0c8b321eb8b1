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

/// Three members are loaded into a group that may have two: who joins last is let go.
#[test]
fn a_member_that_is_one_too_many_is_told() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None, None, None]);
    bench.config.max_group_size = 2;
    bench.reload();
    for id in &ids {
        bench.send(Join::new().member(id).v9());
    }
    let told = bench.notes.iter().filter_map(|note| match note {
        Note::Member { cause: cause @ Cause::GroupFull { .. }, .. } => Some(cause.clone()),
        _ => None,
    });
    let expected = [Cause::GroupFull { member: ids[2].clone() }];
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

#[test]
fn timers_are_told_when_they_are_armed_and_cancelled_extended_graced_and_fired() {
    let delay = std::time::Duration::from_secs(3);
    let mut bench = Bench::new(Config { initial_rebalance_delay: delay, ..quick() });
    let start = bench.now.mono;
    let first = bench.send(Join::new().v3());
    bench.pass_ms(1_000);
    bench.send(Join::new().v3());
    bench.pass_ms(5_000);
    let member = bench.join_answer(first).member_id;
    bench.send(leave(&[(member.as_str(), None)]));
    bench.tick(std::time::Duration::from_secs(12));
    bench.step(Input::Deadline);
    bench.pass_ms(1_000);
    let told = bench.notes.iter().filter_map(|note| match note {
        Note::Timer { timer, event, .. } => Some(match (timer, event) {
            (TimerOf::Session(_), event) => (TimerOf::Join, *event, true),
            (timer, event) => (timer.clone(), *event, false),
        }),
        _ => None,
    });
    let at = |seconds| start + std::time::Duration::from_secs(seconds);
    let armed = |seconds, reason| TimerEvent::Armed { at: at(seconds), reason };
    let expected = [
        (TimerOf::Join, armed(3, ArmedFor::Initial), false),
        (TimerOf::Join, TimerEvent::Extended { at: at(6) }, false),
        (TimerOf::Join, TimerEvent::Fired, false),
        (TimerOf::Sync, armed(26, ArmedFor::Syncs), false),
        (TimerOf::Sync, TimerEvent::Cancelled, false),
        (TimerOf::Join, armed(26, ArmedFor::Rebalance), false),
        (TimerOf::Join, TimerEvent::Graced { at: at(19) }, true),
        (TimerOf::Join, TimerEvent::Fired, true),
        (TimerOf::Join, TimerEvent::Cancelled, false),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
