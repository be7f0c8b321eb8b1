//! Replies and plumbing: the properties P1 to P10.
//!
//! Decided here: which observers there are. What an answer has to wait for is in `replies::book`.

pub mod again;
pub mod barrier;
pub mod batches;
pub mod book;
#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod tokens;
pub mod words;

use self::book::Family;
use super::{Oracle, Property};
use crate::plan::Plan;

/// Each request is resolved once.
pub const P1: Property = Property {
    id: "P1",
    sentence: "each request is answered, dropped or abandoned exactly once, and while it is not, \
               the shard has it",
};
/// Answers are answers.
pub const P2: Property = Property {
    id: "P2",
    sentence: "no answer without a request, and of its kind; an error carries no members, no \
               assignment and no offsets",
};
/// Durable before answered.
pub const P3: Property = Property {
    id: "P3",
    sentence: "no answer leaves before all that its group had in flight when it was decided is \
               durable; but for errors, joins and those syncs that do not report the record",
};
/// Nothing after a fence.
pub const P4: Property = Property {
    id: "P4",
    sentence: "a fenced shard appends nothing, and answers all that waits and all that comes \
               NOT_COORDINATOR",
};
/// Batches are numbered.
pub const P5: Property = Property {
    id: "P5",
    sentence: "batch ids and positions go on without a gap, from the first refused one after a \
               refusal, in one epoch",
};
/// Timers are not missed.
pub const P6: Property = Property {
    id: "P6",
    sentence: "the next deadline is no later than any armed timer, and later than now after what \
               was due has run",
};
/// No panic.
pub const P7: Property =
    Property { id: "P7", sentence: "no request and no order of inputs makes a shard panic" };
/// Bounds hold.
pub const P8: Property = Property {
    id: "P8",
    sentence: "batches in flight, the bytes of a batch and the timers of a group stay within \
               their bounds",
};
/// The same again.
pub const P9: Property = Property {
    id: "P9",
    sentence: "the same input to the same state gives the same effects and the same state",
};
/// Repeats do nothing.
pub const P10: Property = Property {
    id: "P10",
    sentence: "a heartbeat or a follower's join that is repeated changes nothing and writes \
               nothing",
};

/// The properties of this family.
pub const PROPERTIES: &[Property] = &[P1, P2, P3, P4, P5, P6, P7, P8, P9, P10];

/// The observers of this family, for a run of a plan.
#[must_use]
pub fn new(plan: &Plan) -> Vec<Box<dyn Oracle + Send>> {
    vec![Box::new(Family::new(vec![
        Box::new(barrier::Barrier),
        Box::new(tokens::NothingAfterAFence::default()),
        Box::new(tokens::OnceEach),
        Box::new(tokens::Shapes::default()),
        Box::new(batches::Numbers::default()),
        Box::new(batches::Bounds::new(plan)),
        Box::new(timers::Deadlines::new(plan)),
        Box::new(again::SameAgain::default()),
        Box::new(again::Repeats::default()),
        Box::new(tokens::NoPanic),
    ]))]
}
