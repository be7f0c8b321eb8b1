use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use quorate_io::api::topics::{create, delete};
use quorate_io::catalog::{Operation, Outcome, Refusal};
use uuid::Uuid;

use super::{name, new_id, node, s, same, settings, topic, topics};

fn wanted(text: &'static str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(text))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn configured(config: &'static str, value: Option<&'static str>) -> CreatableTopic {
    let config = CreatableTopicConfig::default().with_name(s(config)).with_value(value.map(s));
    wanted("new", 1, 1).with_configs(vec![config])
}

fn assigned(assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = assignments.iter().map(|(index, replicas)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*index)
            .with_broker_ids(replicas.iter().map(|id| BrokerId(*id)).collect())
    });
    wanted("new", -1, -1).with_assignments(assignments.collect())
}

/// Code and words for each topic, and what is to be created.
fn asked(topics_wanted: Vec<CreatableTopic>) -> (Vec<(i16, String)>, Vec<Operation>) {
    let request = CreateTopicsRequest::default().with_topics(topics_wanted);
    let plan = create(&request, &topics(), &settings(&[]), &node(), &mut same);
    let operations = plan.operations.clone();
    let done = operations.iter().map(|_| Outcome::Stopped);
    let results = plan.answer(done).topics.into_iter();
    let results = results.map(|r| (r.error_code, r.error_message.unwrap_or_default().to_string()));
    (results.collect(), operations)
}

fn refusal(topic: CreatableTopic) -> (i16, String) {
    let (mut results, operations) = asked(vec![topic]);
    assert_eq!(operations, vec![]);
    results.remove(0)
}

#[test]
fn a_topic_is_created_with_what_the_request_says_or_the_brokers_defaults() {
    let new = |partitions| {
        let id = new_id().as_u128();
        (vec![(0, String::new())], vec![Operation::Create(topic("new", id, partitions))])
    };
    assert_eq!(asked(vec![wanted("new", 7, 1)]), new(7));
    assert_eq!(asked(vec![wanted("new", -1, -1)]), new(1));
    assert_eq!(asked(vec![assigned(&[(1, &[1]), (0, &[1])])]), new(2));
}

#[test]
fn the_answer_tells_all_configs_of_the_new_topic() {
    let topic = configured("retention.ms", Some(" 5 "));
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let settings = settings(&[("log.segment.bytes", "2000000"), ("log.roll.hours", "2")]);
    let plan = create(&request, &topics(), &settings, &node(), &mut same);
    let [Operation::Create(created)] = &plan.operations[..] else { panic!() };
    let own = BTreeMap::from([("retention.ms".to_owned(), " 5 ".to_owned())]);
    assert_eq!((&*created.name, &created.configs), ("new", &own));
    let mut answer = plan.answer([Outcome::Stopped]);
    let configs = answer.topics[0].configs.take().unwrap();
    assert_eq!(configs.len(), 37);
    let told = |name: &str| {
        let config = configs.iter().find(|config| &*config.name == name).unwrap();
        (config.value.as_deref().unwrap(), config.config_source)
    };
    assert_eq!(told("retention.ms"), (" 5 ", 1));
    assert_eq!(told("min.insync.replicas"), ("1", 3));
    assert_eq!(told("segment.bytes"), ("2000000", 4));
    assert_eq!(told("segment.ms"), ("7200000", 4));
    assert_eq!(told("cleanup.policy"), ("delete", 5));
    let result = CreatableTopicResult::default()
        .with_name(name("new"))
        .with_error_message(None)
        .with_topic_id(new_id())
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(None);
    assert_eq!(answer, CreateTopicsResponse::default().with_topics(vec![result]));
}

#[test]
fn a_topic_that_is_only_checked_is_answered_and_not_created() {
    let request = CreateTopicsRequest::default()
        .with_topics(vec![wanted("new", 2, 1), wanted("t", 1, 1)])
        .with_validate_only(true);
    let plan = create(&request, &topics(), &settings(&[]), &node(), &mut same);
    assert_eq!(plan.operations, vec![]);
    let results = plan.answer([]).topics;
    let told = |r: &CreatableTopicResult| (r.error_code, r.topic_id, r.num_partitions);
    let told: Vec<_> = results.iter().map(told).collect();
    assert_eq!(told, vec![(0, new_id(), 2), (36, Uuid::nil(), -1)]);
}

