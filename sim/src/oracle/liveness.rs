//! Liveness: once faults are over and a core of the world is whole, the core becomes well in
//! bounded time, and stays so.
//!
//! Decided here: how long that may take ([`bound`]), how long the quiet afterwards is watched
//! ([`window`]). Of which clients it can be asked at all is decided in `able`.

mod able;
mod due;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use litemap::LiteMap;
use quorate_core::{
    BatchId, Effect, Epoch, Generation, GroupId, GroupView, Input, RecordKey, ShardId, Token,
};

use super::{Found, Oracle, Property};
use crate::event::{ClientNote, ClientView, Context, End, Event, LastSeen, Phase, Place, What};
use crate::plan::{ClientId, Drive, Ending, Latency, Outside, Plan};
use able::Able;

const L1: Property = Property {
    id: "L1",
    sentence: "Every live client of the core is a member of a Stable group at its generation \
               within the bound.",
};
const L2: Property = Property {
    id: "L2",
    sentence: "Every subscribed partition is owned by exactly one live client of the group \
               within the bound.",
};
const L3: Property = Property {
    id: "L3",
    sentence: "Once the core is well, no generation changes without a cause.",
};
const L4: Property = Property {
    id: "L4",
    sentence: "No request waits longer than sessions, rebalances and writes may take.",
};
const L5: Property = Property {
    id: "L5",
    sentence: "Every client of the core that owns partitions commits after the faults are over.",
};
const L6: Property = Property {
    id: "L6",
    sentence: "Members of dead clients are gone, and groups without live members are Empty.",
};
const L7: Property =
    Property { id: "L7", sentence: "No batch stays in flight, and no shard is stuck in its load." };

const L8: Property = Property {
    id: "L8",
    sentence: "Offsets that are due and Empty groups without any are removed.",
};
const L9: Property = Property {
    id: "L9",
    sentence: "Clients outside of the core that are heard and hear nothing, or the other way \
               round, do not keep a group of the core rebalancing.",
};

/// The family.
pub const PROPERTIES: &[Property] = &[L1, L2, L3, L4, L5, L6, L7, L8, L9];

/// Judges the family for a plan.
#[must_use]
pub fn new(plan: &Plan) -> Box<dyn Oracle + Send> {
    Box::new(Liveness {
        plan: plan.clone(),
        phase: None,
        open: LiteMap::new(),
        in_flight: LiteMap::new(),
        newest: LiteMap::new(),
        moved: LiteMap::new(),
        assigned: LiteMap::new(),
        committed: BTreeSet::new(),
    })
}

struct Liveness {
    plan: Plan,
    phase: Option<Phase>,
    /// Since when requests wait.
    open: LiteMap<(Place, Token), Duration>,
    /// Since when batches are in flight.
    in_flight: LiteMap<(Place, BatchId), Duration>,
    newest: LiteMap<ShardId, Epoch>,
    /// Groups whose generation changed when all was to be quiet: when, and from what to what.
    moved: LiteMap<GroupId, (Duration, Generation, Generation)>,
    /// The newest generation of groups, and how often its leader assigned.
    assigned: LiteMap<GroupId, (Generation, usize)>,
    /// Who committed since faults are over.
    committed: BTreeSet<ClientId>,
}

impl Oracle for Liveness {
    fn see(&mut self, event: &Event, context: Option<Context<'_>>, _found: &mut Found) {
        match &event.what {
            What::Phase(phase) => self.phase = Some(*phase),
            What::Loaded { place, effects, .. } => {
                self.newest.insert(place.shard, place.epoch);
                self.effects(event.at, *place, effects);
            }
            What::Stepped { place, input, effects, .. } => {
                self.input(event.at, *place, input);
                self.effects(event.at, *place, effects);
                self.changes(event.at, *place, context);
                self.assignments(effects, context);
            }
            What::Ended { place, .. } => {
                self.open.retain(|(of, _), _| of != place);
                self.in_flight.retain(|(of, _), _| of != place);
            }
            What::Client { client, note: ClientNote::Committed { .. } } if self.phase.is_some() => {
                self.committed.insert(*client);
            }
            _ => {}
        }
    }

    fn end(&mut self, end: &End<'_>, found: &mut Found) {
        let Ending::Heal { after, clients, outside, .. } = &self.plan.ending else { return };
        let quiet = if *outside == Outside::Dead { L3 } else { L9 };
        let converged = *after + bound(&self.plan);
        let acts = self.plan.steps.iter().any(|step| step.at > *after);
        if end.at < converged || acts {
            return;
        }
        let able = Able::new(&self.plan, end);
        self.nothing_waits(end, found);
        for seen in led(end) {
            for (id, group) in &seen.groups {
                self.has_no_dead(&able, end, id, group, found);
            }
            if let Some(log) = end.logs.get(&seen.place.shard) {
                due::judge(&self.plan.knobs, seen, log, end.at.saturating_sub(*after), found);
            }
        }
        for view in end.clients.iter().filter(|view| clients.contains(&view.client)) {
            if let Some(group) = able.group_of(view) {
                self.is_well(end, view, group, found);
            }
        }
        for group in able.groups() {
            // Of a leader that assigned more than once in a generation the first one counts, as in
            // Kafka: what it knew later is not dealt.
            if self.assigned.get(&GroupId::from(group)).is_none_or(|(_, times)| *times == 1) {
                is_shared_out(&able, end, group, found);
            }
            if let Some(moved) = self.moved.get(&GroupId::from(group)) {
                found.violated(quiet, || format!("{group}: {moved:?}, after {converged:?}"));
            }
        }
    }
}

