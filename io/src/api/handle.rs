//! From a request to its answer, where it is not for the coordinator.
//!
//! Decided here: what is waited for. A change of the catalog that was asked for is answered when it
//! is durable and every thread has applied it; one that Metadata makes on demand, by nobody.

use std::rc::Rc;

use quorate_core::NodeId;

use super::configs::View;
use super::{
    Node, Plan, absent, alter_configs, cluster, configs, delete_records, describe_log, fetch,
    init_producer_id, list_offsets, metadata, offset_for_leader_epoch, partitions, produce, quorum,
    topic_partitions, topics, versions,
};
use crate::catalog::Operation;
use crate::connection::Ends;
use crate::core_thread::Thread;
use crate::dispatch::endpoint;
use crate::wire::{BrokerRequest, BrokerResponse};

/// What a handler gives back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<R> {
    /// The answer.
    Send(R),
    /// The request wants no answer: Produce with acks 0.
    Silent,
    /// The connection is to be closed.
    Close,
}

impl<R> Answer<R> {
    /// The same answer as another type.
    pub fn map<T>(self, with: impl FnOnce(R) -> T) -> Answer<T> {
        match self {
            Answer::Send(response) => Answer::Send(with(response)),
            Answer::Silent => Answer::Silent,
            Answer::Close => Answer::Close,
        }
    }
}

/// Answers a request.
pub async fn handle(
    thread: &Rc<Thread>,
    ends: &Ends,
    request: BrokerRequest,
    version: i16,
) -> Answer<BrokerResponse> {
    let shared = Rc::clone(thread);
    let entropy = &mut |bytes: &mut [u8]| (shared.shared().entropy)(bytes);
    let Some(node) = this_node(thread, ends) else { return Answer::Close };
    use BrokerResponse as To;
    Answer::Send(match request {
        BrokerRequest::ApiVersions(asked) => {
            To::ApiVersions(versions::answer(&asked, version, thread.topics().number()))
        }
        BrokerRequest::ApiVersionsUnsupported => To::ApiVersions(versions::unsupported()),
        BrokerRequest::Metadata(asked) => {
            let told = metadata::answer(
                &asked,
                version,
                &thread.topics(),
                &thread.settings(),
                &node,
                entropy,
            );
            create_on_demand(thread, told.create);
            To::Metadata(told.answer)
        }
        BrokerRequest::CreateTopics(asked) => {
            let plan = topics::create(&asked, &thread.topics(), &thread.settings(), &node, entropy);
            To::CreateTopics(carry_out(thread, plan).await)
        }
        BrokerRequest::DeleteTopics(asked) => {
            let plan = topics::delete(&asked, &thread.topics());
            To::DeleteTopics(carry_out(thread, plan).await)
        }
        BrokerRequest::CreatePartitions(asked) => {
            let plan = partitions::grow(&asked, &thread.topics(), &node);
            To::CreatePartitions(carry_out(thread, plan).await)
        }
        BrokerRequest::DescribeConfigs(asked) => {
            To::DescribeConfigs(with_view(thread, &node, |view| configs::answer(&asked, view)))
        }
        BrokerRequest::ListConfigResources(asked) => {
            let list = |view: &View<'_>| configs::list(&asked, version, view);
            To::ListConfigResources(with_view(thread, &node, list))
        }
        BrokerRequest::AlterConfigs(asked) => {
            let plan = with_view(thread, &node, |view| alter_configs::replacing(&asked, view));
            To::AlterConfigs(carry_out(thread, plan).await)
        }
        BrokerRequest::IncrementalAlterConfigs(asked) => {
            let plan = with_view(thread, &node, |view| alter_configs::incremental(&asked, view));
            To::IncrementalAlterConfigs(carry_out(thread, plan).await)
        }
        BrokerRequest::DescribeCluster(asked) => {
            To::DescribeCluster(cluster::answer(&asked, &node))
        }
        BrokerRequest::DescribeTopicPartitions(asked) => {
            To::DescribeTopicPartitions(topic_partitions::answer(&asked, &thread.topics(), &node))
        }
        BrokerRequest::DescribeQuorum(asked) => {
            let (changes, now) = (thread.topics().number(), thread.now().wall);
            To::DescribeQuorum(quorum::answer(&asked, version, &node, changes, now))
        }
        BrokerRequest::Produce(asked) => {
            return produce::answer(thread, asked, version).await.map(To::Produce);
        }
        BrokerRequest::Fetch(asked) => To::Fetch(fetch::answer(thread, asked, version).await),
        BrokerRequest::ListOffsets(asked) => {
            To::ListOffsets(list_offsets::answer(thread, asked, version).await)
        }
        BrokerRequest::InitProducerId(asked) => {
            To::InitProducerId(init_producer_id::answer(thread, asked).await)
        }
        BrokerRequest::OffsetForLeaderEpoch(asked) => {
            To::OffsetForLeaderEpoch(offset_for_leader_epoch::answer(thread, asked).await)
        }
        BrokerRequest::DeleteRecords(asked) => {
            To::DeleteRecords(delete_records::answer(thread, asked).await)
        }
        BrokerRequest::DescribeLogDirs(asked) => {
            To::DescribeLogDirs(describe_log::log_dirs(thread, asked).await)
        }
        BrokerRequest::DescribeProducers(asked) => {
            To::DescribeProducers(describe_log::producers(thread, asked).await)
        }
        BrokerRequest::DescribeAcls(asked) => return absent::acls(&asked).map(To::DescribeAcls),
        BrokerRequest::DescribeClientQuotas(asked) => {
            To::DescribeClientQuotas(absent::quotas(&asked))
        }
        BrokerRequest::DescribeUserScramCredentials(asked) => {
            To::DescribeUserScramCredentials(absent::scram_credentials(&asked))
        }
        BrokerRequest::ListPartitionReassignments(_) => {
            To::ListPartitionReassignments(absent::reassignments())
        }
    })
}

