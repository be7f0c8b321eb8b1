use kafka_protocol::messages::api_versions_response::{FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeClusterRequest,
    DescribeClusterResponse,
};
use kafka_protocol::protocol::StrBytes;
use quorate_io::api::{cluster, versions};

use super::{node, s};

/// Key, oldest and newest version of each API that a client is told of.
fn told(response: &ApiVersionsResponse) -> Vec<(i16, i16, i16)> {
    response.api_keys.iter().map(|v| (v.api_key, v.min_version, v.max_version)).collect()
}

fn from(name: &'static str, version: &'static str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(s(name))
        .with_client_software_version(s(version))
}

#[test]
fn api_versions_tells_what_is_served() {
    let expected = [
        (0, 0, 13),
        (1, 4, 18),
        (2, 1, 10),
        (3, 0, 13),
        (8, 2, 9),
        (9, 1, 9),
        (10, 0, 6),
        (11, 0, 9),
        (12, 0, 4),
        (13, 0, 5),
        (14, 0, 5),
        (15, 0, 6),
        (16, 0, 5),
        (18, 0, 4),
        (19, 2, 7),
        (20, 1, 6),
        (21, 0, 2),
        (22, 0, 5),
        (23, 2, 4),
        (29, 1, 3),
        (32, 1, 4),
        (33, 0, 2),
        (35, 1, 4),
        (37, 0, 3),
        (42, 0, 2),
        (44, 0, 1),
        (46, 0, 0),
        (47, 0, 0),
        (48, 0, 1),
        (50, 0, 0),
        (55, 0, 2),
        (60, 0, 2),
        (61, 0, 0),
        (74, 0, 1),
        (75, 0, 0),
    ];
    for version in 0..=4 {
        let answer = versions::answer(&from("apache-kafka-java", "4.4.0"), version, 7);
        assert_eq!(told(&answer), expected);
        let mut rest = ApiVersionsResponse::default();
        if version >= 3 {
            let supported = SupportedFeatureKey::default()
                .with_name(s("metadata.version"))
                .with_min_version(7)
                .with_max_version(33);
            let finalized = FinalizedFeatureKey::default()
                .with_name(s("metadata.version"))
                .with_min_version_level(33)
                .with_max_version_level(33);
            rest = rest
                .with_supported_features(vec![supported])
                .with_finalized_features(vec![finalized])
                .with_finalized_features_epoch(7);
        }
        assert_eq!(answer.with_api_keys(vec![]), rest);
    }
}

#[test]
fn a_version_from_the_future_is_told_of_api_versions_alone() {
    let answer = versions::unsupported();
    assert_eq!((answer.error_code, told(&answer)), (35, vec![(18, 0, 4)]));
}

#[test]
fn software_has_a_name_of_kafkas_pattern() {
    for (name, version) in [("with space!", ""), ("", ""), ("a", "-1"), ("a.", "1"), ("é", "1")] {
        let refused = versions::answer(&from(name, version), 3, 7);
        assert_eq!(refused, ApiVersionsResponse::default().with_error_code(42), "{name}");
        // Older versions do not carry the name, so it is not looked at.
        let good = versions::answer(&from("a", "1"), 2, 7);
        assert_eq!((good.error_code, versions::answer(&from(name, version), 2, 7)), (0, good));
    }
    for (name, version) in [("a", "1"), ("kafka-python", "3.0.1"), ("a--.b", "v1-rc.2")] {
        assert_eq!(versions::answer(&from(name, version), 3, 7).error_code, 0, "{name}");
    }
}

#[test]
fn the_cluster_is_this_node() {
    for (told, operations) in [(false, i32::MIN), (true, 8096)] {
        let request =
            DescribeClusterRequest::default().with_include_cluster_authorized_operations(told);
        let broker = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(1))
            .with_host(s("here"))
            .with_port(9);
        let expected = DescribeClusterResponse::default()
            .with_cluster_id(s("cluster"))
            .with_controller_id(BrokerId(1))
            .with_brokers(vec![broker])
            .with_cluster_authorized_operations(operations);
        assert_eq!(cluster::answer(&request, &node()), expected);
    }
}

#[test]
fn endpoints_of_controllers_are_not_told() {
    let cases = [
        (
            2,
            114,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
             type CONTROLLER",
        ),
        (0, 115, "Unsupported endpoint type 0"),
    ];
    for (kind, code, message) in cases {
        let request = DescribeClusterRequest::default().with_endpoint_type(kind);
        let expected = DescribeClusterResponse::default()
            .with_error_code(code)
            .with_error_message(Some(StrBytes::from_static_str(message)));
        assert_eq!(cluster::answer(&request, &node()), expected);
    }
}
