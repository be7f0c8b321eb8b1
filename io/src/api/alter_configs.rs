//! AlterConfigs and IncrementalAlterConfigs (KIP-339): changes of configs while the broker runs.
//!
//! Decided here: what a request comes to, as changes of single configs, so that two requests that
//! come at once for different ones do not undo each other; and which of a broker's settings can be
//! changed: those that are a default of topics.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;

use super::config_def::ConfigDef;
use super::configs::{View, kind};
use super::{Error, Plan, group_configs, topic_configs, topic_name};
use crate::catalog::{Operation, Resource};
use crate::cli::check_setting;

/// Configs by name, with their values.
type Values = BTreeMap<String, String>;
/// Changes by name: the new value, none for the default.
type Changes = BTreeMap<String, Option<String>>;

/// A setting that stays set for all brokers, see `core_thread`.
const UNDELETABLE: &str = "min.insync.replicas";

/// What is to be done with one config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Change {
    fn of(number: i8) -> Option<Change> {
        [Change::Set, Change::Delete, Change::Append, Change::Subtract]
            .get(usize::try_from(number).ok()?)
            .copied()
    }
}

/// One config of a request.
struct Asked<'a> {
    name: &'a str,
    change: i8,
    value: Option<&'a str>,
}

/// One resource of a request.
struct Altered<'a> {
    kind: i8,
    name: &'a StrBytes,
    configs: Vec<Asked<'a>>,
}

/// Plans an IncrementalAlterConfigs: named configs change, all others stay.
#[must_use]
pub fn incremental(
    request: &IncrementalAlterConfigsRequest,
    view: &View<'_>,
) -> Plan<IncrementalAlterConfigsResponse> {
    let resources = request.resources.iter().map(|resource| {
        let configs = resource.configs.iter().map(|config| Asked {
            name: &config.name,
            change: config.config_operation,
            value: config.value.as_deref(),
        });
        let (kind, name) = (resource.resource_type, &resource.resource_name);
        Altered { kind, name, configs: configs.collect() }
    });
    let mut plan = Plan::new(IncrementalAlterConfigsResponse::default(), |answer, place, error| {
        answer.responses[place].error_code = error.code;
        answer.responses[place].error_message = error.message;
    });
    for (Altered { kind, name, .. }, operation) in operations(resources, false, view) {
        let place = plan.answer.responses.len();
        plan.answer.responses.push(
            incremental_alter_configs_response::AlterConfigsResourceResponse::default()
                .with_resource_type(kind)
                .with_resource_name(name.clone())
                .with_error_message(None),
        );
        settle(&mut plan, place, operation, request.validate_only);
    }
    plan
}

/// Plans an AlterConfigs: what is not named goes back to its default.
#[must_use]
pub fn replacing(request: &AlterConfigsRequest, view: &View<'_>) -> Plan<AlterConfigsResponse> {
    let resources = request.resources.iter().map(|resource| {
        let configs = resource.configs.iter().map(|config| Asked {
            name: &config.name,
            change: Change::Set as i8,
            value: config.value.as_deref(),
        });
        let (kind, name) = (resource.resource_type, &resource.resource_name);
        Altered { kind, name, configs: configs.collect() }
    });
    let mut plan = Plan::new(AlterConfigsResponse::default(), |answer, place, error| {
        answer.responses[place].error_code = error.code;
        answer.responses[place].error_message = error.message;
    });
    for (Altered { kind, name, .. }, operation) in operations(resources, true, view) {
        let place = plan.answer.responses.len();
        plan.answer.responses.push(
            alter_configs_response::AlterConfigsResourceResponse::default()
                .with_resource_type(kind)
                .with_resource_name(name.clone())
                .with_error_message(None),
        );
        settle(&mut plan, place, operation, request.validate_only);
    }
    plan
}

/// Takes in what the resource at a place of the answer comes to.
fn settle<R>(
    plan: &mut Plan<R>,
    place: usize,
    operation: Result<Operation, Error>,
    validate_only: bool,
) {
    match operation {
        Err(error) => (plan.refuse)(&mut plan.answer, place, error),
        Ok(_) if validate_only => {}
        Ok(operation) => plan.add(place, operation),
    }
}

/// What each resource comes to. One that is named twice is refused both times.
fn operations<'a>(
    resources: impl Iterator<Item = Altered<'a>>,
    replacing: bool,
    view: &View<'_>,
) -> Vec<(Altered<'a>, Result<Operation, Error>)> {
    let resources: Vec<Altered<'a>> = resources.collect();
    let mut times = BTreeMap::new();
    for resource in &resources {
        *times.entry((resource.kind, resource.name)).or_insert(0) += 1;
    }
    let planned = resources.into_iter().map(|resource| {
        let operation = match times[&(resource.kind, resource.name)] {
            1 => operation(&resource, replacing, view),
            _ => Err(invalid("Each resource must appear at most once.")),
        };
        (resource, operation)
    });
    planned.collect()
}

fn operation(resource: &Altered<'_>, replacing: bool, view: &View<'_>) -> Result<Operation, Error> {
    if resource.kind == kind::BROKER_LOGGER && !replacing {
        // There are no loggers whose level could be changed.
        let name = resource.configs.first().map_or("", |config| config.name);
        let message = format!("Logger {name} does not exist!");
        return Err(Error::new(ResponseError::InvalidConfig, message));
    }
    let of = found(resource.kind, resource.name, view)?;
    let before = present(&of, view);
    let mut changes = Changes::new();
    if replacing {
        changes.extend(before.keys().map(|name| (name.clone(), None)));
    }
    let base = if replacing { Values::new() } else { before };
    changes.extend(asked_changes(&of, &resource.configs, base, view)?);
    Ok(Operation::ChangeConfigs { of, changes })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ResponseError::InvalidRequest, message)
}

