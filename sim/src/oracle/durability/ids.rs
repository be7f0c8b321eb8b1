//! D11: member ids are made once.

use std::collections::BTreeSet;

use litemap::LiteMap;
use quorate_core::{GroupView, Input, MemberId};

use super::D11;
use crate::event::Place;
use crate::oracle::Found;
use crate::oracle::replies::book::{Observer, Step};

/// D11.
#[derive(Default)]
pub struct Created {
    /// All ids so far, with the incarnation that made them, or was loaded with them.
    known: LiteMap<MemberId, Place>,
}

impl Observer for Created {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let is_load = step.input.is_none();
        // A static member that was replaced comes back if the record of it is refused.
        let brings_back = matches!(step.input, Some(Input::Rejected { .. }));
        for (id, after) in step.context.after {
            let before = step.context.before.get(id).map(ids).unwrap_or_default();
            for member in ids(after).difference(&before) {
                let made = self.known.insert((*member).clone(), step.place);
                let is_known = made.is_some_and(|made| made != step.place || !brings_back);
                found.check(is_load || !is_known, D11, || {
                    format!("{:?} makes {member} in {id}, which {made:?} made", step.place)
                });
            }
        }
    }
}

fn ids(group: &GroupView) -> BTreeSet<&MemberId> {
    group.members.iter().map(|member| &member.id).chain(group.pending_join.keys()).collect()
}
