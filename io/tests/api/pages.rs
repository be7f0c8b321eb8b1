use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use quorate_io::api::topic_partitions;
use quorate_io::catalog::Topics;
use uuid::Uuid;

use super::{name, node, topic};

fn asked(
    names: &[&'static str],
    limit: i32,
    cursor: Option<(&'static str, i32)>,
) -> DescribeTopicPartitionsResponse {
    let topics = names.iter().map(|topic| TopicRequest::default().with_name(name(topic)));
    let cursor = cursor.map(|(topic, partition)| {
        Cursor::default().with_topic_name(name(topic)).with_partition_index(partition)
    });
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(topics.collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor);
    let topics = Topics::new([topic("a", 1, 3), topic("b", 2, 2)]);
    topic_partitions::answer(&request, &topics, &node())
}

type Page = (Vec<(i16, String, Vec<i32>)>, Option<(String, i32)>);

/// Error, name and partitions of each topic, and where the next page begins.
fn page(answer: DescribeTopicPartitionsResponse) -> Page {
    let topics = answer.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|p| p.partition_index).collect();
        (topic.error_code, topic.name.unwrap().to_string(), partitions)
    });
    let next = answer.next_cursor;
    let next = next.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
    (topics.collect(), next)
}

fn told(topics: &[(i16, &str, &[i32])], next: Option<(&str, i32)>) -> Page {
    let topics = topics.iter().map(|(error, name, all)| (*error, name.to_string(), all.to_vec()));
    (topics.collect(), next.map(|(name, partition)| (name.to_owned(), partition)))
}

#[test]
fn a_topic_is_told_whole() {
    let partition = DescribeTopicPartitionsResponsePartition::default()
        .with_leader_id(BrokerId(1))
        .with_leader_epoch(0)
        .with_replica_nodes(vec![BrokerId(1)])
        .with_isr_nodes(vec![BrokerId(1)])
        .with_eligible_leader_replicas(Some(vec![]))
        .with_last_known_elr(Some(vec![]));
    let expected = DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name("b")))
        .with_topic_id(Uuid::from_u128(2))
        .with_partitions(vec![
            partition.clone().with_partition_index(0),
            partition.with_partition_index(1),
        ])
        .with_topic_authorized_operations(3576);
    let answer = DescribeTopicPartitionsResponse::default().with_topics(vec![expected]);
    assert_eq!(asked(&["b"], 2000, None), answer);
}

/// As Apache Kafka 4.4 answers.
#[test]
fn pages_end_after_a_number_of_partitions_and_go_on_from_there() {
    let (a, b) = ((0, "a", &[0, 1, 2][..]), (0, "b", &[0, 1][..]));
    for (limit, cursor, expected) in [
        (2000, None, told(&[a, b], None)),
        (2, None, told(&[(0, "a", &[0, 1])], Some(("a", 2)))),
        (3, None, told(&[a], Some(("b", 0)))),
        (4, None, told(&[a, (0, "b", &[0])], Some(("b", 1)))),
        (0, None, told(&[(0, "a", &[0])], Some(("a", 1)))),
        (-1, None, told(&[(0, "a", &[0])], Some(("a", 1)))),
        (2000, Some(("a", 1)), told(&[(0, "a", &[1, 2]), b], None)),
        (2000, Some(("a", 9)), told(&[(0, "a", &[]), b], None)),
        (2000, Some(("a", -1)), told(&[(42, "b", &[]), (42, "a", &[])], None)),
        (2000, Some(("aa", 1)), told(&[(42, "b", &[]), (42, "a", &[])], None)),
    ] {
        assert_eq!(page(asked(&["b", "a"], limit, cursor)), expected, "{limit} {cursor:?}");
    }
    assert_eq!(page(asked(&[], 3, Some(("", 0)))), told(&[a], Some(("b", 0))), "all topics");
}

#[test]
fn topics_that_there_are_not_are_told_in_their_place() {
    let (a, b) = ((0, "a", &[0, 1, 2][..]), (0, "b", &[0, 1][..]));
    assert_eq!(page(asked(&["z", "a"], 3, None)), told(&[a], Some(("z", 0))));
    assert_eq!(page(asked(&["aa", "a", "b"], 9, None)), told(&[a, (3, "aa", &[]), b], None));
    assert_eq!(page(asked(&["a b"], 9, None)), told(&[(17, "a b", &[])], None));
    assert_eq!(page(asked(&[""], 9, None)), told(&[(-1, "", &[])], None));
    assert_eq!(page(asked(&["a", "a"], 9, None)), told(&[a], None));
}
