use std::collections::BTreeMap;

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    ListConfigResourcesResponse, alter_configs_request, incremental_alter_configs_request,
};
use quorate_io::api::alter_configs::{incremental, replacing};
use quorate_io::api::configs::{self, View};
use quorate_io::catalog::{Configs, Operation, Resource, Topics};
use uuid::Uuid;

use super::{node, s, settings, topic};

pub const SET: i8 = 0;
pub const DELETE: i8 = 1;
pub const APPEND: i8 = 2;
pub const SUBTRACT: i8 = 3;

const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;
const GROUP: i8 = 32;

fn values(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// A topic `t` with configs of its own, and settings for all brokers and a group.
fn with_view<R>(look: impl FnOnce(&View<'_>) -> R) -> R {
    let mut t = topic("t", 1, 1);
    t.configs = values(&[("retention.ms", "5"), ("cleanup.policy", "compact")]);
    let topics = Topics::new([t, topic("__consumer_offsets", 3, 3)]);
    let configs = Configs::from([
        (Resource::Brokers, values(&[("message.max.bytes", "9")])),
        (Resource::Group("g".into()), values(&[("consumer.session.timeout.ms", "50000")])),
    ]);
    look(&View { topics: &topics, configs: &configs, settings: &settings(&[]), node: &node() })
}

pub type Asked<'a> = (&'static str, i8, Option<&'static str>);

/// What one resource of an IncrementalAlterConfigs comes to: what is done, or the refusal.
pub fn altered(
    kind: i8,
    name: &'static str,
    asked: &[Asked<'_>],
) -> Result<Vec<Operation>, (i16, String)> {
    let configs = asked.iter().map(|(name, change, value)| {
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(s(name))
            .with_config_operation(*change)
            .with_value(value.map(s))
    });
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let plan = with_view(|view| incremental(&request, view));
    let operations = plan.operations.clone();
    let answer = plan.answer(vec![]).responses.remove(0);
    assert_eq!((answer.resource_type, answer.resource_name.as_str()), (kind, name));
    let validated = with_view(|view| incremental(&request.with_validate_only(true), view));
    assert_eq!(validated.operations, vec![], "nothing is done that is to be validated only");
    match operations.is_empty() {
        // Nobody has done it yet.
        false => Ok(operations),
        true => Err((answer.error_code, answer.error_message.unwrap_or_default().to_string())),
    }
}

pub fn changed(
    of: Resource,
    changes: &[(&str, Option<&str>)],
) -> Result<Vec<Operation>, (i16, String)> {
    let changes = changes.iter();
    let changes = changes.map(|(name, value)| (name.to_string(), value.map(str::to_owned)));
    Ok(vec![Operation::ChangeConfigs { of, changes: changes.collect() }])
}

fn t() -> Resource {
    Resource::Topic(Uuid::from_u128(1))
}

#[test]
fn configs_are_set_deleted_and_lists_grow_and_shrink() {
    let asked = [("retention.ms", SET, Some("7")), ("segment.ms", DELETE, None)];
    let expected = changed(t(), &[("retention.ms", Some("7")), ("segment.ms", None)]);
    assert_eq!(altered(TOPIC, "t", &asked), expected);
    for (change, given, then) in [
        (APPEND, "delete", "compact,delete"),
        (APPEND, "compact,delete", "compact,delete"),
        (SUBTRACT, "delete", "compact"),
        (SUBTRACT, "compact", ""),
    ] {
        let asked = [("cleanup.policy", change, Some(given))];
        let expected = changed(t(), &[("cleanup.policy", Some(then))]);
        assert_eq!(altered(TOPIC, "t", &asked), expected, "{change} {given}");
    }
    let replicas = "leader.replication.throttled.replicas";
    let expected = changed(t(), &[(replicas, Some("0:1,1:1"))]);
    assert_eq!(altered(TOPIC, "t", &[(replicas, APPEND, Some("0:1,1:1"))]), expected);
    // Without one of its own the list is the broker's default.
    let asked = [("log.cleanup.policy", APPEND, Some("compact"))];
    let expected = changed(Resource::Broker(1), &[("log.cleanup.policy", Some("delete,compact"))]);
    assert_eq!(altered(BROKER, "1", &asked), expected);
}

#[test]
fn brokers_and_groups_have_configs_too() {
    let asked = [("message.max.bytes", SET, Some("7"))];
    let expected = changed(Resource::Brokers, &[("message.max.bytes", Some("7"))]);
    assert_eq!(altered(BROKER, "", &asked), expected);
    let asked = [("consumer.heartbeat.interval.ms", SET, Some("6000"))];
    let group = Resource::Group("new".into());
    let expected = changed(group, &[("consumer.heartbeat.interval.ms", Some("6000"))]);
    assert_eq!(altered(GROUP, "new", &asked), expected);
}

/// As Apache Kafka 4.4 answers, but for what is marked.
#[test]
fn what_cannot_be_is_refused_as_kafka_does() {
    let broker = [("message.max.bytes", SET, Some("7"))];
    let group = [("consumer.session.timeout.ms", SET, Some("50000"))];
    let cases: &[(i8, &'static str, &[Asked<'_>], i16, &str)] = &[
        (TOPIC, "t", &[("no.such", SET, Some("1"))], 40, "Unknown topic config name: no.such"),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, Some("-2"))],
            40,
            "Invalid value -2 for configuration retention.ms: Value must be at least -1",
        ),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, None), ("flush.ms", APPEND, None)],
            42,
            "Null value not supported for : retention.ms, flush.ms",
        ),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, Some("5")), ("retention.ms", DELETE, None)],
            42,
            "Error due to duplicate config keys",
        ),
        (
            TOPIC,
            "t",
            &[("retention.ms", APPEND, Some("5"))],
            40,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (TOPIC, "t", &[("retention.ms", 9, Some("5"))], -1, ""),
        // What is asked is looked at before the topic.
        (TOPIC, "missing", &broker, 40, "Unknown topic config name: message.max.bytes"),
        (
            TOPIC,
            "missing",
            &[("retention.ms", APPEND, Some("5"))],
            40,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            TOPIC,
            "missing",
            &[("retention.ms", SET, Some("5"))],
            3,
            "The topic 'missing' does not exist.",
        ),
        (TOPIC, "", &broker, 42, "Default topic resources are not allowed."),
        // Whatever the configs are of.
        (
            TOPIC,
            "",
            &[("retention.ms", SET, None)],
            42,
            "Null value not supported for : retention.ms",
        ),
        (BROKER, "1", &[("no.such", 9, Some("5"))], 42, "Unknown operations type 9"),
        (BROKER, "2", &broker, 42, "Unexpected broker id, expected 1, but received 2"),
        (BROKER, "x", &broker, 42, "Node id must be an integer, but it is: x"),
        (GROUP, "", &group, 42, "Default group resources are not allowed."),
        (GROUP, "g", &[("no.such", SET, Some("1"))], 40, "Unknown group config name: no.such"),
        (
            GROUP,
            "g",
            &[("consumer.session.timeout.ms", SET, Some("1"))],
            40,
            "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.",
        ),
        (8, "1", &[("kafka", SET, Some("DEBUG"))], 40, "Logger kafka does not exist!"),
        (8, "x", &[], 42, "Node id must be an integer, but it is: x"),
        (8, "2", &[], 42, "Unexpected node id. Expected 1, but received 2"),
        (16, "", &[("x", SET, Some("1"))], 42, "Subscription name can't be empty"),
        (16, "m", &[("x", SET, Some("1"))], 42, "Unknown client metrics configuration: x"),
        (99, "x", &group, 42, "Unknown resource type 99"),
        // Kafka takes these; here they would do nothing.
        (
            TOPIC,
            "t",
            &[("compression.type", SET, Some("gzip"))],
            40,
            "compression.type=gzip is not supported by this broker, which keeps batches as \
             producers send them: leave it at 'producer', and compress in the producer",
        ),
        (
            GROUP,
            "g",
            &[("share.isolation.level", SET, Some("read_committed"))],
            40,
            "share.isolation.level is not supported by this broker, which has no groups of that \
             type",
        ),
        (
            16,
            "m",
            &[("interval.ms", SET, Some("1000"))],
            40,
            "Metrics of clients are not collected by this broker.",
        ),
    ];
    for (kind, name, asked, code, message) in cases {
        let refused = Err((*code, (*message).to_owned()));
        assert_eq!(altered(*kind, name, asked), refused, "{kind} {name} {asked:?}");
    }
}

