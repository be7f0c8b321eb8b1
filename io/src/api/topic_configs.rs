//! The configs of a topic: which there are, which values they take, and what holds where none is
//! set. The table is Kafka's own; a topic's value comes before the broker's, that before Kafka's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use kafka_protocol::protocol::StrBytes;

use crate::catalog::Topic;
use crate::cli::{Settings, Source};

/// Where a value is from, in the numbers of DescribeConfigs.
pub(super) mod source {
    pub const DYNAMIC_TOPIC: i8 = 1;
    pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
    pub const STATIC_BROKER: i8 = 4;
    pub const DEFAULT: i8 = 5;
}

/// One config of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicConfig {
    pub name: &'static str,
    /// The type, in Kafka's words.
    pub kind: &'static str,
    pub default: &'static str,
    /// The broker's settings that give the default; the first that is set does.
    pub settings: Vec<&'static str>,
    /// Which values it takes, as Kafka writes it.
    bound: &'static str,
}

static CONFIGS: LazyLock<BTreeMap<&'static str, TopicConfig>> = LazyLock::new(|| {
    let lines = include_str!("topic_configs.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| parse(line).expect("a line of the table of topic configs")).collect()
});

fn parse(line: &'static str) -> Option<(&'static str, TopicConfig)> {
    let mut columns = line.split('\t');
    let (name, kind, default) = (columns.next()?, columns.next()?, columns.next()?);
    let settings = columns.next()?.split(',').filter(|name| !name.is_empty()).collect();
    let bound = columns.next()?;
    Some((name, TopicConfig { name, kind, default, settings, bound }))
}

/// All configs of topics, by name.
pub(super) fn all() -> impl Iterator<Item = &'static TopicConfig> {
    CONFIGS.values()
}

/// A value that a config could have, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The config's name, or that of the broker's setting.
    pub name: &'static str,
    pub value: String,
    pub source: i8,
}

/// The value that holds for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub value: String,
    pub source: i8,
    /// All values that there are, the one that holds first (KIP-226).
    pub synonyms: Vec<Candidate>,
}

/// A setting that a Kafka of today has set for all brokers since its first start, so that it can
/// know which replicas may lead (KIP-966). Tools compare with that.
pub(super) const SET_FOR_ALL_BROKERS: &str = "min.insync.replicas";

impl TopicConfig {
    /// What holds for a topic with these configs of its own.
    pub fn held(&self, own: &BTreeMap<String, String>, settings: &Settings) -> Held {
        let mut synonyms = Vec::new();
        if let Some(value) = own.get(self.name) {
            let (name, value) = (self.name, value.clone());
            synonyms.push(Candidate { name, value, source: source::DYNAMIC_TOPIC });
        }
        if self.name == SET_FOR_ALL_BROKERS {
            let (name, value) = (self.name, self.default.to_owned());
            synonyms.push(Candidate { name, value, source: source::DYNAMIC_DEFAULT_BROKER });
        }
        let mut holds = None;
        for &name in &self.settings {
            let set = settings.effective.get(name).filter(|set| set.source == Source::Static);
            let Some(value) = set.and_then(|set| set.value.clone()) else { continue };
            holds.get_or_insert_with(|| in_millis(name, &value));
            synonyms.push(Candidate { name, value, source: source::STATIC_BROKER });
        }
        // The names of Kafka's list that have no unit of their own are those with its default.
        if let [name] = self.settings[..] {
            let value = self.default.to_owned();
            synonyms.push(Candidate { name, value, source: source::DEFAULT });
        }
        let source = synonyms.first().map_or(source::DEFAULT, |first| first.source);
        let value = match synonyms.first() {
            Some(first) if first.source == source::STATIC_BROKER => holds.unwrap_or_default(),
            Some(first) => first.value.clone(),
            None => self.default.to_owned(),
        };
        Held { value, source, synonyms }
    }
}

/// A broker's setting in the unit of the topic's config, which is milliseconds for times.
fn in_millis(name: &str, value: &str) -> String {
    let unit = match name.rsplit_once('.') {
        Some((_, "hours")) => 3_600_000,
        Some((_, "minutes")) => 60_000,
        _ => return value.to_owned(),
    };
    match value.trim().parse::<i64>() {
        Ok(count) if count >= 0 => count.saturating_mul(unit).to_string(),
        _ => value.to_owned(),
    }
}

