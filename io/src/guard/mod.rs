//! What bytes from outside must be before anything decodes them: requests, and produced batches.
//!
//! kafka-protocol reserves memory for as many elements as a count says, which can end the process,
//! so every request goes through [`walk`](walk::walk) first, and every produced batch through
//! [`check`](batch::check). Neither allocates.

pub mod batch;
pub mod record;
pub mod schema;
mod walk;

pub use walk::{Fault, MAX_ELEMENTS, MAX_TAGS, Refused, walk};
