//! The tokio shell around `quorate-core`.

pub mod guard;
