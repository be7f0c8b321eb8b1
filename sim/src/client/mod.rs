//! Clients as state machines: no socket, no clock; both simulators drive them.
//!
//! Decided here: what a client is told and what it wants. How it behaves is in the files beside.

mod answers;
mod assign;
mod consumer;
mod offsets;
mod process;
mod protocol;
mod requests;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use quorate_core::{Generation, InstanceId, MemberId, Request, Response, Topics};

use crate::event::{Call, ClientNote, Unheard};
use crate::plan::{NodeIndex, Op};

pub use process::Client;

/// The partitions that a member says it owns when it joins, if its bytes say anything.
pub(crate) fn owned(subscription: &Bytes) -> Option<BTreeSet<(String, i32)>> {
    protocol::Subscription::decode(subscription).map(|subscription| subscription.owned)
}

/// What a client is told.
#[derive(Debug, Clone)]
pub enum ClientInput {
    /// The plan makes it do something; with the identity of the other client that it names.
    Op(Op, Option<Identity>),
    /// The answer to a request of its present life.
    Heard(Call, Arc<Response>),
    /// There will be no answer.
    Unheard(Call, Unheard),
    /// What the topics are, told whenever they change and at each start.
    Topics(Arc<Topics>),
    /// `Client::next_deadline` has passed.
    Deadline,
}

/// What a client wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEffect {
    /// Send this over its connection to that broker, which is opened if there is none. A client
    /// has at most one connection to a broker, on which requests are answered in order.
    Send {
        /// Its number.
        call: Call,
        /// To whom.
        node: NodeIndex,
        /// What.
        request: Arc<Request>,
    },
    /// Forget its connection to that broker without ending it, so that the next `Send` opens
    /// another one (see [`Op::RetryElsewhere`]).
    Detach(NodeIndex),
    /// End its connection to that broker.
    Disconnect(NodeIndex),
    /// End all its connections.
    DisconnectAll,
    /// Something of note.
    Note(ClientNote),
}

/// Who a client is, as another one may say in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its member id.
    pub member: MemberId,
    /// Its generation.
    pub generation: Generation,
    /// Its instance id.
    pub instance: Option<InstanceId>,
}
