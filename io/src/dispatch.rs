//! From a frame to the bytes of its answer.
//!
//! Decided here: the order of the checks before a request is executed (hostile-input 1 to 4), and
//! what becomes of a request that has no answer.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use quorate_core::{NodeId, Origin, Text};

use crate::api::{self, Answer};
use crate::connection::Ends;
use crate::core_thread::Thread;
use crate::frame::{HEAD_BYTES, Head};
use crate::guard;
use crate::metrics::{committed_partitions, error_of};
use crate::open::Outcome;
use crate::wire::{self, Call, Endpoint, Incoming, Reply};

/// What a connection does after a request.
#[derive(Debug)]
pub enum Verdict {
    /// Write this.
    Answer(BytesMut),
    /// Go on: the request wants no answer.
    Silent,
    /// Neither answer nor go on: the request is never answered.
    Mute,
    /// Close.
    Close,
    /// Execute the frame on the thread that has its group.
    Move(usize, Bytes),
}

/// Where a request came from, for the handlers of [`api`].
#[derive(Debug, Clone)]
pub struct ConnContext {
    /// The two ends of the connection.
    pub ends: Ends,
    /// The client id of the request's header, empty where it is null. Shares the frame.
    pub client_id: Text,
}

impl ConnContext {
    /// Where the client reaches a broker: what is advertised, else the listener, and where that is
    /// a wildcard, the address that the client reached. None for a node that there is not.
    #[must_use]
    pub fn endpoint(&self, thread: &Thread, node: NodeId) -> Option<Endpoint> {
        if node.0 != thread.shared().identity.node_id {
            return None;
        }
        let settings = thread.settings();
        let port = i32::from(self.ends.local.port());
        let listener = &settings.listeners[self.ends.listener];
        Some(match &listener.advertised {
            Some(told) => Endpoint { host: Text::from(&*told.host), port: i32::from(told.port) },
            None if listener.listen.is_wildcard() => {
                Endpoint { host: Text::from(self.ends.local.ip().to_string()), port }
            }
            None => Endpoint { host: Text::from(&*listener.listen.host), port },
        })
    }
}

/// Executes the request in a frame. Dropping the future abandons it.
pub async fn dispatch(thread: &Rc<Thread>, ends: &Ends, frame: Bytes, moved: bool) -> Verdict {
    let incoming = match read(&frame) {
        Ok(incoming) => incoming,
        Err(reason) => {
            tracing::debug!("the connection of {} is closed: {reason}", ends.peer);
            return Verdict::Close;
        }
    };
    let Incoming { shape, client_id, call } = incoming;
    let reply = match call {
        Call::Group(request) => {
            if let Some(core) = thread.core_of_request(&request)
                && core != thread.index()
                && !moved
            {
                return Verdict::Move(core, frame);
            }
            drop(frame);
            let origin =
                Origin { client_id: client_id.clone(), client_host: ends.client_host.clone() };
            match thread.group(origin, request).await {
                Outcome::Reply(response) => Reply::Group(response),
                Outcome::Dropped => return Verdict::Mute,
                Outcome::Lost => return Verdict::Close,
            }
        }
        Call::Broker(request) => {
            drop(frame);
            let context = ConnContext { ends: ends.clone(), client_id: client_id.clone() };
            // Boxed, so that a connection that only ever sends heartbeats is small.
            match Box::pin(api::handle(thread, &context, request, shape.version)).await {
                Answer::Send(response) => Reply::Broker(response),
                Answer::Silent => return Verdict::Silent,
                Answer::Close => return Verdict::Close,
            }
        }
    };
    thread.counters.answered(shape.key, error_of(&reply));
    if shape.key == ApiKey::OffsetCommit {
        thread.counters.committed(committed_partitions(&reply));
    }
    let context = ConnContext { ends: ends.clone(), client_id };
    match wire::encode(shape, reply, &|node| context.endpoint(thread, node)) {
        Ok(answer) => Verdict::Answer(answer),
        Err(error) => {
            tracing::error!("the connection of {} is closed: {error}", ends.peer);
            Verdict::Close
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
