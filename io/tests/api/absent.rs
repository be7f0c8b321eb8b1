use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_quorum_request;
use kafka_protocol::messages::describe_quorum_response::{
    Node as QuorumNode, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{
    BrokerId, DescribeAclsRequest, DescribeAclsResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeUserScramCredentialsRequest, ListPartitionReassignmentsResponse,
};
use quorate_core::WallTime;
use quorate_io::api::{Answer, absent, quorum};

use super::{name, node, s};

#[test]
fn there_is_no_authorizer_and_nothing_moves() {
    let expected = DescribeAclsResponse::default()
        .with_error_code(54)
        .with_error_message(Some(s("No Authorizer is configured on the broker")));
    let any = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    assert_eq!(absent::acls(&any), Answer::Send(expected));
    for unknown in [
        any.clone().with_resource_type_filter(0),
        any.clone().with_pattern_type_filter(0),
        any.clone().with_operation(0),
        any.clone().with_permission_type(0),
    ] {
        assert_eq!(absent::acls(&unknown), Answer::Close);
    }
    let expected = ListPartitionReassignmentsResponse::default().with_error_message(None);
    assert_eq!(absent::reassignments(), expected);
}

/// Type of entity, type of match, what is to match.
type Component = (&'static str, i8, Option<&'static str>);

/// As Apache Kafka 4.4 answers.
#[test]
fn there_are_no_quotas_but_a_filter_has_to_be_one() {
    let not_with = "Invalid entity filter component combination. IP filter component should not \
                    be used with user or clientId filter component.";
    let cases: &[(&[Component], i16, &str)] = &[
        (&[], 0, ""),
        (&[("user", 0, Some("x")), ("client-id", 1, None)], 0, ""),
        (
            &[("user", 0, None)],
            42,
            "Request specified MATCH_TYPE_EXACT, but set match string to null.",
        ),
        (
            &[("user", 1, Some("x"))],
            42,
            "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
        ),
        (
            &[("user", 2, Some("x"))],
            42,
            "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.",
        ),
        (&[("user", 9, None)], 42, "Unknown match type 9"),
        (
            &[("user", 2, None), ("user", 1, None)],
            42,
            "Entity type user cannot appear more than once in the filter.",
        ),
        (&[("foo", 2, None)], 35, "Unsupported entity type foo"),
        (&[("", 2, None)], 42, "Invalid empty entity type."),
        (&[("ip", 2, None), ("user", 1, None)], 42, not_with),
    ];
    for (components, code, message) in cases {
        let components = components.iter().map(|(of, kind, value)| {
            ComponentData::default()
                .with_entity_type(s(of))
                .with_match_type(*kind)
                .with_match(value.map(s))
        });
        let request = DescribeClientQuotasRequest::default().with_components(components.collect());
        let expected = DescribeClientQuotasResponse::default()
            .with_error_code(*code)
            .with_error_message(Some(s(message)))
            .with_entries((*code == 0).then(Vec::new));
        assert_eq!(absent::quotas(&request), expected);
    }
}

#[test]
fn nobody_has_scram_credentials() {
    let told = |users: Option<&[&'static str]>| {
        let users = users.map(|users| users.iter().map(|u| UserName::default().with_name(s(u))));
        let request =
            DescribeUserScramCredentialsRequest::default().with_users(users.map(Iterator::collect));
        let answer = absent::scram_credentials(&request);
        assert_eq!((answer.error_code, answer.error_message), (0, Some(s(""))));
        let results = answer.results.into_iter();
        let results = results
            .map(|r| (r.user.to_string(), r.error_code, r.error_message.unwrap().to_string()));
        results.collect::<Vec<_>>()
    };
    assert_eq!(told(None), vec![]);
    let unknown = |user: &str| {
        let message = format!("Attempt to describe a user credential that does not exist: {user}");
        (user.to_owned(), 91, message)
    };
    assert_eq!(told(Some(&["b", "a"])), vec![unknown("a"), unknown("b")]);
    let twice = "Cannot describe SCRAM credentials for the same user twice in a single request: a";
    assert_eq!(told(Some(&["a", "a"])), vec![("a".to_owned(), 92, twice.to_owned())]);
}

fn of_quorum(version: i16, asked: &[(&'static str, &[i32])]) -> DescribeQuorumResponse {
    let topics = asked.iter().map(|(topic, partitions)| {
        let partitions = partitions.iter().map(|index| {
            describe_quorum_request::PartitionData::default().with_partition_index(*index)
        });
        describe_quorum_request::TopicData::default()
            .with_topic_name(name(topic))
            .with_partitions(partitions.collect())
    });
    let request = DescribeQuorumRequest::default().with_topics(topics.collect());
    quorum::answer(&request, version, &node(), 7, WallTime(99))
}

#[test]
fn the_quorum_is_this_node() {
    let voter = ReplicaState::default()
        .with_replica_id(BrokerId(1))
        .with_log_end_offset(7)
        .with_last_fetch_timestamp(99)
        .with_last_caught_up_timestamp(99);
    let partition = PartitionData::default()
        .with_error_message(Some(s("")))
        .with_leader_id(BrokerId(1))
        .with_leader_epoch(1)
        .with_high_watermark(7)
        .with_current_voters(vec![voter]);
    let topic = TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![partition]);
    let answer =
        DescribeQuorumResponse::default().with_error_message(Some(s(""))).with_topics(vec![topic]);
    let asked: &[(&str, &[i32])] = &[("__cluster_metadata", &[0])];
    assert_eq!(of_quorum(1, asked), answer);
    let nodes = vec![QuorumNode::default().with_node_id(BrokerId(1))];
    assert_eq!(of_quorum(2, asked), answer.with_nodes(nodes));
}

#[test]
fn of_anything_else_the_quorum_knows_nothing() {
    for asked in [
        &[("foo", &[0][..])][..],
        &[("__cluster_metadata", &[1])],
        &[("__cluster_metadata", &[0, 1])],
    ] {
        let answer = of_quorum(2, asked);
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        assert!(partitions.into_iter().all(|p| p.error_code == 3 && p.current_voters.is_empty()));
        assert_eq!((answer.error_code, answer.nodes), (0, vec![]));
    }
}
