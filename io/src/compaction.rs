//! The sweep over compacted partitions of a thread: of each key the last record stays.
//!
//! Decided here: when a partition is compacted, and how much of it at once. Its newest batch is
//! left alone, as the end of the partition is known by it; Kafka leaves the whole newest segment.
//! How far a partition was compacted is not kept over a restart: it is gone through once more then.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use quorate_core::Instant;

use crate::api::TopicRules;
use crate::core_thread::Thread;
use crate::log::{Index, Latest, Operation, Outcome, PartitionKey, Thin};

/// Bytes of memory for the keys of one partition, as in Kafka's `log.cleaner.dedupe.buffer.size`
/// for each of its cleaners.
const KEY_BYTES: usize = 64 << 20;
/// Bytes of batches that are looked at and written at once.
const CHUNK_BYTES: usize = 2 << 20;

/// How far a partition is compacted.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The offset that it is compacted up to.
    to: i64,
    /// Since when there is more.
    dirty_since: Option<Instant>,
}

/// Sweeps again and again, until it is dropped.
pub(crate) async fn sweep_again_and_again(thread: Rc<Thread>) {
    let mut progress = BTreeMap::new();
    let delay = thread.settings().log_initial_task_delay;
    let mut next = thread.now().mono + delay;
    loop {
        thread.sleep_until(next).await;
        let written = thread.homes().borrow().written();
        progress.retain(|key, _| written.binary_search(key).is_ok());
        for key in written {
            sweep(&thread, key, &mut progress).await;
        }
        let interval = thread.settings().log_cleaner_backoff;
        next = thread.now().mono + interval;
    }
}

async fn sweep(
    thread: &Rc<Thread>,
    key: PartitionKey,
    progress: &mut BTreeMap<PartitionKey, Progress>,
) {
    let Some(rules) = rules(thread, key) else { return };
    let (start, end) = {
        let homes = &mut *thread.homes().borrow_mut();
        let partition = homes.partition(key);
        (partition.start(), partition.high_watermark())
    };
    let done = progress.entry(key).or_insert(Progress { to: start, dirty_since: None });
    done.to = done.to.max(start);
    // The newest batch ends there, and stays as it is.
    if done.to >= end - 1 {
        return;
    }
    let now = thread.now().mono;
    let since = *done.dirty_since.get_or_insert(now);
    let waited_long = now.since(since) >= rules.max_compaction_lag;
    if !waited_long && !is_dirty_enough(thread, key, done.to, &rules).await {
        return;
    }
    match compact(thread, key, done.to, end - 1, &rules).await {
        Ok(to) => *done = Progress { to: to.max(done.to), dirty_since: None },
        Err(_) if !thread.has_partition(key) => {}
        Err(cause) => tracing::error!("{key:?} is not compacted: {cause}"),
    }
}

/// Where a partition begins, unless it was deleted meanwhile.
fn start_of(thread: &Thread, key: PartitionKey) -> Result<i64, String> {
    match thread.has_partition(key) {
        true => Ok(thread.homes().borrow_mut().partition(key).start()),
        false => Err("it is deleted".to_owned()),
    }
}

/// The rules of a partition whose topic is compacted.
fn rules(thread: &Thread, key: PartitionKey) -> Option<Rc<TopicRules>> {
    let topics = thread.topics();
    let topic = topics.by_id(key.topic_id)?;
    let rules = thread.rules_of(topic);
    (rules.compacts && !topic.internal).then_some(rules)
}

/// Whether enough of a partition is new (`min.cleanable.dirty.ratio`).
async fn is_dirty_enough(
    thread: &Rc<Thread>,
    key: PartitionKey,
    from: i64,
    rules: &TopicRules,
) -> bool {
    let (all, new) = {
        let homes = &mut *thread.homes().borrow_mut();
        (homes.measure(key, None), homes.measure(key, Some(from)))
    };
    thread.wake();
    let (Some(all), Some(new)) = (all, new) else { return false };
    match (all.await, new.await) {
        (Ok(Outcome::Size(all)), Ok(Outcome::Size(new))) => {
            new > 0 && new.saturating_mul(1000) >= all.saturating_mul(rules.min_dirty_permille)
        }
        _ => false,
    }
}

/// Compacts a partition with the keys that are found from one offset on, and says how far they go.
async fn compact(
    thread: &Rc<Thread>,
    key: PartitionKey,
    from: i64,
    end: i64,
    rules: &TopicRules,
) -> Result<i64, String> {
    let now = thread.now().wall.0;
    let lag = i64::try_from(rules.min_compaction_lag.as_millis()).unwrap_or(i64::MAX);
    // Without a lag records of any time are taken, those of the future too.
    let before = if lag == 0 { i64::MAX } else { now.saturating_sub(lag) };
    let index = Index { partition: key, from, end, before, max_bytes: KEY_BYTES };
    let latest = match ask(thread, Operation::Index(index)).await? {
        Outcome::Indexed(latest) => latest,
        other => return Err(format!("{other:?}")),
    };
    let mut next = Some(start_of(thread, key)?);
    while let Some(from) = next {
        next = thin(thread, key, from, &latest, now, rules).await?;
    }
    thread.homes().borrow_mut().compacted(key, latest.end);
    tracing::debug!("{key:?} is compacted up to offset {}", latest.end);
    Ok(latest.end)
}

/// Compacts some batches, and says where the next ones are.
async fn thin(
    thread: &Rc<Thread>,
    key: PartitionKey,
    from: i64,
    latest: &Arc<Latest>,
    now: i64,
    rules: &TopicRules,
) -> Result<Option<i64>, String> {
    start_of(thread, key)?;
    let kept = thread.homes().borrow_mut().partition(key).producers().batches().collect();
    let delete_retention = i64::try_from(rules.delete_retention.as_millis()).unwrap_or(i64::MAX);
    let thin = Thin {
        partition: key,
        from,
        latest: Arc::clone(latest),
        kept: Arc::new(kept),
        now,
        delete_retention,
        max_bytes: CHUNK_BYTES,
    };
    let (changes, next) = match ask(thread, Operation::Thin(thin)).await? {
        Outcome::Thinned { changes, next } => (changes, next),
        other => return Err(format!("{other:?}")),
    };
    if !changes.is_empty() {
        match ask(thread, Operation::Rewrite { partition: key, changes }).await? {
            Outcome::Done => {}
            other => return Err(format!("{other:?}")),
        }
    }
    Ok(next)
}

async fn ask(thread: &Rc<Thread>, operation: Operation) -> Result<Outcome, String> {
    let answer = thread.homes().borrow_mut().ask(operation);
    thread.wake();
    answer.await.map_err(|_| "the broker stops".to_owned())
}
