//! ApiVersions: what is served, from the one table of it.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use crate::wire::{SERVED, Served};

/// The answer in a version that is served.
///
/// No feature is named as finalised: `transaction.version` and `group.version` tell clients to use
/// APIs that are not served.
#[must_use]
pub fn answer(request: &ApiVersionsRequest, version: i16) -> ApiVersionsResponse {
    let named = [&request.client_software_name, &request.client_software_version];
    if version >= 3 && !named.into_iter().all(|name| is_software_name(name)) {
        return ApiVersionsResponse::default()
            .with_error_code(ResponseError::InvalidRequest.code());
    }
    ApiVersionsResponse::default().with_api_keys(SERVED.iter().map(line).collect())
}

/// The answer, in version 0, to a version that is not served: it names this API alone, so that the
/// client can ask again.
#[must_use]
pub fn unsupported() -> ApiVersionsResponse {
    let own = SERVED.iter().filter(|served| served.key == ApiKey::ApiVersions);
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(own.map(line).collect())
}

fn line(served: &Served) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(served.key as i16)
        .with_min_version(served.advertised_from)
        .with_max_version(served.max)
}

/// Kafka's pattern `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
fn is_software_name(name: &str) -> bool {
    let ends = |c: u8| c.is_ascii_alphanumeric();
    let name = name.as_bytes();
    name.first().is_some_and(|&c| ends(c))
        && name.last().is_some_and(|&c| ends(c))
        && name.iter().all(|&c| ends(c) || c == b'-' || c == b'.')
}
