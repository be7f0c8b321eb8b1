//! A consumer in its group: joins, rebalances, errors, lost answers.

use quorate_core::{ErrorCode, Generation, MemberId, Response};

use super::support::*;
use crate::client::{ClientEffect, ClientInput};
use crate::event::{Call, ClientNote, Unheard};
use crate::plan::{NodeIndex, Op};

fn joined_note(member: &str, generation: i32, leads: bool) -> ClientEffect {
    let (member, generation) = (MemberId::from(member), Generation(generation));
    note(ClientNote::Joined { member, generation, leads })
}

fn assigned_note(generation: i32, partitions: &[i32]) -> ClientEffect {
    let (generation, owned) = (Generation(generation), parts(partitions));
    note(ClientNote::Assigned { generation, owned })
}

#[test]
fn a_first_join_is_said_again_with_the_id_that_was_handed_out() {
    let mut tried = Tried::new(&spec());
    assert_eq!(tried.op(Op::Start), [note(ClientNote::Started), send(0, find())]);
    assert_eq!(tried.hear(0, found(1)), [send(1, join("", -1, None))]);
    let id_required = refused_join(ErrorCode::MemberIdRequired, "m");
    let again = join("m", -1, Some("the given member id"));
    assert_eq!(tried.hear(1, id_required), [send(2, again)]);
    let answer = joined("m", 1, "m", &[("m", subscribed(&[], -1))]);
    let expected = [joined_note("m", 1, true), send(3, sync("m", 1, &[("m", &[0, 1, 2, 3])]))];
    assert_eq!(tried.hear(2, answer), expected);
    let expected = [assigned_note(1, &[0, 1, 2, 3]), send(4, fetch(&[0, 1, 2, 3]))];
    assert_eq!(tried.hear(3, synced(&[0, 1, 2, 3])), expected);
    let read = note(ClientNote::ReadBack { offsets: offsets(&[0, 1], -1) });
    assert_eq!(tried.hear(4, fetched(&[(0, -1), (1, -1)], ErrorCode::None)), [read]);
    member_is(&tried.client, "m", 1);
}

#[test]
fn heartbeats_and_commits_go_on_by_their_own_timers_and_a_commit_is_read_back() {
    let mut tried = Tried::stable(&spec());
    assert_eq!(tried.wait(), [send(5, heartbeat("m", 1, None))]);
    assert_eq!(tried.at, ms(3_000));
    assert_eq!(tried.hear(5, Response::Heartbeat(ErrorCode::None)), []);
    assert_eq!(tried.wait(), [send(6, commit("m", 1, &[0, 1, 2, 3], 1_003))]);
    assert_eq!(tried.at, ms(5_000));
    let done = note(ClientNote::Committed { offsets: offsets(&[0, 1, 2, 3], 1_003) });
    let answer = committed(&[0, 1, 2, 3], ErrorCode::None);
    assert_eq!(tried.hear(6, answer), [done, send(7, fetch(&[0, 1, 2, 3]))]);
    assert_eq!(tried.wait(), [send(8, heartbeat("m", 1, None))]);
    assert_eq!(tried.at, ms(6_000));
}

#[test]
fn a_rebalance_seen_by_a_heartbeat_makes_it_commit_revoke_and_join() {
    let mut tried = Tried::stable(&spec());
    tried.wait();
    let rebalancing = Response::Heartbeat(ErrorCode::RebalanceInProgress);
    let expected = [send(6, commit("m", 1, &[0, 1, 2, 3], 1_003))];
    assert_eq!(tried.hear(5, rebalancing), expected);
    assert_eq!(tried.client.view(true).owned, parts(&[0, 1, 2, 3]));
    let done = note(ClientNote::Committed { offsets: offsets(&[0, 1, 2, 3], 1_003) });
    let again = join("m", 1, Some("group is already rebalancing"));
    let answer = committed(&[0, 1, 2, 3], ErrorCode::None);
    assert_eq!(tried.hear(6, answer), [done, send(7, again)]);
    assert_eq!(tried.client.view(true).owned, parts(&[]));
    let members = [("n", subscribed(&[], -1)), ("m", subscribed(&[], 1))];
    let dealt = sync("m", 2, &[("m", &[0, 1]), ("n", &[2, 3])]);
    let expected = [joined_note("m", 2, true), send(8, dealt)];
    assert_eq!(tried.hear(7, joined("m", 2, "m", &members)), expected);
}

#[test]
fn a_follower_syncs_without_assignments() {
    let mut tried = Tried::new(&spec());
    tried.op(Op::Start);
    tried.hear(0, found(1));
    let expected = [joined_note("m", 4, false), send(2, sync("m", 4, &[]))];
    assert_eq!(tried.hear(1, joined("m", 4, "n", &[])), expected);
    assert_eq!(tried.hear(2, synced(&[])), [assigned_note(4, &[])]);
}

#[test]
fn an_unknown_member_loses_its_partitions_and_joins_as_a_new_one() {
    let mut tried = Tried::stable(&spec());
    tried.wait();
    let unknown = Response::Heartbeat(ErrorCode::UnknownMemberId);
    let expected = [note(ClientNote::Lost), send(6, join("", -1, None))];
    assert_eq!(tried.hear(5, unknown), expected);
    assert_eq!(tried.client.view(true).owned, parts(&[]));
    // Of what it was once it is told too late.
    assert_eq!(tried.hear(6, joined("n", 7, "o", &[])).len(), 2);
    member_is(&tried.client, "n", 7);
}

