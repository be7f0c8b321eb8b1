use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest};
use quorate_io::api::partitions::grow;
use quorate_io::catalog::{Operation, Outcome, Refusal};
use uuid::Uuid;

use super::{name, node, topics};

fn wanted(text: &'static str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default().with_name(name(text)).with_count(count).with_assignments(None)
}

fn assigned(count: i32, replicas: &[&[i32]]) -> CreatePartitionsTopic {
    let assignments = replicas.iter().map(|ids| {
        let ids = ids.iter().map(|id| BrokerId(*id)).collect();
        CreatePartitionsAssignment::default().with_broker_ids(ids)
    });
    wanted("u.v", count).with_assignments(Some(assignments.collect()))
}

type Line = (String, i16, Option<String>);

fn asked(topics_wanted: Vec<CreatePartitionsTopic>, check: bool) -> (Vec<Line>, Vec<Operation>) {
    let request = CreatePartitionsRequest::default()
        .with_timeout_ms(1)
        .with_topics(topics_wanted)
        .with_validate_only(check);
    let plan = grow(&request, &topics(), &node());
    let operations = plan.operations.clone();
    let results = plan.answer(operations.iter().map(|_| Outcome::Stopped)).results.into_iter();
    let results = results.map(|r| {
        (r.name.to_string(), r.error_code, r.error_message.map(|words| words.to_string()))
    });
    (results.collect(), operations)
}

#[test]
fn a_topic_gets_more_partitions() {
    let done = vec![("u.v".to_owned(), 0, None)];
    let id = Uuid::from_u128(2);
    let operations = vec![Operation::SetPartitions { id, partitions: 3 }];
    assert_eq!(asked(vec![wanted("u.v", 3)], false), (done.clone(), operations.clone()));
    assert_eq!(asked(vec![assigned(3, &[&[1]])], false), (done.clone(), operations));
    assert_eq!(asked(vec![wanted("u.v", 3)], true), (done, vec![]));
}

#[test]
fn what_cannot_grow_is_refused_as_kafka_does() {
    let manual = "The manual partition assignment includes";
    let cases = [
        (wanted("missing", 3), 3, None),
        (wanted("u.v", 2), 37, Some("Topic already has 2 partition(s).".to_owned())),
        (
            wanted("u.v", 0),
            37,
            Some(
                "The topic u.v currently has 2 partition(s); 0 would not be an increase."
                    .to_owned(),
            ),
        ),
        (
            wanted("u.v", 10_003),
            44,
            Some("Excessively large number of additional partitions per request.".to_owned()),
        ),
        (
            assigned(4, &[&[1]]),
            39,
            Some(
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were \
                 specified."
                    .to_owned(),
            ),
        ),
        (assigned(3, &[&[]]), 39, Some(format!("{manual} an empty replica list."))),
        (
            assigned(3, &[&[9]]),
            39,
            Some(format!("{manual} broker 9, but no such broker is registered.")),
        ),
        (
            wanted("__consumer_offsets", 60),
            42,
            Some("The internal topic __consumer_offsets cannot have more partitions.".to_owned()),
        ),
    ];
    for (topic, code, words) in cases {
        let name = topic.name.to_string();
        assert_eq!(asked(vec![topic], false), (vec![(name, code, words)], vec![]));
    }
}

#[test]
fn a_name_that_comes_twice_is_refused_once() {
    let topics = vec![wanted("t", 2), wanted("t", 3), wanted("u.v", 3)];
    let (results, operations) = asked(topics, false);
    let expected = vec![
        ("t".to_owned(), 42, Some("Duplicate topic name.".to_owned())),
        ("u.v".to_owned(), 0, None),
    ];
    assert_eq!(results, expected);
    let id = Uuid::from_u128(2);
    assert_eq!(operations, vec![Operation::SetPartitions { id, partitions: 3 }]);
}

#[test]
fn a_topic_that_has_gone_meanwhile_is_unknown() {
    let request =
        CreatePartitionsRequest::default().with_timeout_ms(1).with_topics(vec![wanted("t", 2)]);
    let plan = grow(&request, &topics(), &node());
    let gone = Refusal::UnknownTopic { id: Uuid::from_u128(1) };
    let answer = plan.answer([Outcome::Refused(gone)]);
    assert_eq!(answer.results[0].error_code, 3);
}
