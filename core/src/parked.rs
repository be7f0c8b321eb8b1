//! Tokens of requests that wait, each resolved exactly once: answered, dropped, or abandoned.

use std::hash::{Hash, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::id::Token;

/// The open requests of a shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parked {
    /// Whether somebody still reads the answer.
    open: HashMap<Token, bool, FixedState>,
}

impl Hash for Parked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let abandoned = self.open.iter().filter(|(_, read)| !**read).map(|(token, _)| *token);
        let mut abandoned: Vec<Token> = abandoned.collect();
        abandoned.sort_unstable();
        // Who waits is where it waits, too; who reads no answer is only here.
        (self.open.len(), abandoned).hash(state);
    }
}

impl Parked {
    /// A request waits from now on.
    pub(crate) fn park(&mut self, token: Token) {
        let before = self.open.insert(token, true);
        debug_assert!(before != Some(true), "token {token} parks twice");
    }

    /// Its connection is gone. Nothing happens to a request that does not wait.
    pub(crate) fn abandon(&mut self, token: Token) {
        if let Some(read) = self.open.get_mut(&token) {
            *read = false;
        }
    }

    /// Ends the wait, if there was one. Whether somebody reads what comes of it.
    pub(crate) fn resolve(&mut self, token: Token) -> bool {
        self.open.remove(&token).unwrap_or(true)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}
