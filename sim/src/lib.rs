//! Seeded simulations of the group coordinator and of the broker around it.
//!
//! - [`plan`]: what happens in a run, decided before it begins; [`swarm`] makes one from a seed.
//! - [`world`]: the direct simulator; [`turmoil`]: the one of the shell.
//! - [`client`]: protocol clients as state machines, for both.
//! - [`event`], [`recorder`]: what happens, told to the [`oracle`]s, the [`marks`]
//!   and the [`trace`].

pub mod client;
pub mod event;
pub mod explore;
#[cfg(feature = "shell")]
pub mod faults;
pub mod marks;
pub mod mutants;
pub mod oracle;
pub mod plan;
pub mod random;
pub mod recorder;
pub mod render;
pub mod report;
pub mod scenario;
pub mod shrink;
pub mod suite;
pub mod swarm;
pub mod trace;
#[cfg(feature = "shell")]
pub mod turmoil;
pub mod world;

pub use event::{Event, What};
pub use plan::Plan;
pub use recorder::{Failure, Outcome, Recorder};
