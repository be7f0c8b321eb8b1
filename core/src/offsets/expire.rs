//! Which offsets and groups a retention sweep removes (KIP-211, spec classic 16).

use std::time::Duration;

use crate::classic::State;
use crate::group::Group;
use crate::id::{GroupId, TopicName};
use crate::record::{OffsetAndMetadata, RecordKey};
use crate::time::{Now, WallTime};
use crate::timers::Timer;

/// The sweep of a shard: when it is due, and how far one that is under way has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sweep {
    pub(crate) timer: Timer,
    /// Groups at lower places are still to be looked at; from the end to the start, since a group
    /// that goes is replaced by the last one.
    pub(crate) cursor: Option<usize>,
    /// When the last one began.
    pub(crate) last: Option<Now>,
}

/// How much further the wall clock may run than the monotonic one between two sweeps.
const MAX_RUN_AHEAD: Duration = Duration::from_secs(3_600);

impl Sweep {
    /// By how much the wall clock ran ahead since the last sweep, if it is too much to trust.
    pub(crate) fn runs_ahead(&mut self, now: Now) -> Option<Duration> {
        let last = self.last.replace(now)?;
        let ahead = now.wall.since(last.wall).saturating_sub(now.mono.since(last.mono));
        (ahead > MAX_RUN_AHEAD).then_some(ahead)
    }
}

/// From when an offset's age counts.
enum Base {
    /// The commit.
    Commit,
    /// The moment the group became Empty.
    Since(WallTime),
}

impl Group {
    /// The keys of the group's offsets that expire now, and whether the group is to go with them.
    pub(crate) fn expired(
        &self,
        id: &GroupId,
        now: WallTime,
        retention: Duration,
    ) -> (Vec<RecordKey>, bool) {
        let mut keys = Vec::new();
        if let Some(base) = self.retention_base() {
            for (topic, partition, row) in self.rows.offsets.iter() {
                if !self.live.is_subscribed_for_retention(topic)
                    && is_expired(row, &base, now, retention)
                {
                    let (group, topic) = (id.clone(), topic.clone());
                    keys.push(RecordKey::Offset { group, topic, partition });
                }
            }
        }
        let all = keys.len() == self.rows.offsets.len();
        (keys, all && self.live.state == State::Empty)
    }

    /// `None` where nothing expires (the table of spec classic 16).
    fn retention_base(&self) -> Option<Base> {
        let live = &self.live;
        match live.state {
            _ if live.protocol_type.is_none() => Some(Base::Commit),
            State::Empty => Some(live.since.map_or(Base::Commit, Base::Since)),
            State::Stable if live.is_of_consumers() && live.subscribed.is_some() => {
                Some(Base::Commit)
            }
            _ => None,
        }
    }
}

impl crate::classic::ClassicGroup {
    fn is_subscribed_for_retention(&self, topic: &TopicName) -> bool {
        self.subscribed.as_ref().is_some_and(|topics| topics.binary_search(topic).is_ok())
    }
}

fn is_expired(row: &OffsetAndMetadata, base: &Base, now: WallTime, retention: Duration) -> bool {
    match (row.expires_at, base) {
        (Some(at), _) => now >= at,
        (None, Base::Commit) => now.since(row.committed_at) >= retention,
        (None, Base::Since(since)) => now.since(*since) >= retention,
    }
}
