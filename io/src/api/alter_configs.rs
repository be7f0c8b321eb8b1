//! AlterConfigs and IncrementalAlterConfigs (KIP-339): changes of configs while the broker runs.
//!
//! Decided here: what a request comes to, as changes of single configs, so that two requests that
//! come at once for different ones do not undo each other.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::configs::{OF_CLIENT_METRICS, View, kind};
use super::{Error, Plan, broker_configs, group_configs, topic_configs, topic_name};
use crate::catalog::{Operation, Resource};
use crate::cli::{Kind, known_settings};

/// Configs by name, with their values.
type Values = BTreeMap<String, String>;
/// Changes by name: the new value, none for the default.
type Changes = BTreeMap<String, Option<String>>;

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
    check_asked(&resource.configs)?;
    match resource.kind {
        kind::BROKER_LOGGER if !replacing => return loggers(resource, view),
        kind::CLIENT_METRICS => return client_metrics(resource, view),
        _ => {}
    }
    // Kafka looks at what is asked of a topic before it looks for the topic; the older request is
    // refused for the name before.
    let (of, missing) = match found(resource.kind, resource.name, view) {
        Ok(of) => (of, None),
        Err(missing)
            if resource.kind == kind::TOPIC
                && !resource.name.is_empty()
                && (!replacing || topic_name::validate(resource.name).is_ok()) =>
        {
            (Resource::Topic(Uuid::nil()), Some(missing))
        }
        Err(error) => return Err(error),
    };
    let mut after = present(&of, view);
    let mut changes = Changes::new();
    if replacing {
        changes.extend(after.keys().map(|name| (name.clone(), None)));
        if of == Resource::Brokers {
            changes.insert(broker_configs::OF_ALL.to_owned(), None);
        }
        after.clear();
    }
    change(&of, &resource.configs, &mut changes, &mut after)?;
    check(&of, &changes, &after, view)?;
    missing.map_or(Ok(()), Err)?;
    Ok(Operation::ChangeConfigs { of, changes })
}

/// What Kafka looks at first, whatever the configs are of.
fn check_asked(asked: &[Asked<'_>]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    if !asked.iter().all(|config| names.insert(config.name)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    let nulls = asked.iter().filter(|config| config.value.is_none());
    let nulls = nulls.filter(|config| config.change != Change::Delete as i8);
    let nulls: Vec<&str> = nulls.map(|config| config.name).collect();
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    Ok(())
}

/// The levels of a broker's loggers, of which there are none that could be changed.
fn loggers(resource: &Altered<'_>, view: &View<'_>) -> Result<Operation, Error> {
    let (id, own) = (node_id(resource.name)?, view.node.id);
    if id != own {
        return Err(invalid(format!("Unexpected node id. Expected {own}, but received {id}")));
    }
    let of = Resource::Broker(own);
    let logger = resource.configs.first().map(|config| config.name);
    logger.map_or(Ok(Operation::ChangeConfigs { of, changes: Changes::new() }), |name| {
        let message = format!("Logger {name} does not exist!");
        Err(Error::new(ResponseError::InvalidConfig, message))
    })
}

/// What clients are to tell of themselves (KIP-714), which they are not asked.
fn client_metrics(resource: &Altered<'_>, view: &View<'_>) -> Result<Operation, Error> {
    if resource.name.is_empty() {
        return Err(invalid("Subscription name can't be empty"));
    }
    let unknown = |name: &&str| OF_CLIENT_METRICS.iter().all(|known| known.0 != *name);
    let names = resource.configs.iter().map(|config| config.name);
    if let Some(name) = names.clone().find(unknown) {
        return Err(invalid(format!("Unknown client metrics configuration: {name}")));
    }
    if names.count() > 0 {
        let message = "Metrics of clients are not collected by this broker.";
        return Err(Error::new(ResponseError::InvalidConfig, message));
    }
    let of = Resource::Broker(view.node.id);
    Ok(Operation::ChangeConfigs { of, changes: Changes::new() })
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
        kind::BROKER => match (node_id(name)?, view.node.id) {
            (id, own) if id == own => Ok(Resource::Broker(id)),
            (id, own) => {
                Err(invalid(format!("Unexpected broker id, expected {own}, but received {id}")))
            }
        },
        kind::GROUP if name.is_empty() => Err(invalid("Default group resources are not allowed.")),
        kind::GROUP => Ok(Resource::Group(name.as_str().into())),
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

fn node_id(name: &StrBytes) -> Result<i32, Error> {
    name.parse().map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))
}

