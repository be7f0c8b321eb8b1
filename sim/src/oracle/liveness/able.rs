//! Of whom liveness can be asked: before a group is blamed for not converging, whether it could.
//!
//! Decided here, as reasons: what makes a group of live clients unable to become well.

use std::collections::BTreeSet;
use std::time::Duration;

use litemap::LiteMap;

use crate::event::{ClientView, End};
use crate::plan::{Action, ClientId, ClientSpec, Drive, Ending, Fault, Op, Plan};

/// The groups that can become well, with their live clients.
pub(super) struct Able<'a> {
    plan: &'a Plan,
    groups: LiteMap<&'a str, Vec<&'a ClientView>>,
}

/// Above it the broker refuses a session timeout.
const MAX_SESSION: Duration = Duration::from_millis(1_800_000);

impl<'a> Able<'a> {
    pub(super) fn new(plan: &'a Plan, end: &'a End<'_>) -> Able<'a> {
        let Ending::Heal { clients: core, .. } = &plan.ending else {
            return Able { plan, groups: LiteMap::new() };
        };
        let mut groups: LiteMap<&str, Vec<&ClientView>> = LiteMap::new();
        for view in end.clients.iter().filter(|view| view.runs && core.contains(&view.client)) {
            let Some(spec) = spec(plan, view.client) else { continue };
            if spec.drive == Drive::Consumer {
                groups.entry(&spec.group).or_default().push(view);
            }
        }
        groups.retain(|_, views| {
            let specs: Vec<_> = views.iter().filter_map(|v| spec(plan, v.client)).collect();
            is_able(plan, &specs)
        });
        Able { plan, groups }
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &'a str> {
        self.groups.keys().copied()
    }

    /// The group of a client, if it can be asked of it.
    pub(super) fn group_of(&self, view: &ClientView) -> Option<&'a str> {
        let has = |views: &Vec<&ClientView>| views.iter().any(|v| v.client == view.client);
        self.groups.iter().find(|(_, views)| has(views)).map(|(group, _)| *group)
    }

    pub(super) fn members(&self, group: &str) -> impl Iterator<Item = &'a ClientView> {
        self.groups.get(group).into_iter().flatten().copied()
    }

    /// Whether nobody may own a topic's partitions although somebody subscribes to it: new ones,
    /// where a static member that came back leads as it did, without assigning (KIP-814).
    pub(super) fn may_be_nobodys(&self, group: &str, topic: &str) -> bool {
        let has_static = self
            .members(group)
            .any(|view| spec(self.plan, view.client).is_some_and(|spec| spec.instance.is_some()));
        let changes = self.plan.steps.iter().any(|step| match &step.what {
            Action::Fault(Fault::CreateTopic(spec)) => spec.name == topic,
            Action::Fault(Fault::RecreateTopic(name) | Fault::GrowTopic(name, _)) => name == topic,
            _ => false,
        });
        has_static && changes
    }

    /// All that its live clients subscribe to in the end.
    pub(super) fn subscribed(&self, group: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for view in self.members(group) {
            let Some(spec) = spec(self.plan, view.client) else { continue };
            let ever = self.subscriptions(view.client);
            let Some(last) = ever.last() else { continue };
            // A static member that comes back does not rebalance for another subscription, as in
            // Kafka, so that nobody may own what is new in it; the same instance may also have
            // been another process.
            let is_one =
                |other: &ClientSpec| other.instance == spec.instance && other.group == spec.group;
            let of_instance = (0..).zip(&self.plan.clients).filter(|(_, other)| is_one(other));
            let ever: Vec<&Vec<String>> = match spec.instance {
                Some(_) => of_instance.flat_map(|(n, _)| self.subscriptions(ClientId(n))).collect(),
                None => Vec::new(),
            };
            let is_dealt = |topic: &&String| ever.iter().all(|topics| topics.contains(topic));
            all.extend(last.iter().filter(is_dealt).cloned());
        }
        all
    }

    /// What a client subscribes to, first and last.
    fn subscriptions(&self, of: ClientId) -> Vec<&'a Vec<String>> {
        let changes = self.plan.steps.iter().filter_map(|step| match &step.what {
            Action::Op(client, Op::Subscribe(topics)) if *client == of => Some(topics),
            _ => None,
        });
        spec(self.plan, of).map(|spec| &spec.topics).into_iter().chain(changes).collect()
    }
}

fn spec(plan: &Plan, client: ClientId) -> Option<&ClientSpec> {
    plan.clients.get(usize::from(client.0))
}

fn is_able(plan: &Plan, specs: &[&ClientSpec]) -> bool {
    fits(plan, specs)
        && names_differ(specs)
        && agrees(specs)
        && may_write(plan, specs)
        && specs.iter().all(|spec| keeps_time(plan, spec))
}

/// A group over `group.max.size` keeps nobody: those that are refused try for ever.
fn fits(plan: &Plan, specs: &[&ClientSpec]) -> bool {
    let limits = plan.steps.iter().filter_map(|step| match &step.what {
        Action::Fault(Fault::RestartWith { max_group_size, .. }) => Some(*max_group_size),
        _ => None,
    });
    let limit = limits.chain([plan.knobs.max_group_size]).min();
    limit.is_none_or(|limit| specs.len() <= limit)
}

/// Two live processes with one instance id fence each other for ever.
fn names_differ(specs: &[&ClientSpec]) -> bool {
    let names: Vec<_> = specs.iter().filter_map(|spec| spec.instance.as_ref()).collect();
    names.iter().collect::<BTreeSet<_>>().len() == names.len()
}

/// Clients without a common assignor are no group.
fn agrees(specs: &[&ClientSpec]) -> bool {
    let Some(first) = specs.first() else { return true };
    let by_all = |assignor| specs.iter().all(|spec| spec.assignors.contains(assignor));
    first.assignors.iter().any(by_all)
}

/// A group whose record is larger than a batch may be is never stored. Where fewer batches may be
/// in flight than there are clients, somebody is refused for it again and again.
fn may_write(plan: &Plan, specs: &[&ClientSpec]) -> bool {
    let names: usize = plan.topics.iter().map(|topic| topic.name.len() + 20).sum();
    let partitions: usize =
        plan.topics.iter().map(|topic| usize::try_from(topic.partitions).unwrap_or(0) + 8).sum();
    let member = 400 + 3 * names + 8 * partitions;
    // What is given up before it can be stored is sent again for ever.
    let is_waited_for = plan.knobs.write_timeout > plan.knobs.journal.max * 2;
    is_waited_for
        && plan.knobs.max_batch_bytes > 200 + member * specs.len()
        && plan.knobs.max_in_flight >= plan.knobs.in_flight_reserve + plan.clients.len()
}

/// A session that the broker refuses, or that is over before two heartbeats are heard, cannot
/// last; nor can a member that may not take the time to join.
fn keeps_time(plan: &Plan, spec: &ClientSpec) -> bool {
    let knobs = &plan.knobs;
    let round = knobs.network.max * 2 + knobs.journal.max;
    spec.session >= knobs.min_session
        && spec.session <= MAX_SESSION
        && spec.session > (spec.heartbeat + round) * 11 / 10
        && spec.rebalance > spec.heartbeat + round * 4 + knobs.retry_backoff * 2
}
