//! Makes a failing plan small: what is left is what the failure needs.
//!
//! Decided here: in which order parts are left out (kinds of faults, clients, halves of the steps,
//! single steps, then times are shortened and rounded, and the rest is as by default), and that a
//! smaller plan counts if the same property fails. Streams of randomness are independent, so what
//! is left runs as before.

use std::time::Duration;

use crate::plan::{
    Action, Ask, ClientId, Ending, Fault, FaultClass, Knobs, NodeSpec, Op, Plan, Step, Who,
};
use crate::recorder::Outcome;
use crate::suite::Suite;

/// A failing plan, made small.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest run that fails as the first one did.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: usize,
}

struct Shrinker {
    suite: Suite,
    id: &'static str,
    best: Outcome,
    runs: usize,
    limit: usize,
    /// Events that further runs may take: some plans run for very long.
    events: usize,
}

/// A few seconds of them.
const MOST_EVENTS: usize = 3_000_000;

/// Shrinks a run that failed, with at most `limit` further runs.
#[must_use]
pub fn shrink(suite: Suite, failed: Outcome, limit: usize) -> Shrunk {
    let Some(id) = failed.failure.as_ref().map(crate::Failure::id) else {
        return Shrunk { outcome: failed, runs: 0 };
    };
    let mut shrinker = Shrinker { suite, id, best: failed, runs: 0, limit, events: MOST_EVENTS };
    shrinker.cut_off();
    loop {
        let before = size(&shrinker.best.plan);
        shrinker.drop_classes();
        shrinker.drop_clients();
        shrinker.drop_chunks();
        if size(&shrinker.best.plan) == before || shrinker.runs >= limit {
            break;
        }
    }
    shrinker.shorten();
    shrinker.simplify();
    Shrunk { outcome: shrinker.best, runs: shrinker.runs }
}

fn size(plan: &Plan) -> usize {
    plan.steps.len()
}

impl Shrinker {
    /// Keeps the plan if it fails in the same way.
    fn try_plan(&mut self, plan: Plan) -> bool {
        if self.runs >= self.limit || self.events == 0 || plan == self.best.plan {
            return false;
        }
        self.runs += 1;
        let outcome = self.suite.run(&plan);
        self.events = self.events.saturating_sub(outcome.events.len());
        let is_same = outcome.failure.as_ref().is_some_and(|failure| failure.id() == self.id);
        if is_same {
            self.best = outcome;
        }
        is_same
    }

    fn keep_steps(&mut self, keep: impl Fn(usize, &Step) -> bool) -> bool {
        let mut plan = self.best.plan.clone();
        let mut place = 0;
        plan.steps.retain(|step| {
            place += 1;
            keep(place - 1, step)
        });
        self.try_plan(plan)
    }

    /// What comes after the failure is not needed.
    fn cut_off(&mut self) {
        let end = self.best.simulated;
        self.keep_steps(|_, step| step.at <= end);
    }

    fn drop_classes(&mut self) {
        use FaultClass::{Clock, Coordinator, Journal, Metadata, Network, SplitBrain};
        for class in [SplitBrain, Coordinator, Journal, Network, Clock, Metadata] {
            self.keep_steps(
                |_, step| !matches!(&step.what, Action::Fault(fault) if fault.class() == class),
            );
        }
    }

    fn drop_clients(&mut self) {
        for client in 0..self.best.plan.clients.len() {
            let client = ClientId(u16::try_from(client).expect("few clients"));
            let is_its = |step: &Step| matches!(step.what, Action::Op(whose, _) if whose == client);
            if !self.best.plan.steps.iter().any(is_its) {
                continue;
            }
            let mut plan = self.best.plan.clone();
            plan.steps.retain(|step| !is_its(step));
            if let Ending::Heal { clients, .. } = &mut plan.ending {
                clients.retain(|whose| *whose != client);
            }
            self.try_plan(plan);
        }
    }

