//! What threads tell each other.
//!
//! Decided here: how the boxes are bounded. They are not, and need not be: a request in a box is
//! one that a connection executes, an outcome answers one of those, and changes of the topics come
//! from the catalog. So sending never waits, and no two threads can wait for each other.

use std::fmt;
use std::rc::Rc;

use quorate_core::{Origin, Request, ShardId, Token};

use crate::core_thread::Thread;
use crate::open::Outcome;

/// Work for another thread.
pub type Work = Box<dyn FnOnce(&Rc<Thread>) + Send>;

/// What one thread tells another.
pub enum Message {
    /// For one of your shards; the token says who asks.
    Request {
        /// The shard.
        shard: ShardId,
        /// Names the request on the thread that sends it.
        token: Token,
        /// Whose connection.
        origin: Origin,
        /// What is asked.
        body: Request,
    },
    /// Nobody waits for the answer any more.
    Abandoned {
        /// The shard.
        shard: ShardId,
        /// The request.
        token: Token,
    },
    /// What became of a request of yours.
    Outcome {
        /// The request.
        token: Token,
        /// What became of it.
        outcome: Outcome,
    },
    /// A shard of mine is gone with all that was asked of it.
    Lost(ShardId),
    /// Do this.
    Run(Work),
    /// A store of yours has completed something.
    Wake,
    /// Take no new work and finish what there is; say so when it is done.
    Stop(tokio::sync::oneshot::Sender<()>),
    /// End.
    Quit,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Message::Request { .. } => "Request",
            Message::Abandoned { .. } => "Abandoned",
            Message::Outcome { .. } => "Outcome",
            Message::Lost(_) => "Lost",
            Message::Run(_) => "Run",
            Message::Wake => "Wake",
            Message::Stop(_) => "Stop",
            Message::Quit => "Quit",
        })
    }
}
