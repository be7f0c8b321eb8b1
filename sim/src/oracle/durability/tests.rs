//! Each property of the family with a run that keeps it and one that breaks it.

use quorate_core::response::{OffsetCommit, TopicErrors};
use quorate_core::{
    Effect, ErrorCode, Input, MemberId, Record, RecordKey, RejectCause, Response, Topics,
    TopicsDelta, TopicsVersion,
};

use super::ids::Created;
use super::load::Loads;
use crate::event::What;
use crate::oracle::Oracle;
use crate::oracle::replies::book::{Family, Observer};
use crate::oracle::replies::rig::{Rig, batches, beat, commit, fetch, group};

fn rig() -> Rig {
    Rig::new(super::new)
}

fn alone(observer: impl Observer + Send + 'static) -> Vec<Box<dyn Oracle + Send>> {
    vec![Box::new(Family::new(vec![Box::new(observer)]))]
}

fn acknowledged() -> Response {
    let partitions = vec![(0, ErrorCode::None)];
    let topics = vec![TopicErrors { name: "t".into(), partitions }];
    Response::OffsetCommit(OffsetCommit { topics })
}

fn key() -> RecordKey {
    RecordKey::Offset { group: group(), topic: "t".into(), partition: 0 }
}

#[test]
fn a_run_as_it_should_be_breaks_nothing() {
    let mut rig = rig();
    let member = rig.stable();
    for offset in 0..40 {
        rig.ask(commit(&member, 1, offset));
        rig.ask(fetch(offset % 2 == 0));
        if offset % 16 == 0 {
            rig.reload();
        }
    }
    let asked = rig.asks(commit(&member, 1, 41));
    let written = batches(&rig.step(asked));
    rig.step(Input::Rejected { from: written[0].id, cause: RejectCause::Storage });
    rig.ask(beat(&member, 1));
    assert_eq!(rig.found.first(), None);
    assert_eq!(rig.end(), None);
}

#[test]
fn a_row_that_no_batch_wrote_breaks_d1() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    rig.step_as(asked, |effects| {
        let Effect::Append(batch) = &mut effects[0] else { panic!("{effects:?}") };
        batch.records[0].value = None;
    });
    assert_eq!(rig.broken(), Some("D1"));
}

#[test]
fn a_row_that_is_left_of_a_refused_batch_breaks_d2() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let written = batches(&rig.step(asked));
    // Told of a refusal that the shard has not heard of.
    let input = Input::Rejected { from: written[0].id, cause: RejectCause::Storage };
    rig.step_unheard(input);
    assert_eq!(rig.broken(), Some("D2"));
}

#[test]
fn a_compaction_that_drops_a_live_row_breaks_d3() {
    let mut rig = rig();
    let member = rig.stable();
    rig.ask(commit(&member, 1, 5));
    let shard = rig.place.shard;
    rig.event(What::Compacted { shard, left: Vec::new() });
    assert_eq!(rig.broken(), Some("D3"));
}

#[test]
fn a_log_with_a_value_of_another_kind_breaks_d4() {
    let mut rig = Rig::new(|plan| alone(Loads::new(plan)));
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let mut written = batches(&rig.step(asked))[0].clone();
    written.records[0].key = RecordKey::Group(group());
    rig.put(&written);
    assert_eq!(rig.end(), Some("D4"));
}

#[test]
fn a_commit_that_is_acknowledged_and_not_stored_breaks_d5() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let Input::Request { token, .. } = asked else { panic!("it is a request") };
    rig.step_as(asked, |effects| {
        effects.push(Effect::Reply { token, body: acknowledged() });
    });
    assert_eq!(rig.broken(), Some("D5"));
}

#[test]
fn a_load_without_an_acknowledged_commit_breaks_d5() {
    let mut rig = rig();
    let member = rig.stable();
    rig.ask(commit(&member, 1, 5));
    rig.ask(commit(&member, 1, 6));
    rig.reload_after(|log| {
        log.pop();
    });
    assert_eq!(rig.broken(), Some("D5"));
}

#[test]
fn an_older_offset_than_the_acknowledged_one_breaks_d5() {
    let mut rig = rig();
    let member = rig.stable();
    rig.ask(commit(&member, 1, 5));
    rig.ask(commit(&member, 1, 6));
    let asked = rig.asks(fetch(false));
    rig.step_as(asked, |effects| {
        let Effect::Reply { body: Response::OffsetFetch(body), .. } = &mut effects[0] else {
            panic!("{effects:?}")
        };
        body.groups[0].topics[0].partitions[0].offset = 5;
    });
    assert_eq!(rig.broken(), Some("D5"));
}

#[test]
fn an_offset_that_comes_back_breaks_d6() {
    let mut rig = rig();
    rig.ask(commit(&MemberId::default(), -1, 5));
    let groups = vec![group()];
    let delete = quorate_core::request::DeleteGroups { groups };
    rig.ask(quorate_core::Request::DeleteGroups(delete));
    assert_eq!(rig.broken(), None);
    rig.reload_after(|log| log.retain(|(_, record)| record.value.is_some()));
    assert_eq!(rig.broken(), Some("D6"));
}

#[test]
fn an_offset_of_a_deleted_topic_breaks_d6() {
    let mut rig = rig();
    let member = rig.stable();
    rig.ask(commit(&member, 1, 5));
    let deleted: Vec<_> = rig.topics.iter().cloned().collect();
    let view = std::sync::Arc::new(Topics::new(TopicsVersion(2), []));
    rig.event(What::Topics { view: view.clone() });
    rig.step(Input::Topics(TopicsDelta { view, deleted }));
    let asked = rig.asks(fetch(false));
    rig.step_as(asked, |effects| {
        let Effect::Reply { body: Response::OffsetFetch(body), .. } = &mut effects[0] else {
            panic!("{effects:?}")
        };
        let partition = quorate_core::response::FetchedOffset {
            offset: 5,
            leader_epoch: 0,
            ..quorate_core::response::FetchedOffset::none(0, ErrorCode::None)
        };
        let (name, partitions) = ("t".into(), vec![partition]);
        body.groups[0].topics = vec![quorate_core::response::FetchedTopic { name, partitions }];
    });
    assert_eq!(rig.broken(), Some("D6"));
}

#[test]
fn a_batch_of_another_writer_breaks_d7() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let mut written = batches(&rig.step(asked))[0].clone();
    written.records.push(Record { key: key(), value: None });
    rig.put(&written);
    assert_eq!(rig.broken(), Some("D7"));
}

#[test]
fn an_acknowledgement_of_what_was_refused_breaks_d8() {
    let mut rig = rig();
    let member = rig.stable();
    let asked = rig.asks(commit(&member, 1, 5));
    let written = batches(&rig.step(asked));
    let input = Input::Rejected { from: written[0].id, cause: RejectCause::Storage };
    rig.step_as(input, |effects| {
        let Effect::Reply { body, .. } = &mut effects[0] else { panic!("{effects:?}") };
        *body = acknowledged();
    });
    assert_eq!(rig.broken(), Some("D8"));
}

#[test]
fn a_member_id_that_is_made_again_breaks_d11() {
    let mut rig = Rig::new(|_| alone(Created::default()));
    rig.stable();
    // As if the node's secret and its count of loads had begun anew: an incarnation that has
    // lost the record of the member makes the same id.
    rig.place.load = 0;
    rig.place.epoch = quorate_core::Epoch(0);
    rig.log.clear();
    rig.reload();
    rig.stable();
    assert_eq!(rig.broken(), Some("D11"));
}
