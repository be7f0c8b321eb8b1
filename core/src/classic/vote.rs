//! Which protocol a generation uses (spec classic 5.7).

use super::ClassicGroup;
use crate::id::Text;

impl ClassicGroup {
    /// Candidates are the protocols that every member lists; each member votes for the first
    /// candidate of its list, and the one with most votes is chosen. Of two with as many, the one
    /// that an older member voted for.
    pub(super) fn vote(&self) -> Option<Text> {
        let mut votes: Vec<(&Text, usize)> = Vec::new();
        for member in self.members.iter() {
            let names = member.protocols.iter().map(|protocol| &protocol.name);
            let mut candidates = names.filter(|n| self.supported_by(n) == self.members.len());
            let Some(choice) = candidates.next() else { continue };
            match votes.iter_mut().find(|(name, _)| *name == choice) {
                Some((_, count)) => *count += 1,
                None => votes.push((choice, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).clone())
    }
}
