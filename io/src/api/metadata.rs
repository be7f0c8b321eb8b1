//! Metadata: the node, and the topics asked for, by name or by id.
//!
//! Decided here: which topics an answer lists, and which it lets be created. Kafka answers before
//! a topic is created on demand: the client hears UNKNOWN_TOPIC_OR_PARTITION, and asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{CLUSTER_OPERATIONS, NOT_ASKED, Node, TOPIC_OPERATIONS, topic_name};
use crate::catalog::{Entropy, Operation, Topic, Topics, random_id};
use crate::cli::Settings;
use crate::wire::str_bytes;

/// An answer, and what it lets be created; nobody waits for that.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The answer, to be sent at once.
    pub answer: MetadataResponse,
    /// Topics to create, each on its own: that one cannot be is nothing to tell.
    pub create: Vec<Operation>,
}

/// The answer to a request.
pub fn answer(
    request: &MetadataRequest,
    version: i16,
    topics: &Topics,
    settings: &Settings,
    node: &Node,
    entropy: Entropy<'_>,
) -> Metadata {
    let asked = match &request.topics {
        Some(asked) if !asked.is_empty() || version > 0 => Some(asked),
        _ => None,
    };
    if let Some(asked) = asked
        && version < 12
        && asked.iter().any(|topic| topic.name.is_none() || !topic.topic_id.is_nil())
    {
        return Metadata { answer: refused(asked), create: Vec::new() };
    }
    let operations =
        if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NOT_ASKED };
    let lists = Lists { topics, node, operations };
    let (found, missing) = match asked {
        None => (topics.iter().map(|topic| lists.topic(topic)).collect(), Vec::new()),
        Some(asked) if asked.iter().any(|topic| !topic.topic_id.is_nil()) => {
            (lists.by_id(asked), Vec::new())
        }
        Some(asked) => lists.by_name(asked),
    };
    let on_demand = request.allow_auto_topic_creation && settings.auto_create_topics;
    let create = if on_demand { creations(&missing, topics, settings, entropy) } else { vec![] };
    let all = [found, missing].concat();
    Metadata { answer: whole(request, all, version, node), create }
}

fn whole(
    request: &MetadataRequest,
    topics: Vec<MetadataResponseTopic>,
    version: i16,
    node: &Node,
) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(node.broker())
        .with_host(str_bytes(node.host.clone()))
        .with_port(node.port);
    let told = request.include_cluster_authorized_operations && (8..=10).contains(&version);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(str_bytes(node.cluster_id.clone())))
        .with_controller_id(node.broker())
        .with_topics(topics)
        .with_cluster_authorized_operations(if told { CLUSTER_OPERATIONS } else { NOT_ASKED })
}

/// Versions before 12 have no ids to ask by, and want a name: the whole request is wrong.
fn refused(asked: &[MetadataRequestTopic]) -> MetadataResponse {
    let topics = asked.iter().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    MetadataResponse::default().with_topics(topics.collect())
}

/// What the topics of one answer are made from.
struct Lists<'a> {
    topics: &'a Topics,
    node: &'a Node,
    operations: i32,
}

impl Lists<'_> {
    /// Ids beat names: with one id in a request, names alone are not looked at. Unknown ones first.
    fn by_id(&self, asked: &[MetadataRequestTopic]) -> Vec<MetadataResponseTopic> {
        let mut seen = BTreeSet::new();
        let ids = asked.iter().map(|topic| topic.topic_id);
        let ids = ids.filter(|id| !id.is_nil() && seen.insert(*id));
        let (mut unknown, mut found) = (Vec::new(), Vec::new());
        for id in ids {
            match self.topics.by_id(id) {
                Some(topic) => found.push(self.topic(topic)),
                None => unknown.push(
                    MetadataResponseTopic::default()
                        .with_error_code(ResponseError::UnknownTopicId.code())
                        .with_name(None)
                        .with_topic_id(id),
                ),
            }
        }
        unknown.append(&mut found);
        unknown
    }

    /// Those that there are and those that there are not, each name once.
    fn by_name(
        &self,
        asked: &[MetadataRequestTopic],
    ) -> (Vec<MetadataResponseTopic>, Vec<MetadataResponseTopic>) {
        let mut seen = BTreeSet::new();
        let names = asked.iter().map(|topic| topic.name.clone().unwrap_or_default());
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in names.filter(|name| seen.insert(StrBytes::clone(name))) {
            match self.topics.by_name(&name) {
                Some(topic) => found.push(self.topic(topic)),
                None => missing.push(self.missing(name)),
            }
        }
        (found, missing)
    }

    fn missing(&self, name: TopicName) -> MetadataResponseTopic {
        let error = match topic_name::validate(&name) {
            Ok(()) => ResponseError::UnknownTopicOrPartition,
            Err(_) => ResponseError::InvalidTopicException,
        };
        let internal = topic_name::is_internal(&name);
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(name))
            .with_is_internal(internal)
            .with_topic_authorized_operations(self.operations)
    }

    fn topic(&self, topic: &Arc<Topic>) -> MetadataResponseTopic {
        let me = self.node.broker();
        let partitions = (0..topic.partitions).map(|index| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(me)
                .with_leader_epoch(self.node.leader_epoch)
                .with_replica_nodes(vec![me])
                .with_isr_nodes(vec![me])
        });
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
            .with_topic_id(topic.id)
            .with_is_internal(topic.internal)
            .with_partitions(partitions.collect())
            .with_topic_authorized_operations(self.operations)
    }
}

/// Names that Kafka creates on demand: legal ones, but for those that a broker makes itself.
fn creations(
    missing: &[MetadataResponseTopic],
    topics: &Topics,
    settings: &Settings,
    entropy: Entropy<'_>,
) -> Vec<Operation> {
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let missing = missing.iter().filter(|topic| topic.error_code == unknown);
    let names = missing.filter_map(|topic| topic.name.as_deref());
    let names = names.filter(|name| !topic_name::is_reserved(name));
    let names = names.filter(|name| topic_name::colliding(topics, name).is_none());
    let creation = |name: &StrBytes| {
        Operation::Create(Topic {
            name: Arc::from(name.as_str()),
            id: random_id(entropy),
            partitions: i32::try_from(settings.num_partitions).unwrap_or(i32::MAX),
            configs: BTreeMap::new(),
            internal: false,
        })
    };
    names.map(creation).collect()
}