/// The incarnations that serve where their shard is led.
fn led<'a>(end: &'a End<'_>) -> impl Iterator<Item = &'a LastSeen> {
    end.shards.iter().filter(|seen| {
        let place = seen.place;
        let newest = end.shards.iter().filter(|other| other.place.shard == place.shard);
        end.leaders.get(&place.shard) == Some(&place.node)
            && newest.map(|other| other.place.epoch).max() == Some(place.epoch)
    })
}

fn find<'a>(end: &'a End<'_>, group: &str) -> Option<&'a GroupView> {
    led(end).find_map(|seen| seen.groups.get(&GroupId::from(group)))
}

impl Liveness {
    fn input(&mut self, at: Duration, place: Place, input: &Input) {
        match input {
            Input::Request { token, .. } => {
                self.open.insert((place, *token), at);
            }
            Input::Abandoned { token } => {
                self.open.remove(&(place, *token));
            }
            Input::Appended { through } => {
                self.in_flight.retain(|(of, id), _| *of != place || id > through);
            }
            Input::Rejected { from, .. } => {
                self.in_flight.retain(|(of, id), _| *of != place || id < from);
            }
            Input::Fenced { .. } => self.in_flight.retain(|(of, _), _| *of != place),
            _ => {}
        }
    }

    fn effects(&mut self, at: Duration, place: Place, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Reply { token, .. } | Effect::Dropped { token, .. } => {
                    self.open.remove(&(place, *token));
                }
                Effect::Append(batch) => {
                    self.in_flight.insert((place, batch.id), at);
                }
                Effect::Note(_) => {}
            }
        }
    }

    fn changes(&mut self, at: Duration, place: Place, context: Option<Context<'_>>) {
        let is_newest = self.newest.get(&place.shard) == Some(&place.epoch);
        let Some(Context { before, after, .. }) = context else { return };
        if self.phase != Some(Phase::Converged) || !is_newest {
            return;
        }
        for (id, after) in after {
            let Some(before) = before.get(id) else { continue };
            if before.generation != after.generation {
                let moved = (at, before.generation, after.generation);
                self.moved.entry(id.clone()).or_insert(moved);
            }
        }
    }

    fn assignments(&mut self, effects: &[Effect], context: Option<Context<'_>>) {
        let Some(Context { after, .. }) = context else { return };
        for effect in effects {
            let Effect::Append(batch) = effect else { continue };
            for record in &batch.records {
                let RecordKey::Group(id) = &record.key else { continue };
                let Some(group) = after.get(id).filter(|g| g.state == "CompletingRebalance") else {
                    continue;
                };
                let of = self.assigned.entry(id.clone()).or_default();
                let earlier = if of.0 == group.generation { of.1 } else { 0 };
                *of = (group.generation, earlier + 1);
            }
        }
    }

    /// L1, L5.
    fn is_well(&self, end: &End<'_>, view: &ClientView, group: &str, found: &mut Found) {
        let seen = find(end, group);
        let is_member = seen.is_some_and(|seen| {
            let id = view.member.as_ref();
            seen.state == "Stable"
                && seen.generation == view.generation
                && id.is_some_and(|id| seen.member(id).is_some())
        });
        found.check(is_member && view.is_stable, L1, || {
            let state = seen.map(|seen| (seen.state, seen.generation, seen.members.len()));
            format!("{view:?}\n{group} is {state:?}")
        });
        let commits =
            self.plan.clients.get(usize::from(view.client.0)).and_then(|c| c.commit_every);
        let had_time = commits.is_some_and(|every| every * 2 < window(&self.plan));
        let idle = !had_time || view.owned.is_empty();
        found.check(idle || self.committed.contains(&view.client), L5, || {
            format!("{view:?} has not committed")
        });
    }

    /// L4, L7.
    fn nothing_waits(&self, end: &End<'_>, found: &mut Found) {
        let knobs = &self.plan.knobs;
        let longest = self.plan.clients.iter().map(|c| c.session.max(c.rebalance)).max();
        let slack = Duration::from_secs(3) + knobs.journal.max;
        let write = knobs.write_timeout + slack;
        let wait = longest.unwrap_or_default().max(knobs.initial_delay) * 11 / 10 + write;
        let led: BTreeSet<Place> = led(end).map(|seen| seen.place).collect();
        let old = |since: &Duration, limit: Duration| end.at.saturating_sub(*since) > limit;
        for ((place, token), since) in &self.open {
            let is_old = led.contains(place) && old(since, wait);
            found.check(!is_old, L4, || format!("{token} of {place:?} waits since {since:?}"));
        }
        for ((place, batch), since) in &self.in_flight {
            let is_old = led.contains(place) && old(since, write);
            found.check(!is_old, L7, || format!("{batch:?} of {place:?} since {since:?}"));
        }
        for (shard, node) in &end.leaders {
            let serves = led.iter().any(|place| place.shard == *shard);
            found.check(serves, L7, || format!("{shard:?} is led by {node:?}, and not served"));
        }
    }

    /// L6.
    fn has_no_dead(
        &self,
        able: &Able<'_>,
        end: &End<'_>,
        id: &GroupId,
        group: &GroupView,
        found: &mut Found,
    ) {
        let is_able = able.groups().any(|able| able == id.as_str());
        let has_live = self.plan.clients.iter().zip(0..).any(|(spec, client)| {
            let view = end.clients.iter().find(|view| view.client == ClientId(client));
            spec.group == id.as_str() && view.is_some_and(|view| view.runs)
        });
        if !has_live {
            found.check(group.members.is_empty() && group.state == "Empty", L6, || {
                format!("{id} is {} with {} members", group.state, group.members.len())
            });
        }
        if !is_able {
            return;
        }
        for member in &group.members {
            let mut live = end.clients.iter().filter(|view| {
                let spec = self.plan.clients.get(usize::from(view.client.0));
                view.runs && spec.is_some_and(|spec| spec.drive == Drive::Consumer)
            });
            let is_live = live.any(|view| view.member.as_ref() == Some(&member.id));
            found.check(is_live, L6, || format!("{id}: {} is nobody's", member.id));
        }
    }
}

