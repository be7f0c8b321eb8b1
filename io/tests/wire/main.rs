//! Frames taken apart and answers put together, each checked against the codec's client side.

mod admin;
mod classic;
mod coordinator;
mod fetched;
mod offsets;
mod served;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use quorate_core::{NodeId, Text};
use quorate_io::wire::{self, Call, Endpoint, Incoming, Reply, ReplyShape};

const CORRELATION: i32 = 77;

/// A frame as a client sends it, without the length.
fn sent<R: Request>(version: i16, request: &R) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION)
        .with_client_id(Some(StrBytes::from_static_str("app")));
    let mut frame = BytesMut::new();
    encode_request_header_into_buffer(&mut frame, &header).unwrap();
    request.encode(&mut frame, version).unwrap();
    frame.freeze()
}

/// What the broker makes of a request.
fn received<R: Request>(version: i16, request: &R) -> Incoming {
    let incoming = wire::decode(sent(version, request)).unwrap();
    assert_eq!(incoming.client_id, Text::from("app"));
    assert_eq!(incoming.shape.correlation_id, CORRELATION);
    incoming
}

/// What the core is asked by a request.
fn asked<R: Request>(version: i16, request: &R) -> quorate_core::Request {
    match received(version, request).call {
        Call::Group(request) => request,
        Call::Broker(other) => panic!("not for the coordinator: {other:?}"),
    }
}

fn shape<R: Request>(version: i16) -> ReplyShape {
    let key = ApiKey::try_from(R::KEY).unwrap();
    ReplyShape { key, version, correlation_id: CORRELATION, authorized_operations: false }
}

/// The bytes of an answer.
fn encoded(shape: ReplyShape, reply: impl Into<Reply>) -> BytesMut {
    let at = |node| (node == NodeId(1)).then(|| Endpoint { host: "here".into(), port: 9 });
    wire::encode(shape, reply.into(), &at).unwrap().joined()
}

/// What a client reads of an answer in that shape.
fn read_as<R: Request>(shape: ReplyShape, reply: impl Into<Reply>) -> R::Response {
    let mut frame = encoded(shape, reply).freeze();
    assert_eq!(frame.get_i32() as usize, frame.len(), "the length is that of what follows");
    let header = R::Response::header_version(shape.version);
    let header = ResponseHeader::decode(&mut frame, header).unwrap();
    assert_eq!(header.correlation_id, CORRELATION);
    let response = R::Response::decode(&mut frame, shape.version).unwrap();
    assert_eq!(frame.len(), 0, "nothing is left over");
    response
}

/// What a client reads of an answer to a request of that version.
fn read<R: Request>(version: i16, reply: impl Into<Reply>) -> R::Response {
    read_as::<R>(shape::<R>(version), reply)
}

fn s(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}
