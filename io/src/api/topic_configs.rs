//! The configs of a topic: which there are, and which go together. A topic's value comes before the
//! broker's, that before Kafka's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use kafka_protocol::protocol::StrBytes;

use super::config_def::{ConfigDef, Table, source, table};
use crate::catalog::Topic;
use crate::cli::Settings;

/// All configs of topics.
pub(super) static CONFIGS: LazyLock<Table> =
    LazyLock::new(|| table(include_str!("topic_configs.txt")));

/// The config whose default a broker's setting gives, if it can be changed while the broker runs:
/// Kafka takes the one of several that has the config's own unit.
pub(super) fn of_setting(name: &str) -> Option<&'static ConfigDef> {
    CONFIGS.values().find(|config| config.settings.first() == Some(&name))
}

/// All configs of a topic that is being created, as its creator is told (KIP-525).
pub(super) fn of_new_topic(topic: &Topic, settings: &Settings) -> Vec<CreatableTopicConfigs> {
    let config = |config: &ConfigDef| {
        let held = config.held(&topic.configs, source::DYNAMIC_TOPIC, settings);
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(config.name))
            .with_value(Some(StrBytes::from_string(held.value)))
            .with_config_source(held.source)
    };
    CONFIGS.values().map(config).collect()
}

/// Checks the configs that a topic is to have. The error says what Kafka says.
pub(super) fn check<'a>(
    given: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<(), String> {
    let mut values = BTreeMap::new();
    let mut nulls = Vec::new();
    for (name, value) in given {
        match value {
            Some(value) => drop(values.insert(name, value)),
            None => nulls.push(name),
        }
    }
    if !nulls.is_empty() {
        return Err(format!("Null value not supported for topic configs: {}", nulls.join(",")));
    }
    for &name in values.keys() {
        if !CONFIGS.contains_key(name) {
            return Err(format!("Unknown topic config name: {name}"));
        }
    }
    for (&name, &value) in &values {
        CONFIGS[name].check(value)?;
    }
    check_together(&values)
}

fn check_together(values: &BTreeMap<&str, &str>) -> Result<(), String> {
    let lag = |name: &str, default| values.get(name).map_or(Ok(default), |v| v.trim().parse());
    let least = lag("min.compaction.lag.ms", 0_i64);
    let most = lag("max.compaction.lag.ms", i64::MAX);
    if let (Ok(least), Ok(most)) = (least, most)
        && least > most
    {
        return Err(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > \
             max.compaction.lag.ms ({most})"
        ));
    }
    if let Some(kind) = values.get("compression.type").map(|kind| kind.trim())
        && kind != "producer"
    {
        return Err(format!(
            "compression.type={kind} is not supported by this broker, which keeps batches as \
             producers send them: leave it at 'producer', and compress in the producer"
        ));
    }
    let remote = values.get("remote.storage.enable");
    if remote.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Err("Tiered Storage functionality is disabled in the broker. Topic cannot be \
                    configured with remote log storage."
            .to_owned());
    }
    Ok(())
}
