//! CreateTopics and DeleteTopics: which topics of a request can be, and what is said of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::partitions::{MAX_NEW_PARTITIONS, check_assignment};
use super::{Error, Node, Plan, topic_configs, topic_name};
use crate::catalog::{Entropy, Operation, Topic, Topics, random_id};
use crate::cli::Settings;

/// What Kafka says of a name that no topic has.
pub(super) const UNKNOWN_TOPIC: &str = "This server does not host this topic-partition.";

/// Says which topics of a CreateTopics request can be created, all versions.
///
/// A name that is given twice is refused; more than 10,000 partitions in one request refuse all of
/// it. A topic is on one node, so its replication factor is 1.
pub fn create(
    request: &CreateTopicsRequest,
    topics: &Topics,
    settings: &Settings,
    node: &Node,
    entropy: Entropy<'_>,
) -> Plan<CreateTopicsResponse> {
    let mut plan = Plan::new(CreateTopicsResponse::default(), refuse_creation);
    let too_many = partitions_of(request, settings) > MAX_NEW_PARTITIONS;
    for (topic, twice) in once(&request.topics, |topic| topic.name.clone()) {
        let checked = if request.timeout_ms <= 0 {
            Err(Error::timed_out())
        } else if twice {
            Err(Error::new(ResponseError::InvalidRequest, "Duplicate topic name."))
        } else if too_many {
            let message = "Excessively large number of partitions per request.";
            Err(Error::new(ResponseError::PolicyViolation, message))
        } else {
            check_creation(topic, topics, settings, node)
        };
        let place = plan.answer.topics.len();
        let result =
            CreatableTopicResult::default().with_name(topic.name.clone()).with_error_message(None);
        match checked {
            Err(error) => {
                plan.answer.topics.push(result);
                refuse_creation(&mut plan.answer, place, error);
            }
            Ok(partitions) => {
                let topic = Topic {
                    name: Arc::from(topic.name.as_str()),
                    id: random_id(entropy),
                    partitions,
                    configs: configs_of(topic),
                    internal: false,
                };
                plan.answer.topics.push(
                    result
                        .with_topic_id(topic.id)
                        .with_num_partitions(partitions)
                        .with_replication_factor(1)
                        .with_configs(Some(topic_configs::of_new_topic(&topic, settings))),
                );
                if !request.validate_only {
                    plan.add(place, Operation::Create(topic));
                }
            }
        }
    }
    plan
}

fn refuse_creation(answer: &mut CreateTopicsResponse, place: usize, error: Error) {
    let name = std::mem::take(&mut answer.topics[place].name);
    answer.topics[place] = CreatableTopicResult::default()
        .with_name(name)
        .with_error_code(error.code)
        .with_error_message(error.message)
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_configs(Some(Vec::new()));
}

/// Each item of a new name, and whether the name comes again.
fn once<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> Vec<(&T, bool)> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(key(item)).or_insert(0_usize) += 1;
    }
    let mut seen = BTreeSet::new();
    let first = items.iter().filter(|item| seen.insert(key(item)));
    first.map(|item| (item, counts[&key(item)] > 1)).collect()
}

fn default_partitions(settings: &Settings) -> i32 {
    i32::try_from(settings.num_partitions).unwrap_or(i32::MAX)
}

fn partitions_of(request: &CreateTopicsRequest, settings: &Settings) -> i64 {
    let of = |topic: &CreatableTopic| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
        -1 => i64::from(default_partitions(settings)),
        given => i64::from(given.max(0)),
    };
    request.topics.iter().map(of).sum()
}

/// The number of partitions of a topic that can be created.
fn check_creation(
    topic: &CreatableTopic,
    topics: &Topics,
    settings: &Settings,
    node: &Node,
) -> Result<i32, Error> {
    let name = topic.name.as_str();
    if topics.by_name(name).is_some() {
        return Err(Error::new(ResponseError::TopicAlreadyExists, topic_name::taken(name)));
    }
    if topic_name::is_reserved(name) {
        let message = format!("Creation of internal topic {name} is prohibited.");
        return Err(Error::new(ResponseError::InvalidRequest, message));
    }
    let invalid = |message| Error::new(ResponseError::InvalidTopicException, message);
    topic_name::validate(name).map_err(invalid)?;
    if let Some(with) = topic_name::colliding(topics, name) {
        return Err(invalid(topic_name::collides(name, with)));
    }
    let configs = topic.configs.iter();
    let configs = configs.map(|config| (config.name.as_str(), config.value.as_deref()));
    topic_configs::check(configs)
        .map_err(|message| Error::new(ResponseError::InvalidConfig, message))?;
    if !topic.assignments.is_empty() {
        return check_assignments(topic, node);
    }
    check_counts(topic, settings)
}

fn check_counts(topic: &CreatableTopic, settings: &Settings) -> Result<i32, Error> {
    let replicas = topic.replication_factor;
    if replicas < -1 || replicas == 0 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Error::new(ResponseError::InvalidReplicationFactor, message));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        let message = "Number of partitions was set to an invalid non-positive value.";
        return Err(Error::new(ResponseError::InvalidPartitions, message));
    }
    if replicas > 1 && !settings.accept_any_replication_factor {
        let message = format!(
            "Unable to replicate the partition {replicas} time(s): The target replication factor \
             of {replicas} cannot be reached because only 1 broker(s) are registered or some \
             brokers have all their log directories cordoned."
        );
        return Err(Error::new(ResponseError::InvalidReplicationFactor, message));
    }
    let given = topic.num_partitions;
    Ok(if given == -1 { default_partitions(settings) } else { given })
}

