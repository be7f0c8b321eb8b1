//! What the shards of a broker do, told to who watches: a simulator, which judges every step.
//!
//! Decided here: what can be watched. Nobody watches a broker in production, where it costs one
//! branch a step.

use std::fmt;

use quorate_core::{Effect, Input, Now, Shard, ShardId};

/// Who watches the shards of a broker. It is called within the turn, on the shard's thread.
pub trait Tap: fmt::Debug + Send + Sync {
    /// A shard serves from now on; activating it had these effects.
    fn loaded(&self, now: Now, effects: &[Effect], shard: &Shard);

    /// A shard was told this, and had these effects; it is as it is now.
    fn stepped(&self, now: Now, input: Input, effects: &[Effect], shard: &Shard);

    /// A shard does not serve any more. One whose broker ends is not told of.
    fn ended(&self, shard: ShardId, why: Ended<'_>);
}

/// Why a shard does not serve any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'a> {
    /// It panicked, with these words.
    Panicked(&'a str),
    /// A newer epoch has it, or the outcome of an append is unknown.
    Fenced,
}
