//! The sweep over the partitions of a thread: what is too old goes, and what is too much.
//!
//! Decided here: when it runs, and that it looks at one partition after another, so that it never
//! has more than one read under way. Batches go whole, the oldest first; Kafka lets whole segments
//! go, and so keeps more.

use std::rc::Rc;
use std::sync::Arc;

use crate::core_thread::Thread;
use crate::log::{Outcome, PartitionKey, Wanted};

/// Sweeps again and again, until it is dropped.
pub(crate) async fn sweep_again_and_again(thread: Rc<Thread>) {
    let delay = thread.settings().log_initial_task_delay;
    let mut next = thread.now().mono + delay;
    loop {
        thread.sleep_until(next).await;
        sweep(&thread).await;
        let interval = thread.settings().log_retention_check_interval;
        next = thread.now().mono + interval;
    }
}

async fn sweep(thread: &Rc<Thread>) {
    let written = thread.homes().borrow().written();
    for key in written {
        retain(thread, key).await;
    }
}

/// Moves the start of a partition to where its topic's retention puts it.
async fn retain(thread: &Rc<Thread>, key: PartitionKey) {
    let Some(wanted) = wanted(thread, key) else { return };
    let found = thread.homes().borrow_mut().find(key, wanted);
    thread.wake();
    let found = match found.await {
        Ok(Outcome::Found(Some(found))) => found,
        Ok(Outcome::Failed { cause }) => {
            return tracing::error!(
                "{key:?} cannot be looked through for what is too old: {cause}"
            );
        }
        _ => return,
    };
    // It may have been deleted meanwhile, or begin later.
    if !thread.has_partition(key) {
        return;
    }
    let truncated = thread.homes().borrow_mut().truncate_before(key, found.offset);
    let Ok(Some(stored)) = truncated else { return };
    thread.wake();
    if let Ok(Outcome::Done) = stored.await {
        let name = thread.topics().by_id(key.topic_id).map(|topic| Arc::clone(&topic.name));
        tracing::info!(
            "topic {}, partition {}: begins at offset {}, what was before is too old or too much",
            name.unwrap_or_default(),
            key.index,
            found.offset
        );
    }
}

/// What is too old or too much in a partition, if anything is ever.
fn wanted(thread: &Thread, key: PartitionKey) -> Option<Wanted> {
    let topics = thread.topics();
    let topic = topics.by_id(key.topic_id)?;
    let rules = thread.rules_of(topic);
    if !rules.deletes {
        return None;
    }
    let now = thread.now().wall.0;
    let age = rules.retention.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let older_than = age.map(|age| now.saturating_sub(age));
    let keep_bytes = rules.retention_bytes;
    let ever = older_than.is_some() || keep_bytes.is_some();
    ever.then_some(Wanted::Retention { older_than, keep_bytes })
}
