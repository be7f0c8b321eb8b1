//! P6: no timer is missed, and what is due runs.

use litemap::LiteMap;
use quorate_core::{Input, Instant, Status};

use super::P6;
use super::book::{Observer, Step};
use crate::event::{Event, Place, What};
use crate::oracle::Found;
use crate::plan::Plan;

/// From this many timers a step on, a step runs all that is due.
const RUNS_ALL: usize = 1_000;
/// How many timers may be run, or skipped, before something that was due is not any more.
const MANY: usize = 20_000;

/// P6.
pub struct Deadlines {
    max_in_flight: usize,
    timers_per_step: usize,
    /// How many times in a row a shard has been told that time is up at one moment.
    repeats: LiteMap<Place, (Instant, usize)>,
}

impl Deadlines {
    /// As the plan's knobs say.
    #[must_use]
    pub fn new(plan: &Plan) -> Deadlines {
        let (max_in_flight, timers_per_step) =
            (plan.knobs.max_in_flight, plan.knobs.timers_per_step);
        Deadlines { max_in_flight, timers_per_step, repeats: LiteMap::new() }
    }
}

impl Observer for Deadlines {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let shard = step.context.shard;
        if shard.status() != Status::Active {
            return;
        }
        let next = shard.next_deadline();
        if shard.in_flight() < self.max_in_flight
            && let Some(armed) = shard.earliest_armed()
        {
            found.check(next.is_some_and(|next| next <= armed), P6, || {
                format!("{:?}: a timer is armed for {armed:?}, but next is {next:?}", step.place)
            });
        }
        if !matches!(step.input, Some(Input::Deadline)) {
            self.repeats.remove(&step.place);
            return;
        }
        let now = step.now.mono;
        let repeats = self.repeats.entry(step.place).or_insert((now, 0));
        *repeats = if repeats.0 == now { (now, repeats.1 + 1) } else { (now, 1) };
        let is_limited = self.timers_per_step < RUNS_ALL && repeats.1 * self.timers_per_step < MANY;
        found.check(is_limited || next.is_none_or(|next| next > now), P6, || {
            format!("{:?}: {next:?} is still due after all that was due ran", step.place)
        });
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        if let What::Ended { place, .. } = &event.what {
            self.repeats.remove(place);
        }
    }
}
