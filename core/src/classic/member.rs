//! The members of a classic group, by id and in the order in which they joined.

use std::hash::{BuildHasher, Hash, Hasher};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

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
///
/// Most groups are small, and there are many: what a group of one keeps is what it needs. So the
/// table holds pointers only, and the order is a list, which is as long as its group is large.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    by_id: HashTable<Box<Seated>>,
    /// Sorted by the first.
    order: Vec<(u64, MemberId)>,
    next: u64,
}

/// A member and its place in the order of joining.
#[derive(Debug, Clone)]
struct Seated {
    seq: u64,
    member: Member,
}

fn hash(id: &MemberId) -> u64 {
    FixedState::default().hash_one(id)
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn contains(&self, id: &MemberId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn get(&self, id: &MemberId) -> Option<&Member> {
        let seated = self.by_id.find(hash(id), |seated| seated.member.id == *id)?;
        Some(&seated.member)
    }

    pub(crate) fn get_mut(&mut self, id: &MemberId) -> Option<&mut Member> {
        let seated = self.by_id.find_mut(hash(id), |seated| seated.member.id == *id)?;
        Some(&mut seated.member)
    }

    /// The session of each member, oldest first.
    pub(crate) fn each_session(&mut self, mut visit: impl FnMut(&MemberId, &mut Timer)) {
        for (_, id) in &self.order {
            let found = self.by_id.find_mut(hash(id), |seated| seated.member.id == *id);
            if let Some(seated) = found {
                visit(id, &mut seated.member.session);
            }
        }
    }

    /// Adds a member behind all others.
    pub(crate) fn push(&mut self, member: Member) {
        let seq = self.next;
        self.next += 1;
        if self.order.is_empty() {
            self.order.reserve_exact(1);
        }
        self.order.push((seq, member.id.clone()));
        self.seat(seq, member);
    }

    fn seat(&mut self, seq: u64, member: Member) {
        let seated = Box::new(Seated { seq, member });
        self.by_id.insert_unique(hash(&seated.member.id), seated, |other| hash(&other.member.id));
    }

    fn unseat(&mut self, id: &MemberId) -> Option<Seated> {
        let found = self.by_id.find_entry(hash(id), |seated| seated.member.id == *id).ok()?;
        Some(*found.remove().0)
    }

    fn place(&self, seq: u64) -> Option<usize> {
        self.order.binary_search_by_key(&seq, |(seq, _)| *seq).ok()
    }

    pub(crate) fn remove(&mut self, id: &MemberId) -> Option<Member> {
        let Seated { seq, member } = self.unseat(id)?;
        if let Some(place) = self.place(seq) {
            self.order.remove(place);
        }
        Some(member)
    }

    /// Puts a member in the place of another; the other, if there was one.
    pub(crate) fn replace(&mut self, old: &MemberId, member: Member) -> Option<Member> {
        let Seated { seq, member: old } = self.unseat(old)?;
        if let Some(place) = self.place(seq) {
            self.order[place].1 = member.id.clone();
        }
        self.seat(seq, member);
        Some(old)
    }

    /// The members, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.ids().filter_map(|id| self.get(id))
    }

    /// Their ids, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &MemberId> {
        self.order.iter().map(|(_, id)| id)
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
