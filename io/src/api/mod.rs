//! What the broker itself answers: everything that is not for the coordinator.

use std::rc::Rc;

use crate::core_thread::Thread;
use crate::dispatch::ConnContext;
use crate::wire::{BrokerRequest, BrokerResponse};

/// What a handler gives back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<R> {
    /// The answer.
    Send(R),
    /// The request wants no answer: Produce with acks 0.
    Silent,
    /// The connection is to be closed.
    Close,
}

impl<R> Answer<R> {
    /// The same answer as another type.
    pub fn map<T>(self, with: impl FnOnce(R) -> T) -> Answer<T> {
        match self {
            Answer::Send(response) => Answer::Send(with(response)),
            Answer::Silent => Answer::Silent,
            Answer::Close => Answer::Close,
        }
    }
}

/// Answers a request.
pub async fn handle(
    _thread: &Rc<Thread>,
    _context: &ConnContext,
    request: BrokerRequest,
    _version: i16,
) -> Answer<BrokerResponse> {
    match request {
        _ => Answer::Close,
    }
}
