//! ApiVersions: what is served, from the one table of it.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::wire::{SERVED, Served};

/// The answer in a version that is served.
///
/// Of the features of Kafka 4.4 only `metadata.version` is named: `transaction.version` and
/// `group.version` tell clients to use APIs that are not served. `changes` is the number of changes
/// that the catalog has seen, the epoch of the features.
#[must_use]
pub fn answer(request: &ApiVersionsRequest, version: i16, changes: u64) -> ApiVersionsResponse {
    let named = [&request.client_software_name, &request.client_software_version];
    if version >= 3 && !named.into_iter().all(|name| is_software_name(name)) {
        return ApiVersionsResponse::default()
            .with_error_code(ResponseError::InvalidRequest.code());
    }
    let (oldest, newest) = METADATA_VERSIONS;
    let supported = SupportedFeatureKey::default()
        .with_name(METADATA_VERSION)
        .with_min_version(oldest)
        .with_max_version(newest);
    let finalized = FinalizedFeatureKey::default()
        .with_name(METADATA_VERSION)
        .with_min_version_level(newest)
        .with_max_version_level(newest);
    let answer = ApiVersionsResponse::default();
    let answer = answer.with_api_keys(SERVED.iter().map(line).collect());
    if version < 3 {
        return answer;
    }
    answer
        .with_supported_features(vec![supported])
        .with_finalized_features(vec![finalized])
        .with_finalized_features_epoch(i64::try_from(changes).unwrap_or(i64::MAX))
}

const METADATA_VERSION: StrBytes = StrBytes::from_static_str("metadata.version");
/// The oldest and the newest of Kafka 4.4.
const METADATA_VERSIONS: (i16, i16) = (7, 33);

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
