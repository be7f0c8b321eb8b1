//! OffsetFetch (spec classic 13).

use super::CleanUp;
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::TopicName;
use crate::record::OffsetAndMetadata;
use crate::request::{FetchGroup, TopicPartitions};
use crate::response::{FetchedGroup, FetchedOffset, FetchedTopic};
use crate::router::no_offsets;

/// What a group that does not exist has: nothing, and that is no error (spec classic 13.2).
pub(crate) fn missing(asked: &FetchGroup) -> FetchedGroup {
    let topics = asked.topics.iter().flatten();
    let topics = topics.map(|topic| no_offsets(topic, ErrorCode::None)).collect();
    FetchedGroup { group_id: asked.group_id.clone(), error: ErrorCode::None, topics }
}

impl Group {
    /// What was asked: the newest values if `stable` (then the answer waits for them), else what
    /// is stored for certain. Offsets of topics that are gone are not told, also before their
    /// rows are cleaned up.
    pub(crate) fn fetch(&self, asked: &FetchGroup, stable: bool, gone: &CleanUp) -> FetchedGroup {
        let topics = match &asked.topics {
            Some(topics) => topics.iter().map(|topic| self.of_topic(topic, stable, gone)).collect(),
            None if stable || !self.rows.in_flight() => {
                let rows = self.rows.offsets.iter();
                grouped(rows.filter(|(topic, _, row)| !gone.covers(topic, row)))
            }
            None => {
                let rows = self.rows.all_committed().into_iter();
                let rows = rows.map(|((topic, partition), row)| (topic, partition, row));
                grouped(rows.filter(|(topic, _, row)| !gone.covers(topic, row)))
            }
        };
        FetchedGroup { group_id: asked.group_id.clone(), error: ErrorCode::None, topics }
    }

    fn of_topic(&self, topic: &TopicPartitions, stable: bool, gone: &CleanUp) -> FetchedTopic {
        let find = |partition: i32| {
            if stable {
                self.rows.offsets.get(&topic.name, partition)
            } else {
                self.rows.committed(&topic.name, partition)
            }
        };
        let fetch = |&partition: &i32| match find(partition) {
            Some(row) if !gone.covers(&topic.name, row) => fetched(partition, row),
            _ => FetchedOffset::none(partition, ErrorCode::None),
        };
        let partitions = topic.partitions.iter().map(fetch).collect();
        FetchedTopic { name: topic.name.clone(), partitions }
    }
}

fn fetched(partition: i32, row: &OffsetAndMetadata) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: row.offset,
        leader_epoch: row.leader_epoch,
        metadata: row.metadata.clone(),
        error: ErrorCode::None,
    }
}

fn grouped<'a>(
    rows: impl Iterator<Item = (&'a TopicName, i32, &'a OffsetAndMetadata)>,
) -> Vec<FetchedTopic> {
    let mut topics: Vec<FetchedTopic> = Vec::new();
    for (name, partition, row) in rows {
        let offset = fetched(partition, row);
        match topics.last_mut() {
            Some(topic) if topic.name == *name => topic.partitions.push(offset),
            _ => topics.push(FetchedTopic { name: name.clone(), partitions: vec![offset] }),
        }
    }
    topics
}
