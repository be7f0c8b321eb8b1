//! The tokio shell around `quorate-core`.

pub mod catalog;
pub mod disk;
pub mod frame;
pub mod guard;
pub mod log;