/// The resource of a request, which has to be there.
fn found(of_kind: i8, name: &StrBytes, view: &View<'_>) -> Result<Resource, Error> {
    match of_kind {
        kind::TOPIC if name.is_empty() => Err(invalid("Default topic resources are not allowed.")),
        kind::TOPIC => {
            topic_name::validate(name)
                .map_err(|message| Error::new(ResponseError::InvalidTopicException, message))?;
            let topic = view.topics.by_name(name);
            topic.map(|topic| Resource::Topic(topic.id)).ok_or_else(|| {
                let message = format!("The topic '{name}' does not exist.");
                Error::new(ResponseError::UnknownTopicOrPartition, message)
            })
        }
        kind::BROKER if name.is_empty() => Ok(Resource::Brokers),
        kind::BROKER => match name.parse::<i32>() {
            Ok(id) if id == view.node.id => Ok(Resource::Broker(id)),
            Ok(id) => Err(invalid(format!(
                "Unexpected broker id, expected {}, but received {id}",
                view.node.id
            ))),
            Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
        },
        kind::GROUP if name.is_empty() => Err(invalid("Default group resources are not allowed.")),
        kind::GROUP => Ok(Resource::Group(name.as_str().into())),
        kind::CLIENT_METRICS => {
            let message = "Metrics of clients are not collected by this broker.";
            Err(Error::new(ResponseError::InvalidConfig, message))
        }
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

/// What is set of a resource.
fn present(of: &Resource, view: &View<'_>) -> Values {
    let set = match of {
        Resource::Topic(id) => view.topics.by_id(*id).map(|topic| topic.configs.clone()),
        other => view.configs.get(other).cloned(),
    };
    set.unwrap_or_default()
}

/// What the configs of one resource come to. They are checked together with those that stay, which
/// are `after` to begin with.
fn asked_changes(
    of: &Resource,
    asked: &[Asked<'_>],
    mut after: Values,
    view: &View<'_>,
) -> Result<Changes, Error> {
    let mut changes = Changes::new();
    let nulls = asked.iter().filter(|config| config.value.is_none());
    let nulls = nulls.filter(|config| config.change != Change::Delete as i8);
    let nulls: Vec<&str> = nulls.map(|config| config.name).collect();
    let mut names = BTreeSet::new();
    if !asked.iter().all(|config| names.insert(config.name)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    for Asked { name, change, value } in asked {
        let change = Change::of(*change);
        // Kafka does not expect that, and says no more.
        let change = change.ok_or_else(|| Error::silent(ResponseError::UnknownServerError))?;
        let value = match (change, value) {
            (Change::Delete, _) | (_, None) => None,
            (Change::Set, Some(value)) => Some((*value).to_owned()),
            (Change::Append | Change::Subtract, Some(value)) => {
                Some(listed(of, name, after.get(*name), value, change)?)
            }
        };
        match value.clone() {
            Some(value) => after.insert((*name).to_owned(), value),
            None => after.remove(*name),
        };
        changes.insert((*name).to_owned(), value);
    }
    check(of, &changes, &after, view)?;
    Ok(changes)
}

/// The definition of a config of a resource.
fn definition(of: &Resource, name: &str) -> Option<&'static ConfigDef> {
    match of {
        Resource::Topic(_) => topic_configs::CONFIGS.get(name),
        Resource::Group(_) => group_configs::CONFIGS.get(name),
        Resource::Brokers | Resource::Broker(_) => topic_configs::of_setting(name),
    }
}

/// A list with elements more or fewer. One that is there already is not added again.
fn listed(
    of: &Resource,
    name: &str,
    set: Option<&String>,
    given: &str,
    change: Change,
) -> Result<String, Error> {
    let config = definition(of, name).filter(|config| config.kind == "LIST");
    let config = config.ok_or_else(|| {
        let change = if change == Change::Append { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {change} to key {name} because its type is not LIST.");
        Error::new(ResponseError::InvalidConfig, message)
    })?;
    let split = |text: &str| -> Vec<String> {
        let items = text.split(',').map(|item| item.trim().to_owned());
        items.filter(|item| !item.is_empty()).collect()
    };
    let (mut all, given) = (split(set.map_or(config.default, String::as_str)), split(given));
    if change == Change::Append {
        for item in given {
            if !all.contains(&item) {
                all.push(item);
            }
        }
    } else {
        all.retain(|item| !given.contains(item));
    }
    Ok(all.join(","))
}

/// Checks the names that change, and the values that there are then.
fn check(of: &Resource, changes: &Changes, after: &Values, view: &View<'_>) -> Result<(), Error> {
    let refused = |message: String| Err(Error::new(ResponseError::InvalidConfig, message));
    match of {
        Resource::Topic(_) => {
            let all = after.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
            topic_configs::check(all).or_else(refused)
        }
        Resource::Group(_) => group_configs::check(after, view.settings).or_else(refused),
        Resource::Brokers | Resource::Broker(_) => {
            let fixed = changes.keys().filter(|name| topic_configs::of_setting(name).is_none());
            let fixed: Vec<&str> = fixed.map(String::as_str).collect();
            if !fixed.is_empty() {
                let names = fixed.join(", ");
                return Err(invalid(format!("Cannot update these configs dynamically: [{names}]")));
            }
            if *of == Resource::Brokers && changes.get(UNDELETABLE) == Some(&None) {
                return refused(format!(
                    "Cluster-level {UNDELETABLE} cannot be removed while ELR is enabled."
                ));
            }
            let mut values = after.iter();
            values.try_for_each(|(name, value)| {
                check_setting(name, value).map_err(|why| {
                    invalid(format!("Invalid value {value} for configuration {name}: {why}"))
                })
            })
        }
    }
}