/// Has a handler of configs look at what there is.
fn with_view<R>(thread: &Thread, node: &Node, look: impl FnOnce(&View<'_>) -> R) -> R {
    look(&View {
        topics: &thread.topics(),
        configs: &thread.configs(),
        settings: &thread.settings(),
        node,
    })
}

/// This node, at the address that the client of a connection reaches it at.
fn this_node(thread: &Thread, ends: &Ends) -> Option<Node> {
    let identity = &thread.shared().identity;
    let id = identity.node_id;
    let endpoint = endpoint(thread, ends, NodeId(id))?;
    Some(Node {
        cluster_id: identity.cluster_id.as_str().into(),
        id,
        host: endpoint.host,
        port: endpoint.port,
        leader_epoch: thread.shared().leader_epoch,
    })
}

/// Does what a plan wants, all of it at once, and gives the answer.
async fn carry_out<R>(thread: &Rc<Thread>, mut plan: Plan<R>) -> R {
    let operations = std::mem::take(&mut plan.operations);
    // Tasks of a thread start in the order in which they are spawned, and go on without the client.
    let started = operations.into_iter().map(|operation| {
        let thread = Rc::clone(thread);
        tokio::task::spawn_local(async move { thread.change_catalog(operation).await })
    });
    let started: Vec<_> = started.collect();
    let mut outcomes = Vec::new();
    for change in started {
        match change.await {
            Ok(Ok(outcome)) => outcomes.push(outcome),
            // What is not done when the broker stops, neither is what comes after it.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    plan.answer(outcomes)
}

fn create_on_demand(thread: &Rc<Thread>, operations: Vec<Operation>) {
    for operation in operations {
        let thread = Rc::clone(thread);
        // One that another request has created meanwhile is refused, and nobody has to know.
        tokio::task::spawn_local(async move { thread.change_catalog(operation).await });
    }
}
