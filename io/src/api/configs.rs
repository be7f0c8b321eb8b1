//! DescribeConfigs and ListConfigResources: the configs of topics and groups, and the settings of
//! this broker.
//!
//! Decided here: which resources have configs, and how a value's sources are told.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, ListConfigResourcesRequest,
    ListConfigResourcesResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::config_def::{Candidate, ConfigDef, source};
use super::config_value::shown;
use super::{
    Error, INVALID_REQUEST, Node, broker_configs, group_configs, topic_configs, topic_name,
};
use crate::catalog::{Configs, Resource, Topics};
use crate::cli::{Effective, Kind, Settings, Source, known_settings, meaning};

/// Types of resources.
pub mod kind {
    /// A topic.
    pub const TOPIC: i8 = 2;
    /// A broker, or all of them.
    pub const BROKER: i8 = 4;
    /// The levels of a broker's loggers.
    pub const BROKER_LOGGER: i8 = 8;
    /// What clients are to measure (KIP-714).
    pub const CLIENT_METRICS: i8 = 16;
    /// A group.
    pub const GROUP: i8 = 32;
}

/// What the handlers of configs look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The topics.
    pub topics: &'a Topics,
    /// What is set of brokers and groups.
    pub configs: &'a Configs,
    /// What the broker runs with.
    pub settings: &'a Settings,
    /// This node.
    pub node: &'a Node,
}

