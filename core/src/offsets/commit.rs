//! OffsetCommit (spec classic 12).

use uuid::Uuid;

use crate::classic::{ClassicGroup, State};
use crate::env::{After, Cx, Waits};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{Text, Token, TopicName};
use crate::record::{OffsetAndMetadata, Record, RecordKey, RecordValue, batch_size};
use crate::request::{CommitPartition, OffsetCommit};
use crate::response::{self, Response, TopicErrors};
use crate::router::refuse;
use crate::time::WallTime;

impl Group {
    /// Serves an OffsetCommit of a group that exists.
    pub(crate) fn commit(&mut self, cx: &mut Cx<'_>, token: Token, request: Box<OffsetCommit>) {
        if let Err(error) = self.live.check_commit(&request) {
            let body = refuse(&crate::request::Request::OffsetCommit(request), error);
            cx.reply_behind(self, token, body);
            return;
        }
        if matches!(self.live.state, State::Stable | State::PreparingRebalance) {
            self.live.refresh(cx, &request.member_id);
        }
        let (records, topics) = self.offset_records(cx, &request);
        let body = Response::OffsetCommit(response::OffsetCommit { topics });
        if records.is_empty() {
            cx.reply_behind(self, token, body);
        } else if batch_size(&records) > cx.env.config.max_batch_bytes {
            cx.reply_behind(self, token, body.failed(ErrorCode::UnknownServerError));
        } else {
            cx.env.parked.park(token);
            let batch = cx.append(self, records, vec![After::Reply { token, body }]);
            cx.give_up_on(batch, Waits::Token(token));
        }
    }

    /// One record for each partition that is accepted, and a code for each partition.
    fn offset_records(
        &self,
        cx: &Cx<'_>,
        request: &OffsetCommit,
    ) -> (Vec<Record>, Vec<TopicErrors>) {
        let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        let mut records = Vec::with_capacity(count);
        let mut topics = Vec::with_capacity(request.topics.len());
        let expires_at = request.retention.map(|retention| {
            let span = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
            WallTime(cx.now.wall.0.saturating_add(span))
        });
        for topic in &request.topics {
            let is_current = cx.knows(&topic.name, topic.topic_id, request);
            let name = self.rows.offsets.name(&topic.name);
            let name = name.cloned().unwrap_or_else(|| topic.name.detached());
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let error = if !is_current {
                    ErrorCode::UnknownTopicOrPartition
                } else if is_too_long(partition, cx.env.config.max_offset_metadata) {
                    ErrorCode::OffsetMetadataTooLarge
                } else {
                    records.push(record(cx, &name, topic.topic_id, partition, expires_at));
                    ErrorCode::None
                };
                partitions.push((partition.partition, error));
            }
            topics.push(TopicErrors { name, partitions });
        }
        (records, topics)
    }
}

impl Cx<'_> {
    /// Whether a topic that the router found is still there; its view may be an older one.
    fn knows(&self, name: &TopicName, id: Uuid, request: &OffsetCommit) -> bool {
        let topics = &self.env.topics;
        topics.version() == request.checked || topics.get(name).is_some_and(|topic| topic.id == id)
    }
}

fn is_too_long(partition: &CommitPartition, limit: usize) -> bool {
    partition.metadata.as_ref().is_some_and(|text| text.utf16_len() > limit)
}

fn record(
    cx: &Cx<'_>,
    topic: &TopicName,
    topic_id: Uuid,
    partition: &CommitPartition,
    expires_at: Option<WallTime>,
) -> Record {
    let metadata = partition.metadata.as_ref().filter(|text| !text.is_empty());
    let value = OffsetAndMetadata {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: metadata.map(Text::detached).unwrap_or_default(),
        committed_at: cx.now.wall,
        expires_at,
        topic_id,
    };
    let (group, topic, partition) = (cx.id.clone(), topic.clone(), partition.partition);
    let key = RecordKey::Offset { group, topic, partition };
    Record { key, value: Some(RecordValue::Offset(value)) }
}

impl ClassicGroup {
    /// Who may commit (spec classic 12.2).
    fn check_commit(&self, request: &OffsetCommit) -> Result<(), ErrorCode> {
        if request.generation.0 < 0 && self.state == State::Empty {
            return Ok(());
        }
        let is_named = request.generation.0 >= 0
            || !request.member_id.is_empty()
            || request.instance_id.is_some();
        if !is_named {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Empty | State::PreparingRebalance | State::Stable => Ok(()),
        }
    }
}
