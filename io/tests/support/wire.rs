//! The least there is of a Kafka client: one connection, one request at a time.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// A request in this version, with its length in front.
pub fn frame<R: Request>(version: i16, correlation: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, R::header_version(version)).expect("a header that fits");
    request.encode(&mut frame, version).expect("a request that its version can hold");
    let length = u32::try_from(frame.len() - 4).expect("a short frame");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A connection to a broker.
pub struct Connection {
    stream: TcpStream,
    correlation: i32,
}

impl Connection {
    /// Connects; an answer that takes longer than 30 s is an error.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Sends a request in this version and waits for its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.send(version, request)?;
        self.answer::<R>(version)
    }

    /// Sends a request in this version.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        self.correlation += 1;
        self.stream.write_all(&frame(version, self.correlation, request))
    }

    /// Waits for the answer to the last request.
    pub fn answer<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut answer = self.receive()?;
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut answer, header_version).expect("a header");
        assert_eq!(header.correlation_id, self.correlation, "answers come in order");
        let response = R::Response::decode(&mut answer, version).expect("an answer of its version");
        assert_eq!(answer.remaining(), 0, "an answer ends where it says");
        Ok(response)
    }

    fn receive(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }
}
