//! Classic groups: the join and sync phases, heartbeats, leaving (spec classic 5 to 10).

mod complete;
mod expire;
mod heartbeat;
mod join;
mod leave;
mod load;
mod member;
mod rebalance;
mod server_assign;
mod state;
mod static_id;
mod subscription;
mod sync;
mod vote;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

pub(crate) use member::{AwaitingJoin, Member, Members};
pub(crate) use state::State;
pub(crate) use static_id::StaticReplacement;

use crate::id::{Generation, InstanceId, MemberId, Text, TopicName};
use crate::record::{GroupMetadata, MemberMetadata};
use crate::request::Protocol;
use crate::time::WallTime;
use crate::timers::Timer;

/// What lives of a classic group beside its row.
///
/// - `leader`, if there is one, is a member.
/// - `supported` counts, for each protocol, the members that list it.
/// - `awaiting_join` is the number of members with a parked JoinGroup.
/// - `pending_sync` names members that got their JoinGroup answer and have not synced. In Stable
///   also ids of static members that were replaced before they did, as in Kafka: nobody can sync
///   for them, so the sync timer fires, and the group rebalances.
/// - An id in `pending_join` was handed out and is no member (KIP-394).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClassicGroup {
    pub(crate) state: State,
    pub(crate) previous: State,
    /// When it came into its state; unknown for some that were loaded.
    pub(crate) since: Option<WallTime>,
    pub(crate) generation: Generation,
    pub(crate) protocol_type: Option<Text>,
    pub(crate) protocol: Option<Text>,
    pub(crate) leader: Option<MemberId>,
    pub(crate) members: Members,
    pub(crate) static_members: BTreeMap<InstanceId, MemberId>,
    pub(crate) pending_join: BTreeMap<MemberId, Timer>,
    pub(crate) pending_sync: BTreeSet<MemberId>,
    pub(crate) supported: Vec<(Text, usize)>,
    pub(crate) awaiting_join: usize,
    pub(crate) new_member_added: bool,
    /// Set while the join phase is an initial one.
    pub(crate) initial: Option<InitialDelay>,
    /// `None` is unknown: then a group of consumers counts as subscribed to everything.
    /// Sorted, each topic once.
    pub(crate) subscribed: Option<Box<[TopicName]>>,
    pub(crate) join_timer: Timer,
    pub(crate) sync_timer: Timer,
}

/// The window of an initial rebalance that is running (spec classic 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct InitialDelay {
    /// Its length.
    pub(crate) delay: Duration,
    /// What of the rebalance timeout is left after it.
    pub(crate) remaining: Duration,
}

impl ClassicGroup {
    pub(crate) fn new(since: WallTime) -> ClassicGroup {
        ClassicGroup {
            state: State::Empty,
            previous: State::Empty,
            since: Some(since),
            generation: Generation(0),
            protocol_type: None,
            protocol: None,
            leader: None,
            members: Members::default(),
            static_members: BTreeMap::new(),
            pending_join: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            supported: Vec::new(),
            awaiting_join: 0,
            new_member_added: false,
            initial: None,
            subscribed: None,
            join_timer: Timer::default(),
            sync_timer: Timer::default(),
        }
    }

    /// How long a join or sync phase may take: the longest that a member allows (spec 5.1).
    pub(crate) fn rebalance_timeout(&self) -> Duration {
        let timeouts = self.members.iter().map(|member| member.rebalance_timeout.duration());
        timeouts.max().unwrap_or_default()
    }

    pub(crate) fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// Whether the join phase waits for nobody.
    pub(crate) fn all_joined(&self) -> bool {
        self.awaiting_join == self.members.len() && self.pending_join.is_empty()
    }

    /// Whether a join with these protocols fits the group (spec classic 5.6).
    pub(crate) fn supports(&self, protocol_type: &Text, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let by_all = |name: &Text| self.supported_by(name) == self.members.len();
        self.protocol_type.as_ref() == Some(protocol_type)
            && protocols.iter().any(|protocol| by_all(&protocol.name))
    }

    pub(crate) fn supported_by(&self, name: &Text) -> usize {
        self.supported.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
    }

    /// Takes back an id that was handed out. Here and below: a map that has become empty gives its
    /// memory back, for most groups never need it again.
    pub(crate) fn take_pending_join(&mut self, id: &MemberId) -> Option<Timer> {
        let timer = self.pending_join.remove(id);
        if self.pending_join.is_empty() {
            self.pending_join = BTreeMap::new();
        }
        timer
    }

    /// A member is not waited for to sync; whether it was.
    fn take_pending_sync(&mut self, id: &MemberId) -> bool {
        let was_pending = self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            self.pending_sync = BTreeSet::new();
        }
        was_pending
    }

    fn count_protocols(&mut self, protocols: &[Protocol]) {
        if self.supported.is_empty() {
            self.supported.reserve_exact(protocols.len());
        }
        for protocol in protocols {
            match self.supported.iter_mut().find(|(name, _)| *name == protocol.name) {
                Some((_, count)) => *count += 1,
                None => self.supported.push((protocol.name.clone(), 1)),
            }
        }
    }

    fn uncount_protocols(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            if let Some((_, count)) =
                self.supported.iter_mut().find(|(name, _)| *name == protocol.name)
            {
                *count -= 1;
            }
        }
        self.supported.retain(|(_, count)| *count > 0);
    }

    /// The row that says what the group is now, with these assignments (spec classic 11.2).
    pub(crate) fn metadata(&self, assignments: &IndexMap<MemberId, bytes::Bytes>) -> GroupMetadata {
        let members = self.members.iter().map(|member| MemberMetadata {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout,
            session_timeout: member.session_timeout,
            subscription: self
                .protocol
                .as_ref()
                .and_then(|name| member.metadata(name))
                .unwrap_or_default(),
            assignment: assignments.get(&member.id).cloned().unwrap_or_default(),
        });
        GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.since,
            members: members.collect(),
        }
    }
}