/// Replicas that the request places itself, on the one node there is.
fn check_assignments(topic: &CreatableTopic, node: &Node) -> Result<i32, Error> {
    let manual = "A manual partition assignment was specified, but";
    if topic.replication_factor != -1 {
        let message = format!("{manual} replication factor was not set to -1.");
        return Err(Error::new(ResponseError::InvalidRequest, message));
    }
    if topic.num_partitions != -1 {
        let message = format!("{manual} numPartitions was not set to -1.");
        return Err(Error::new(ResponseError::InvalidRequest, message));
    }
    let mut indexes = BTreeSet::new();
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if !indexes.insert(index) {
            let message =
                format!("Found multiple manual partition assignments for partition {index}");
            return Err(Error::new(ResponseError::InvalidReplicaAssignment, message));
        }
        check_assignment(&assignment.broker_ids, node)?;
    }
    let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
    if !indexes.into_iter().eq(0..count) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Error::new(ResponseError::InvalidReplicaAssignment, message));
    }
    Ok(count)
}

/// Of a config that is given twice, the last counts.
fn configs_of(topic: &CreatableTopic) -> BTreeMap<String, String> {
    let configs = topic.configs.iter();
    let given = configs.filter_map(|config| Some((&config.name, config.value.as_ref()?)));
    given.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Says which topics of a DeleteTopics request can be deleted, all versions: by name, and from
/// version 6 on by id.
///
/// The coordinator's own topic cannot: the offsets in it are not the topic's.
#[must_use]
pub fn delete(request: &DeleteTopicsRequest, topics: &Topics) -> Plan<DeleteTopicsResponse> {
    let mut plan = Plan::new(DeleteTopicsResponse::default(), refuse_deletion);
    if request.timeout_ms <= 0 {
        let names = request.topic_names.iter().map(|name| (Some(name), Uuid::nil()));
        let topics = request.topics.iter().map(|topic| (topic.name.as_ref(), topic.topic_id));
        for (name, id) in names.chain(topics) {
            push_refused(&mut plan, name.cloned(), id, Error::timed_out());
        }
        return plan;
    }
    let (mut names, mut ids): (Vec<TopicName>, Vec<Uuid>) = Default::default();
    names.extend(request.topic_names.iter().cloned());
    for topic in &request.topics {
        match (&topic.name, topic.topic_id.is_nil()) {
            (Some(name), true) => names.push(name.clone()),
            (None, false) => ids.push(topic.topic_id),
            (name, no_id) => {
                let message = if no_id {
                    "Neither topic name nor id were specified."
                } else {
                    "You may not specify both topic name and topic id."
                };
                let error = Error::new(ResponseError::InvalidRequest, message);
                push_refused(&mut plan, name.clone(), topic.topic_id, error);
            }
        }
    }
    // Kafka does not delete what is given both ways, and answers for it once.
    let named = once(&names, |name| StrBytes::clone(name)).into_iter().filter(|(_, twice)| !twice);
    let named: BTreeSet<Uuid> =
        named.filter_map(|(name, _)| topics.by_name(name)).map(|topic| topic.id).collect();
    for (id, twice) in once(&ids, |id| *id) {
        let found = topics.by_id(*id);
        if twice {
            let error = Error::new(ResponseError::InvalidRequest, "Duplicate topic id.");
            push_refused(&mut plan, None, *id, error);
        } else if let Some(topic) = found {
            if !named.contains(id) {
                delete_one(&mut plan, topic);
            }
        } else {
            let message = "This server does not host this topic ID.";
            let error = Error::new(ResponseError::UnknownTopicId, message);
            push_refused(&mut plan, None, *id, error);
        }
    }
    for (name, twice) in once(&names, |name| StrBytes::clone(name)) {
        let name = name.clone();
        let (id, error) = match topics.by_name(&name) {
            _ if twice => {
                let message = "Duplicate topic name.";
                (Uuid::nil(), Error::new(ResponseError::InvalidRequest, message))
            }
            None => {
                let error = Error::new(ResponseError::UnknownTopicOrPartition, UNKNOWN_TOPIC);
                (Uuid::nil(), error)
            }
            Some(topic) if ids.contains(&topic.id) => {
                let message = "The provided topic name maps to an ID that was already supplied.";
                (topic.id, Error::new(ResponseError::InvalidRequest, message))
            }
            Some(topic) => {
                delete_one(&mut plan, topic);
                continue;
            }
        };
        push_refused(&mut plan, Some(name), id, error);
    }
    plan
}

fn delete_one(plan: &mut Plan<DeleteTopicsResponse>, topic: &Topic) {
    let name = TopicName(StrBytes::from_string(topic.name.to_string()));
    if topic.internal {
        let message = format!("The internal topic {} cannot be deleted.", topic.name);
        let error = Error::new(ResponseError::InvalidRequest, message);
        return push_refused(plan, Some(name), topic.id, error);
    }
    let place = plan.answer.responses.len();
    let result = DeletableTopicResult::default().with_name(Some(name)).with_topic_id(topic.id);
    plan.answer.responses.push(result);
    plan.add(place, Operation::Delete { id: topic.id });
}

fn push_refused(
    plan: &mut Plan<DeleteTopicsResponse>,
    name: Option<TopicName>,
    id: Uuid,
    error: Error,
) {
    let place = plan.answer.responses.len();
    let result = DeletableTopicResult::default().with_name(name).with_topic_id(id);
    plan.answer.responses.push(result);
    refuse_deletion(&mut plan.answer, place, error);
}

fn refuse_deletion(answer: &mut DeleteTopicsResponse, place: usize, error: Error) {
    answer.responses[place].error_code = error.code;
    answer.responses[place].error_message = error.message;
}
