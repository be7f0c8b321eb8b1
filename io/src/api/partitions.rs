//! CreatePartitions: which topics of a request can grow.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Error, Node, Plan};
use crate::catalog::{Operation, Topic, Topics};

/// Partitions that one request may create: Kafka's controller takes no more records at once.
pub(super) const MAX_NEW_PARTITIONS: i64 = 10_000;

/// Says which topics of a CreatePartitions request can grow, all versions.
///
/// The coordinator's own topic cannot: its partitions are the shards, by which groups are found.
#[must_use]
pub fn grow(
    request: &CreatePartitionsRequest,
    topics: &Topics,
    node: &Node,
) -> Plan<CreatePartitionsResponse> {
    let mut plan = Plan::new(CreatePartitionsResponse::default(), refuse);
    let mut times = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(&*topic.name).or_insert(0_usize) += 1;
    }
    let too_many = new_partitions(request, topics) > MAX_NEW_PARTITIONS;
    for asked in &request.topics {
        let twice = match times.remove(&*asked.name) {
            Some(times) => times > 1,
            None => continue,
        };
        let checked = if request.timeout_ms <= 0 {
            Err(Error::timed_out())
        } else if twice {
            Err(Error::new(ResponseError::InvalidRequest, "Duplicate topic name."))
        } else if too_many {
            let message = "Excessively large number of additional partitions per request.";
            Err(Error::new(ResponseError::PolicyViolation, message))
        } else {
            check(asked, topics, node)
        };
        let place = plan.answer.results.len();
        let result = CreatePartitionsTopicResult::default()
            .with_name(asked.name.clone())
            .with_error_message(None);
        plan.answer.results.push(result);
        match checked {
            Err(error) => refuse(&mut plan.answer, place, error),
            Ok(_) if request.validate_only => {}
            Ok(topic) => {
                let (id, partitions) = (topic.id, asked.count);
                plan.add(place, Operation::SetPartitions { id, partitions });
            }
        }
    }
    plan
}

fn refuse(answer: &mut CreatePartitionsResponse, place: usize, error: Error) {
    answer.results[place].error_code = error.code;
    answer.results[place].error_message = error.message;
}

fn new_partitions(request: &CreatePartitionsRequest, topics: &Topics) -> i64 {
    let of = |asked: &CreatePartitionsTopic| {
        let topic = topics.by_name(&asked.name)?;
        Some((i64::from(asked.count) - i64::from(topic.partitions)).max(0))
    };
    request.topics.iter().filter_map(of).sum()
}

fn check<'a>(
    asked: &CreatePartitionsTopic,
    topics: &'a Topics,
    node: &Node,
) -> Result<&'a Topic, Error> {
    let Some(topic) = topics.by_name(&asked.name) else {
        return Err(Error::silent(ResponseError::UnknownTopicOrPartition));
    };
    let (name, current, count) = (&topic.name, topic.partitions, asked.count);
    if topic.internal {
        let message = format!("The internal topic {name} cannot have more partitions.");
        return Err(Error::new(ResponseError::InvalidRequest, message));
    }
    if count <= current {
        let message = if count == current {
            format!("Topic already has {current} partition(s).")
        } else {
            format!(
                "The topic {name} currently has {current} partition(s); {count} would not be an \
                 increase."
            )
        };
        return Err(Error::new(ResponseError::InvalidPartitions, message));
    }
    if let Some(assignments) = &asked.assignments {
        let additional = (count - current) as usize;
        if assignments.len() != additional {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) \
                 were specified.",
                assignments.len()
            );
            return Err(Error::new(ResponseError::InvalidReplicaAssignment, message));
        }
        for assignment in assignments {
            check_assignment(&assignment.broker_ids, node)?;
        }
    }
    Ok(topic)
}

/// Checks where a request wants the replicas of one partition: there is one node.
pub(super) fn check_assignment(replicas: &[BrokerId], node: &Node) -> Result<(), Error> {
    let refused = |why: String| {
        let message = format!("The manual partition assignment includes {why}");
        Err(Error::new(ResponseError::InvalidReplicaAssignment, message))
    };
    let mut ids: Vec<i32> = replicas.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    if ids.is_empty() {
        return refused("an empty replica list.".to_owned());
    }
    for (at, &id) in ids.iter().enumerate() {
        if id != node.id {
            return refused(format!("broker {id}, but no such broker is registered."));
        }
        if at > 0 && ids[at - 1] == id {
            return refused(format!("the broker {id} more than once."));
        }
    }
    Ok(())
}
