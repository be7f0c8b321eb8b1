//! Committed offsets: who may commit, and how long they last.

use quorate_sim::plan::{Ask, Fault, Op, ShardIndex, TopicSpec, Who};
use quorate_sim::scenario::{Scenario, ms, s, scripted};

fn commit(partitions: i32, offset: i64) -> Ask {
    Ask::Commit { topic: "t".to_owned(), partitions, offset, metadata: 0 }
}

fn to(topic: &str, offset: i64) -> Ask {
    Ask::Commit { topic: topic.to_owned(), partitions: 1, offset, metadata: 0 }
}

const FETCH: Ask = Ask::Fetch { stable: true };

pub fn commit_without_members() -> Scenario {
    let mut run = Scenario::new(
        "commit_without_members",
        "A simple consumer commits without being a member: the group is there, empty, and has \
         offsets, which may go back.",
    )
    .at_once()
    .recorded_as("commit_without_members");
    let a = run.client(scripted());
    run.at(s(1)).say_as(a, commit(2, 5), Who::Nobody);
    run.at(s(2)).say(a, FETCH);
    run.at(s(3)).say_as(a, commit(1, 3), Who::Nobody);
    run.at(s(4)).say(a, FETCH);
    run.at(s(5)).say(a, Ask::Describe);
    run.at(s(6));
    run
}

pub fn commit_with_parts_refused() -> Scenario {
    let mut run = Scenario::new(
        "commit_with_parts_refused",
        "Each partition of a commit has its own answer: what is unknown or too large is refused, \
         the rest is stored.",
    )
    .at_once()
    .recorded_as("commit_refused_parts");
    let a = run.client(scripted());
    run.at(s(1)).say_as(a, to("missing", 1), Who::Nobody);
    run.at(s(2)).say_as(a, commit(5, 1), Who::Nobody);
    let large = Ask::Commit { topic: "t".to_owned(), partitions: 1, offset: 2, metadata: 4_097 };
    run.at(s(3)).say_as(a, large, Who::Nobody);
    run.at(s(4)).say_as(a, commit(1, -5), Who::Nobody);
    run.at(s(5)).say(a, FETCH);
    run.at(s(6));
    run
}

pub fn commit_in_each_state() -> Scenario {
    let mut run = Scenario::new(
        "commit_in_each_state",
        "A member may commit while the others join, for its old generation; not between JoinGroup \
         and SyncGroup.",
    )
    .at_once()
    .recorded_as("commit_during_rebalance");
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).enters(b);
    run.at(s(3)).say(a, commit(1, 1));
    run.after(ms(10)).say(a, Ask::Join);
    run.at(s(4)).say(a, commit(1, 2));
    run.after(ms(10)).say_as(a, commit(1, 3), Who::OldGeneration);
    run.at(s(5)).say(a, FETCH);
    run.at(s(6));
    run
}

pub fn commit_of_a_zombie() -> Scenario {
    let mut run = Scenario::new(
        "commit_of_a_zombie",
        "A member that slept longer than its session can not overwrite what was committed since.",
    );
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a, b]);
    run.at(s(8)).op(b, Op::Pause(s(12)));
    run.beat(&[a], s(18)).say(a, Ask::Heartbeat);
    run.after(ms(10)).say(a, Ask::Join);
    run.after(ms(10)).say(a, Ask::Sync);
    run.at(s(19)).say(a, commit(4, 40));
    run.at(s(21)).say(b, commit(4, 12));
    run.at(s(22)).say(a, FETCH);
    run.at(s(23));
    run
}

pub fn offsets_expire() -> Scenario {
    let mut run = Scenario::new(
        "offsets_expire",
        "Offsets of a group without members go when they are older than the retention, and the \
         group with the last of them.",
    )
    .with(|knobs| (knobs.retention, knobs.sweep_interval) = (s(30), s(10)));
    let a = run.client(scripted());
    run.at(s(1)).say_as(a, commit(1, 5), Who::Nobody);
    run.at(s(15)).say_as(a, to("u", 6), Who::Nobody);
    run.at(s(39)).say(a, FETCH);
    run.at(s(41)).say(a, FETCH);
    run.at(s(51)).say(a, FETCH).say(a, Ask::Describe);
    run.at(s(52));
    run.topic(TopicSpec { name: "u".to_owned(), partitions: 1 })
}

