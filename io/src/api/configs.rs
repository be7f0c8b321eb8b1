//! DescribeConfigs: the configs of topics, and the settings of this broker.
//!
//! Decided here: which resources have configs, and how a value's sources are told. Nothing can be
//! changed while the broker runs, so all of a broker's settings are read-only.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::topic_configs::{self, Candidate, SET_FOR_ALL_BROKERS, TopicConfig, source};
use super::{Error, INVALID_REQUEST, Node, topic_name};
use crate::catalog::Topics;
use crate::cli::{Effective, Kind, Settings, Source, known_settings};

/// Types of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;

/// The answer. One resource of a type that has no configs refuses all of the request.
#[must_use]
pub fn answer(
    request: &DescribeConfigsRequest,
    topics: &Topics,
    settings: &Settings,
    node: &Node,
) -> DescribeConfigsResponse {
    let known = |asked: &DescribeConfigsResource| {
        matches!(asked.resource_type, TOPIC | BROKER | BROKER_LOGGER)
    };
    let all_known = request.resources.iter().all(known);
    let results = request.resources.iter().map(|asked| {
        let described = if all_known {
            describe(asked, topics, settings, node)
        } else {
            Err(Error::new(ResponseError::InvalidRequest, INVALID_REQUEST))
        };
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match described {
            Ok(configs) => result
                .with_error_message(Some(StrBytes::default()))
                .with_configs(asked_for(asked, configs, request.include_synonyms)),
            Err(error) => result.with_error_code(error.code).with_error_message(error.message),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// Only the names asked for, if any are; and synonyms only if they are.
fn asked_for(
    asked: &DescribeConfigsResource,
    mut configs: Vec<DescribeConfigsResourceResult>,
    synonyms: bool,
) -> Vec<DescribeConfigsResourceResult> {
    if let Some(names) = asked.configuration_keys.as_ref().filter(|names| !names.is_empty()) {
        configs.retain(|config| names.contains(&config.name));
    }
    if !synonyms {
        configs.iter_mut().for_each(|config| config.synonyms.clear());
    }
    configs
}

fn describe(
    asked: &DescribeConfigsResource,
    topics: &Topics,
    settings: &Settings,
    node: &Node,
) -> Result<Vec<DescribeConfigsResourceResult>, Error> {
    let name = asked.resource_name.as_str();
    if asked.resource_type == TOPIC {
        topic_name::validate(name)
            .map_err(|message| Error::new(ResponseError::InvalidTopicException, message))?;
        let topic = topics.by_name(name);
        let topic = topic.ok_or_else(|| Error::new(ResponseError::UnknownTopicOrPartition, ""))?;
        let config = |config: &TopicConfig| {
            let held = config.held(&topic.configs, settings);
            described(config.name, Some(held.value), held.source, config.kind)
                .with_synonyms(held.synonyms.into_iter().map(synonym).collect())
        };
        return Ok(topic_configs::all().map(config).collect());
    }
    let invalid = |message: String| Error::new(ResponseError::InvalidRequest, message);
    if name.is_empty() {
        // The settings of all brokers.
        return if asked.resource_type == BROKER {
            Ok(vec![set_for_all_brokers()])
        } else {
            Err(invalid("Broker id must not be empty".to_owned()))
        };
    }
    match name.parse::<i32>() {
        Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
        Ok(id) if id != node.id => {
            let or = if asked.resource_type == BROKER { " or empty string," } else { "" };
            Err(invalid(format!(
                "Unexpected broker id, expected {}{or} but received {name}",
                node.id
            )))
        }
        // There are no loggers whose level could be changed.
        Ok(_) if asked.resource_type == BROKER_LOGGER => Ok(Vec::new()),
        Ok(_) => {
            Ok(settings.effective.iter().map(|(name, set)| setting(name, set, node)).collect())
        }
    }
}

fn set_for_all_brokers() -> DescribeConfigsResourceResult {
    let value = known_settings()[SET_FOR_ALL_BROKERS].default.unwrap_or_default().to_owned();
    let from = source::DYNAMIC_DEFAULT_BROKER;
    let own = Candidate { name: SET_FOR_ALL_BROKERS, value: value.clone(), source: from };
    described(SET_FOR_ALL_BROKERS, Some(value), from, "INT").with_synonyms(vec![synonym(own)])
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
    let from = match from {
        _ if name == SET_FOR_ALL_BROKERS => source::DYNAMIC_DEFAULT_BROKER,
        Source::Static => source::STATIC_BROKER,
        Source::Default => source::DEFAULT,
    };
    let mut synonyms = Vec::new();
    if let (Some(known), Some(value)) = (known, &value) {
        synonyms.push(Candidate { name: known.name, value: value.clone(), source: from });
        if let Some(default) = known.default.filter(|_| from != source::DEFAULT) {
            let value = default.to_owned();
            synonyms.push(Candidate { name: known.name, value, source: source::DEFAULT });
        }
    }
    let secret = known.is_none_or(|known| known.kind == Kind::Password);
    let kind = known.map_or("PASSWORD", |known| kind_name(known.kind));
    described(name, value, from, kind)
        .with_read_only(true)
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

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "BOOLEAN",
        Kind::Class => "CLASS",
        Kind::Double => "DOUBLE",
        Kind::Int => "INT",
        Kind::List => "LIST",
        Kind::Long => "LONG",
        Kind::Password => "PASSWORD",
        Kind::Short => "SHORT",
        Kind::String => "STRING",
    }
}

/// The type in the numbers of version 3 on.
fn kind_number(kind: &str) -> i8 {
    let kinds =
        ["BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];
    kinds.iter().zip(1..).find(|(name, _)| **name == kind).map_or(0, |(_, number)| number)
}
