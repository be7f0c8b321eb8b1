//! A reading thread: gives the live rows of those of its shards that are being loaded, chunk by
//! chunk as they are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use quorate_core::{Epoch, Offset, Record, ShardId};

use super::Shared;
use super::live::LiveRows;
use super::tables::ReadError;
use crate::disk::{Mailbox, locked};
use crate::journal::packing::Names;
use crate::journal::{Completion, REPLAY_CHUNK};

/// Asks for a chunk.
pub(super) struct Request {
    pub shard: ShardId,
    pub epoch: Epoch,
    pub mailbox: Arc<Mailbox<Completion>>,
}

/// Answers until nobody can ask any more.
pub(super) fn run(shared: &Shared, requests: &Receiver<Request>) {
    let mut open: BTreeMap<ShardId, (Epoch, LiveRows)> = BTreeMap::new();
    for Request { shard, epoch, mailbox } in requests {
        let owner = locked(&shared.heads).get(&shard).map(|head| head.epoch);
        let completion = if owner == Some(epoch) {
            chunk(shared, &mut open, shard, epoch).unwrap_or_else(|error| {
                shared.fail(&error);
                Completion::Unavailable { shard }
            })
        } else {
            Completion::Unavailable { shard }
        };
        mailbox.push(completion);
    }
}

fn chunk(
    shared: &Shared,
    open: &mut BTreeMap<ShardId, (Epoch, LiveRows)>,
    shard: ShardId,
    epoch: Epoch,
) -> Result<Completion, ReadError> {
    let mut live = match open.remove(&shard) {
        Some((begun, live)) if begun == epoch => live,
        _ => LiveRows::new(&shared.tables, shard)?,
    };
    let rows = read(&mut live, shard)?;
    let last = rows.len() < REPLAY_CHUNK;
    if !last {
        open.insert(shard, (epoch, live));
    }
    Ok(Completion::Rows { shard, epoch, rows, last })
}

fn read(live: &mut LiveRows, shard: ShardId) -> Result<Vec<(Offset, Record)>, ReadError> {
    let (mut rows, mut names) = (Vec::new(), Names::default());
    while rows.len() < REPLAY_CHUNK {
        let Some(row) = live.next()? else { break };
        let record = row.record(&mut names).map_err(|error| {
            let what = format!("the record at {} ({error})", row.at);
            ReadError::Damaged { shard, what }
        })?;
        if let Some(record) = record {
            rows.push((row.at, record));
        }
    }
    Ok(rows)
}
