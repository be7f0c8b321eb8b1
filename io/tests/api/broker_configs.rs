//! The settings of a broker that are changed while it runs. Answers are Apache Kafka 4.4's, but for
//! what is marked.

use quorate_io::catalog::Resource;

use crate::alter::{APPEND, BROKER, DELETE, SET, SUBTRACT, altered, changed};

const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

/// A broker and all of them are told the same.
fn refused(name: &'static str, value: &'static str) -> String {
    let all = altered(BROKER, "", &[(name, SET, Some(value))]).expect_err("it is refused");
    let one = altered(BROKER, "1", &[(name, SET, Some(value))]);
    assert_eq!(one, Err(all.clone()), "{name} {value}");
    assert_eq!(all.0, INVALID_REQUEST, "{name} {value}");
    all.1
}

#[test]
fn a_value_that_is_wrong_by_itself_is_refused() {
    for (name, value, shown, why) in [
        ("log.retention.ms", "x", "x", "Not a number of type LONG"),
        ("log.retention.ms", "", "", "Not a number of type LONG"),
        ("message.max.bytes", "2147483648", "2147483648", "Not a number of type INT"),
        ("message.max.bytes", " -1 ", "-1", "Value must be at least 0"),
        ("compression.zstd.level", "23", "23", "Value must be no more than 22"),
        ("compression.gzip.level", "0", "0", "Value must be between 1 and 9 or equal to -1"),
        ("log.cleaner.min.cleanable.ratio", "-.1", "-0.1", "Value must be at least 0"),
        ("log.cleaner.min.cleanable.ratio", "1e400", "Infinity", "Value must be no more than 1"),
        ("log.cleaner.min.cleanable.ratio", "x", "x", "Not a number of type DOUBLE"),
        ("log.preallocate", "1", "1", "Expected value to be either true or false"),
        ("log.cleanup.policy", "delete,5", "5", "String must be one of: compact, delete"),
        (
            "log.message.timestamp.type",
            "createtime",
            "createtime",
            "String must be one of: CreateTime, LogAppendTime",
        ),
        ("max.connections", "x", "x", "Not a number of type INT"),
        ("max.connections.per.ip", "-1", "-1", "Value must be at least 0"),
        ("log.cleaner.backoff.ms", "-1", "-1", "Value must be at least 0"),
    ] {
        let expected = format!("Invalid value {shown} for configuration {name}: {why}");
        assert_eq!(refused(name, value), expected);
    }
}

#[test]
fn a_value_that_is_refused_for_what_it_means() {
    let overrides = "max.connections.per.ip.overrides";
    for (name, value, expected) in [
        (
            "log.cleanup.policy",
            "delete,delete,5",
            "Configuration 'log.cleanup.policy' values must not be duplicated.",
        ),
        (
            "log.cleanup.policy",
            ",delete",
            "Configuration 'log.cleanup.policy' values must not be empty.",
        ),
        (
            "log.retention.ms",
            "0",
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or \
             equal to 1",
        ),
        ("log.roll.ms", "-5", "requirement failed: log.roll.ms must be greater than or equal to 1"),
        (
            "log.roll.jitter.ms",
            "-5",
            "requirement failed: log.roll.jitter.ms must be greater than or equal to 0",
        ),
        (
            "max.connections",
            "0",
            "Invalid value org.apache.kafka.common.config.ConfigException: Invalid \
             max.connections 0 for configuration Invalid dynamic configuration",
        ),
        (
            "max.connections.per.ip",
            "0",
            "requirement failed: max.connections.per.ip can be set to zero only if \
             max.connections.per.ip.overrides property is set.",
        ),
        (
            overrides,
            "127.0.0.1:3,foo",
            "Error parsing configuration property 'max.connections.per.ip.overrides': begin 0, \
             end -1, length 3",
        ),
        (overrides, "127.0.0.1:x", "For input string: \"x\""),
        (
            overrides,
            "127.0.0.1:3,[::1]:2",
            "max.connections.per.ip.overrides contains invalid addresses : [::1]",
        ),
        // Kafka looks hosts up.
        (
            overrides,
            "host:2",
            "Invalid value host:2 for configuration max.connections.per.ip.overrides: 'host:2' is \
             not ADDRESS:COUNT, for example 127.0.0.1:100",
        ),
    ] {
        assert_eq!(refused(name, value), expected);
    }
}

