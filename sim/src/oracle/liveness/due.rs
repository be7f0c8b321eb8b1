//! L8: what is to expire does, once nothing keeps a shard from it (spec classic 16).

use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{GroupId, GroupView, Offset, Record, RecordKey, RecordValue, WallTime};

use super::L8;
use crate::event::LastSeen;
use crate::oracle::Found;
use crate::plan::Knobs;

/// What is left in a log, by key.
type Rows<'a> = LiteMap<&'a RecordKey, &'a RecordValue>;

/// Judges the Empty groups of a shard that has been left alone for so long.
pub(super) fn judge(
    knobs: &Knobs,
    seen: &LastSeen,
    log: &[(Offset, Record)],
    quiet: Duration,
    found: &mut Found,
) {
    // A sweep is put off once if the wall clock went ahead of the other, and clocks may be slow.
    let patience = knobs.sweep_interval * 4 + Duration::from_secs(10);
    if quiet < patience {
        return;
    }
    let mut rows = Rows::new();
    for (_, record) in log {
        match &record.value {
            Some(value) => rows.insert(&record.key, value),
            None => rows.remove(&record.key),
        };
    }
    let is_over = |since: WallTime, age: Duration| seen.now.wall.since(since) >= age + patience;
    for (id, group) in seen.groups.iter().filter(|(_, group)| group.state == "Empty") {
        let since = empty_since(&rows, id, group);
        let mut has_offsets = false;
        for (key, value) in &rows {
            let (RecordKey::Offset { group: of, .. }, RecordValue::Offset(row)) = (key, value)
            else {
                continue;
            };
            if of != id {
                continue;
            }
            has_offsets = true;
            let is_due = match row.expires_at {
                Some(at) => is_over(at, Duration::ZERO),
                None => is_over(since.unwrap_or(row.committed_at), knobs.retention),
            };
            found.check(!is_due, L8, || {
                format!("{key:?} with {row:?} is still there at {:?}, since {since:?}", seen.now)
            });
        }
        let is_idle = !has_offsets && since.is_some_and(|since| is_over(since, Duration::ZERO));
        found.check(!is_idle, L8, || {
            format!("{id} is Empty since {since:?}, has nothing, and is still there")
        });
    }
}

/// Since when a group that has a protocol type is Empty, as its record says.
fn empty_since(rows: &Rows<'_>, id: &GroupId, group: &GroupView) -> Option<WallTime> {
    group.protocol_type.as_ref()?;
    match rows.get(&RecordKey::Group(id.clone())) {
        Some(RecordValue::Group(row)) => row.state_since,
        _ => None,
    }
}
