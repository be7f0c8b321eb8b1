//! What loads: compacted logs (D3), prefixes (D4), and how members come out of it (D10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::config::ServerAssignor;
use quorate_core::{
    Config, Effects, Epoch, GroupId, GroupView, Instant, Loader, Now, Offset, Record, RecordKey,
    RecordValue, ReplayError, Seed, Shard, ShardId, Topics,
};

use super::journal::{Journal, Rows, difference, fold};
use super::{D3, D4, D10};
use crate::event::{End, Event, Groups, What};
use crate::oracle::Found;
use crate::oracle::replies::book::{Observer, Step};
use crate::plan::{Action, Fault, Knobs, Plan};

/// How many prefixes of a log are loaded.
const PREFIXES: usize = 48;

/// A core's settings of a plan's.
#[must_use]
pub fn config(knobs: &Knobs) -> Config {
    Config {
        min_session_timeout: knobs.min_session,
        initial_rebalance_delay: knobs.initial_delay,
        max_group_size: knobs.max_group_size,
        offsets_retention: knobs.retention,
        retention_check_interval: knobs.sweep_interval,
        write_timeout: knobs.write_timeout,
        server_assignor: match knobs.server_assigns {
            true => ServerAssignor::RoundRobin,
            false => ServerAssignor::None,
        },
        max_batch_bytes: knobs.max_batch_bytes,
        max_in_flight: knobs.max_in_flight,
        in_flight_reserve: knobs.in_flight_reserve,
        timers_per_step: knobs.timers_per_step,
        sweep_keys_per_step: knobs.sweep_keys_per_step,
        ..Config::default()
    }
}

/// Loads records.
pub fn load<'a>(
    config: &Config,
    shard: ShardId,
    topics: &Arc<Topics>,
    records: impl IntoIterator<Item = &'a (Offset, Record)>,
    now: Now,
) -> Result<Shard, ReplayError> {
    let seed = Seed { node_secret: [7; 32], load: 0 };
    let mut loader = Loader::new(config.clone(), shard, Epoch(u64::MAX), &seed, Offset(0));
    for (at, record) in records {
        loader.replay(*at, record.clone())?;
    }
    Ok(loader.activate(now, topics.clone(), &mut Effects::new()))
}

/// The records up to `cut` without those that a later one of them replaces, and the rest.
#[must_use]
pub fn compact(log: &[(Offset, Record)], cut: usize, tombstones: bool) -> Vec<(Offset, Record)> {
    let (dirty, rest) = log.split_at(cut);
    let mut seen = BTreeSet::new();
    let mut left: Vec<_> = dirty
        .iter()
        .rev()
        .filter(|(_, record)| seen.insert(&record.key))
        .filter(|(_, record)| record.value.is_some() || !tombstones)
        .cloned()
        .collect();
    left.reverse();
    left.extend_from_slice(rest);
    left
}

/// D3, D4 and D10.
pub struct Loads {
    config: Config,
    /// Sizes that groups may have, as limits change with restarts.
    sizes: Vec<usize>,
    journal: Journal,
    topics: Arc<Topics>,
}

impl Loads {
    /// As the plan's knobs say.
    #[must_use]
    pub fn new(plan: &Plan) -> Loads {
        let lowered = plan.steps.iter().filter_map(|step| match &step.what {
            Action::Fault(Fault::RestartWith { max_group_size, .. }) => Some(*max_group_size),
            _ => None,
        });
        Loads {
            config: config(&plan.knobs),
            sizes: [plan.knobs.max_group_size].into_iter().chain(lowered).collect(),
            journal: Journal::default(),
            topics: Arc::default(),
        }
    }

    fn judge_log(&self, shard: ShardId, log: &[(Offset, Record)], found: &mut Found) {
        let load = |records: &[(Offset, Record)]| {
            load(&self.config, shard, &self.topics, records, Now::default())
        };
        let Ok(whole) = load(log) else {
            return found.violated(D4, || format!("the log of {shard:?} does not load"));
        };
        for (name, variant) in variants(log) {
            let same = load(&variant).map(|shard| (shard.fingerprint(), shard.rows()));
            let is_same = same.as_ref().is_ok_and(|(fingerprint, rows)| {
                (*fingerprint, rows) == (whole.fingerprint(), &whole.rows())
            });
            found.check(is_same, D3, || {
                let rows = same.map(|(_, rows)| rows.into_iter().collect::<Rows>());
                let differs =
                    rows.map(|rows| difference(&whole.rows().into_iter().collect(), &rows));
                format!("the log of {shard:?}, {name}, loads otherwise: {differs:?}")
            });
        }
        let step = (log.len() / PREFIXES).max(1);
        for end in (0..=log.len()).step_by(step) {
            match load(&log[..end]) {
                Err(error) => {
                    found.violated(D4, || format!("{end} records of {shard:?}: {error}"));
                }
                Ok(loaded) => {
                    let expected = fold(log[..end].iter().map(|(_, record)| record));
                    let rows = loaded.rows().into_iter().collect();
                    let wrong = difference(&expected, &rows)
                        .or_else(|| self.ill(&loaded.groups(), &rows, Instant::default()));
                    if let Some(wrong) = wrong {
                        found.violated(D4, || format!("{end} records of {shard:?}: {wrong}"));
                    }
                }
            }
        }
    }

