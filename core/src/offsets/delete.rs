//! OffsetDelete (spec classic 14).

use crate::classic::State;
use crate::env::{After, Cx, Waits};
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::Token;
use crate::record::{Record, RecordKey};
use crate::request::OffsetDelete;
use crate::response::{self, Response, TopicErrors};

impl Group {
    /// Serves an OffsetDelete of a group that exists.
    pub(crate) fn delete_offsets(&mut self, cx: &mut Cx<'_>, token: Token, request: OffsetDelete) {
        let live = &self.live;
        if live.state != State::Empty && !live.is_of_consumers() {
            let error = ErrorCode::NonEmptyGroup;
            let body = response::OffsetDelete { error, topics: Vec::new() };
            cx.reply_behind(self, token, Response::OffsetDelete(body));
            return;
        }
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let error = if live.is_subscribed(&topic.name) && live.state != State::Empty {
                ErrorCode::GroupSubscribedToTopic
            } else {
                ErrorCode::None
            };
            if error == ErrorCode::None {
                let exists = |p: &&i32| self.rows.offsets.get(&topic.name, **p).is_some();
                let keys = topic.partitions.iter().filter(exists).map(|&partition| {
                    let (group, topic) = (cx.id.clone(), topic.name.detached());
                    RecordKey::Offset { group, topic, partition }
                });
                records.extend(keys.map(|key| Record { key, value: None }));
            }
            let partitions = topic.partitions.iter().map(|&p| (p, error)).collect();
            topics.push(TopicErrors { name: topic.name, partitions });
        }
        let body = response::OffsetDelete { error: ErrorCode::None, topics };
        let body = Response::OffsetDelete(body);
        if records.is_empty() {
            cx.reply_behind(self, token, body);
        } else {
            cx.env.parked.park(token);
            let batch = cx.append(self, records, vec![After::Reply { token, body }]);
            cx.give_up_on(batch, Waits::Token(token));
        }
    }
}
