//! From a frame to the bytes of its answer.
//!
//! Decided here: the order of the checks before a request is executed (hostile-input 1 to 4), and
//! what becomes of a request that has no answer.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use quorate_core::{NodeId, Now, Origin, Text};

use crate::api::{self, Answer};
use crate::connection::Ends;
use crate::core_thread::{Asked, Thread};
use crate::frame::{HEAD_BYTES, Head};
use crate::guard;
use crate::metrics::{committed_partitions, error_of};
use crate::open::Outcome;
use crate::pieces::Pieces;
use crate::wire::{self, BrokerResponse, Call, Endpoint, Incoming, Reply, ReplyShape};

/// What a connection does after a request.
#[derive(Debug)]
pub enum Verdict {
    /// Write this.
    Answer(Pieces),
    /// Go on: the request wants no answer.
    Silent,
    /// Neither answer nor go on: the request is never answered.
    Mute,
    /// Close.
    Close,
    /// Execute the frame on the thread that has its group.
    Move(usize, Bytes),
}

/// Where the client of a connection reaches a broker: what its listener advertises, else where that
/// listens, and where that is a wildcard, the address that the client reached. None for a node that
/// there is not.
pub(crate) fn endpoint(thread: &Thread, ends: &Ends, node: NodeId) -> Option<Endpoint> {
    if node.0 != thread.shared().identity.node_id {
        return None;
    }
    let settings = thread.settings();
    let listener = &settings.listeners[ends.listener];
    let port = i32::from(ends.local.port());
    Some(match &listener.advertised {
        Some(told) => Endpoint { host: Text::from(&*told.host), port: i32::from(told.port) },
        None if listener.listen.is_wildcard() => {
            Endpoint { host: Text::from(ends.local.ip().to_string()), port }
        }
        None => Endpoint { host: Text::from(&*listener.listen.host), port },
    })
}

/// A request that executes. Dropping it abandons it.
///
/// It is small, for each connection has room for one: what only few requests need is in a box.
pub struct Executing {
    shape: ReplyShape,
    work: Work,
}

enum Work {
    Group(Asked),
    Broker(Pin<Box<dyn Future<Output = Answer<BrokerResponse>>>>),
}

/// Begins to execute the request in a frame, which was read at `now`; or says what becomes of it at
/// once.
pub fn begin(
    thread: &Rc<Thread>,
    ends: &Ends,
    now: Now,
    frame: Bytes,
    moved: bool,
) -> Result<Executing, Verdict> {
    let incoming = match read(&frame) {
        Ok(incoming) => incoming,
        Err(reason) => {
            tracing::debug!("the connection of {} is closed: {reason}", ends.peer);
            return Err(Verdict::Close);
        }
    };
    let Incoming { shape, client_id, call } = incoming;
    let work = match call {
        Call::Group(request) => {
            if !moved
                && let Some(core) = thread.core_of_request(&request)
                && core != thread.index()
            {
                return Err(Verdict::Move(core, frame));
            }
            drop(frame);
            let origin = Origin { client_id, client_host: ends.client_host.clone() };
            Work::Group(thread.group(now, origin, request))
        }
        Call::Broker(request) => {
            drop(frame);
            let (thread, ends) = (Rc::clone(thread), ends.clone());
            Work::Broker(Box::pin(async move {
                api::handle(&thread, &ends, request, shape.version).await
            }))
        }
    };
    Ok(Executing { shape, work })
}

impl Executing {
    /// What becomes of it. Not to be asked again once that was told.
    pub fn poll(&mut self, thread: &Thread, ends: &Ends, cx: &mut Context<'_>) -> Poll<Verdict> {
        let reply = match &mut self.work {
            Work::Group(asked) => match ready!(asked.poll(cx)) {
                Outcome::Reply(response) => Reply::Group(response),
                Outcome::Dropped => return Poll::Ready(Verdict::Mute),
                Outcome::Lost => return Poll::Ready(Verdict::Close),
            },
            Work::Broker(handling) => match ready!(handling.as_mut().poll(cx)) {
                Answer::Send(response) => Reply::Broker(response),
                Answer::Silent => {
                    thread.counters.answered(self.shape.key, 0);
                    return Poll::Ready(Verdict::Silent);
                }
                Answer::Close => return Poll::Ready(Verdict::Close),
            },
        };
        Poll::Ready(self.encoded(thread, ends, reply))
    }

    fn encoded(&mut self, thread: &Thread, ends: &Ends, reply: Reply) -> Verdict {
        let shape = self.shape;
        thread.counters.answered(shape.key, error_of(&reply));
        if shape.key == ApiKey::OffsetCommit {
            thread.counters.committed(committed_partitions(&reply));
        }
        let endpoint = |node| endpoint(thread, ends, node);
        match wire::encode(shape, reply, &endpoint) {
            Ok(answer) => Verdict::Answer(answer),
            Err(error) => {
                tracing::error!("the connection of {} is closed: {error}", ends.peer);
                Verdict::Close
            }
        }
    }
}

/// Checks a frame and takes it apart.
fn read(frame: &Bytes) -> Result<Incoming, String> {
    let head = frame.first_chunk::<HEAD_BYTES>().ok_or("a frame without a header")?;
    let head = Head::read(*head);
    let served = wire::served(head.api_key)
        .is_some_and(|line| (line.min..=line.max).contains(&head.api_version));
    // What is not served is refused, or answered without a look at its body, by `decode`.
    if served {
        guard::walk(head.api_key, head.api_version, frame).map_err(|e| e.to_string())?;
    }
    wire::decode(frame.clone()).map_err(|e| e.to_string())
}
