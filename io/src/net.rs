//! The only place that names sockets.
//!
//! Decided here: what the broker needs of a network. Streams can change their thread: they are
//! detached from the runtime of one and attached to that of another.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Something that accepts connections, on one thread.
pub trait Listener: Sized + 'static {
    /// What it accepts.
    type Io: Io;
    /// The listener while it belongs to no runtime.
    type Detached: Send + 'static;

    /// Registers with the runtime of the calling thread.
    fn attach(detached: Self::Detached) -> io::Result<Self>;
    /// The next connection, and who is at its other end. Cancelling loses no connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>>;
    /// Where clients connect to.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection's stream of bytes.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Sized + 'static {
    /// The stream while it belongs to no runtime.
    type Detached: Send + 'static;

    /// Leaves the runtime of the calling thread.
    fn detach(self) -> io::Result<Self::Detached>;
    /// Registers with the runtime of the calling thread.
    fn attach(detached: Self::Detached) -> io::Result<Self>;
    /// The address of this end.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl Listener for TcpListener {
    type Io = TcpStream;
    type Detached = std::net::TcpListener;

    fn attach(detached: Self::Detached) -> io::Result<Self> {
        detached.set_nonblocking(true)?;
        TcpListener::from_std(detached)
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Answers are written whole: waiting to fill a packet would only delay them.
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

impl Io for TcpStream {
    type Detached = std::net::TcpStream;

    fn detach(self) -> io::Result<Self::Detached> {
        self.into_std()
    }

    fn attach(detached: Self::Detached) -> io::Result<Self> {
        TcpStream::from_std(detached)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpStream::local_addr(self)
    }
}
