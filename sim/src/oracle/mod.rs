//! Properties that must hold in every run, each with its id and a sentence.
//!
//! Decided here: how they are told what happens, and what a violation is. One file is one family;
//! the ids are those of the catalogue in ARCHITECTURE.md.

pub mod classic;
pub mod durability;
pub mod liveness;
pub mod offsets;
pub mod placement;
pub mod replies;

use std::fmt;

use crate::event::{Context, End, Event};
use crate::plan::Plan;

/// All oracles for a run of a plan, one line a family.
#[must_use]
pub fn all(plan: &Plan) -> Vec<Box<dyn Oracle + Send>> {
    let mut all = vec![classic::new(plan), liveness::new(plan), offsets::new(plan)];
    all.extend(replies::new(plan));
    all.extend(durability::new(plan));
    all.extend(placement::new(plan));
    all
}

/// All properties, by family.
pub fn properties() -> impl Iterator<Item = Property> {
    let families = [
        replies::PROPERTIES,
        durability::PROPERTIES,
        classic::PROPERTIES,
        offsets::PROPERTIES,
        placement::PROPERTIES,
        liveness::PROPERTIES,
    ];
    families.into_iter().flatten().copied()
}

/// A property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Property {
    /// Its id, such as `C7`.
    pub id: &'static str,
    /// What must hold.
    pub sentence: &'static str,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.sentence)
    }
}

/// A property does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{property}\n{detail}")]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// What was seen, with names and numbers.
    pub detail: String,
}

/// Collects violations; the first one counts.
#[derive(Debug, Default)]
pub struct Found {
    first: Option<Violation>,
    only: Option<Vec<String>>,
}

impl Found {
    /// Hears only of properties with these ids: how a planted bug is judged, which may break others
    /// first.
    #[must_use]
    pub fn only(ids: &[String]) -> Found {
        Found { first: None, only: Some(ids.to_vec()) }
    }

    /// A property does not hold.
    pub fn violated(&mut self, property: Property, detail: impl FnOnce() -> String) {
        let counts = |ids: &Vec<String>| ids.iter().any(|id| id == property.id);
        if self.first.is_none() && self.only.as_ref().is_none_or(counts) {
            self.first = Some(Violation { property, detail: detail() });
        }
    }

    /// Says so unless `holds`.
    pub fn check(&mut self, holds: bool, property: Property, detail: impl FnOnce() -> String) {
        if !holds {
            self.violated(property, detail);
        }
    }

    /// The first violation so far.
    #[must_use]
    pub fn first(&self) -> Option<&Violation> {
        self.first.as_ref()
    }
}

/// A family of properties, and what it remembers to judge them.
pub trait Oracle {
    /// Judges an event. The context is there with `Loaded` and `Stepped`.
    fn see(&mut self, event: &Event, context: Option<Context<'_>>, found: &mut Found);

    /// Judges how a run ended; not called after a violation.
    fn end(&mut self, end: &End<'_>, found: &mut Found) {
        let _ = (end, found);
    }
}
