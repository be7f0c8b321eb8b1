//! The rules of the coordinator by name: whole answers, by number.

mod causes;
mod join;
mod offsets;
mod random_walk;
mod rebase;
mod router;
mod shard_life;
mod static_members;
mod support;
mod sync_and_sessions;
