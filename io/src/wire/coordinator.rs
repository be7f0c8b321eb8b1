//! FindCoordinator: one key or many, and which errors come with words (spec classic 4.1).

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use quorate_core::request::FindCoordinator;
use quorate_core::{ErrorCode, NodeId, Request, response};

use super::Endpoint;
use super::text::{fixed, str_bytes, text};

pub(super) fn find(from: FindCoordinatorRequest, version: i16) -> Request {
    let keys = if version < 4 {
        vec![text(from.key)]
    } else {
        from.coordinator_keys.into_iter().map(text).collect()
    };
    Request::FindCoordinator(FindCoordinator { key_type: from.key_type, keys })
}

pub(super) fn found(
    from: response::FindCoordinator,
    version: i16,
    endpoint: &dyn Fn(NodeId) -> Option<Endpoint>,
) -> FindCoordinatorResponse {
    let failed = from.failed;
    let entries = from.coordinators.into_iter().map(|c| entry(c, endpoint));
    if version >= 4 {
        let words = |error| if failed { standard_text(error) } else { fixed("") };
        let entries = entries.map(|(c, error)| c.with_error_message(Some(words(error)))).collect();
        return FindCoordinatorResponse::default().with_coordinators(entries);
    }
    let (one, error) = entries.into_iter().next().unwrap_or_default();
    let message = (version >= 1).then(|| standard_text(error));
    FindCoordinatorResponse::default()
        .with_error_code(one.error_code)
        .with_error_message(message)
        .with_node_id(one.node_id)
        .with_host(one.host)
        .with_port(one.port)
}

fn entry(
    from: response::Coordinator,
    endpoint: &dyn Fn(NodeId) -> Option<Endpoint>,
) -> (Coordinator, ErrorCode) {
    let entry = Coordinator::default().with_key(str_bytes(from.key));
    let place = from.node.and_then(|node| {
        endpoint(node).map(|at| (node, at)).ok_or(ErrorCode::CoordinatorNotAvailable)
    });
    match place {
        Ok((node, at)) => (
            entry.with_node_id(BrokerId(node.0)).with_host(str_bytes(at.host)).with_port(at.port),
            ErrorCode::None,
        ),
        Err(error) => {
            (entry.with_node_id(BrokerId(-1)).with_port(-1).with_error_code(error.code()), error)
        }
    }
}

/// What Kafka says with a code.
fn standard_text(error: ErrorCode) -> StrBytes {
    fixed(match error {
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::InvalidRequest => {
            "This most likely occurs because of a request being malformed by the client library \
             or the message was sent to an incompatible broker. See the broker logs for more \
             details."
        }
        other => other.name(),
    })
}
