//! Each property of the family with a run that keeps it and one that breaks it.

use std::sync::Arc;

use quorate_core::response::{Coordinator, FindCoordinator};
use quorate_core::{Batch, BatchId, Effect, Input, MemberId, NodeId, Offset};

use super::*;
use crate::event::Call;
use crate::oracle::replies::rig::{Rig, batches, commit, fetch};
use crate::plan::ClientId;

const OTHER: NodeIndex = NodeIndex(1);

fn rig() -> Rig {
    Rig::new(super::new)
}

/// Another broker acquires the shard, and this one does not know.
fn acquired(rig: &mut Rig, epoch: u64) {
    let (shard, next) = (rig.place.shard, Offset(0));
    rig.event(What::Acquired { shard, node: OTHER, epoch: Epoch(epoch), next });
}

#[test]
fn a_group_is_at_home_where_java_says() {
    for (name, shard) in JAVAS {
        assert_eq!(home(name, 50), ShardId(shard), "{name}");
    }
}

#[test]
fn a_run_as_it_should_be_breaks_nothing() {
    let mut rig = rig();
    let member = rig.stable();
    rig.ask(commit(&member, 1, 5));
    rig.reload();
    rig.ask(fetch(true));
    rig.event(What::Leader { shard: ShardId(0), node: OTHER });
    rig.event(What::Acquired { shard: ShardId(0), node: OTHER, epoch: Epoch(9), next: Offset(9) });
    let asked = rig.asks(commit(&member, 1, 6));
    rig.step(asked);
    rig.step(Input::Fenced { by: Some(Epoch(9)) });
    assert_eq!(rig.broken(), None);
    assert_eq!(rig.end(), None);
}

#[test]
fn a_shard_of_many_that_is_asked_for_any_group_breaks_f1() {
    let mut rig = Rig::new(|plan| super::new(&Plan { shards: 50, ..plan.clone() }));
    rig.stable();
    assert_eq!(rig.broken(), Some("F1"));
}

#[test]
fn an_epoch_that_is_given_again_breaks_f2() {
    let mut rig = rig();
    let Epoch(epoch) = rig.place.epoch;
    acquired(&mut rig, epoch);
    assert_eq!(rig.broken(), Some("F2"));
}

#[test]
fn a_batch_of_an_older_epoch_that_is_stored_breaks_f2() {
    let mut rig = rig();
    let batch =
        Batch { id: BatchId(1), epoch: rig.place.epoch, base: Offset(0), records: Vec::new() };
    acquired(&mut rig, 7);
    rig.put(&batch);
    assert_eq!(rig.broken(), Some("F2"));
}

#[test]
fn who_turns_away_with_another_error_breaks_f3() {
    let mut rig = rig();
    let (client, call) = (ClientId(0), Call(1));
    let error = ErrorCode::UnknownMemberId;
    rig.event(What::TurnedAway { node: OTHER, shard: ShardId(0), client, call, error });
    assert_eq!(rig.broken(), Some("F3"));
}

#[test]
fn a_coordinator_that_never_led_anything_breaks_f3() {
    let mut rig = rig();
    rig.event(What::Leader { shard: ShardId(0), node: NodeIndex(0) });
    let told = |node: i32| {
        let coordinators = vec![Coordinator { key: "g".into(), node: Ok(NodeId(node)) }];
        let found = FindCoordinator { failed: false, coordinators };
        let response = Arc::new(Response::FindCoordinator(found));
        What::Heard { client: ClientId(0), call: Call(1), response }
    };
    rig.event(told(1));
    assert_eq!(rig.broken(), None);
    rig.event(told(2));
    assert_eq!(rig.broken(), Some("F3"));
}

#[test]
fn an_acknowledgement_of_who_was_replaced_breaks_f4() {
    let mut rig = rig();
    let asked = rig.asks(commit(&MemberId::default(), -1, 5));
    let written = batches(&rig.step(asked));
    acquired(&mut rig, 7);
    let is_refused = rig.step(Input::Appended { through: written[0].id });
    assert!(is_refused.iter().any(|effect| matches!(effect, Effect::Reply { .. })));
    assert_eq!(rig.broken(), Some("F4"));
}
