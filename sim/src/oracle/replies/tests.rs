//! Each property of the family with a run that keeps it and one that breaks it.

use quorate_core::response::JoinGroup;
use quorate_core::{
    BatchId, Effect, ErrorCode, Input, MemberId, Offset, RejectCause, Response, Token,
};

use super::rig::{Rig, batches, beat, commit, fetch, join, sync};

fn rig() -> Rig {
    Rig::new(super::new)
}

#[test]
fn a_run_as_it_should_be_breaks_nothing() {
    let mut rig = rig();
    let member = rig.stable();
    for offset in 0..40 {
        rig.ask(commit(&member, 1, offset));
        rig.ask(beat(&member, 1));
        rig.ask(beat(&member, 2));
        rig.ask(fetch(true));
    }
    let asked = rig.asks(commit(&member, 1, 7));
    rig.step(asked);
    rig.step(Input::Rejected { from: BatchId(43), cause: RejectCause::Storage });
    rig.ask(commit(&member, 1, 8));
    let asked = rig.asks(commit(&member, 1, 9));
    rig.step(asked);
    rig.step(Input::Fenced { by: None });
    rig.ask(fetch(false));
    assert_eq!(rig.found.first(), None);
    assert_eq!(rig.end(), None);
}

#[test]
fn an_answer_that_is_given_twice_breaks_p1() {
    let mut rig = rig();
    let asked = rig.asks(fetch(false));
    rig.step_as(asked, |effects| effects.push(effects[0].clone()));
    assert_eq!(rig.broken(), Some("P1"));
}

#[test]
fn a_request_that_nobody_has_any_more_breaks_p1() {
    let mut rig = rig();
    let asked = rig.asks(fetch(false));
    rig.step_as(asked, Vec::clear);
    assert_eq!(rig.broken(), Some("P1"));
}

#[test]
fn an_answer_without_a_request_breaks_p2() {
    let mut rig = rig();
    let asked = rig.asks(fetch(false));
    let body = Response::Heartbeat(ErrorCode::None);
    rig.step_as(asked, |effects| effects.push(Effect::Reply { token: Token(77), body }));
    assert_eq!(rig.broken(), Some("P2"));
}

#[test]
fn an_answer_of_another_kind_breaks_p2() {
    let mut rig = rig();
    let asked = rig.asks(fetch(false));
    rig.step_as(asked, |effects| {
        let Effect::Reply { body, .. } = &mut effects[0] else { panic!("{effects:?}") };
        *body = Response::Heartbeat(ErrorCode::None);
    });
    assert_eq!(rig.broken(), Some("P2"));
}

#[test]
fn an_error_with_an_assignment_breaks_p2() {
    let mut rig = rig();
    let asked = rig.asks(sync(&MemberId::from("nobody"), 1));
    rig.step_as(asked, |effects| {
        let Effect::Reply { body: Response::SyncGroup(body), .. } = &mut effects[0] else {
            panic!("{effects:?}")
        };
        body.assignment = "a".into();
    });
    assert_eq!(rig.broken(), Some("P2"));
}

/// Says at once what is to be said when the batch is durable.
fn told_early(rig: &mut Rig, asked: Input, body: Response) {
    let Input::Request { token, .. } = asked else { panic!("it is a request") };
    rig.step_as(asked, |effects| effects.push(Effect::Reply { token, body }));
}

#[test]
fn a_commit_that_is_answered_before_it_is_durable_breaks_p3() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let topics = vec![quorate_core::response::TopicErrors {
        name: "t".into(),
        partitions: vec![(0, ErrorCode::None)],
    }];
    let body = quorate_core::response::OffsetCommit { topics };
    let Input::Request { token, .. } = asked else { panic!("it is a request") };
    let effects = rig.step(asked);
    let beaten = rig.asks(beat(&member, 1));
    rig.step_as(beaten, |effects| {
        effects.push(Effect::Reply { token, body: Response::OffsetCommit(body) });
    });
    assert_eq!(batches(&effects).len(), 1);
    assert_eq!(rig.broken(), Some("P3"));
}

#[test]
fn a_heartbeat_behind_a_commit_that_is_answered_at_once_breaks_p3() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    rig.step(asked);
    let asked = rig.asks(beat(&member, 1));
    told_early(&mut rig, asked, Response::Heartbeat(ErrorCode::None));
    assert_eq!(rig.broken(), Some("P3"));
}

#[test]
fn a_batch_after_a_fence_breaks_p4() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let written = batches(&rig.step(asked));
    rig.step(Input::Fenced { by: None });
    let asked = rig.asks(beat(&member, 1));
    rig.step_as(asked, |effects| effects.push(Effect::Append(written[0].clone())));
    assert_eq!(rig.broken(), Some("P4"));
}

#[test]
fn another_code_after_a_fence_breaks_p4() {
    let mut rig = rig();
    rig.step(Input::Fenced { by: None });
    let asked = rig.asks(join(""));
    rig.step_as(asked, |effects| {
        let Effect::Reply { body, .. } = &mut effects[0] else { panic!("{effects:?}") };
        let error = ErrorCode::UnknownMemberId;
        *body = Response::JoinGroup(Box::new(JoinGroup::refused(error, MemberId::default())));
    });
    assert_eq!(rig.broken(), Some("P4"));
}

#[test]
fn a_batch_out_of_order_breaks_p5() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    rig.step_as(asked, |effects| {
        let Effect::Append(batch) = &mut effects[0] else { panic!("{effects:?}") };
        batch.base = Offset(batch.base.0 + 1);
    });
    assert_eq!(rig.broken(), Some("P5"));
}

#[test]
fn a_batch_that_goes_on_behind_a_refused_one_breaks_p5() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let refused = batches(&rig.step(asked));
    rig.step(Input::Rejected { from: refused[0].id, cause: RejectCause::Storage });
    let asked = rig.asks(commit(&member, 1, 6));
    rig.step_as(asked, |effects| {
        let Effect::Append(batch) = &mut effects[0] else { panic!("{effects:?}") };
        batch.id = BatchId(batch.id.0 + 1);
        batch.base = Offset(batch.base.0 + 1);
    });
    assert_eq!(rig.broken(), Some("P5"));
}

#[test]
fn a_batch_above_its_limit_breaks_p8() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    rig.step_as(asked, |effects| {
        let Effect::Append(batch) = &mut effects[0] else { panic!("{effects:?}") };
        let record = batch.records[0].clone();
        batch.records.extend(vec![record; 20_000]);
    });
    assert_eq!(rig.broken(), Some("P8"));
}

#[test]
fn an_effect_that_depends_on_more_than_the_input_breaks_p9() {
    let mut rig = rig();
    let member = rig.stable();
    for _ in 0..16 {
        let asked = rig.asks(beat(&member, 1));
        rig.step_as(asked, |effects| {
            let Effect::Reply { body, .. } = &mut effects[0] else { panic!("{effects:?}") };
            *body = Response::Heartbeat(ErrorCode::UnknownMemberId);
        });
    }
    assert_eq!(rig.broken(), Some("P9"));
}