/// What is set of a resource.
fn present(of: &Resource, view: &View<'_>) -> Values {
    let set = match of {
        Resource::Topic(id) => view.topics.by_id(*id).map(|topic| topic.configs.clone()),
        other => view.configs.get(other).cloned(),
    };
    set.unwrap_or_default()
}

/// Adds what is asked of one resource to its changes, and to its configs as they are after them.
fn change(
    of: &Resource,
    asked: &[Asked<'_>],
    changes: &mut Changes,
    after: &mut Values,
) -> Result<(), Error> {
    for Asked { name, change: number, value } in asked {
        let change = Change::of(*number);
        let change = change.ok_or_else(|| match of {
            Resource::Brokers | Resource::Broker(_) => {
                invalid(format!("Unknown operations type {number}"))
            }
            // Kafka's controller does not expect that, and says no more.
            Resource::Topic(_) | Resource::Group(_) => {
                Error::silent(ResponseError::UnknownServerError)
            }
        })?;
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
    Ok(())
}

/// The default of a config that is a list. The error says that it is none.
fn default_list(of: &Resource, name: &str, change: Change) -> Result<&'static str, Error> {
    let table = match of {
        Resource::Topic(_) => &topic_configs::CONFIGS,
        Resource::Group(_) => &group_configs::CONFIGS,
        Resource::Brokers | Resource::Broker(_) => return default_list_of_brokers(name, change),
    };
    let config = table.get(name).filter(|config| config.kind == "LIST");
    config.map(|config| config.default).ok_or_else(|| {
        let change = if change == Change::Append { "APPEND" } else { "SUBTRACT" };
        not_listed(format!("Can't {change} to key {name} because its type is not LIST."))
    })
}

fn default_list_of_brokers(name: &str, change: Change) -> Result<&'static str, Error> {
    let known = known_settings().get(name);
    let known = known.ok_or_else(|| not_listed(format!("Unknown config name: {name}")))?;
    if known.kind != Kind::List {
        let change = if change == Change::Append { "append" } else { "subtract" };
        let message = format!("Config value {change} is not allowed for config key: {name}");
        return Err(not_listed(message));
    }
    Ok(known.default.unwrap_or_default())
}

fn not_listed(message: String) -> Error {
    Error::new(ResponseError::InvalidConfig, message)
}

/// A list with elements more or fewer. One that is there already is not added again.
fn listed(
    of: &Resource,
    name: &str,
    set: Option<&String>,
    given: &str,
    change: Change,
) -> Result<String, Error> {
    let default = default_list(of, name, change)?;
    let mut all = elements(set.map_or(default, String::as_str));
    all.retain(|item| !item.is_empty());
    let of_topic = matches!(of, Resource::Topic(_) | Resource::Group(_));
    if change == Change::Append {
        let before = all.len();
        for item in elements(given) {
            // Kafka's broker looks only at what was there, its controller also at what is added.
            let known = if of_topic { &all[..] } else { &all[..before] };
            if !known.contains(&item) {
                all.push(item);
            }
        }
    } else {
        let given = elements(given);
        all.retain(|item| !given.contains(item));
    }
    Ok(all.join(","))
}

/// The elements of a list as Java splits it: without the empty ones at its end, if it is not empty.
fn elements(text: &str) -> Vec<&str> {
    let mut all: Vec<&str> = text.split(',').map(str::trim).collect();
    while text.contains(',') && all.last() == Some(&"") {
        all.pop();
    }
    all
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
        Resource::Brokers => broker_configs::check(true, changes, after, view.settings),
        Resource::Broker(_) => broker_configs::check(false, changes, after, view.settings),
    }
}
