//! What the broker around the coordinator is asked and answers: the codec's own types, for they
//! live no longer than a request. Only the answer to a Fetch is our own.

use bytes::Bytes;
use kafka_protocol::messages::{self, ApiKey};

use super::{CodecError, Frame, ReplyShape, Unencodable, parse};
use crate::pieces::Pieces;

/// The types of answers.
mod answers {
    pub use kafka_protocol::messages::*;

    pub use crate::wire::fetched::Fetched;
}

/// Makes both enums from one list of APIs, with the ways in and out of bytes.
macro_rules! broker_apis {
    ($($api:ident: $request:ident => $response:ident,)+) => {
        /// A request that is not for the coordinator.
        #[derive(Debug, Clone, PartialEq)]
        pub enum BrokerRequest {
            $(
                #[doc = concat!(stringify!($api), ", in a version that is served.")]
                $api(messages::$request),
            )+
            /// ApiVersions in a version from the future; its body is not looked at.
            ApiVersionsUnsupported,
        }

        /// The answer to a [`BrokerRequest`].
        #[derive(Debug, Clone, PartialEq)]
        pub enum BrokerResponse {
            $(
                #[doc = concat!("To ", stringify!($api), ".")]
                $api(answers::$response),
            )+
        }

        impl BrokerRequest {
            /// `key` is one of the table's, and not of the coordinator.
            pub(super) fn decode(
                key: ApiKey,
                version: i16,
                body: &mut Bytes,
            ) -> Result<BrokerRequest, CodecError> {
                match key {
                    $(ApiKey::$api => Ok(BrokerRequest::$api(parse(body, version)?)),)+
                    other => Err(format!("{other:?} is served but has no decoder").into()),
                }
            }
        }

        impl BrokerResponse {
            pub(super) fn encode(&self, shape: ReplyShape) -> Result<Pieces, Unencodable> {
                match self {
                    $(BrokerResponse::$api(response) => response.frame(shape),)+
                }
            }
        }
    };
}

broker_apis! {
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse,
    Metadata: MetadataRequest => MetadataResponse,
    DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse,
    DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse,

    CreateTopics: CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse,
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse,
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse,
    AlterConfigs: AlterConfigsRequest => AlterConfigsResponse,
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse,

    Produce: ProduceRequest => ProduceResponse,
    Fetch: FetchRequest => Fetched,
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse,
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse,
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse,
    DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse,
    DescribeProducers: DescribeProducersRequest => DescribeProducersResponse,

    DescribeAcls: DescribeAclsRequest => DescribeAclsResponse,
    DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse,
    DescribeUserScramCredentials:
        DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse,
    ListPartitionReassignments:
        ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
}
