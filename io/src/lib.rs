//! The tokio shell around `quorate-core`.

pub mod catalog;
pub mod disk;
pub mod guard;
pub mod journal;