/// The answer. One resource of a type that has no configs refuses all of the request.
#[must_use]
pub fn answer(request: &DescribeConfigsRequest, view: &View<'_>) -> DescribeConfigsResponse {
    use kind::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
    let known = |asked: &DescribeConfigsResource| {
        matches!(asked.resource_type, TOPIC | BROKER | BROKER_LOGGER | CLIENT_METRICS | GROUP)
    };
    let all_known = request.resources.iter().all(known);
    let results = request.resources.iter().map(|asked| {
        let described = if all_known {
            describe(asked, view)
        } else {
            Err(Error::new(ResponseError::InvalidRequest, INVALID_REQUEST))
        };
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match described {
            Ok(configs) => result
                .with_error_message(Some(StrBytes::default()))
                .with_configs(asked_for(asked, configs, request)),
            Err(error) => result.with_error_code(error.code).with_error_message(error.message),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// Only the names asked for, if any are; and synonyms and words only if they are.
fn asked_for(
    asked: &DescribeConfigsResource,
    mut configs: Vec<DescribeConfigsResourceResult>,
    request: &DescribeConfigsRequest,
) -> Vec<DescribeConfigsResourceResult> {
    if let Some(names) = asked.configuration_keys.as_ref().filter(|names| !names.is_empty()) {
        configs.retain(|config| names.contains(&config.name));
    }
    if !request.include_synonyms {
        configs.iter_mut().for_each(|config| config.synonyms.clear());
    }
    if request.include_documentation {
        configs.iter_mut().for_each(|config| {
            let words = documentation(asked.resource_type, &config.name);
            config.documentation = words.map(StrBytes::from_string);
        });
    }
    configs
}

/// What is said of a config: in our words, of those that have an effect. A topic's config means
/// what the setting means that gives its default.
fn documentation(of_kind: i8, name: &str) -> Option<String> {
    let setting = match of_kind {
        kind::TOPIC => topic_configs::CONFIGS.get(name)?.settings.first()?,
        kind::BROKER => name,
        _ => return None,
    };
    let words = meaning(setting)?;
    let of_topic = words.strip_suffix(", unless the topic says").filter(|_| of_kind == kind::TOPIC);
    Some(of_topic.unwrap_or(words).to_owned())
}

fn describe(
    asked: &DescribeConfigsResource,
    view: &View<'_>,
) -> Result<Vec<DescribeConfigsResourceResult>, Error> {
    let name = asked.resource_name.as_str();
    let invalid = |message: &str| Err(Error::new(ResponseError::InvalidRequest, message));
    match asked.resource_type {
        kind::TOPIC => {
            topic_name::validate(name)
                .map_err(|message| Error::new(ResponseError::InvalidTopicException, message))?;
            let topic = view.topics.by_name(name);
            let topic =
                topic.ok_or_else(|| Error::new(ResponseError::UnknownTopicOrPartition, ""))?;
            let all = topic_configs::CONFIGS.values();
            let from = source::DYNAMIC_TOPIC;
            Ok(all.map(|config| of_table(config, &topic.configs, from, view)).collect())
        }
        kind::GROUP if name.is_empty() => invalid("Group name must not be empty"),
        kind::GROUP => {
            let own = view.configs.get(&Resource::Group(name.into()));
            let (none, all) = (BTreeMap::new(), group_configs::CONFIGS.values());
            let own = own.unwrap_or(&none);
            Ok(all.map(|config| of_table(config, own, source::GROUP, view)).collect())
        }
        kind::CLIENT_METRICS if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty")
        }
        // Nobody has changed any: clients are not asked for their metrics.
        kind::CLIENT_METRICS => Ok(OF_CLIENT_METRICS
            .map(|(name, kind, value)| described(name, Some(value.into()), source::DEFAULT, kind))
            .into()),
        of_broker => describe_broker(of_broker, name, view),
    }
}

fn describe_broker(
    of_kind: i8,
    name: &str,
    view: &View<'_>,
) -> Result<Vec<DescribeConfigsResourceResult>, Error> {
    let View { settings, node, .. } = view;
    let invalid = |message: String| Error::new(ResponseError::InvalidRequest, message);
    if name.is_empty() {
        return match of_kind {
            kind::BROKER => Ok(set_for_all_brokers(settings)),
            _ => Err(invalid("Broker id must not be empty".to_owned())),
        };
    }
    match name.parse::<i32>() {
        Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
        Ok(id) if id != node.id => {
            let or = if of_kind == kind::BROKER { " or empty string," } else { "" };
            Err(invalid(format!(
                "Unexpected broker id, expected {}{or} but received {name}",
                node.id
            )))
        }
        // There are no loggers whose level could be changed.
        Ok(_) if of_kind == kind::BROKER_LOGGER => Ok(Vec::new()),
        Ok(_) => {
            let shown = settings.effective.iter().filter(|(name, _)| !is_internal(name));
            Ok(shown.map(|(name, set)| setting(name, set, node)).collect())
        }
    }
}

/// The configs of a subscription to clients' metrics (KIP-714): name, type, default.
pub(super) const OF_CLIENT_METRICS: [(&str, &str, &str); 3] =
    [("interval.ms", "INT", "300000"), ("match", "LIST", ""), ("metrics", "LIST", "")];

/// Whether a setting is one that Kafka takes and does not show.
fn is_internal(name: &str) -> bool {
    known_settings().get(name).is_some_and(|known| known.is_internal)
}

/// A config of a topic or group.
fn of_table(
    config: &ConfigDef,
    own: &BTreeMap<String, String>,
    own_source: i8,
    view: &View<'_>,
) -> DescribeConfigsResourceResult {
    let mut held = config.held(own, own_source, view.settings);
    // Values are told as they are read, those of the broker also as they were given.
    for own in held.synonyms.iter_mut().filter(|synonym| synonym.source == own_source) {
        own.value = shown(config.kind, &own.value);
    }
    let value = shown(config.kind, &held.value);
    described(config.name, Some(value), held.source, config.kind)
        .with_synonyms(held.synonyms.into_iter().map(synonym).collect())
}

/// What is set for all brokers while they run, and no other setting.
fn set_for_all_brokers(settings: &Settings) -> Vec<DescribeConfigsResourceResult> {
    let from = Source::DynamicDefault;
    let set = settings.effective.iter().filter_map(|(name, set)| {
        let (known, (_, value)) =
            (known_settings().get(name.as_str())?, set.set().find(|(of, _)| *of == from)?);
        let value = value?.to_owned();
        let own = Candidate { name: known.name, value: value.clone(), source: source::of(from) };
        let described = described(name, Some(value), source::of(from), known.kind.name());
        Some(described.with_synonyms(vec![synonym(own)]))
    });
    set.collect()
}

/// A setting of this broker.
fn setting(name: &str, set: &Effective, node: &Node) -> DescribeConfigsResourceResult {
    let known = known_settings().get(name);
    let (value, mut from) = match name {
        "node.id" | "broker.id" => (Some(node.id.to_string()), Source::Static),
        _ => (set.value.clone(), set.source),
    };
    let default = known.and_then(|known| known.default);
    if set.source == Source::Default && value.as_deref() == default {
        from = Source::Default;
    }
    let from = source::of(from);
    let mut synonyms = Vec::new();
    if let (Some(known), Some(value)) = (known, &value) {
        synonyms.push(Candidate { name: known.name, value: value.clone(), source: from });
        let behind = set.behind.iter().filter_map(|(from, value)| {
            let (value, source) = (value.clone()?, source::of(*from));
            Some(Candidate { name: known.name, value, source })
        });
        synonyms.extend(behind);
        if let Some(default) = known.default.filter(|_| from != source::DEFAULT) {
            let value = default.to_owned();
            synonyms.push(Candidate { name: known.name, value, source: source::DEFAULT });
        }
    }
    let secret = known.is_none_or(|known| known.kind == Kind::Password);
    let kind = known.map_or("PASSWORD", |known| known.kind.name());
    let value = value.map(|value| match set.source {
        Source::Default => value,
        _ => shown(kind, &value),
    });
    described(name, value, from, kind)
        .with_read_only(!broker_configs::is_dynamic(name))
        .with_is_sensitive(secret)
        .with_synonyms(synonyms.into_iter().map(synonym).collect())
}

fn described(
    name: &str,
    value: Option<String>,
    from: i8,
    kind: &str,
) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_value(value.map(StrBytes::from_string))
        .with_config_source(from)
        .with_config_type(kind_number(kind))
        .with_documentation(None)
}

fn synonym(candidate: Candidate) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_static_str(candidate.name))
        .with_value(Some(StrBytes::from_string(candidate.value)))
        .with_source(candidate.source)
}

