//! Committed offsets: commit, fetch, delete, expiry, and what becomes of deleted topics
//! (spec classic 12 to 14, 16).

mod clean_up;
mod commit;
mod delete;
mod expire;
mod fetch;

pub(crate) use clean_up::CleanUp;
pub(crate) use expire::Sweep;
pub(crate) use fetch::missing as missing_offsets;
