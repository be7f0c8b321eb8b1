//! DescribeCluster: the one node there is.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::{CLUSTER_OPERATIONS, NOT_ASKED, Node};
use crate::wire::str_bytes;

/// Endpoints for clients; 2 would be those of controllers.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// The answer.
#[must_use]
pub fn answer(request: &DescribeClusterRequest, node: &Node) -> DescribeClusterResponse {
    let refused = |code: ResponseError, message: String| {
        DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(message)))
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "The request was sent to an endpoint of type BROKER, but we wanted an \
                           endpoint of type CONTROLLER";
            return refused(ResponseError::MismatchedEndpointType, message.to_owned());
        }
        other => {
            let message = format!("Unsupported endpoint type {other}");
            return refused(ResponseError::UnsupportedEndpointType, message);
        }
    }
    let broker = DescribeClusterBroker::default()
        .with_broker_id(node.broker())
        .with_host(str_bytes(node.host.clone()))
        .with_port(node.port);
    let told = request.include_cluster_authorized_operations;
    DescribeClusterResponse::default()
        .with_cluster_id(str_bytes(node.cluster_id.clone()))
        .with_controller_id(node.broker())
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(if told { CLUSTER_OPERATIONS } else { NOT_ASKED })
}
