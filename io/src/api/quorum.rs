//! DescribeQuorum (KIP-595): the metadata quorum, which is this node alone.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_quorum_request;
use kafka_protocol::messages::describe_quorum_response::{
    Node as QuorumNode, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_protocol::protocol::StrBytes;
use quorate_core::WallTime;

use super::Node;
use super::topic_name::CLUSTER_METADATA;
use super::topics::UNKNOWN_TOPIC;

/// The answer. `changes` is the number of changes that the catalog has seen: the log's end.
///
/// No listener is told, for there is no controller to connect to.
#[must_use]
pub fn answer(
    request: &DescribeQuorumRequest,
    version: i16,
    node: &Node,
    changes: u64,
    now: WallTime,
) -> DescribeQuorumResponse {
    let end = i64::try_from(changes).unwrap_or(i64::MAX);
    let only = asks_only_for_the_quorum(request);
    let of_partition = |index: i32| {
        let partition = PartitionData::default().with_partition_index(index);
        if !only {
            let unknown = ResponseError::UnknownTopicOrPartition;
            let message = StrBytes::from_static_str(UNKNOWN_TOPIC);
            return partition.with_error_code(unknown.code()).with_error_message(Some(message));
        }
        let voter = ReplicaState::default()
            .with_replica_id(node.broker())
            .with_log_end_offset(end)
            .with_last_fetch_timestamp(now.0)
            .with_last_caught_up_timestamp(now.0);
        partition
            .with_error_message(Some(StrBytes::default()))
            .with_leader_id(node.broker())
            .with_leader_epoch(node.leader_epoch + 1)
            .with_high_watermark(end)
            .with_current_voters(vec![voter])
    };
    let of_topic = |asked: &describe_quorum_request::TopicData| {
        let partitions = asked.partitions.iter().map(|part| of_partition(part.partition_index));
        TopicData::default()
            .with_topic_name(asked.topic_name.clone())
            .with_partitions(partitions.collect())
    };
    let nodes = match only && version >= 2 {
        true => vec![QuorumNode::default().with_node_id(node.broker())],
        false => Vec::new(),
    };
    DescribeQuorumResponse::default()
        .with_error_message(Some(StrBytes::default()))
        .with_topics(request.topics.iter().map(of_topic).collect())
        .with_nodes(nodes)
}

/// Kafka knows nothing of a request that names anything else.
fn asks_only_for_the_quorum(request: &DescribeQuorumRequest) -> bool {
    let [topic] = &request.topics[..] else { return false };
    let [partition] = &topic.partitions[..] else { return false };
    &**topic.topic_name == CLUSTER_METADATA && partition.partition_index == 0
}
