//! Kinds of members: cooperative, static, old; paused, crashed and leaving ones.

use quorate_core::request::JoinGroup;
use quorate_core::{ErrorCode, Generation, InstanceId, MemberId, Request, Response};

use super::support::*;
use crate::client::ClientEffect;
use crate::event::ClientNote;
use crate::plan::{Assignor, ClientSpec, ClientVersion, Op};

fn cooperative() -> ClientSpec {
    ClientSpec { assignors: vec![Assignor::CooperativeSticky], ..spec() }
}

fn cooperative_join(owned: &[i32], generation: i32, reason: &str) -> Request {
    let join = join_as("m", "cooperative-sticky", subscribed(owned, generation));
    Request::JoinGroup(Box::new(JoinGroup { reason: Some(reason.into()), ..join }))
}

#[test]
fn a_cooperative_member_keeps_what_it_owns_revokes_what_moves_and_joins_again() {
    let mut tried = Tried::stable(&cooperative());
    tried.wait();
    tried.hear(5, Response::Heartbeat(ErrorCode::RebalanceInProgress));
    let join = cooperative_join(&[0, 1, 2, 3], 1, "group is already rebalancing");
    let sent = tried.hear(6, committed(&[0, 1, 2, 3], ErrorCode::None));
    assert_eq!(sent[1..], [send(7, join)]);
    assert_eq!(tried.client.view(true).owned, parts(&[0, 1, 2, 3]));
    // It leads, and deals to the new member nothing that it has not revoked yet.
    let members = [("m", subscribed(&[0, 1, 2, 3], 1)), ("n", subscribed(&[], -1))];
    let sent = tried.hear(7, joined_under("cooperative-sticky", "m", 2, "m", &members));
    let Request::SyncGroup(dealt) = sync("m", 2, &[("m", &[0, 1]), ("n", &[])]) else { panic!() };
    let protocol_name = Some("cooperative-sticky".into());
    let dealt =
        Request::SyncGroup(Box::new(quorate_core::request::SyncGroup { protocol_name, ..*dealt }));
    assert_eq!(sent[1..], [send(8, dealt)]);
    let assigned = ClientNote::Assigned { generation: Generation(2), owned: parts(&[0, 1]) };
    // What is left is committed before it joins once more.
    let expected = [note(assigned), send(9, commit("m", 2, &[0, 1], 2_003))];
    assert_eq!(tried.hear(8, synced(&[0, 1])), expected);
    let join = cooperative_join(&[0, 1], 2, "need to revoke partitions and re-join");
    let sent = tried.hear(9, committed(&[0, 1], ErrorCode::None));
    assert_eq!(sent[1..], [send(10, join)]);
}

#[test]
fn a_zombie_says_what_was_due_as_who_it_was_before_it_finds_out() {
    let mut tried = Tried::stable(&spec());
    assert_eq!(tried.op(Op::Pause(ms(60_000))), [note(ClientNote::Paused)]);
    assert!(!tried.client.view(true).runs);
    let expected = [
        note(ClientNote::Resumed),
        send(5, heartbeat("m", 1, None)),
        send(6, commit("m", 1, &[0, 1, 2, 3], 1_003)),
    ];
    assert_eq!(tried.wait(), expected);
    assert_eq!(tried.at, ms(60_000));
    let unknown = Response::Heartbeat(ErrorCode::UnknownMemberId);
    let expected = [note(ClientNote::Lost), send(7, join("", -1, None))];
    assert_eq!(tried.hear(5, unknown), expected);
    // The answer to what the zombie committed no longer matters.
    assert_eq!(tried.hear(6, committed(&[0, 1, 2, 3], ErrorCode::UnknownMemberId)), []);
}

#[test]
fn while_paused_it_takes_nothing_in_until_it_goes_on() {
    let mut tried = Tried::new(&spec());
    tried.op(Op::Start);
    tried.op(Op::Pause(ms(1_000)));
    assert_eq!(tried.hear(0, found(1)), []);
    let expected = [note(ClientNote::Resumed), send(1, join("", -1, None))];
    assert_eq!(tried.wait(), expected);
}

#[test]
fn a_crash_forgets_everything_and_a_new_process_joins_as_a_new_member() {
    let mut tried = Tried::stable(&spec());
    let ended = [ClientEffect::DisconnectAll, note(ClientNote::Stopped)];
    assert_eq!(tried.op(Op::Crash), ended);
    assert_eq!(tried.client.next_deadline(), None);
    assert_eq!(tried.client.view(true).member, None);
    assert_eq!(tried.op(Op::Start), [note(ClientNote::Started), send(5, find())]);
    assert_eq!(tried.hear(5, found(1)), [send(6, join("", -1, None))]);
}