#[test]
fn a_refused_topic_has_no_counts_and_no_configs() {
    let request = CreateTopicsRequest::default().with_topics(vec![wanted("t", 1, 1)]);
    let plan = create(&request, &topics(), &settings(&[]), &node(), &mut same);
    let refused = CreatableTopicResult::default()
        .with_name(name("t"))
        .with_error_code(36)
        .with_error_message(Some(s("Topic 't' already exists.")))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_configs(Some(vec![]));
    let expected = CreateTopicsResponse::default().with_topics(vec![refused]);
    assert_eq!(plan.answer([]), expected);
}

#[test]
fn names_are_checked_as_kafka_does() {
    let long = StrBytes::from_string("x".repeat(250));
    let words = format!(
        "Topic name is invalid: the length of '{long}' is longer than the max allowed length 249"
    );
    assert_eq!(refusal(wanted("", 1, 1).with_name(TopicName(long))), (17, words));
    for (text, code, words) in [
        ("", 17, "Topic name is invalid: the empty string is not allowed"),
        (".", 17, "Topic name is invalid: '.' is not allowed"),
        ("..", 17, "Topic name is invalid: '..' is not allowed"),
        (
            "bad name!",
            17,
            "Topic name is invalid: 'bad name!' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'",
        ),
        ("u_v", 17, "Topic 'u_v' collides with existing topic: u.v"),
        ("u.v", 36, "Topic 'u.v' already exists."),
        ("__consumer_offsets", 36, "Topic '__consumer_offsets' already exists."),
        ("__cluster_metadata", 42, "Creation of internal topic __cluster_metadata is prohibited."),
    ] {
        assert_eq!(refusal(wanted(text, 1, 1)), (code, words.to_owned()), "{text}");
    }
}

#[test]
fn counts_are_checked_as_kafka_does() {
    let replicas = "Replication factor must be larger than 0, or -1 to use the default value.";
    let partitions = "Number of partitions was set to an invalid non-positive value.";
    let many = "Unable to replicate the partition 2 time(s): The target replication factor of 2 \
                cannot be reached because only 1 broker(s) are registered or some \
                brokers have all their log directories cordoned.";
    let excess = "Excessively large number of partitions per request.";
    for (count, factor, code, words) in [
        (0, 0, 38, replicas),
        (1, -2, 38, replicas),
        (0, 1, 37, partitions),
        (-2, 99, 37, partitions),
        (1, 2, 38, many),
        (10_001, 1, 44, excess),
        (i32::MAX, 1, 44, excess),
    ] {
        assert_eq!(refusal(wanted("new", count, factor)), (code, words.to_owned()));
    }
}

#[test]
fn assignments_are_checked_as_kafka_does() {
    let manual = "A manual partition assignment was specified, but";
    let cases: [(CreatableTopic, i16, String); 8] = [
        (
            assigned(&[(0, &[1])]).with_replication_factor(1),
            42,
            format!("{manual} replication factor was not set to -1."),
        ),
        (
            assigned(&[(0, &[1])]).with_num_partitions(1),
            42,
            format!("{manual} numPartitions was not set to -1."),
        ),
        (
            assigned(&[(0, &[1]), (0, &[1])]),
            39,
            "Found multiple manual partition assignments for partition 0".to_owned(),
        ),
        (
            assigned(&[(0, &[1]), (2, &[1])]),
            39,
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ),
        (assigned(&[(0, &[])]), 39, "an empty replica list.".to_owned()),
        (assigned(&[(0, &[1, 1])]), 39, "the broker 1 more than once.".to_owned()),
        (assigned(&[(0, &[1, 9])]), 39, "broker 9, but no such broker is registered.".to_owned()),
        (assigned(&[(0, &[-1])]), 39, "broker -1, but no such broker is registered.".to_owned()),
    ];
    for (at, (topic, code, words)) in cases.into_iter().enumerate() {
        let prefix = if at < 4 { "" } else { "The manual partition assignment includes " };
        assert_eq!(refusal(topic), (code, format!("{prefix}{words}")));
    }
}

