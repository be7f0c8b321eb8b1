//! Between frames and what is asked: the header, the body, and which part of the broker it is for.
//!
//! Decided here: what is served ([`SERVED`]), what a frame asks ([`decode`]), and the bytes of an
//! answer ([`encode`]). Versions end here: the core gets capabilities, and [`ReplyShape`] keeps
//! what the answer's bytes depend on. Frames have been walked by their schema before they come
//! here, so that no length in them asks for memory that is not backed by bytes.

mod admin;
mod broker;
mod classic;
mod coordinator;
pub mod fetched;
mod offsets;
mod served;
mod text;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use quorate_core::{NodeId, Request, Response, Text};

use crate::pieces::Pieces;

pub use broker::{BrokerRequest, BrokerResponse};
pub use served::{SERVED, Served, served};
pub use text::{fixed, str_bytes, text};

/// A request, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// What its answer is to look like.
    pub shape: ReplyShape,
    /// The header's client id, empty where it is null. Shares the frame.
    pub client_id: Text,
    /// What is asked.
    pub call: Call,
}

/// What is asked, by who answers it.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// For the coordinator. Text shares the frame: state copies what it keeps.
    Group(Request),
    /// For the broker around it.
    Broker(BrokerRequest),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// By the coordinator.
    Group(Response),
    /// By the broker around it.
    Broker(BrokerResponse),
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply::Group(response)
    }
}

impl From<BrokerResponse> for Reply {
    fn from(response: BrokerResponse) -> Reply {
        Reply::Broker(response)
    }
}

/// What the bytes of an answer depend on, beside the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyShape {
    /// The API.
    pub key: ApiKey,
    /// The version that the answer is in: the request's, but for ApiVersions of the future.
    pub version: i16,
    /// Chosen by the client, given back.
    pub correlation_id: i32,
    /// Whether DescribeGroups is to tell which operations are allowed (KIP-430).
    pub authorized_operations: bool,
}

/// Where clients reach a broker, on the listener that the request came over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: Text,
    /// Port.
    pub port: i32,
}

/// Why a frame is no request; its connection is closed, as Kafka does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no room for key, version and correlation id.
    #[error("a frame of {0} bytes is too short for a request; the least is 8")]
    TooShort(usize),
    /// An API that is not in [`SERVED`].
    #[error("the API with key {0} is not served")]
    UnknownApi(i16),
    /// A version that is not in [`SERVED`].
    #[error("{key:?} is not served in version {version}; see ApiVersions for what is")]
    UnsupportedVersion {
        /// The API.
        key: ApiKey,
        /// The version.
        version: i16,
    },
    /// The bytes are not what the schema says.
    #[error("{key:?} version {version} does not decode: {reason}")]
    Malformed {
        /// The API.
        key: ApiKey,
        /// The version.
        version: i16,
        /// In the codec's words.
        reason: String,
    },
}

/// Why an answer has no bytes; its connection is closed, for the client waits for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer to {key:?} version {version} does not encode: {reason}")]
pub struct Unencodable {
    /// The API.
    pub key: ApiKey,
    /// The version.
    pub version: i16,
    /// In the codec's words.
    pub reason: String,
}

/// Takes a frame apart: all that its length prefix counts, without the prefix.
///
/// Bytes after the body are ignored, as Kafka does. ApiVersions in a version from the future is
/// [`BrokerRequest::ApiVersionsUnsupported`], to be answered as version 0.
pub fn decode(mut frame: Bytes) -> Result<Incoming, Refused> {
    let Some((head, _)) = frame.split_first_chunk::<8>() else {
        return Err(Refused::TooShort(frame.len()));
    };
    let (key, version) = (&mut &head[..2], &mut &head[2..4]);
    let (key, version) = (key.get_i16(), version.get_i16());
    let line = served(key).ok_or(Refused::UnknownApi(key))?;
    let mut shape = ReplyShape {
        key: line.key,
        version,
        correlation_id: (&mut &head[4..]).get_i32(),
        authorized_operations: false,
    };
    if version < line.min || version > line.max {
        if line.key == ApiKey::ApiVersions {
            shape.version = 0;
            let call = Call::Broker(BrokerRequest::ApiVersionsUnsupported);
            return Ok(Incoming { shape, client_id: Text::EMPTY, call });
        }
        return Err(Refused::UnsupportedVersion { key: line.key, version });
    }
    let header = line.key.request_header_version(version);
    let malformed = |reason| Refused::Malformed { key: line.key, version, reason };
    let header = RequestHeader::decode(&mut frame, header).map_err(|e| malformed(e.to_string()))?;
    let client_id = header.client_id.map_or(Text::EMPTY, text);
    let call = decode_body(&mut shape, &mut frame).map_err(|e| malformed(format!("{e:#}")))?;
    Ok(Incoming { shape, client_id, call })
}

/// What the codec says when it fails.
type CodecError = Box<dyn std::error::Error + Send + Sync>;