#[test]
fn a_resource_that_is_named_twice_is_refused_both_times() {
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(s("t"));
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource.clone(), resource]);
    let plan = with_view(|view| incremental(&request, view));
    assert_eq!(plan.operations, vec![]);
    let told: Vec<_> = plan.answer(vec![]).responses.into_iter().map(|r| r.error_code).collect();
    assert_eq!(told, vec![42, 42]);
}

/// What one resource of an AlterConfigs comes to.
fn replaced(
    kind: i8,
    name: &'static str,
    asked: &[(&'static str, &'static str)],
) -> Result<Vec<Operation>, (i16, String)> {
    let configs = asked.iter().map(|(name, value)| {
        alter_configs_request::AlterableConfig::default()
            .with_name(s(name))
            .with_value(Some(s(value)))
    });
    let resource = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(name))
        .with_configs(configs.collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let plan = with_view(|view| replacing(&request, view));
    if !plan.operations.is_empty() {
        return Ok(plan.operations);
    }
    let answer = plan.answer(vec![]).responses.remove(0);
    Err((answer.error_code, answer.error_message.unwrap_or_default().to_string()))
}

#[test]
fn the_older_request_takes_back_what_it_does_not_name() {
    let changes = [("cleanup.policy", None), ("retention.ms", None), ("segment.ms", Some("1000"))];
    assert_eq!(replaced(TOPIC, "t", &[("segment.ms", "1000")]), changed(t(), &changes));
    let missing = "The topic 'missing' does not exist.";
    let refused = |code, message: &str| Err((code, message.to_owned()));
    assert_eq!(replaced(TOPIC, "missing", &[("segment.ms", "1000")]), refused(3, missing));
    let unknown = "Unknown topic config name: no.such";
    assert_eq!(replaced(TOPIC, "missing", &[("no.such", "1")]), refused(40, unknown));
    let invalid = "Topic name is invalid: 'a b' contains one or more characters other than ASCII \
                   alphanumerics, '.', '_' and '-'";
    assert_eq!(replaced(TOPIC, "a b", &[("no.such", "1")]), refused(17, invalid));
    // What is set for all brokers from the start would be taken back.
    let kept = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
    assert_eq!(replaced(BROKER, "", &[("log.retention.ms", "7")]), refused(40, kept));
    let changes = [("message.max.bytes", None), ("min.insync.replicas", Some("2"))];
    let expected = changed(Resource::Brokers, &changes);
    assert_eq!(replaced(BROKER, "", &[("min.insync.replicas", "2")]), expected);
    assert_eq!(replaced(8, "1", &[("kafka", "DEBUG")]), refused(42, "Unknown resource type 8"));
}

#[test]
fn resources_are_listed_by_type() {
    let all = [(GROUP, "g"), (8, "1"), (BROKER, "1"), (TOPIC, "__consumer_offsets"), (TOPIC, "t")];
    for (version, asked, expected) in [
        (1, vec![], Some(&all[..])),
        (1, vec![TOPIC], Some(&all[3..])),
        (1, vec![GROUP], Some(&all[..1])),
        (0, vec![], Some(&[][..])),
        (1, vec![TOPIC, 99], None),
    ] {
        let request = ListConfigResourcesRequest::default().with_resource_types(asked);
        let listed = with_view(|view| configs::list(&request, version, view));
        let response = ListConfigResourcesResponse::default();
        let expected = match expected {
            None => response.with_error_code(35),
            Some(all) => {
                let all = all.iter().map(|(kind, name)| {
                    ConfigResource::default().with_resource_type(*kind).with_resource_name(s(name))
                });
                response.with_config_resources(all.collect())
            }
        };
        assert_eq!(listed, expected);
    }
}
