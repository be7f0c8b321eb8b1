//! What the observers of shards have in common: which requests are open at each incarnation, and
//! which batches it has in flight, as the events say. Nothing here is read from the code under
//! test but whether a group is held when a request comes (design 6).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{
    Batch, BatchId, Effect, GroupId, Input, Now, RecordKey, RecordValue, Request, Token,
};

use super::words::groups;
use crate::event::{Context, End, Event, Place, What};
use crate::oracle::{Found, Oracle};

/// An open request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// When it came.
    pub at: Duration,
    /// Counts the steps of the incarnation: the one that it came with.
    pub step: u64,
    /// Whether it waits undecided for the batch that holds its group.
    pub is_deferred: bool,
    /// The batches that the step which decided it wrote, by [`Flight::serial`].
    pub own: Vec<u64>,
    /// The batches that its answer must wait for.
    pub barrier: Vec<u64>,
}

/// A batch on its way.
#[derive(Debug, Clone)]
pub struct Flight {
    /// Counts all batches of a run, since ids are used again after a refusal.
    pub serial: u64,
    /// The batch.
    pub batch: Batch,
    /// The groups that it has rows of.
    pub groups: BTreeSet<GroupId>,
    /// Whether it is a leader's assignment: members parked behind it report it.
    pub is_assignment: bool,
}

/// One incarnation.
#[derive(Debug, Clone, Default)]
pub struct Incarnation {
    /// Its open requests.
    pub asked: LiteMap<Token, Asked>,
    /// Requests that were open once.
    pub resolved: BTreeSet<Token>,
    /// Requests that nobody reads the answer of any more.
    pub abandoned: BTreeSet<Token>,
    /// Its batches in flight, oldest first.
    pub flights: VecDeque<Flight>,
    /// Whether it was told that it is fenced.
    pub is_fenced: bool,
    /// How many steps it took.
    pub steps: u64,
}

/// A step, or a load, with what it means.
pub struct Step<'a> {
    /// When.
    pub at: Duration,
    /// Which shard.
    pub place: Place,
    /// Its clocks.
    pub now: Now,
    /// What it was told; nothing in a load.
    pub input: Option<&'a Input>,
    /// What it did.
    pub effects: &'a [Effect],
    /// The groups, and the shard after.
    pub context: Context<'a>,
    /// The incarnation with the input and the effects taken in, but with all requests still open
    /// that were when the effects began.
    pub of: &'a Incarnation,
    /// Batches that the input said are durable.
    pub stored: &'a [Flight],
    /// Batches that the input said are refused.
    pub refused: &'a [Flight],
    /// Whether this is the step which said that it is fenced, or the one after which it is done.
    pub ends: bool,
}

impl Step<'_> {
    /// The answers of the step, with their places among the effects.
    pub fn replies(&self) -> impl Iterator<Item = (usize, Token, &quorate_core::Response)> {
        self.effects.iter().enumerate().filter_map(|(n, effect)| match effect {
            Effect::Reply { token, body } => Some((n, *token, body)),
            _ => None,
        })
    }

    /// The batches of the step.
    pub fn appends(&self) -> impl Iterator<Item = &Batch> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Append(batch) => Some(batch),
            _ => None,
        })
    }
}

/// Looks after one property, or several that need the same.
pub trait Observer {
    /// A shard took a step, or was loaded.
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let _ = (step, found);
    }

    /// Something else happened.
    fn event(&mut self, event: &Event, found: &mut Found) {
        let _ = (event, found);
    }

    /// The run is over.
    fn end(&mut self, end: &End<'_>, found: &mut Found) {
        let _ = (end, found);
    }
}

/// Observers with the book that they share.
pub struct Family {
    places: LiteMap<Place, Incarnation>,
    observers: Vec<Box<dyn Observer + Send>>,
    serial: u64,
}

impl Family {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(observers: Vec<Box<dyn Observer + Send>>) -> Family {
        Family { places: LiteMap::new(), observers, serial: 0 }
    }

    fn step(&mut self, taken: &Taken<'_>, found: &mut Found) {
        let of = self.places.entry(taken.place).or_default();
        of.steps += 1;
        let (stored, refused) = told(of, taken);
        let first = self.serial;
        for effect in taken.effects {
            if let Effect::Append(batch) = effect {
                self.serial += 1;
                of.flights.push_back(flight(self.serial, batch, &taken.context));
            }
        }
        if let Some(Input::Request { token, body, .. }) = taken.input {
            let asked = asked(taken, of, body, first);
            of.asked.insert(*token, asked);
            of.resolved.remove(token);
        }
        let step = Step {
            at: taken.at,
            place: taken.place,
            now: taken.now,
            input: taken.input,
            effects: taken.effects,
            context: taken.context,
            of,
            stored: &stored,
            refused: &refused,
            ends: matches!(taken.input, Some(Input::Fenced { .. })),
        };
        for observer in &mut self.observers {
            observer.step(&step, found);
        }
        for effect in taken.effects {
            if let Effect::Reply { token, .. } | Effect::Dropped { token, .. } = effect {
                of.asked.remove(token);
                of.resolved.insert(*token);
            }
        }
    }
}

