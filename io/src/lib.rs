//! The tokio shell around `quorate-core`.

pub mod journal;
pub mod frame;
pub mod catalog;
pub mod disk;
pub mod guard;
pub mod wire;
pub mod cli;
