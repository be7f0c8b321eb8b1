//! What the broker around the coordinator is asked and answers: the codec's own types, for they
//! live no longer than a request.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, FetchRequest, FetchResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceRequest,
    ProduceResponse,
};

use super::{CodecError, ReplyShape, Unencodable, frame, parse};

/// A request that is not for the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerRequest {
    /// ApiVersions, in a version that is served.
    ApiVersions(ApiVersionsRequest),
    /// ApiVersions in a version from the future; its body is not looked at.
    ApiVersionsUnsupported,
    /// Metadata.
    Metadata(MetadataRequest),
    /// CreateTopics.
    CreateTopics(CreateTopicsRequest),
    /// DeleteTopics.
    DeleteTopics(DeleteTopicsRequest),
    /// CreatePartitions.
    CreatePartitions(CreatePartitionsRequest),
    /// DescribeConfigs.
    DescribeConfigs(DescribeConfigsRequest),
    /// DescribeCluster.
    DescribeCluster(DescribeClusterRequest),
    /// Produce.
    Produce(ProduceRequest),
    /// Fetch.
    Fetch(FetchRequest),
    /// ListOffsets.
    ListOffsets(ListOffsetsRequest),
    /// InitProducerId.
    InitProducerId(InitProducerIdRequest),
    /// OffsetForLeaderEpoch.
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
}

/// The answer to a [`BrokerRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerResponse {
    /// To ApiVersions, also of the future.
    ApiVersions(ApiVersionsResponse),
    /// To Metadata.
    Metadata(MetadataResponse),
    /// To CreateTopics.
    CreateTopics(CreateTopicsResponse),
    /// To DeleteTopics.
    DeleteTopics(DeleteTopicsResponse),
    /// To CreatePartitions.
    CreatePartitions(CreatePartitionsResponse),
    /// To DescribeConfigs.
    DescribeConfigs(DescribeConfigsResponse),
    /// To DescribeCluster.
    DescribeCluster(DescribeClusterResponse),
    /// To Produce.
    Produce(ProduceResponse),
    /// To Fetch.
    Fetch(FetchResponse),
    /// To ListOffsets.
    ListOffsets(ListOffsetsResponse),
    /// To InitProducerId.
    InitProducerId(InitProducerIdResponse),
    /// To OffsetForLeaderEpoch.
    OffsetForLeaderEpoch(OffsetForLeaderEpochResponse),
}

impl BrokerRequest {
    /// `key` is one of the table's, and not of the coordinator.
    pub(super) fn decode(
        key: ApiKey,
        version: i16,
        body: &mut Bytes,
    ) -> Result<BrokerRequest, CodecError> {
        Ok(match key {
            ApiKey::ApiVersions => BrokerRequest::ApiVersions(parse(body, version)?),
            ApiKey::Metadata => BrokerRequest::Metadata(parse(body, version)?),
            ApiKey::CreateTopics => BrokerRequest::CreateTopics(parse(body, version)?),
            ApiKey::DeleteTopics => BrokerRequest::DeleteTopics(parse(body, version)?),
            ApiKey::CreatePartitions => BrokerRequest::CreatePartitions(parse(body, version)?),
            ApiKey::DescribeConfigs => BrokerRequest::DescribeConfigs(parse(body, version)?),
            ApiKey::DescribeCluster => BrokerRequest::DescribeCluster(parse(body, version)?),
            ApiKey::Produce => BrokerRequest::Produce(parse(body, version)?),
            ApiKey::Fetch => BrokerRequest::Fetch(parse(body, version)?),
            ApiKey::ListOffsets => BrokerRequest::ListOffsets(parse(body, version)?),
            ApiKey::InitProducerId => BrokerRequest::InitProducerId(parse(body, version)?),
            ApiKey::OffsetForLeaderEpoch => {
                BrokerRequest::OffsetForLeaderEpoch(parse(body, version)?)
            }
            other => return Err(format!("{other:?} is served but has no decoder").into()),
        })
    }
}

impl BrokerResponse {
    pub(super) fn encode(&self, shape: ReplyShape) -> Result<BytesMut, Unencodable> {
        match self {
            BrokerResponse::ApiVersions(r) => frame(shape, r),
            BrokerResponse::Metadata(r) => frame(shape, r),
            BrokerResponse::CreateTopics(r) => frame(shape, r),
            BrokerResponse::DeleteTopics(r) => frame(shape, r),
            BrokerResponse::CreatePartitions(r) => frame(shape, r),
            BrokerResponse::DescribeConfigs(r) => frame(shape, r),
            BrokerResponse::DescribeCluster(r) => frame(shape, r),
            BrokerResponse::Produce(r) => frame(shape, r),
            BrokerResponse::Fetch(r) => frame(shape, r),
            BrokerResponse::ListOffsets(r) => frame(shape, r),
            BrokerResponse::InitProducerId(r) => frame(shape, r),
            BrokerResponse::OffsetForLeaderEpoch(r) => frame(shape, r),
        }
    }
}
