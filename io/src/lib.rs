//! The tokio shell around `quorate-core`.

pub mod api;
pub mod catalog;
pub mod cli;
pub mod disk;
pub mod guard;
pub mod wire;
