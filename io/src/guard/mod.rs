//! What bytes from outside must be before anything decodes them: requests, and produced batches.
//!
//! kafka-protocol reserves memory for as many elements as a count says, which can end the process,
//! so every request goes through [`walk`](walk::walk) first, and every produced batch through
//! [`check`](check::check). The walk allocates nothing, the check what it unpacks, within a limit.

pub mod batch;
pub mod check;
pub mod packing;
pub mod record;
pub mod rejected;
pub mod schema;
mod walk;

pub use walk::{Fault, MAX_ELEMENTS, MAX_TAGS, Refused, walk};