#[test]
fn what_kafka_takes_is_taken() {
    for (name, value) in [
        ("log.retention.ms", "-3"),
        ("log.cleaner.min.cleanable.ratio", "0.5f"),
        ("log.cleanup.policy", ""),
        ("max.connections", "7"),
        ("max.connections.per.ip", "5"),
        ("max.connections.per.ip.overrides", " 127.0.0.1:3 , ::1:4 "),
        ("log.cleaner.backoff.ms", "100"),
    ] {
        let expected = changed(Resource::Brokers, &[(name, Some(value))]);
        assert_eq!(altered(BROKER, "", &[(name, SET, Some(value))]), expected);
    }
    let none_but = [
        ("max.connections.per.ip", SET, Some("0")),
        ("max.connections.per.ip.overrides", SET, Some("127.0.0.1:50")),
    ];
    let set = none_but.map(|(name, _, value)| (name, value));
    assert_eq!(altered(BROKER, "1", &none_but), changed(Resource::Broker(1), &set));
    // To take back what is not set is nothing, whatever it is.
    for name in ["node.id", "no.such"] {
        let expected = changed(Resource::Brokers, &[(name, None)]);
        assert_eq!(altered(BROKER, "", &[(name, DELETE, None)]), expected);
    }
}

#[test]
fn only_lists_grow_and_shrink() {
    for (name, change, expected) in [
        (
            "log.retention.ms",
            APPEND,
            "Config value append is not allowed for config key: log.retention.ms",
        ),
        (
            "max.connections",
            SUBTRACT,
            "Config value subtract is not allowed for config key: max.connections",
        ),
        ("no.such", APPEND, "Unknown config name: no.such"),
    ] {
        let refused = Err((INVALID_CONFIG, expected.to_owned()));
        assert_eq!(altered(BROKER, "1", &[(name, change, Some("5"))]), refused);
    }
    let policy =
        |change, value| altered(BROKER, "", &[("log.cleanup.policy", change, Some(value))]);
    let refused = |message: &str| Err((INVALID_REQUEST, message.to_owned()));
    let twice = "Configuration 'log.cleanup.policy' values must not be duplicated.";
    assert_eq!(policy(APPEND, "compact,compact"), refused(twice));
    let empty = "Configuration 'log.cleanup.policy' values must not be empty.";
    assert_eq!(policy(APPEND, ""), refused(empty));
    let as_it_is = changed(Resource::Brokers, &[("log.cleanup.policy", Some("delete"))]);
    assert_eq!(policy(APPEND, "delete"), as_it_is);
    assert_eq!(policy(APPEND, ","), as_it_is);
    assert_eq!(policy(SUBTRACT, "x"), as_it_is);
}

#[test]
fn what_cannot_be_changed_is_refused_by_name() {
    let fixed = |name, set: &[_]| {
        let expected = format!("Cannot update these configs dynamically: [{name}]");
        assert_eq!(altered(BROKER, "1", set), Err((INVALID_REQUEST, expected)));
    };
    let two = [("num.partitions", SET, Some("2")), ("message.max.bytes", SET, Some("7"))];
    fixed("num.partitions", &two);
    // Kafka takes these; here they would do nothing.
    fixed("log.cleaner.threads", &[("log.cleaner.threads", SET, Some("1"))]);
    fixed("no.such", &[("no.such", SET, Some("1"))]);
}

#[test]
fn how_many_replicas_are_to_be_in_sync_is_said_for_all_brokers() {
    let name = "min.insync.replicas";
    let refused = |message: &str| Err((INVALID_CONFIG, message.to_owned()));
    let all = refused("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    assert_eq!(altered(BROKER, "", &[(name, DELETE, None)]), all);
    let one = refused("Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    assert_eq!(altered(BROKER, "1", &[(name, DELETE, None)]), one);
    assert_eq!(altered(BROKER, "1", &[(name, SET, Some("3"))]), one);
    let expected = changed(Resource::Brokers, &[(name, Some("3"))]);
    assert_eq!(altered(BROKER, "", &[(name, SET, Some("3"))]), expected);
}