fn decode_body(shape: &mut ReplyShape, body: &mut Bytes) -> Result<Call, CodecError> {
    let version = shape.version;
    let group = match shape.key {
        ApiKey::FindCoordinator => coordinator::find(parse(body, version)?, version),
        ApiKey::JoinGroup => classic::join(parse(body, version)?, version),
        ApiKey::SyncGroup => classic::sync(parse(body, version)?, version),
        ApiKey::Heartbeat => classic::heartbeat(parse(body, version)?),
        ApiKey::LeaveGroup => classic::leave(parse(body, version)?, version),
        ApiKey::OffsetCommit => offsets::commit(parse(body, version)?, version),
        ApiKey::OffsetFetch => offsets::fetch(parse(body, version)?, version)?,
        ApiKey::OffsetDelete => offsets::delete(parse(body, version)?),
        ApiKey::ListGroups => admin::list(parse(body, version)?),
        ApiKey::DescribeGroups => admin::describe(parse(body, version)?, shape),
        ApiKey::DeleteGroups => admin::delete(parse(body, version)?),
        _ => return Ok(Call::Broker(BrokerRequest::decode(shape.key, version, body)?)),
    };
    Ok(Call::Group(group))
}

fn parse<T: Decodable>(body: &mut Bytes, version: i16) -> Result<T, CodecError> {
    Ok(T::decode(body, version)?)
}

/// The bytes of an answer, length prefix and all, in one allocation of exactly their size; but
/// records of a Fetch are in their own.
///
/// `endpoint` tells where a broker is reached; one that it does not know is no coordinator.
/// Panics where the answer is not of the API that `shape` names.
pub fn encode(
    shape: ReplyShape,
    reply: Reply,
    endpoint: &dyn Fn(NodeId) -> Option<Endpoint>,
) -> Result<Pieces, Unencodable> {
    let version = shape.version;
    let response = match reply {
        Reply::Group(response) => response,
        Reply::Broker(response) => return response.encode(shape),
    };
    debug_assert_eq!(key_of(&response), shape.key, "an answer to another request");
    match response {
        Response::FindCoordinator(r) => coordinator::found(r, version, endpoint).frame(shape),
        Response::JoinGroup(r) => classic::joined(*r, version).frame(shape),
        Response::SyncGroup(r) => classic::synced(*r).frame(shape),
        Response::Heartbeat(error) => classic::beaten(error).frame(shape),
        Response::LeaveGroup(r) => classic::left(r, version).frame(shape),
        Response::OffsetCommit(r) => offsets::committed(r).frame(shape),
        Response::OffsetFetch(r) => offsets::fetched(r, version).frame(shape),
        Response::OffsetDelete(r) => offsets::deleted(r).frame(shape),
        Response::ListGroups(r) => admin::listed(r, version).frame(shape),
        Response::DescribeGroups(r) => admin::described(r, shape).frame(shape),
        Response::DeleteGroups(r) => admin::deleted(r).frame(shape),
    }
}

fn key_of(response: &Response) -> ApiKey {
    match response {
        Response::FindCoordinator(_) => ApiKey::FindCoordinator,
        Response::JoinGroup(_) => ApiKey::JoinGroup,
        Response::SyncGroup(_) => ApiKey::SyncGroup,
        Response::Heartbeat(_) => ApiKey::Heartbeat,
        Response::LeaveGroup(_) => ApiKey::LeaveGroup,
        Response::OffsetCommit(_) => ApiKey::OffsetCommit,
        Response::OffsetFetch(_) => ApiKey::OffsetFetch,
        Response::OffsetDelete(_) => ApiKey::OffsetDelete,
        Response::ListGroups(_) => ApiKey::ListGroups,
        Response::DescribeGroups(_) => ApiKey::DescribeGroups,
        Response::DeleteGroups(_) => ApiKey::DeleteGroups,
    }
}

/// An answer that has a frame.
trait Frame {
    /// Length, header and body.
    fn frame(&self, shape: ReplyShape) -> Result<Pieces, Unencodable>;
}

impl<T: Encodable + HeaderVersion> Frame for T {
    fn frame(&self, shape: ReplyShape) -> Result<Pieces, Unencodable> {
        let ReplyShape { key, version, correlation_id, .. } = shape;
        let failed =
            |e: &dyn std::fmt::Display| Unencodable { key, version, reason: e.to_string() };
        let header = ResponseHeader::default().with_correlation_id(correlation_id);
        let header_version = T::header_version(version);
        let size = header.compute_size(header_version).map_err(|e| failed(&e))?
            + self.compute_size(version).map_err(|e| failed(&e))?;
        let length = i32::try_from(size).map_err(|e| failed(&e))?;
        let mut out = BytesMut::with_capacity(4 + size);
        out.put_i32(length);
        header.encode(&mut out, header_version).map_err(|e| failed(&e))?;
        self.encode(&mut out, version).map_err(|e| failed(&e))?;
        debug_assert_eq!(out.len(), 4 + size, "the codec counted wrong");
        Ok(out.into())
    }
}
