//! The members of a classic group, by id and in the order in which they joined.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::id::{InstanceId, MemberId, Millis, Text, Token};
use crate::request::Protocol;
use crate::timers::Timer;

/// A member of a classic group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) instance_id: Option<InstanceId>,
    pub(crate) client_id: Text,
    pub(crate) client_host: Text,
    pub(crate) session_timeout: Millis,
    pub(crate) rebalance_timeout: Millis,
    /// Best first; each name once.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// Its first JoinGroup is not yet answered: it has a longer leash (spec classic 6.6).
    pub(crate) is_new: bool,
    pub(crate) join: Option<AwaitingJoin>,
    pub(crate) sync: Option<Token>,
    pub(crate) session: Timer,
}

/// A parked JoinGroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AwaitingJoin {
    pub(crate) token: Token,
}

impl Member {
    /// What the member sent for a protocol.
    pub(crate) fn metadata(&self, protocol: &Text) -> Option<Bytes> {
        let found = self.protocols.iter().find(|known| known.name == *protocol);
        found.map(|known| known.metadata.clone())
    }
}

/// Members by id, and ids by the order of joining.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    by_id: HashMap<MemberId, (u64, Member), FixedState>,
    order: BTreeMap<u64, MemberId>,
    next: u64,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn contains(&self, id: &MemberId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(crate) fn get(&self, id: &MemberId) -> Option<&Member> {
        self.by_id.get(id).map(|(_, member)| member)
    }

    pub(crate) fn get_mut(&mut self, id: &MemberId) -> Option<&mut Member> {
        self.by_id.get_mut(id).map(|(_, member)| member)
    }

    /// The session of each member, oldest first.
    pub(crate) fn each_session(&mut self, mut visit: impl FnMut(&MemberId, &mut Timer)) {
        for id in self.order.values() {
            if let Some((_, member)) = self.by_id.get_mut(id) {
                visit(id, &mut member.session);
            }
        }
    }

    /// Adds a member behind all others.
    pub(crate) fn push(&mut self, member: Member) {
        let seq = self.next;
        self.next += 1;
        self.order.insert(seq, member.id.clone());
        self.by_id.insert(member.id.clone(), (seq, member));
    }

    pub(crate) fn remove(&mut self, id: &MemberId) -> Option<Member> {
        let (seq, member) = self.by_id.remove(id)?;
        self.order.remove(&seq);
        Some(member)
    }

    /// Puts a member in the place of another; the other, if there was one.
    pub(crate) fn replace(&mut self, old: &MemberId, member: Member) -> Option<Member> {
        let (seq, old) = self.by_id.remove(old)?;
        self.order.insert(seq, member.id.clone());
        self.by_id.insert(member.id.clone(), (seq, member));
        Some(old)
    }

    /// The members, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.order.values().filter_map(|id| self.get(id))
    }

    /// Their ids, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &MemberId> {
        self.order.values()
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Members) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Members {}

impl Hash for Members {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter().for_each(|member| member.hash(state));
    }
}
