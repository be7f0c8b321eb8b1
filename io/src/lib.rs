//! The tokio shell around `quorate-core`.