/// A step as the event tells it.
struct Taken<'a> {
    at: Duration,
    place: Place,
    now: Now,
    input: Option<&'a Input>,
    effects: &'a [Effect],
    context: Context<'a>,
}

/// Takes in what the input says of batches and requests.
fn told(of: &mut Incarnation, taken: &Taken<'_>) -> (Vec<Flight>, Vec<Flight>) {
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    match taken.input {
        Some(Input::Appended { through }) => {
            let is_told = |flight: &Flight| flight.batch.id <= *through;
            while let Some(flight) = of.flights.pop_front_if(|flight| is_told(flight)) {
                stored.push(flight);
            }
        }
        Some(Input::Rejected { from, .. }) => {
            while let Some(flight) = of.flights.pop_back_if(|flight| flight.batch.id >= *from) {
                refused.push(flight);
            }
            refused.reverse();
        }
        Some(Input::Fenced { .. }) => {
            of.is_fenced = true;
            refused.extend(of.flights.drain(..));
        }
        Some(Input::Abandoned { token }) if of.asked.remove(token).is_some() => {
            of.resolved.insert(*token);
            of.abandoned.insert(*token);
        }
        _ => {}
    }
    (stored, refused)
}

fn flight(serial: u64, batch: &Batch, context: &Context<'_>) -> Flight {
    let groups = batch.records.iter().map(|record| record.key.group().clone()).collect();
    let is_assignment = batch.records.iter().any(|record| match (&record.key, &record.value) {
        (RecordKey::Group(group), Some(RecordValue::Group(row))) => {
            let after = context.after.get(group);
            !row.members.is_empty()
                && after.is_some_and(|after| after.state == "CompletingRebalance")
        }
        _ => false,
    });
    Flight { serial, batch: batch.clone(), groups, is_assignment }
}

/// A request that has just come, and what its answer waits for (design 5 and 6): all that its
/// group has in flight, its own batch with it; for JoinGroup only the record that it wrote itself;
/// for reads nothing.
fn asked(taken: &Taken<'_>, of: &Incarnation, request: &Request, first: u64) -> Asked {
    let groups = groups(request);
    let held: Vec<BatchId> = groups
        .iter()
        .filter_map(|group| taken.context.before.get(*group))
        .filter_map(|group| group.held_by)
        .collect();
    let serials = |f: &dyn Fn(&Flight) -> bool| -> Vec<u64> {
        of.flights.iter().filter(|flight| f(flight)).map(|flight| flight.serial).collect()
    };
    let own = serials(&|flight| flight.serial > first);
    let barrier = match request {
        _ if !held.is_empty() => serials(&|flight| held.contains(&flight.batch.id)),
        Request::OffsetFetch(fetch) if !fetch.require_stable => Vec::new(),
        Request::DescribeGroups(_)
        | Request::ListGroups(_)
        | Request::FindCoordinator(_)
        | Request::SyncGroup(_) => Vec::new(),
        Request::JoinGroup(_) => own.clone(),
        _ => serials(&|flight| groups.iter().any(|group| flight.groups.contains(*group))),
    };
    let is_deferred = !held.is_empty();
    Asked { request: request.clone(), at: taken.at, step: of.steps, is_deferred, own, barrier }
}

impl Oracle for Family {
    fn see(&mut self, event: &Event, context: Option<Context<'_>>, found: &mut Found) {
        let at = event.at;
        match (&event.what, context) {
            (What::Loaded { place, now, effects }, Some(context)) => {
                let (place, now) = (*place, *now);
                self.step(&Taken { at, place, now, input: None, effects, context }, found);
            }
            (What::Stepped { place, now, input, effects }, Some(context)) => {
                let (place, now, input) = (*place, *now, Some(input));
                self.step(&Taken { at, place, now, input, effects, context }, found);
            }
            _ => {
                if let What::Ended { place, .. } = &event.what {
                    self.places.remove(place);
                }
                for observer in &mut self.observers {
                    observer.event(event, found);
                }
            }
        }
    }

    fn end(&mut self, end: &End<'_>, found: &mut Found) {
        for observer in &mut self.observers {
            observer.end(end, found);
        }
    }
}