/// L2.
fn is_shared_out(able: &Able<'_>, end: &End<'_>, group: &str, found: &mut Found) {
    // A leader that leaves it to a server which does not do it assigns nothing.
    let is_assigned = end.plan.knobs.server_assigns
        || !end.plan.clients.iter().any(|client| client.leaves_assignment_to_server);
    let mut owners: LiteMap<(String, i32), Vec<ClientId>> = LiteMap::new();
    for topic in able.subscribed(group) {
        if able.may_be_nobodys(group, &topic) {
            continue;
        }
        let known = end.topics.get(&topic.as_str().into());
        let partitions = known.map_or(0, |known| known.partitions);
        owners.extend((0..partitions).map(|partition| ((topic.clone(), partition), Vec::new())));
    }
    for view in able.members(group) {
        for part in &view.owned {
            owners.entry(part.clone()).or_default().push(view.client);
        }
    }
    for (part, owners) in owners {
        let gone = end.topics.get(&part.0.as_str().into()).is_none();
        let fits = if gone || !is_assigned { owners.len() <= 1 } else { owners.len() == 1 };
        found.check(fits, L2, || format!("{group}: {part:?} is owned by {owners:?}"));
    }
}

/// How long the core has from `Phase::Healed` until it must be well: `B = 2 x max session + max
/// rebalance timeout + initial delay + load bound + slack` of the catalogue.
///
/// The slack is for a client that waits for an answer that will not come (a JoinGroup: for the
/// request timeout and its rebalance timeout), for the round trips of finding the coordinator,
/// joining and syncing twice, and for clocks that are 5 % off.
#[must_use]
pub fn bound(plan: &Plan) -> Duration {
    let knobs = &plan.knobs;
    let longest = |of: fn(&crate::plan::ClientSpec) -> Duration| {
        plan.clients.iter().map(of).max().unwrap_or_default()
    };
    let (session, rebalance) = (longest(|client| client.session), longest(|c| c.rebalance));
    let lost_answer = knobs.request_timeout + rebalance;
    let once = |latency: Latency| latency.max;
    let round = once(knobs.network) * 2 + knobs.retry_backoff + once(knobs.journal);
    let slack = lost_answer + round * 20 + once(knobs.metadata) * 2 + knobs.write_timeout;
    let heartbeat = longest(|client| client.heartbeat);
    let load = once(knobs.load) * 4;
    let sum = session * 2 + rebalance + knobs.initial_delay * 2 + load + slack + heartbeat * 4;
    (sum + Duration::from_secs(2)) * 11 / 10
}

/// How long the quiet after `Phase::Converged` is watched: long enough for each core client's
/// session to end, if nobody heard its heartbeats.
#[must_use]
pub fn window(plan: &Plan) -> Duration {
    let session = plan.clients.iter().map(|client| client.session).max().unwrap_or_default();
    session + session / 10 + Duration::from_secs(2)
}