    /// What is wrong with groups that have just been loaded.
    fn ill(&self, groups: &Groups, rows: &Rows, now: Instant) -> Option<String> {
        let named: BTreeSet<&GroupId> = rows.keys().map(RecordKey::group).collect();
        if let Some(other) = groups.keys().find(|id| !named.contains(id)) {
            return Some(format!("{other} is there, and no row of it"));
        }
        named.into_iter().find_map(|id| {
            let Some(group) = groups.get(id) else { return Some(format!("{id} is not there")) };
            let row = rows.get(&RecordKey::Group(id.clone()));
            let row = row.and_then(|row| match row {
                RecordValue::Group(row) => Some(row),
                RecordValue::Offset(_) => None,
            });
            let wrong = self.ill_group(group, now).or_else(|| {
                let stored: Vec<_> =
                    row.iter().flat_map(|row| &row.members).map(|m| &m.member_id).collect();
                let live: Vec<_> = group.members.iter().map(|member| &member.id).collect();
                let generation = row.map_or(0, |row| row.generation.0);
                (stored != live || generation != group.generation.0)
                    .then(|| format!("its row is {row:?}"))
            });
            wrong.map(|wrong| format!("{id}: {wrong}: {group:?}"))
        })
    }

    fn ill_group(&self, group: &GroupView, now: Instant) -> Option<String> {
        let count = group.members.len();
        let (may_be_over, must_be_over) = (
            self.sizes.iter().any(|size| count > *size),
            self.sizes.iter().all(|size| count > *size),
        );
        let is_right = match group.state {
            "Empty" => count == 0,
            "Stable" => count > 0 && !must_be_over,
            "PreparingRebalance" => may_be_over,
            _ => false,
        };
        let rebalances = group.state == "PreparingRebalance";
        let bound: BTreeMap<_, _> = group
            .members
            .iter()
            .filter_map(|m| m.instance_id.clone().map(|instance| (instance, m.id.clone())))
            .collect();
        let full = |m: &quorate_core::MemberView| {
            m.session_deadline == Some(now + m.session_timeout.duration())
        };
        let is_fresh =
            |m: &quorate_core::MemberView| m.join.is_none() && m.sync.is_none() && !m.is_new;
        let is_led = |leader: &_| group.member(leader).is_some();
        let checks = [
            (is_right, "its state is wrong"),
            (group.members.iter().all(full), "a session is not full"),
            (bound == group.static_members, "its static members are not bound"),
            (group.pending_join.is_empty() && group.pending_sync.is_empty(), "somebody pends"),
            (group.members.iter().all(is_fresh) && group.awaiting_join == 0, "somebody waits"),
            (rebalances || group.join_deadline.is_none(), "a join timer is armed"),
            (group.sync_deadline.is_none(), "a sync timer is armed"),
            (count == 0 || group.leader.as_ref().is_some_and(is_led), "nobody leads"),
        ];
        checks.iter().find(|(holds, _)| !holds).map(|(_, wrong)| (*wrong).to_owned())
    }
}

/// Logs that must load as this one does.
fn variants(log: &[(Offset, Record)]) -> Vec<(String, Vec<(Offset, Record)>)> {
    let mut all = Vec::new();
    for (part, tombstones) in [(3, false), (3, true), (2, true), (1, false), (1, true)] {
        let cut = log.len() / part;
        all.push((format!("compacted up to {cut}"), compact(log, cut, tombstones)));
    }
    let (middle, end) = (log.len() / 2, log.len());
    let read = log.iter().take(middle).cloned();
    let from = log.get(middle).map_or(Offset(u64::MAX), |(at, _)| *at);
    // Tombstones outlive every load that may have read what they delete.
    let later = compact(log, end, false).into_iter().filter(|(at, _)| *at >= from);
    all.push((format!("compacted when {middle} were read"), read.chain(later).collect()));
    let mut by_key = log.to_vec();
    by_key.sort_by(|(_, a), (_, b)| b.key.cmp(&a.key));
    all.push(("sorted by key".to_owned(), by_key));
    all
}

impl Observer for Loads {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        if step.input.is_none() {
            let rows = step.context.shard.rows().into_iter().collect();
            if let Some(wrong) = self.ill(step.context.after, &rows, step.now.mono) {
                found.violated(D10, || format!("{:?}: {wrong}", step.place));
            }
        }
    }

    fn event(&mut self, event: &Event, found: &mut Found) {
        self.journal.see(event);
        match &event.what {
            What::Topics { view } => self.topics = view.clone(),
            What::Compacted { shard, left } => {
                let rows = &self.journal.log(*shard).rows;
                let left = fold(left.iter().map(|(_, record)| record));
                if let Some(difference) = difference(rows, &left) {
                    found.violated(D3, || format!("compacting {shard:?}: {difference}"));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, _: &End<'_>, found: &mut Found) {
        for (shard, log) in self.journal.logs() {
            self.judge_log(shard, &log.records, found);
        }
    }
}
