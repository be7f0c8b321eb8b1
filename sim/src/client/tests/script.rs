//! What a plan makes clients say, in whose name, and what scripted ones remember.

use quorate_core::request::{LeaveGroup, Leaver};
use quorate_core::{ErrorCode, Generation, InstanceId, MemberId, Request};

use super::support::*;
use crate::client::{ClientEffect, Identity};
use crate::event::ClientNote;
use crate::plan::{Ask, ClientId, ClientSpec, Drive, Op, Who};

fn scripted() -> ClientSpec {
    ClientSpec { drive: Drive::Script, ..spec() }
}

fn say(ask: Ask, who: Who) -> Op {
    Op::Say(ask, who)
}

#[test]
fn a_scripted_client_says_nothing_of_its_own_and_remembers_who_it_is() {
    let mut tried = Tried::new(&scripted());
    let expected = [note(ClientNote::Started), send(0, join("", -1, None))];
    assert_eq!(tried.op(say(Ask::Join, Who::Itself)), expected);
    assert_eq!(tried.hear(0, refused_join(ErrorCode::MemberIdRequired, "m")), []);
    let again = tried.op(say(Ask::Join, Who::Itself));
    assert_eq!(again, [send(1, join("m", -1, None))]);
    let (member, generation) = (MemberId::from("m"), Generation(1));
    let noted = note(ClientNote::Joined { member, generation, leads: true });
    let answer = joined("m", 1, "m", &[("m", subscribed(&[], -1))]);
    assert_eq!(tried.hear(1, answer), [noted]);
    let synced = tried.op(say(Ask::Sync, Who::Itself));
    assert_eq!(synced, [send(2, sync("m", 1, &[("m", &[0, 1, 2, 3])]))]);
}

#[test]
fn things_are_said_in_the_name_of_others() {
    let mut tried = Tried::new(&scripted());
    tried.op(say(Ask::Join, Who::Itself));
    tried.hear(0, joined("m", 3, "n", &[]));
    tried.op(say(Ask::Join, Who::Nobody));
    tried.hear(1, joined("o", 5, "n", &[]));
    let other = Identity {
        member: MemberId::from("p"),
        generation: Generation(9),
        instance: Some(InstanceId::from("i")),
    };
    let stranger = "stranger-00000000-0000-0000-0000-000000000000";
    let expected = [
        (Who::Itself, heartbeat("o", 5, None)),
        (Who::OldGeneration, heartbeat("o", 4, None)),
        (Who::NextGeneration, heartbeat("o", 6, None)),
        (Who::OldMember, heartbeat("m", 3, None)),
        (Who::Nobody, heartbeat("", -1, None)),
        (Who::Other(ClientId(0)), heartbeat("p", 9, Some("i"))),
        (Who::OtherAs(ClientId(0)), heartbeat("p", 9, None)),
        (Who::Stranger, heartbeat(stranger, 5, None)),
    ];
    for (call, (who, request)) in (2..).zip(expected) {
        let said = tried.op_of(say(Ask::Heartbeat, who), other.clone());
        assert_eq!(said, [send(call, request)], "{who:?}");
    }
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id_alone() {
    let mut tried = Tried::new(&scripted());
    tried.op(Op::Start);
    let (member, generation) = (MemberId::from("p"), Generation(9));
    let removal = |member_id: &str, instance: Option<&str>| {
        let member_id = MemberId::from(member_id);
        let instance_id = instance.map(InstanceId::from);
        let reason = Some("removed by an administrator".into());
        let members = vec![Leaver { member_id, instance_id, reason }];
        Request::LeaveGroup(LeaveGroup { group_id: "g".into(), members })
    };
    let instance = Some(InstanceId::from("i"));
    let other = Identity { member, generation, instance };
    let remove = || say(Ask::Remove(ClientId(0)), Who::Itself);
    let said = tried.op_of(remove(), other.clone());
    assert_eq!(said, [send(0, removal("", Some("i")))]);
    let said = tried.op_of(remove(), Identity { instance: None, ..other });
    assert_eq!(said, [send(1, removal("p", None))]);
}

#[test]
fn a_scripted_client_turns_to_the_coordinator_that_it_was_told_last() {
    let mut tried = Tried::among(3, &scripted());
    let first = tried.op(say(Ask::FindCoordinator, Who::Itself));
    assert_eq!(first[1..], [send_to(0, 0, find())]);
    assert_eq!(tried.hear(0, found(3)), []);
    let said = tried.op(say(Ask::Heartbeat, Who::Stranger));
    let [ClientEffect::Send { node, .. }] = &said[..] else { panic!("{said:?}") };
    assert_eq!(node.0, 2);
}

#[test]
fn what_a_consumer_says_beside_changes_nothing_in_what_it_does() {
    let mut tried = Tried::stable(&spec());
    let before = tried.client.view(true);
    assert_eq!(tried.op(say(Ask::Join, Who::Nobody)), [send(5, join_beside())]);
    assert_eq!(tried.hear(5, joined("n", 9, "n", &[])), []);
    assert_eq!(tried.client.view(true), before);
}

/// Kafka's clients tell what they own in each join.
fn join_beside() -> Request {
    Request::JoinGroup(Box::new(join_as("", "range", subscribed(&[0, 1, 2, 3], -1))))
}