/// All configs of a topic that is being created, as its creator is told (KIP-525).
pub(super) fn of_new_topic(topic: &Topic, settings: &Settings) -> Vec<CreatableTopicConfigs> {
    let config = |config: &TopicConfig| {
        let held = config.held(&topic.configs, settings);
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(config.name))
            .with_value(Some(StrBytes::from_string(held.value)))
            .with_config_source(held.source)
    };
    all().map(config).collect()
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
        check_value(&CONFIGS[name], value)
            .map_err(|why| format!("Invalid value {value} for configuration {name}: {why}"))?;
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
    let remote = values.get("remote.storage.enable");
    if remote.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Err("Tiered Storage functionality is disabled in the broker. Topic cannot be \
                    configured with remote log storage."
            .to_owned());
    }
    Ok(())
}

fn check_value(config: &TopicConfig, value: &str) -> Result<(), String> {
    let trimmed = value.trim();
    let number = match config.kind {
        "BOOLEAN" if ["true", "false"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)) => {
            return Ok(());
        }
        "BOOLEAN" => return Err("Expected value to be either true or false".to_owned()),
        "INT" => trimmed.parse::<i32>().ok().map(i128::from),
        "LONG" => trimmed.parse::<i64>().ok().map(i128::from),
        "DOUBLE" => return check_ratio(trimmed),
        _ => return check_words(config, trimmed),
    };
    let number = number.ok_or_else(|| format!("Not a number of type {}", config.kind))?;
    check_range(config.bound, number)
}

/// The one config that is a fraction is a ratio.
fn check_ratio(value: &str) -> Result<(), String> {
    match value.parse::<f64>() {
        Ok(number) if number < 0.0 => Err("Value must be at least 0".to_owned()),
        Ok(number) if number > 1.0 => Err("Value must be no more than 1".to_owned()),
        Ok(_) => Ok(()),
        Err(_) => Err("Not a number of type DOUBLE".to_owned()),
    }
}

/// `[1,...]`, `[1,...,9]`, or the latter with `or -1` behind it.
fn check_range(bound: &str, number: i128) -> Result<(), String> {
    let (range, or) = bound.split_once(" or ").map_or((bound, None), |(r, or)| (r, Some(or)));
    let ends = range.strip_prefix('[').and_then(|range| range.strip_suffix(']'));
    let Some((least, most)) = ends.and_then(|ends| ends.split_once(",...")) else {
        return Ok(());
    };
    let most = most.strip_prefix(',');
    let under = least.parse().is_ok_and(|least: i128| number < least);
    let over = most.is_some_and(|most| most.parse().is_ok_and(|most: i128| number > most));
    match (or, most) {
        _ if !under && !over => Ok(()),
        (Some(or), _) if or.parse() == Ok(number) => Ok(()),
        (Some(or), Some(most)) => {
            Err(format!("Value must be between {least} and {most} or equal to {or}"))
        }
        (_, Some(most)) if over => Err(format!("Value must be no more than {most}")),
        _ => Err(format!("Value must be at least {least}")),
    }
}

fn check_words(config: &TopicConfig, value: &str) -> Result<(), String> {
    let list = config.kind == "LIST";
    if list && value.is_empty() {
        return Ok(());
    }
    if config.bound.starts_with("[partitionId]") {
        return check_replicas(config, value);
    }
    let ends = config.bound.strip_prefix('[').and_then(|bound| bound.strip_suffix(']'));
    let Some(choices) = ends else { return Ok(()) };
    let known = |word: &str| choices.split(", ").any(|choice| choice == word.trim());
    let known = if list { value.split(',').all(known) } else { known(value) };
    if known { Ok(()) } else { Err(format!("String must be one of: {choices}")) }
}

/// `*`, or pairs of partition and broker.
fn check_replicas(config: &TopicConfig, value: &str) -> Result<(), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let pair =
        |text: &str| text.trim().split_once(':').is_some_and(|(p, b)| number(p) && number(b));
    if value == "*" || value.split(',').all(pair) {
        return Ok(());
    }
    Err(format!(
        "{} must be the literal '*' or a list of replicas in the following format: {}",
        config.name, config.bound
    ))
}