#[test]
fn a_wrong_generation_loses_its_partitions_and_keeps_its_id() {
    let mut tried = Tried::stable(&spec());
    tried.wait();
    let wrong = Response::Heartbeat(ErrorCode::IllegalGeneration);
    let expected = [note(ClientNote::Lost), send(6, join("m", -1, None))];
    assert_eq!(tried.hear(5, wrong), expected);
}

#[test]
fn a_sync_that_meets_a_rebalance_joins_again_at_once() {
    let mut tried = Tried::new(&spec());
    tried.op(Op::Start);
    tried.hear(0, found(1));
    tried.hear(1, joined("m", 4, "n", &[]));
    let again = join("m", 4, Some("group is already rebalancing"));
    assert_eq!(tried.hear(2, refused_sync(ErrorCode::RebalanceInProgress)), [send(3, again)]);
}

#[test]
fn a_coordinator_that_moved_is_hung_up_on_and_the_next_broker_asked() {
    let mut tried = Tried::among(2, &spec());
    assert_eq!(tried.op(Op::Start), [note(ClientNote::Started), send_to(1, 0, find())]);
    assert_eq!(tried.hear(0, found(2)), [send_to(1, 1, join("", -1, None))]);
    let elsewhere = refused_join(ErrorCode::NotCoordinator, "");
    assert_eq!(tried.hear(1, elsewhere), [ClientEffect::Disconnect(NodeIndex(1))]);
    assert_eq!(tried.wait(), [send_to(0, 2, find())]);
    assert_eq!(tried.hear(2, found(1)), [send_to(0, 3, join("", -1, None))]);
}

#[test]
fn a_stable_member_whose_coordinator_moved_heartbeats_on_without_a_join() {
    let mut tried = Tried::stable(&spec());
    tried.wait();
    let moved = Response::Heartbeat(ErrorCode::NotCoordinator);
    assert_eq!(tried.hear(5, moved), [ClientEffect::Disconnect(NodeIndex(0))]);
    assert_eq!(tried.wait(), [send(6, find())]);
    let mut then = tried.hear(6, found(1));
    then.extend(tried.wait());
    assert_eq!(then, [send(7, heartbeat("m", 1, None))]);
    assert!(tried.client.view(true).is_stable);
}

#[test]
fn a_lost_answer_to_a_join_makes_it_find_the_coordinator_and_join_with_its_id() {
    let mut tried = Tried::new(&spec());
    tried.op(Op::Start);
    tried.hear(0, found(1));
    tried.hear(1, refused_join(ErrorCode::MemberIdRequired, "m"));
    let lost = ClientInput::Unheard(Call(2), Unheard::Disconnected);
    assert_eq!(tried.tell(lost), []);
    assert_eq!(tried.wait(), [send(3, find())]);
    let again = join("m", -1, Some("the answer was lost"));
    assert_eq!(tried.hear(3, found(1)), [send(4, again)]);
}

#[test]
fn a_request_sent_again_elsewhere_keeps_its_number_and_the_first_connection() {
    let mut tried = Tried::new(&spec());
    tried.op(Op::Start);
    tried.hear(0, found(1));
    let expected = [ClientEffect::Detach(NodeIndex(0)), send(1, join("", -1, None))];
    assert_eq!(tried.op(Op::RetryElsewhere), expected);
    assert_eq!(tried.tell(ClientInput::Unheard(Call(1), Unheard::GivenUp)), []);
    assert_eq!(tried.hear(1, joined("m", 1, "n", &[])).len(), 2);
}

#[test]
fn no_answer_in_time_hangs_up_a_join_after_the_rebalance_timeout_and_more() {
    let mut tried = Tried::new(&spec());
    tried.op(Op::Start);
    tried.hear(0, found(1));
    assert_eq!(tried.wait(), [ClientEffect::Disconnect(NodeIndex(0))]);
    assert_eq!(tried.at, ms(35_000));
    assert_eq!(tried.wait(), [send(2, find())]);
}

#[test]
fn a_session_without_an_answered_heartbeat_makes_it_look_for_the_coordinator() {
    let mut tried = Tried::stable(&spec());
    assert_eq!(tried.wait(), [send(5, heartbeat("m", 1, None))]);
    assert_eq!(tried.wait(), [send(6, commit("m", 1, &[0, 1, 2, 3], 1_003))]);
    assert_eq!(tried.wait(), [ClientEffect::Disconnect(NodeIndex(0))]);
    assert_eq!(tried.at, ms(10_000));
    assert_eq!(tried.wait(), [send(7, find())]);
}

#[test]
fn a_leader_joins_again_when_a_topic_of_the_group_grows() {
    let mut tried = Tried::stable(&spec());
    let old = tried.client.topics.clone();
    let mut topic = old.iter().next().unwrap().clone();
    topic.partitions = 6;
    let grown = old.change(vec![topic], &[]).view;
    let expected = [send(5, commit("m", 1, &[0, 1, 2, 3], 1_003))];
    assert_eq!(tried.tell(ClientInput::Topics(grown)), expected);
    let lost = ClientInput::Unheard(Call(5), Unheard::Disconnected);
    tried.tell(lost);
    tried.wait();
    let again = join("m", 1, Some("cached metadata has changed"));
    assert_eq!(tried.hear(6, found(1)), [send(7, again)]);
}

#[test]
fn what_ends_a_java_process_starts_over_after_a_session_timeout() {
    for error in [ErrorCode::GroupMaxSizeReached, ErrorCode::InconsistentGroupProtocol] {
        let mut tried = Tried::new(&spec());
        tried.op(Op::Start);
        tried.hear(0, found(1));
        assert_eq!(tried.hear(1, refused_join(error, "")), []);
        assert_eq!(tried.wait(), [send(2, join("", -1, None))]);
        assert_eq!(tried.at, ms(10_000));
    }
}