    /// Halves, quarters and so on, down to single steps.
    fn drop_chunks(&mut self) {
        let mut chunk = self.best.plan.steps.len().div_ceil(2);
        while chunk > 0 && self.runs < self.limit {
            let mut start = 0;
            while start < self.best.plan.steps.len() {
                let range = start..start + chunk;
                if !self.keep_steps(|place, _| !range.contains(&place)) {
                    start += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }

    /// As little as can be is said of what does nothing, and settings are as by default.
    fn simplify(&mut self) {
        let mut plan = self.best.plan.clone();
        let acts = |number: usize| {
            let whose = |step: &Step| match step.what {
                Action::Op(whose, _) => Some(usize::from(whose.0)),
                Action::Fault(_) => None,
            };
            self.best.plan.steps.iter().any(|step| whose(step) == Some(number))
        };
        let used = (0..plan.clients.len()).rev().find(|number| acts(*number));
        let named = self.best.plan.steps.iter().filter_map(|step| step.what.named()).max();
        let named = named.map(|client| usize::from(client.0));
        plan.clients.truncate(used.max(named).map_or(0, |last| last + 1));
        for (number, client) in plan.clients.iter_mut().enumerate() {
            if !acts(number) {
                *client = crate::scenario::consumer();
            }
        }
        if let Ending::Heal { clients, .. } = &mut plan.ending {
            clients.retain(|client| acts(usize::from(client.0)));
        }
        self.try_plan(plan);
        self.try_plan(Plan { knobs: Knobs::default(), ..self.best.plan.clone() });
        let nodes = vec![NodeSpec::default(); self.best.plan.nodes.len()];
        self.try_plan(Plan { nodes, ..self.best.plan.clone() });
    }

    fn shorten(&mut self) {
        for place in 0..self.best.plan.steps.len() {
            let mut plan = self.best.plan.clone();
            if let Some(lasts) = lasts(&mut plan.steps[place].what) {
                *lasts /= 2;
                self.try_plan(plan);
            }
        }
        for place in 0..self.best.plan.steps.len() {
            let mut plan = self.best.plan.clone();
            let at = &mut plan.steps[place].at;
            *at = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0) / 100 * 100);
            plan.steps.sort_by_key(|step| step.at);
            self.try_plan(plan);
        }
    }
}

impl Action {
    /// The last client that is named in it beside the one who does it.
    fn named(&self) -> Option<ClientId> {
        match self {
            Action::Op(
                _,
                Op::Say(Ask::Remove(client), _)
                | Op::Say(_, Who::Other(client) | Who::OtherAs(client)),
            ) => Some(*client),
            Action::Fault(
                Fault::Cut(client)
                | Fault::LoseReply(client)
                | Fault::HalfFrame(client)
                | Fault::Hold { client, .. }
                | Fault::Trickle { client, .. }
                | Fault::Malformed { client, .. },
            ) => Some(*client),
            Action::Fault(Fault::Partition { clients, .. }) => clients.iter().max().copied(),
            _ => None,
        }
    }
}

/// How long something goes on, where it does.
fn lasts(action: &mut Action) -> Option<&mut Duration> {
    match action {
        Action::Op(_, Op::Pause(lasts)) => Some(lasts),
        Action::Fault(
            Fault::Slow { lasts, .. }
            | Fault::Partition { lasts, .. }
            | Fault::Hold { lasts, .. }
            | Fault::Trickle { lasts, .. }
            | Fault::Pause { lasts, .. }
            | Fault::StaleMetadata { lasts, .. }
            | Fault::Stall { lasts, .. }
            | Fault::WallFreeze { lasts, .. }
            | Fault::Kill { down: lasts, .. }
            | Fault::PowerLoss { down: lasts, .. }
            | Fault::RestartWith { down: lasts, .. }
            | Fault::Move { unaware: lasts, .. }
            | Fault::SlowLoad { by: lasts, .. },
        ) => Some(lasts),
        _ => None,
    }
}
