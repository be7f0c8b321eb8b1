//! What bytes from outside must be before anything decodes them.

pub mod batch;
pub mod record;
