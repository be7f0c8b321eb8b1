//! What user interfaces and orchestrators ask first about parts of a Kafka that this broker does
//! not have: access control lists, quotas, SCRAM credentials, reassignments.
//!
//! Decided here: each is answered as by a Kafka in which nobody has set up any.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_user_scram_credentials_response as scram;
use kafka_protocol::messages::{
    DescribeAclsRequest, DescribeAclsResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse, ListPartitionReassignmentsResponse,
};
use kafka_protocol::protocol::StrBytes;
use scram::DescribeUserScramCredentialsResult as ScramResult;

use super::{Answer, Error};

/// DescribeAcls: there is no authorizer. The connection of one that asks for what is not known, by
/// the number 0, is closed.
#[must_use]
pub fn acls(request: &DescribeAclsRequest) -> Answer<DescribeAclsResponse> {
    let of_resource = [request.resource_type_filter, request.pattern_type_filter];
    if of_resource.contains(&0) || [request.operation, request.permission_type].contains(&0) {
        return Answer::Close;
    }
    Answer::Send(
        DescribeAclsResponse::default()
            .with_error_code(ResponseError::SecurityDisabled.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "No Authorizer is configured on the broker",
            ))),
    )
}

/// DescribeClientQuotas (KIP-546): there are none, whatever the filter; but it has to be one.
#[must_use]
pub fn quotas(request: &DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    let answer = DescribeClientQuotasResponse::default();
    match check_filter(&request.components) {
        Ok(()) => answer.with_error_message(Some(StrBytes::default())).with_entries(Some(vec![])),
        Err(error) => {
            answer.with_error_code(error.code).with_error_message(error.message).with_entries(None)
        }
    }
}

/// What can have a quota.
const ENTITY_TYPES: [&str; 3] = ["user", "client-id", "ip"];

fn check_filter(components: &[ComponentData]) -> Result<(), Error> {
    let invalid = |message: String| Err(Error::new(ResponseError::InvalidRequest, message));
    let mut types = BTreeSet::new();
    for ComponentData { entity_type, match_type, _match: given, .. } in components {
        if entity_type.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if !ENTITY_TYPES.contains(&entity_type.as_str()) {
            let message = format!("Unsupported entity type {entity_type}");
            return Err(Error::new(ResponseError::UnsupportedVersion, message));
        }
        if !types.insert(entity_type.as_str()) {
            return invalid(format!(
                "Entity type {entity_type} cannot appear more than once in the filter."
            ));
        }
        let message = match (match_type, given) {
            (0, Some(_)) | (1 | 2, None) => continue,
            (0, None) => "Request specified MATCH_TYPE_EXACT, but set match string to null.".into(),
            (1, Some(_)) => {
                "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.".into()
            }
            (2, Some(_)) => {
                "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.".into()
            }
            (other, _) => format!("Unknown match type {other}"),
        };
        return invalid(message);
    }
    if types.contains("ip") && types.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component."
                .to_owned(),
        );
    }
    Ok(())
}

/// DescribeUserScramCredentials (KIP-554): nobody has any.
#[must_use]
pub fn scram_credentials(
    request: &DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let mut times = BTreeMap::new();
    for user in request.users.iter().flatten() {
        *times.entry(user.name.clone()).or_insert(0) += 1;
    }
    let results = times.into_iter().map(|(user, times)| {
        let error = if times > 1 {
            let why =
                "Cannot describe SCRAM credentials for the same user twice in a single request";
            Error::new(ResponseError::DuplicateResource, format!("{why}: {user}"))
        } else {
            let why = "Attempt to describe a user credential that does not exist";
            Error::new(ResponseError::ResourceNotFound, format!("{why}: {user}"))
        };
        ScramResult::default()
            .with_user(user)
            .with_error_code(error.code)
            .with_error_message(error.message)
    });
    DescribeUserScramCredentialsResponse::default()
        .with_error_message(Some(StrBytes::default()))
        .with_results(results.collect())
}

/// ListPartitionReassignments (KIP-455): nothing moves, for there is nowhere to move it to.
#[must_use]
pub fn reassignments() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}
