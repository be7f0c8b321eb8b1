use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use quorate_io::api::configs::{self, View};
use quorate_io::catalog::{Configs, Resource, Topic, Topics};
use quorate_io::cli::{Settings, Source};

use super::{node, s, settings, topic};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn resource(
    kind: i8,
    name: &'static str,
    keys: Option<&[&'static str]>,
) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(name))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| s(key)).collect()))
}

fn asked(
    resources: Vec<DescribeConfigsResource>,
    synonyms: bool,
    settings: &Settings,
) -> Vec<DescribeConfigsResult> {
    let request =
        DescribeConfigsRequest::default().with_resources(resources).with_include_synonyms(synonyms);
    let own = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
    let topics = Topics::new([Topic { configs: own, ..topic("t", 1, 1) }]);
    let of_group = BTreeMap::from([("consumer.session.timeout.ms".to_owned(), "50000".to_owned())]);
    let configs = Configs::from([(Resource::Group("g".into()), of_group)]);
    let view = View { topics: &topics, configs: &configs, settings, node: &node() };
    let answer = configs::answer(&request, &view);
    let results = answer.results.clone();
    assert_eq!(answer, DescribeConfigsResponse::default().with_results(results.clone()));
    results
}

fn config(
    name: &'static str,
    value: Option<&'static str>,
    from: i8,
    kind: i8,
    synonyms: &[(&'static str, &'static str, i8)],
) -> DescribeConfigsResourceResult {
    let synonyms = synonyms.iter().map(|(name, value, from)| {
        DescribeConfigsSynonym::default()
            .with_name(s(name))
            .with_value(Some(s(value)))
            .with_source(*from)
    });
    DescribeConfigsResourceResult::default()
        .with_name(s(name))
        .with_value(value.map(s))
        .with_config_source(from)
        .with_config_type(kind)
        .with_documentation(None)
        .with_synonyms(synonyms.collect())
}

fn described(
    kind: i8,
    name: &'static str,
    configs: Vec<DescribeConfigsResourceResult>,
) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_message(Some(s("")))
        .with_resource_type(kind)
        .with_resource_name(s(name))
        .with_configs(configs)
}

#[test]
fn a_topics_configs_are_told_with_where_they_are_from() {
    let keys = ["retention.ms", "min.insync.replicas", "segment.bytes", "no.such", "flush.ms"];
    let settings = settings(&[("log.segment.bytes", "2000000"), ("log.retention.hours", "1")]);
    let told = asked(vec![resource(TOPIC, "t", Some(&keys))], true, &settings);
    let insync = [("min.insync.replicas", "1", 3), ("min.insync.replicas", "1", 5)];
    let segment = [("log.segment.bytes", "2000000", 4), ("log.segment.bytes", "1073741824", 5)];
    let retention = [("retention.ms", "5", 1), ("log.retention.hours", "1", 4)];
    let configs = vec![
        config("flush.ms", Some("9223372036854775807"), 5, 5, &[]),
        config("min.insync.replicas", Some("1"), 3, 3, &insync),
        config("retention.ms", Some("5"), 1, 5, &retention),
        config("segment.bytes", Some("2000000"), 4, 3, &segment),
    ];
    assert_eq!(told, vec![described(TOPIC, "t", configs)]);
}

#[test]
fn values_are_told_as_they_are_read_and_synonyms_as_they_were_given() {
    let (policy, ratio) = ("log.cleanup.policy", "log.cleaner.min.cleanable.ratio");
    let given = [(policy, "compact , delete"), ("log.preallocate", "True"), (ratio, "0.50")];
    let given = [&given[..], &[("log.flush.interval.messages", "+07")]].concat();
    let keys = ["cleanup.policy", "flush.messages", "min.cleanable.dirty.ratio", "preallocate"];
    let told = asked(vec![resource(TOPIC, "t", Some(&keys))], true, &settings(&given));
    let policies = [(policy, "compact , delete", 4), (policy, "delete", 5)];
    let flush = "log.flush.interval.messages";
    let flushes = [(flush, "+07", 4), (flush, "9223372036854775807", 5)];
    let ratios = [(ratio, "0.50", 4), (ratio, "0.5", 5)];
    let preallocate = [("log.preallocate", "True", 4), ("log.preallocate", "false", 5)];
    let configs = vec![
        config("cleanup.policy", Some("compact,delete"), 4, 7, &policies),
        config("flush.messages", Some("7"), 4, 5, &flushes),
        config("min.cleanable.dirty.ratio", Some("0.5"), 4, 6, &ratios),
        config("preallocate", Some("true"), 4, 1, &preallocate),
    ];
    assert_eq!(told, vec![described(TOPIC, "t", configs)]);
    let asked_of = vec![resource(BROKER, "1", Some(&[policy]))];
    let told = asked(asked_of, true, &settings(&given));
    let configs = vec![config(policy, Some("compact,delete"), 4, 7, &policies)];
    assert_eq!(told, vec![described(BROKER, "1", configs)]);
}

#[test]
fn synonyms_are_told_where_they_are_asked_for() {
    let told = asked(vec![resource(TOPIC, "t", Some(&["cleanup.policy"]))], false, &settings(&[]));
    let configs = vec![config("cleanup.policy", Some("delete"), 5, 7, &[])];
    assert_eq!(told, vec![described(TOPIC, "t", configs)]);
}

#[test]
fn no_names_and_an_empty_list_of_names_ask_for_all() {
    for keys in [None, Some(&[][..])] {
        let resources = vec![resource(TOPIC, "t", keys), resource(BROKER, "1", keys)];
        let told = asked(resources, false, &settings(&[]));
        let counts: Vec<_> = told.iter().map(|result| result.configs.len()).collect();
        assert_eq!(counts, vec![37, 353]);
    }
}

