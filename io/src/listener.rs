//! Accepting connections.
//!
//! Decided here: which thread a connection starts on (the next one, in turn), and that a broker
//! without file descriptors waits for some instead of dying.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::{self, Accepted};
use crate::core_thread::Thread;
use crate::net::Listener;

/// How long accepting pauses when it fails: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Accepts connections of one of the broker's listeners until it is dropped.
pub async fn accept<L: Listener>(thread: Rc<Thread>, listener: L, index: usize) {
    let admission = Arc::clone(&thread.shared().admission);
    let mut core = thread.index();
    let mut pause = PAUSES.0;
    loop {
        match listener.accept().await {
            Ok((io, peer)) => {
                pause = PAUSES.0;
                let Some(admitted) = admission.admit(peer.ip()).await else {
                    tracing::debug!("{peer} has too many connections (max.connections.per.ip)");
                    continue;
                };
                core = (core + 1) % thread.cores();
                let from = Accepted { peer, listener: index, admitted };
                if let Err(error) = connection::accepted(&thread, core, io, from) {
                    tracing::debug!("a connection of {peer} is lost: {error}");
                }
            }
            Err(error) => {
                if pause == PAUSES.0 {
                    tracing::warn!(
                        "cannot accept connections now: {error}; those that are open go on. If \
                         it says that too many files are open, raise the limit (ulimit -n)"
                    );
                }
                thread.sleep_until(thread.clock().mono() + pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}