pub fn offsets_of_a_subscribed_topic_stay() -> Scenario {
    let mut run = Scenario::new(
        "offsets_of_a_subscribed_topic_stay",
        "Offsets of a topic that a live group subscribes to can not be deleted; others can.",
    )
    .at_once()
    .recorded_as("delete_offsets_of_live_group");
    let a = run.client(scripted());
    let delete = |topic: &str| Ask::DeleteOffsets { topic: topic.to_owned(), partitions: 1 };
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, to("t", 1));
    run.at(s(3)).say(a, delete("t"));
    run.at(s(4)).say(a, to("u", 1));
    run.at(s(5)).say(a, delete("u"));
    run.at(s(6)).say(a, FETCH);
    run.at(s(7));
    run.topic(TopicSpec { name: "u".to_owned(), partitions: 1 })
}

pub fn topic_is_created_anew() -> Scenario {
    let mut run = Scenario::new(
        "topic_is_created_anew",
        "Offsets of a topic that was deleted are not those of a new topic of the same name.",
    )
    .at_once();
    let a = run.client(scripted());
    run.at(s(1)).say_as(a, commit(2, 5), Who::Nobody);
    run.at(s(2)).fault(Fault::RecreateTopic("t".to_owned()));
    run.at(s(3)).say(a, FETCH);
    run.at(s(4)).say_as(a, commit(1, 1), Who::Nobody);
    run.at(s(5)).say(a, FETCH);
    run.at(s(6));
    run
}

pub fn offsets_of_a_deleted_topic_are_not_told() -> Scenario {
    let mut run = Scenario::new(
        "offsets_of_a_deleted_topic_are_not_told",
        "Once a coordinator knows that a topic was deleted it tells none of its offsets, while \
         their tombstones are in flight too.",
    )
    .at_once();
    let (a, b) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).say_as(a, commit(2, 5), Who::Nobody);
    run.at(s(2)).say(b, Ask::Fetch { stable: false });
    run.at(s(3)).fault(Fault::Stall { shard: ShardIndex(0), lasts: s(1) });
    run.fault(Fault::DeleteTopic("t".to_owned()));
    run.at(ms(3_500)).say(b, Ask::Fetch { stable: false });
    run.at(s(5)).say(b, Ask::Fetch { stable: false });
    run.at(s(6));
    run
}

pub fn group_with_members_is_not_deleted() -> Scenario {
    let mut run = Scenario::new(
        "group_with_members_is_not_deleted",
        "A group that has members can not be deleted, and does not notice that somebody tried.",
    )
    .at_once();
    let (a, admin) = (run.client(scripted()), run.client(scripted()));
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(admin, Ask::DeleteGroup);
    run.at(s(3)).say(a, Ask::Heartbeat);
    run.at(s(4));
    run
}

pub fn deleted_group_starts_anew() -> Scenario {
    let mut run = Scenario::new(
        "deleted_group_starts_anew",
        "With an empty group go its offsets and the ids that it handed out; the next one begins \
         with generation 1.",
    )
    .at_once()
    .recorded_as("deleted_group_starts_anew");
    let a = run.client(scripted());
    let b = run.client(scripted());
    run.at(s(1)).forms(&[a]);
    run.at(s(2)).say(a, commit(1, 1));
    run.at(s(3)).say(a, Ask::LeaveGroup);
    run.at(s(4)).say(b, Ask::Join);
    run.at(s(5)).say(b, Ask::DeleteGroup);
    run.at(s(6)).say(b, Ask::Join);
    run.at(s(7)).say(b, FETCH);
    run.at(s(8)).op(b, Op::Crash).op(b, Op::Start).forms(&[b]);
    run.at(s(9));
    run
}

mod tests {
    crate::checked![
        commit_without_members,
        commit_with_parts_refused,
        commit_in_each_state,
        commit_of_a_zombie,
        offsets_expire,
        offsets_of_a_subscribed_topic_stay,
        topic_is_created_anew,
        offsets_of_a_deleted_topic_are_not_told,
        group_with_members_is_not_deleted,
        deleted_group_starts_anew,
    ];
}