#[test]
fn configs_are_checked_as_kafka_does() {
    let bad = [
        ("no.such", Some("1"), "Unknown topic config name: no.such"),
        ("retention.ms", None, "Null value not supported for topic configs: retention.ms"),
        ("cleanup.policy", Some("keep"), "String must be one of: compact, delete"),
        ("retention.ms", Some("x"), "Not a number of type LONG"),
        ("retention.ms", Some("9223372036854775808"), "Not a number of type LONG"),
        ("retention.ms", Some("-2"), "Value must be at least -1"),
        ("segment.bytes", Some("99999999999"), "Not a number of type INT"),
        ("segment.bytes", Some("1"), "Value must be at least 1048576"),
        ("preallocate", Some("maybe"), "Expected value to be either true or false"),
        ("min.cleanable.dirty.ratio", Some("2.5"), "Value must be no more than 1"),
        ("compression.gzip.level", Some("0"), "Value must be between 1 and 9 or equal to -1"),
        ("compression.zstd.level", Some("23"), "Value must be no more than 22"),
        (
            "leader.replication.throttled.replicas",
            Some("0:1,x"),
            "Invalid value [0:1, x] for configuration leader.replication.throttled.replicas: \
             leader.replication.throttled.replicas must be the literal '*' or a list of replicas \
             in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            "cleanup.policy",
            Some("delete,5,6"),
            "Invalid value 5 for configuration cleanup.policy: String must be one of: compact, \
             delete",
        ),
        (
            "cleanup.policy",
            Some("compact,"),
            "Configuration 'cleanup.policy' values must not be empty.",
        ),
        (
            "min.cleanable.dirty.ratio",
            Some("1e400"),
            "Invalid value Infinity for configuration min.cleanable.dirty.ratio: Value must be no \
             more than 1",
        ),
        (
            "remote.storage.enable",
            Some("true"),
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage.",
        ),
    ];
    for (config, value, words) in bad {
        let whole = ["Unknown", "Null", "Tiered", "Invalid", "Configuration"]
            .iter()
            .any(|start| words.starts_with(start));
        let expected = match value {
            Some(value) if !whole => {
                format!("Invalid value {value} for configuration {config}: {words}")
            }
            _ => words.to_owned(),
        };
        assert_eq!(refusal(configured(config, value)), (40, expected));
    }
    let good = [
        ("cleanup.policy", "compact, delete"),
        ("cleanup.policy", ""),
        ("retention.ms", " 5 "),
        ("flush.messages", "+7"),
        ("preallocate", "TRUE"),
        ("compression.gzip.level", "-1"),
        ("min.insync.replicas", "3"),
        ("min.cleanable.dirty.ratio", "0.30"),
        ("min.cleanable.dirty.ratio", "0.5f"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("cleanup.policy", "delete,delete"),
        ("leader.replication.throttled.replicas", "0:1,1:1"),
        ("leader.replication.throttled.replicas", "0:1,,1:2,"),
        ("retention.bytes", "-7"),
    ];
    for (config, value) in good {
        let (results, operations) = asked(vec![configured(config, Some(value))]);
        assert_eq!(results, vec![(0, String::new())], "{config} = {value}");
        let [Operation::Create(created)] = &operations[..] else { panic!() };
        assert_eq!(created.configs[config], value);
    }
}

#[test]
fn a_name_that_comes_twice_is_refused_and_others_are_created() {
    let (results, operations) =
        asked(vec![wanted("twice", 1, 1), wanted("once", 1, 1), wanted("twice", 1, 1)]);
    let duplicate = (42, "Duplicate topic name.".to_owned());
    assert_eq!(results, vec![duplicate, (0, String::new())]);
    let once = topic("once", new_id().as_u128(), 1);
    assert_eq!(operations, vec![Operation::Create(once)]);
}

#[test]
fn what_the_catalog_refuses_is_refused() {
    let request = CreateTopicsRequest::default().with_topics(vec![
        wanted("a", 1, 1),
        wanted("b", 1, 1),
        wanted("c.", 1, 1),
    ]);
    let plan = create(&request, &topics(), &settings(&[]), &node(), &mut same);
    let outcomes = [
        Outcome::Refused(Refusal::NameTaken { name: Arc::from("a") }),
        Outcome::Stopped,
        Outcome::Refused(Refusal::NameCollides { name: Arc::from("c."), with: Arc::from("c_") }),
    ];
    let told = |r: CreatableTopicResult| {
        (r.error_code, r.error_message.unwrap_or_default().to_string(), r.num_partitions)
    };
    let answer: Vec<_> = plan.clone().answer(outcomes).topics.into_iter().map(told).collect();
    let collides = "Topic 'c.' collides with existing topic: c_".to_owned();
    let expected = vec![
        (36, "Topic 'a' already exists.".to_owned(), -1),
        (0, String::new(), 1),
        (17, collides, -1),
    ];
    assert_eq!(answer, expected);
    let stopped: Vec<_> = plan.answer([]).topics.into_iter().map(|r| r.error_code).collect();
    assert_eq!(stopped, vec![7, 7, 7]);
}

/// Name, id, code and words for each topic, and the ids that are to be deleted.
type Deleted = (Vec<(Option<String>, u128, i16, String)>, Vec<u128>);

fn deleted(request: &DeleteTopicsRequest) -> Deleted {
    let plan = delete(request, &topics());
    let id = |operation: &Operation| match operation {
        Operation::Delete { id } => id.as_u128(),
        other => panic!("{other:?}"),
    };
    let ids: Vec<_> = plan.operations.iter().map(id).collect();
    let told = |r: DeletableTopicResult| {
        let name = r.name.map(|name| name.to_string());
        let words = r.error_message.unwrap_or_default().to_string();
        (name, r.topic_id.as_u128(), r.error_code, words)
    };
    let done = ids.iter().map(|_| Outcome::Stopped).collect::<Vec<_>>();
    (plan.answer(done).responses.into_iter().map(told).collect(), ids)
}

fn line(
    name: Option<&str>,
    id: u128,
    code: i16,
    words: &str,
) -> (Option<String>, u128, i16, String) {
    (name.map(str::to_owned), id, code, words.to_owned())
}

const UNKNOWN_NAME: &str = "This server does not host this topic-partition.";
const TWICE: &str = "Duplicate topic name.";

#[test]
fn topics_are_deleted_by_name() {
    let names = ["t", "missing", "u.v", "u.v", "__consumer_offsets"].map(name).to_vec();
    let request = DeleteTopicsRequest::default().with_timeout_ms(1).with_topic_names(names);
    let internal = "The internal topic __consumer_offsets cannot be deleted.";
    let expected = vec![
        line(Some("t"), 1, 0, ""),
        line(Some("missing"), 0, 3, UNKNOWN_NAME),
        line(Some("u.v"), 0, 42, TWICE),
        line(Some("__consumer_offsets"), 3, 42, internal),
    ];
    assert_eq!(deleted(&request), (expected, vec![1]));
}

#[test]
fn topics_are_deleted_by_id() {
    let by = |text: Option<&'static str>, id| {
        DeleteTopicState::default().with_name(text.map(name)).with_topic_id(Uuid::from_u128(id))
    };
    let topics = vec![
        by(None, 2),
        by(None, 77),
        by(Some("t"), 1),
        by(None, 0),
        by(None, 78),
        by(None, 78),
        by(None, 1),
        by(Some("t"), 0),
    ];
    let request = DeleteTopicsRequest::default().with_timeout_ms(1).with_topics(topics);
    let expected = vec![
        line(Some("t"), 1, 42, "You may not specify both topic name and topic id."),
        line(None, 0, 42, "Neither topic name nor id were specified."),
        line(Some("u.v"), 2, 0, ""),
        line(None, 77, 100, "This server does not host this topic ID."),
        line(None, 78, 42, "Duplicate topic id."),
        // Told once, and not deleted.
        line(Some("t"), 1, 42, "The provided topic name maps to an ID that was already supplied."),
    ];
    assert_eq!(deleted(&request), (expected, vec![2]));
}

#[test]
fn what_has_no_time_is_not_begun() {
    let (late, none) = (7, String::new());
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(0)
        .with_topics(vec![wanted("a", 1, 1), wanted("a b", 1, 1)]);
    let plan = create(&request, &topics(), &settings(&[]), &node(), &mut same);
    assert_eq!(plan.operations, vec![]);
    let refused = |topic: &CreatableTopic| {
        CreatableTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_code(late)
            .with_error_message(None)
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(Some(vec![]))
    };
    let expected: Vec<_> = request.topics.iter().map(refused).collect();
    assert_eq!(plan.answer(vec![]).topics, expected);
    let state = DeleteTopicState::default().with_topic_id(Uuid::from_u128(2));
    let request = DeleteTopicsRequest::default()
        .with_timeout_ms(-1)
        .with_topic_names(vec![name("t")])
        .with_topics(vec![state]);
    let expected = vec![line(Some("t"), 0, late, &none), line(None, 2, late, &none)];
    assert_eq!(deleted(&request), (expected, vec![]));
}