#[test]
fn a_member_that_leaves_commits_says_so_and_ends() {
    let mut tried = Tried::stable(&spec());
    assert_eq!(tried.op(Op::Leave), [send(5, commit("m", 1, &[0, 1, 2, 3], 1_003))]);
    let done = note(ClientNote::Committed { offsets: offsets(&[0, 1, 2, 3], 1_003) });
    let answer = committed(&[0, 1, 2, 3], ErrorCode::None);
    assert_eq!(tried.hear(5, answer), [done, send(6, leave("m"))]);
    let left = quorate_core::response::LeaveGroup { error: ErrorCode::None, members: vec![] };
    let ended = [ClientEffect::DisconnectAll, note(ClientNote::Stopped)];
    assert_eq!(tried.hear(6, Response::LeaveGroup(left)), ended);
}

fn static_member() -> ClientSpec {
    ClientSpec { instance: Some("i".into()), commit_every: None, ..spec() }
}

#[test]
fn a_static_member_ends_without_leaving_and_comes_back_with_its_instance_id_alone() {
    let mut tried = Tried::stable(&static_member());
    let ended = [ClientEffect::DisconnectAll, note(ClientNote::Stopped)];
    assert_eq!(tried.op(Op::Leave), ended);
    tried.op(Op::Start);
    let instance_id = Some(InstanceId::from("i"));
    let again = JoinGroup { instance_id, ..join_as("", "range", subscribed(&[], -1)) };
    assert_eq!(tried.hear(4, found(1)), [send(5, Request::JoinGroup(Box::new(again)))]);
}

#[test]
fn a_fenced_instance_id_ends_the_process() {
    let mut tried = Tried::stable(&static_member());
    assert_eq!(tried.wait(), [send(4, heartbeat("m", 1, Some("i")))]);
    let expected = [
        note(ClientNote::Fenced { instance: InstanceId::from("i") }),
        ClientEffect::DisconnectAll,
        note(ClientNote::Stopped),
    ];
    assert_eq!(tried.hear(4, Response::Heartbeat(ErrorCode::FencedInstanceId)), expected);
    assert_eq!(tried.client.next_deadline(), None);
}

#[test]
fn an_old_client_is_not_handed_an_id_and_names_no_protocol_in_its_sync() {
    let mut tried = Tried::new(&ClientSpec { version: ClientVersion::Old, ..spec() });
    tried.op(Op::Start);
    let metadata = bytes::Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff");
    let join = JoinGroup {
        may_be_handed_an_id: false,
        may_skip_assignment: false,
        ..join_as("", "range", metadata)
    };
    assert_eq!(tried.hear(0, found(1)), [send(1, Request::JoinGroup(Box::new(join)))]);
    let sync = quorate_core::request::SyncGroup {
        group_id: "g".into(),
        generation: Generation(1),
        member_id: MemberId::from("m"),
        ..quorate_core::request::SyncGroup::default()
    };
    let sent = tried.hear(1, joined("m", 1, "n", &[]));
    assert_eq!(sent[1..], [send(2, Request::SyncGroup(Box::new(sync)))]);
}

#[test]
fn a_leader_that_leaves_the_assignment_to_the_server_sends_none() {
    let spec = ClientSpec { leaves_assignment_to_server: true, ..spec() };
    let mut tried = Tried::new(&spec);
    tried.op(Op::Start);
    tried.hear(0, found(1));
    let sent = tried.hear(1, joined("m", 1, "m", &[("m", subscribed(&[], -1))]));
    assert_eq!(sent[1..], [send(2, sync("m", 1, &[]))]);
}

#[test]
fn another_subscription_makes_a_member_join_again() {
    let mut tried = Tried::stable(&ClientSpec { commit_every: None, ..spec() });
    let sent = tried.op(Op::Subscribe(vec!["u".into()]));
    let [ClientEffect::Send { request, .. }] = &sent[..] else { panic!("{sent:?}") };
    let Request::JoinGroup(join) = &**request else { panic!("{request:?}") };
    let wanted = crate::client::protocol::Subscription::decode(&join.protocols[0].metadata);
    assert_eq!(wanted.map(|wants| wants.topics), Some(vec!["u".to_owned()]));
}
