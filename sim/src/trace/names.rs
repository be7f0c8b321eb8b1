//! Aliases: member ids are random, so a trace calls them `m1`, `m2`, ... as they first appear.

use litemap::LiteMap;
use quorate_core::MemberId;
use uuid::Uuid;

/// The aliases given so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    members: LiteMap<MemberId, usize>,
    topics: LiteMap<Uuid, usize>,
}

impl Names {
    /// A member's alias; `-` for the empty id.
    pub(super) fn member(&mut self, id: &MemberId) -> String {
        if id.is_empty() {
            return "-".to_owned();
        }
        let next = self.members.len() + 1;
        format!("m{}", self.members.entry(id.clone()).or_insert(next))
    }

    /// Several members' aliases, with a blank between them.
    pub(super) fn members<'a>(&mut self, ids: impl IntoIterator<Item = &'a MemberId>) -> String {
        let names: Vec<_> = ids.into_iter().map(|id| self.member(id)).collect();
        names.join(" ")
    }

    /// The alias of a topic's id: two topics of one name differ in it.
    pub(super) fn topic(&mut self, id: Uuid) -> String {
        let next = self.topics.len() + 1;
        format!("t{}", self.topics.entry(id).or_insert(next))
    }
}
