//! When an offset may expire (spec classic 16).

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::record::OffsetAndMetadata;
use quorate_core::{Batch, GroupView, Now, RecordKey, WallTime};

use super::O7;
use super::ledger::{Ledger, key_of};
use crate::event::Context;
use crate::oracle::Found;

/// Judges the tombstones of offsets that a timer wrote.
pub(super) fn judge(
    ledger: &Ledger,
    batch: &Batch,
    now: Now,
    retention: Duration,
    context: Context<'_>,
    found: &mut Found,
) {
    for record in batch.records.iter().filter(|record| record.value.is_none()) {
        let RecordKey::Offset { group, topic, .. } = &record.key else { continue };
        let Some(row) = key_of(&record.key).and_then(|key| ledger.newest(&key)) else { continue };
        if ledger.is_deleted(topic, row) {
            continue;
        }
        let Some(view) = context.before.get(group) else { continue };
        let subscribed = ledger.subscribed.get(group);
        let is_subscribed = view.state == "Stable"
            && subscribed.is_some_and(|topics: &BTreeSet<String>| topics.contains(topic.as_str()));
        let since = ledger.since.get(group).copied().flatten();
        let is_due = !is_subscribed
            && base(view, row, since).is_some_and(|base| match row.expires_at {
                Some(at) => now.wall >= at,
                None => now.wall.since(base) >= retention,
            });
        found.check(is_due, O7, || {
            format!(
                "{:?} with {row:?} is removed at {now:?} in {} since {since:?}, retention \
                 {retention:?}, subscribed {subscribed:?}",
                record.key, view.state
            )
        });
    }
}

/// From when its age counts; nothing where it does not expire.
fn base(view: &GroupView, row: &OffsetAndMetadata, since: Option<WallTime>) -> Option<WallTime> {
    let Some(protocol_type) = &view.protocol_type else { return Some(row.committed_at) };
    match view.state {
        "Empty" => Some(since.unwrap_or(row.committed_at)),
        "Stable" if protocol_type.as_str() == "consumer" => Some(row.committed_at),
        _ => None,
    }
}
