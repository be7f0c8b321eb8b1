//! Addresses: `HOST:PORT`, as flags and listeners have them.

use std::fmt;
use std::str::FromStr;

/// A host and a port to listen on or to be reached at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name or an address, IPv6 without brackets. Empty: every interface, as in Kafka.
    pub host: String,
    /// The port; 0 lets the operating system choose.
    pub port: u16,
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no port, or it is no number up to 65535.
    #[error("'{0}' is not HOST:PORT with a port from 0 to 65535, for example 127.0.0.1:9092")]
    Shape(String),
    /// An IPv6 address whose last group could be the port.
    #[error("'{0}' is ambiguous: write an IPv6 address in brackets, for example [::1]:9092")]
    Brackets(String),
    /// A listener without `NAME://`.
    #[error("'{0}' has no listener name: write PLAINTEXT://{0}")]
    NoName(String),
    /// A listener with encryption or authentication.
    #[error(
        "listener '{0}' cannot be served: only PLAINTEXT is, so write PLAINTEXT://HOST:PORT \
         and put anything that encrypts in front of it"
    )]
    Protocol(String),
    /// No listener for clients.
    #[error("'{0}' names no listener for clients: write PLAINTEXT://HOST:PORT")]
    None(String),
    /// Two listeners of one name.
    #[error("'{0}' is there twice: each listener has a name of its own")]
    Twice(String),
    /// An advertised listener that nobody listens at.
    #[error("'{0}' is no name of `listeners`: advertise those that are listened at")]
    NotListening(String),
    /// An advertised address that no client can connect to.
    #[error("clients cannot connect to '{0}': advertise the name or address that they reach")]
    Unreachable(String),
}

impl Endpoint {
    /// An address from its two parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Whether this listens on every interface, so that it cannot be told to clients.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let shape = || EndpointError::Shape(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(shape)?;
        if port.starts_with('+') {
            return Err(shape());
        }
        let port = port.parse().map_err(|_| shape())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bare {
            None if host.contains(':') => Err(EndpointError::Brackets(text.to_owned())),
            _ => Ok(Self::new(bare.unwrap_or(host), port)),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back_the_same() {
        for (text, host, port) in [
            ("127.0.0.1:9092", "127.0.0.1", 9092),
            ("[::1]:0", "::1", 0),
            ("broker.example:65535", "broker.example", 65535),
            (":9092", "", 9092),
        ] {
            assert_eq!(text.parse(), Ok(Endpoint::new(host, port)));
            assert_eq!(Endpoint::new(host, port).to_string(), text);
        }
    }

    #[test]
    fn an_address_that_is_wrong_is_told_apart() {
        use EndpointError::{Brackets, Shape};
        for (text, error) in [
            ("localhost", Shape("localhost".to_owned())),
            ("localhost:", Shape("localhost:".to_owned())),
            ("localhost:+1", Shape("localhost:+1".to_owned())),
            ("localhost:65536", Shape("localhost:65536".to_owned())),
            ("::1:9092", Brackets("::1:9092".to_owned())),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error));
        }
    }
}