/// Lists the resources of the types asked for that have configs, or could have.
#[must_use]
pub fn list(
    request: &ListConfigResourcesRequest,
    version: i16,
    view: &View<'_>,
) -> ListConfigResourcesResponse {
    use kind::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
    let all = [GROUP, BROKER_LOGGER, BROKER, TOPIC, CLIENT_METRICS];
    let asked = match (version, &request.resource_types[..]) {
        // It was ListClientMetricsResources.
        (0, _) => &[CLIENT_METRICS],
        (_, []) => &all[..],
        (_, asked) => asked,
    };
    if !asked.iter().all(|of_kind| all.contains(of_kind)) {
        let error = ResponseError::UnsupportedVersion;
        return ListConfigResourcesResponse::default().with_error_code(error.code());
    }
    let mut resources = Vec::new();
    let mut add = |of_kind: i8, name: &str| {
        resources.push(
            ConfigResource::default()
                .with_resource_type(of_kind)
                .with_resource_name(StrBytes::from_string(name.to_owned())),
        );
    };
    for of_kind in all.into_iter().filter(|of_kind| asked.contains(of_kind)) {
        match of_kind {
            TOPIC => view.topics.iter().for_each(|topic| add(of_kind, &topic.name)),
            BROKER | BROKER_LOGGER => add(of_kind, &view.node.id.to_string()),
            GROUP => view.configs.keys().for_each(|of| {
                if let Resource::Group(name) = of {
                    add(of_kind, name);
                }
            }),
            _ => {}
        }
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}

/// The type in the numbers of version 3 on.
fn kind_number(kind: &str) -> i8 {
    let kinds =
        ["BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];
    kinds.iter().zip(1..).find(|(name, _)| **name == kind).map_or(0, |(_, number)| number)
}
