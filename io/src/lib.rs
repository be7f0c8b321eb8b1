//! The tokio shell around `quorate-core`.

pub mod api;
pub mod broker;
pub mod budget;
pub mod catalog;
pub mod cli;
pub mod clock;
mod compaction;
pub mod connection;
pub mod connections;
pub mod core_thread;
pub mod disk;
pub mod dispatch;
pub mod frame;
pub mod guard;
pub mod homes;
pub mod journal;
pub mod listener;
pub mod log;
pub mod message;
pub mod net;
pub mod open;
mod retention;
pub mod stores;
pub mod tap;
pub mod telemetry;
pub mod turn;
pub mod wire;
