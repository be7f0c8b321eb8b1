//! Turmoil's sockets, as the broker wants them. The only place where the broker's are named.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::turmoil::net::{TcpListener, TcpStream};
use quorate_io::net::{Io, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::unruly::{Unruly, Unsteady};

/// A listener that knows no thread: all of a host's are tasks of one.
pub(super) struct Door {
    pub listener: TcpListener,
    pub unruly: Unruly,
}

/// A connection's end.
pub(super) struct Wire(Unsteady<TcpStream>);

impl Listener for Door {
    type Io = Wire;
    type Detached = Door;

    fn attach(detached: Door) -> io::Result<Door> {
        Ok(detached)
    }

    async fn accept(&self) -> io::Result<(Wire, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((Wire(Unsteady::new(stream, self.unruly.clone())), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Io for Wire {
    type Detached = Wire;

    fn detach(self) -> io::Result<Wire> {
        Ok(self)
    }

    fn attach(detached: Wire) -> io::Result<Wire> {
        Ok(detached)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.stream.local_addr()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
