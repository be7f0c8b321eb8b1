//! D9: another shard, loaded from the log, answers as the one that serves; looked at in samples
//! with nothing in flight.
//!
//! What a load loses is documented: ids that were handed out, the join phase, who has synced, and
//! all protocols of a member but the chosen one. So only groups that are Stable or Empty as their
//! rows are get asked, and members with one protocol join again.

use std::collections::BTreeSet;
use std::sync::Arc;

use litemap::LiteMap;
use quorate_core::request::{
    DescribeGroups, FetchGroup, Heartbeat, JoinGroup, OffsetFetch, SyncGroup,
};
use quorate_core::{
    Config, Effect, Effects, Generation, GroupId, GroupView, Input, MemberView, Now, Offset,
    Origin, Record, RecordKey, RecordValue, Request, Response, Shard, ShardId, Status, Token,
    Topics,
};

use super::D9;
use super::journal::{Journal, Rows};
use super::load::{config, load};
use crate::event::{Event, What};
use crate::oracle::Found;
use crate::oracle::replies::book::{Observer, Step};
use crate::plan::Plan;

/// One step in so many is looked at.
const SAMPLE: u64 = 32;

/// D9.
pub struct Restarts {
    config: Config,
    journal: Journal,
    topics: Arc<Topics>,
    /// Generations whose leader assigned more than once: as in Kafka the first that is stored
    /// counts, but a load finds the last.
    assigned: LiteMap<(ShardId, GroupId), (Generation, usize)>,
}

impl Restarts {
    /// As the plan's knobs say.
    #[must_use]
    pub fn new(plan: &Plan) -> Restarts {
        let config = Config { max_group_size: usize::MAX, ..config(&plan.knobs) };
        let (journal, topics) = (Journal::default(), Arc::default());
        Restarts { config, journal, topics, assigned: LiteMap::new() }
    }
}

impl Observer for Restarts {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        self.count(step);
        let shard = step.context.shard;
        let log = self.journal.log(step.place.shard);
        let is_quiet = shard.status() == Status::Active && step.of.flights.is_empty();
        if !step.of.steps.is_multiple_of(SAMPLE) || !is_quiet || log.epoch > step.place.epoch {
            return;
        }
        let records: Vec<(Offset, Record)> = log
            .rows
            .iter()
            .map(|(key, value)| Record { key: key.clone(), value: Some(value.clone()) })
            .map(|record| (Offset(0), record))
            .collect();
        let loaded = load(&self.config, step.place.shard, &self.topics, &records, step.now);
        let Ok(mut loaded) = loaded else {
            return found.violated(D9, || format!("{:?} cannot be loaded", step.place));
        };
        let mut live = shard.clone();
        for (id, group) in step.context.after {
            // A commit that was refused as a whole leaves a group behind, of which the log knows
            // nothing.
            if !log.rows.keys().any(|key| key.group() == id) {
                continue;
            }
            let assigned = self.assigned.get(&(step.place.shard, id.clone()));
            if assigned.is_some_and(|of| *of > (group.generation, 1)) {
                continue;
            }
            let row = log.rows.get(&RecordKey::Group(id.clone()));
            for asked in probes(id, group, row) {
                let before = known(&self.topics, &log.rows, ask(&mut live, step.now, &asked));
                let after = known(&self.topics, &log.rows, ask(&mut loaded, step.now, &asked));
                found.check(before == after, D9, || {
                    format!(
                        "{:?} answers {asked:?} with {before:?}, loaded again with {after:?}",
                        step.place
                    )
                });
            }
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        self.journal.see(event);
        if let What::Topics { view } = &event.what {
            self.topics = view.clone();
        }
    }
}

impl Restarts {
    /// Counts a generation's assignments.
    fn count(&mut self, step: &Step<'_>) {
        for batch in step.appends() {
            let flight = step.of.flights.iter().find(|flight| flight.batch.id == batch.id);
            if !flight.is_some_and(|flight| flight.is_assignment) {
                continue;
            }
            for record in &batch.records {
                let RecordKey::Group(id) = &record.key else { continue };
                let Some(group) = step.context.after.get(id) else { continue };
                let of = self.assigned.entry((step.place.shard, id.clone())).or_default();
                let earlier = if of.0 == group.generation { of.1 } else { 0 };
                *of = (group.generation, earlier + 1);
            }
        }
    }
}

/// An answer without offsets of topics that are gone: the one that serves need not know yet.
fn known(topics: &Topics, rows: &Rows, answer: Option<Response>) -> Option<Response> {
    let Some(Response::OffsetFetch(mut answer)) = answer else { return answer };
    for group in &mut answer.groups {
        for topic in &mut group.topics {
            let name = &topic.name;
            topic.partitions.retain(|of| {
                let (group, topic) = (group.group_id.clone(), name.clone());
                let key = RecordKey::Offset { group, topic, partition: of.partition };
                let current = topics.get(name).map(|topic| topic.id);
                match rows.get(&key) {
                    Some(RecordValue::Offset(row)) => current == Some(row.topic_id),
                    _ => true,
                }
            });
        }
        group.topics.retain(|topic| !topic.partitions.is_empty());
    }
    Some(Response::OffsetFetch(answer))
}

/// What a group is asked.
fn probes(id: &GroupId, group: &GroupView, row: Option<&RecordValue>) -> Vec<Request> {
    let mut all = Vec::new();
    for require_stable in [false, true] {
        let groups = vec![FetchGroup { group_id: id.clone(), ..FetchGroup::default() }];
        let fetch = OffsetFetch { groups, require_stable, errors_on_partitions: false };
        all.push(Request::OffsetFetch(fetch));
    }
    let (generation, members): (Generation, BTreeSet<_>) = match row {
        Some(RecordValue::Group(row)) => {
            (row.generation, row.members.iter().map(|member| &member.member_id).collect())
        }
        _ => (Generation(0), BTreeSet::new()),
    };
    let is_stored = generation == group.generation
        && members == group.members.iter().map(|member| &member.id).collect();
    if !is_stored || !matches!(group.state, "Stable" | "Empty") {
        return all;
    }
    let groups = vec![id.clone()];
    all.push(Request::DescribeGroups(DescribeGroups { groups, missing_is_an_error: false }));
    for member in &group.members {
        all.extend(member_probes(id, group, member));
    }
    all
}

fn member_probes(id: &GroupId, group: &GroupView, member: &MemberView) -> Vec<Request> {
    let mut all = Vec::new();
    let Generation(current) = group.generation;
    for generation in [current - 1, current, current + 1].map(Generation) {
        all.push(Request::Heartbeat(Heartbeat {
            group_id: id.clone(),
            generation,
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
        }));
        all.push(Request::SyncGroup(Box::new(SyncGroup {
            group_id: id.clone(),
            generation,
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol.clone(),
            ..SyncGroup::default()
        })));
    }
    if group.leader.as_ref() != Some(&member.id) && member.protocols.len() == 1 {
        all.push(Request::JoinGroup(Box::new(JoinGroup {
            group_id: id.clone(),
            session_timeout: member.session_timeout,
            rebalance_timeout: member.rebalance_timeout,
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            protocols: member.protocols.clone(),
            ..JoinGroup::default()
        })));
    }
    all
}

fn ask(shard: &mut Shard, now: Now, asked: &Request) -> Option<Response> {
    let (mut out, token) = (Effects::new(), Token(u64::MAX));
    let (origin, body) = (Origin::default(), asked.clone());
    shard.step(now, Input::Request { token, origin, body }, &mut out);
    out.drain().find_map(|effect| match effect {
        Effect::Reply { body, .. } => Some(body),
        _ => None,
    })
}
