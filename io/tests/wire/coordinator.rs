use kafka_protocol::messages::find_coordinator_response::Coordinator as Found;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use quorate_core::request::FindCoordinator;
use quorate_core::response::{self, Coordinator};
use quorate_core::{ErrorCode, NodeId, Request, Response};

use super::{asked, read, s};

const INVALID: &str = "This most likely occurs because of a request being malformed by the client \
    library or the message was sent to an incompatible broker. See the broker logs for more \
    details.";

#[test]
fn one_key_is_asked_before_version_4_and_a_list_from_there_on() {
    for version in 0..=6 {
        let key_type = if version == 0 { 0 } else { 1 };
        let (request, keys) = if version < 4 {
            (FindCoordinatorRequest::default().with_key(s("k")), vec!["k".into()])
        } else {
            let keys = vec![s("k"), s(""), s("k")];
            let asked = FindCoordinatorRequest::default().with_coordinator_keys(keys);
            (asked, vec!["k".into(), "".into(), "k".into()])
        };
        let expected = FindCoordinator { key_type, keys };
        let request = request.with_key_type(key_type);
        assert_eq!(asked(version, &request), Request::FindCoordinator(expected));
    }
}

fn answer(failed: bool, node: Result<NodeId, ErrorCode>) -> Response {
    let coordinators = vec![Coordinator { key: "k".into(), node }];
    Response::FindCoordinator(response::FindCoordinator { failed, coordinators })
}

#[test]
fn a_coordinator_is_named_with_its_endpoint() {
    for version in 0..=6 {
        let expected = if version < 4 {
            FindCoordinatorResponse::default()
                .with_node_id(BrokerId(1))
                .with_host(s("here"))
                .with_port(9)
                .with_error_message(if version == 0 { Some(s("")) } else { Some(s("NONE")) })
        } else {
            let one = Found::default()
                .with_key(s("k"))
                .with_node_id(BrokerId(1))
                .with_host(s("here"))
                .with_port(9)
                .with_error_message(Some(s("")));
            FindCoordinatorResponse::default().with_coordinators(vec![one])
        };
        let got = read::<FindCoordinatorRequest>(version, answer(false, Ok(NodeId(1))));
        assert_eq!(got, expected, "version {version}");
    }
}

#[test]
fn a_broker_that_has_no_endpoint_here_is_no_coordinator() {
    let got = read::<FindCoordinatorRequest>(2, answer(false, Ok(NodeId(2))));
    let expected = FindCoordinatorResponse::default()
        .with_error_code(15)
        .with_error_message(Some(s("The coordinator is not available.")))
        .with_node_id(BrokerId(-1))
        .with_port(-1);
    assert_eq!(got, expected);
}

#[test]
fn a_key_that_fails_alone_has_no_words_from_version_4_on_and_a_request_that_fails_has() {
    for (failed, words) in [(false, ""), (true, INVALID)] {
        let got = read::<FindCoordinatorRequest>(4, answer(failed, Err(ErrorCode::InvalidRequest)));
        let one = Found::default()
            .with_key(s("k"))
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(42)
            .with_error_message(Some(s(words)));
        assert_eq!(got, FindCoordinatorResponse::default().with_coordinators(vec![one]));
    }
}
