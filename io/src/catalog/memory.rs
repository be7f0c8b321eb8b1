//! A catalog that lives as long as the process: for `--ephemeral`, tests and simulations.

use std::sync::{Arc, Mutex};

use super::state::State;
use super::{
    Boot, Catalog, Completion, Entropy, FORMAT, Identity, NODE_ID, Operation, Outcome, Topics,
    id_text, random_id,
};
use crate::disk::locked;

/// The stored catalog. Clones are the same one; each [`open`](Self::open) is a start of a broker.
#[derive(Clone, Default)]
pub struct MemoryCatalog {
    stored: Arc<Mutex<Stored>>,
}

#[derive(Default)]
struct Stored {
    cluster_id: Option<String>,
    state: State,
    running: bool,
}

impl MemoryCatalog {
    /// Opens it, as a broker does when it starts. A handle from before must not be used any more.
    ///
    /// Nothing that was completed is ever lost, so the leader epoch stays 0.
    pub fn open(&self, entropy: Entropy<'_>) -> (Box<dyn Catalog>, Boot) {
        let mut stored = locked(&self.stored);
        let cluster_id =
            stored.cluster_id.get_or_insert_with(|| id_text(random_id(entropy))).clone();
        let topics = stored.state.topics().iter().map(|topic| (**topic).clone());
        let topics = Topics::new(topics);
        let configs = stored.state.configs().clone();
        stored.state = State::new(topics.clone(), configs.clone(), stored.state.next_producer_id());
        let clean = !std::mem::replace(&mut stored.running, true);
        let identity = Identity { cluster_id, node_id: NODE_ID, format: FORMAT };
        let boot = Boot { identity, topics, configs, leader_epoch: 0, clean };
        (Box::new(Handle { stored: Arc::clone(&self.stored), completed: Vec::new() }), boot)
    }
}

struct Handle {
    stored: Arc<Mutex<Stored>>,
    completed: Vec<Completion>,
}

impl Catalog for Handle {
    fn submit(&mut self, token: u64, operation: Operation) {
        let mut stored = locked(&self.stored);
        let (outcome, _) = stored.state.apply(operation);
        stored.running &= outcome != Outcome::Stopped;
        self.completed.push(Completion { token, outcome });
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut self.completed);
    }
}
