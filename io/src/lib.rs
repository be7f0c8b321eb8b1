//! The tokio shell around `quorate-core`.

pub mod frame;
pub mod guard;