#[test]
fn a_brokers_settings_are_told_with_where_they_are_from() {
    let keys = ["num.partitions", "node.id", "log.retention.ms", "ssl.key.password", "durability"];
    let settings = settings(&[("num.partitions", "3"), ("ssl.key.password", "secret")]);
    let told = asked(vec![resource(BROKER, "1", Some(&keys))], true, &settings);
    let own = |config: DescribeConfigsResourceResult| config.with_read_only(true);
    let partitions = [("num.partitions", "3", 4), ("num.partitions", "1", 5)];
    let configs = vec![
        own(config("durability", Some("sync"), 5, 2, &[("durability", "sync", 5)])),
        config("log.retention.ms", None, 5, 5, &[]),
        own(config("node.id", Some("1"), 4, 3, &[("node.id", "1", 4)])),
        own(config("num.partitions", Some("3"), 4, 3, &partitions)),
        own(config("ssl.key.password", None, 4, 9, &[]).with_is_sensitive(true)),
    ];
    assert_eq!(told, vec![described(BROKER, "1", configs)]);
}

#[test]
fn the_settings_of_all_brokers_are_those_of_no_name() {
    let own = [("min.insync.replicas", "1", 3)];
    let expected = vec![config("min.insync.replicas", Some("1"), 3, 3, &own)];
    let told = asked(vec![resource(BROKER, "", None)], true, &settings(&[]));
    assert_eq!(told, vec![described(BROKER, "", expected)]);
}

#[test]
fn a_setting_that_was_changed_stands_before_those_it_hides() {
    let changed = BTreeMap::from([("message.max.bytes".to_owned(), "7".to_owned())]);
    let settings = settings(&[("message.max.bytes", "9")]).with(Source::Dynamic, &changed);
    let told = asked(vec![resource(BROKER, "1", Some(&["message.max.bytes"]))], true, &settings);
    let name = "message.max.bytes";
    let all = [(name, "7", 2), (name, "9", 4), (name, "1048588", 5)];
    assert_eq!(told, vec![described(BROKER, "1", vec![config(name, Some("7"), 2, 3, &all)])]);
    let told = asked(vec![resource(TOPIC, "t", Some(&["max.message.bytes"]))], true, &settings);
    let config = config("max.message.bytes", Some("7"), 2, 3, &all);
    assert_eq!(told, vec![described(TOPIC, "t", vec![config])]);
}

#[test]
fn what_a_config_means_is_told_where_it_is_asked_for() {
    let words = |kind: i8, of: &'static str, name: &'static str| {
        let request = DescribeConfigsRequest::default()
            .with_resources(vec![resource(kind, of, Some(&[name]))])
            .with_include_documentation(true);
        let (topics, configs) = (Topics::new([topic("t", 1, 1)]), Configs::new());
        let settings = settings(&[]);
        let (topics, configs, node) = (&topics, &configs, &node());
        let view = View { topics, configs, settings: &settings, node };
        let told = configs::answer(&request, &view).results.remove(0).configs.remove(0);
        told.documentation.map(|words| words.to_string())
    };
    let partitions = "partitions of a topic if nobody says";
    assert_eq!(words(BROKER, "1", "num.partitions").as_deref(), Some(partitions));
    let kept = "how long records are kept, -1 for ever";
    assert_eq!(words(TOPIC, "t", "retention.ms").as_deref(), Some(kept));
    assert_eq!(words(BROKER, "1", "log.segment.bytes"), None, "it has no effect");
}

#[test]
fn a_groups_configs_stand_before_the_brokers_settings() {
    let keys = ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"];
    let told = asked(vec![resource(32, "g", Some(&keys))], true, &settings(&[]));
    let session = [(keys[0], "50000", 8), ("group.consumer.session.timeout.ms", "45000", 5)];
    let configs = vec![
        config(keys[1], Some("5000"), 5, 3, &[("group.consumer.heartbeat.interval.ms", "5000", 5)]),
        config(keys[0], Some("50000"), 8, 3, &session),
    ];
    assert_eq!(told, vec![described(32, "g", configs)]);
    let all = asked(vec![resource(32, "other", None)], false, &settings(&[]));
    assert_eq!(all[0].configs.len(), 21);
}

#[test]
fn what_has_no_configs_is_refused_as_kafka_does() {
    for (kind, name, code, words) in [
        (TOPIC, "missing", 3, ""),
        (TOPIC, "", 17, "Topic name is invalid: the empty string is not allowed"),
        (BROKER, "2", 42, "Unexpected broker id, expected 1 or empty string, but received 2"),
        (BROKER, "x", 42, "Broker id must be an integer, but it is: x"),
        (16, "", 42, "Client metrics subscription name must not be empty"),
        (32, "", 42, "Group name must not be empty"),
        (8, "", 42, "Broker id must not be empty"),
        (8, "2", 42, "Unexpected broker id, expected 1 but received 2"),
        (
            99,
            "x",
            42,
            "This most likely occurs because of a request being malformed by the client library \
             or the message was sent to an incompatible broker. See the broker logs for more \
             details.",
        ),
    ] {
        let refused =
            described(kind, name, vec![]).with_error_code(code).with_error_message(Some(s(words)));
        assert_eq!(asked(vec![resource(kind, name, None)], true, &settings(&[])), vec![refused]);
    }
}

#[test]
fn one_unknown_type_refuses_the_whole_request() {
    let resources = vec![resource(TOPIC, "t", None), resource(99, "x", None)];
    let told = asked(resources, false, &settings(&[]));
    let codes: Vec<_> = told.iter().map(|r| (r.error_code, r.configs.len())).collect();
    assert_eq!(codes, vec![(42, 0), (42, 0)]);
}
