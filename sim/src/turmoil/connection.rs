//! A client's host: its sockets, and its one sleep to its next deadline.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ::turmoil::net::TcpStream;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::actor::{Actor, ConnId, Dial};
use crate::client::ClientInput;

/// From one byte to the next, of one that writes byte by byte.
const TRICKLE: Duration = Duration::from_millis(1);

/// How long nonsense waits for its connection to be closed.
const BLURT: Duration = Duration::from_secs(10);

/// What is to be written.
pub(super) struct Frame {
    pub bytes: Bytes,
    /// Byte by byte.
    pub trickles: bool,
    /// Only the first half, and then nothing any more.
    pub halves: bool,
}

/// Runs a client's host, for ever.
pub(super) async fn host(actor: Rc<Actor>) -> ::turmoil::Result {
    loop {
        while let Some(dial) = actor.next_dial() {
            tokio::task::spawn_local(connection(Rc::clone(&actor), dial));
        }
        while let Some((to, bytes)) = actor.next_blurt() {
            tokio::task::spawn_local(blurt(to, bytes));
        }
        let now = actor.now();
        let due = actor.next_deadline().map(|due| due.saturating_sub(now));
        // A client that has nothing to do at its own deadline does not hold up the world.
        let due = due.map(|wait| wait.max(Duration::from_millis(1)));
        tokio::select! {
            biased;
            () = actor.bell.notified() => {}
            () = sleep(due.unwrap_or(Duration::MAX)), if due.is_some() => {
                if actor.next_deadline().is_some_and(|due| due <= actor.now()) {
                    actor.tell(ClientInput::Deadline);
                }
            }
        }
    }
}

/// Sends bytes over a connection of their own, and waits a while for it to be closed.
async fn blurt(to: SocketAddr, bytes: Bytes) {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(&bytes).await?;
        let mut answer = [0; 64];
        while stream.read(&mut answer).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever becomes of it is of interest only if somebody else notices.
    let _ = tokio::time::timeout(BLURT, exchange).await;
}

/// A connection, until one end closes it.
async fn connection(actor: Rc<Actor>, dial: Dial) {
    let Dial { id, to, mut frames } = dial;
    if !serve(&actor, id, to, &mut frames).await.is_ok_and(|ours| ours) {
        actor.closed(id);
    }
}

/// Whether it was ended at this end.
async fn serve(
    actor: &Rc<Actor>,
    id: ConnId,
    to: SocketAddr,
    frames: &mut mpsc::UnboundedReceiver<Frame>,
) -> io::Result<bool> {
    let mut waiting = Vec::new();
    let mut stream = {
        let mut dialed = std::pin::pin!(TcpStream::connect(to));
        loop {
            tokio::select! {
                biased;
                stream = &mut dialed => break stream?,
                frame = frames.recv() => match frame {
                    Some(frame) => waiting.push(frame),
                    // Nobody waits for it any more.
                    None => return Ok(true),
                },
            }
        }
    };
    for frame in waiting {
        if !write(&mut stream, frame).await? {
            return Ok(false);
        }
    }
    let mut input = BytesMut::new();
    loop {
        tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(frame) => {
                    if !write(&mut stream, frame).await? {
                        return Ok(false);
                    }
                }
                None => return Ok(true),
            },
            read = read(actor, &mut stream, &mut input) => {
                if read? == 0 {
                    return Ok(false);
                }
                while let Some(frame) = take_frame(&mut input) {
                    actor.frame(id, frame);
                }
            }
        }
    }
}

/// Reads what there is, or one byte, before which it waits.
async fn read(
    actor: &Rc<Actor>,
    stream: &mut TcpStream,
    input: &mut BytesMut,
) -> io::Result<usize> {
    if !actor.trickles() {
        return stream.read_buf(input).await;
    }
    sleep(TRICKLE).await;
    let mut byte = [0];
    let came = stream.read(&mut byte).await?;
    input.extend_from_slice(&byte[..came]);
    Ok(came)
}

/// Writes a frame; false if only half of it.
async fn write(stream: &mut TcpStream, frame: Frame) -> io::Result<bool> {
    let Frame { mut bytes, trickles, halves } = frame;
    if halves {
        bytes.truncate(bytes.len() / 2);
    }
    if !trickles {
        stream.write_all(&bytes).await?;
        return Ok(!halves);
    }
    while bytes.has_remaining() {
        stream.write_all(&bytes.split_to(1)).await?;
        sleep(TRICKLE).await;
    }
    Ok(!halves)
}

fn take_frame(input: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(*input.first_chunk()?) as usize;
    if input.len() < 4 + length {
        return None;
    }
    input.advance(4);
    Some(input.split_to(length).freeze())
}
