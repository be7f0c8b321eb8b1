//! The safety properties that every step of an exploration is held against.

use std::collections::BTreeSet;
use std::sync::Arc;

use litemap::LiteMap;
use quorate_core::response::JoinGroup;
use quorate_core::{
    Batch, Cause, Effect, ErrorCode, GroupView, MemberId, Note, Record, RecordKey, RecordValue,
    Response, Token,
};

use super::Scope;
use super::alias::{asker, assignment, metadata, owner};
use super::client::{Ask, Open, PARTITION, Phase, SESSION, error, group};
use super::model::{ADMIN, Action, State, Stepped, config};
use crate::oracle::{Found, Property};

macro_rules! properties {
    ($($name:ident: $sentence:literal),* $(,)?) => {
        $(const $name: Property = Property { id: stringify!($name), sentence: $sentence };)*
        /// What is checked.
        pub const PROPERTIES: &[Property] = &[$($name),*];
    };
}

properties! {
    C1: "a group changes its state only along the edges of the protocol",
    C2: "the generation rises by one with each completed join phase, and else stays",
    C3: "all JoinGroup answers of a generation agree, and only the leader gets the members",
    C4: "the leader gets all members, each with what it sent",
    C5: "the leader is a member, and every member supports the chosen protocol",
    C6: "a SyncGroup answer carries what the leader of that generation sent for the member",
    C7: "no SyncGroup succeeds before the record of its generation is stored",
    C8: "a wrong generation or an unknown member never gets NONE",
    C9: "an instance id belongs to one member",
    C14: "an id that was handed out is no member",
    C15: "the join timer runs if and only if members join",
    C16: "a group has no more members than group.max.size",
    P1: "each request is resolved exactly once",
    P3: "no answer overtakes what it must wait for",
    P5: "batches are numbered one after the other, without gaps between their records",
    P6: "next_deadline is not after the earliest deadline",
    D1: "rows in memory are those of the log and of the batches in flight",
    D5: "an acknowledged commit is in the log, or a later one is",
    D8: "nothing acknowledged refers to a refused batch",
    D9: "a reload finds the group as it was stored",
    D10: "after a load the group is Stable or Empty, with full sessions and nobody pending",
    D11: "a member id is made at most once",
    O3: "an offset is written only by a member of the generation",
    O4: "a commit is refused while members sync",
}

/// One step on its way to be judged.
pub struct Judge<'a> {
    pub scope: &'a Scope,
    pub action: Action,
    pub before: Option<&'a GroupView>,
    pub found: Found,
    pub marks: &'a mut BTreeSet<&'static str>,
}

impl Judge<'_> {
    /// Lets clients hear and the journal have what the step led to, and judges the step; what
    /// must hold of every situation is for [`Judge::holds`].
    pub fn finish(&mut self, stepped: Stepped) -> State {
        let Stepped { mut state, effects, told } = stepped;
        let looks = matches!(self.action, Action::Crash(_)) || effects.iter().any(has_view);
        let after = if looks { state.view() } else { None };
        let mut so_far = self.before.map(|group| (group.state, group.generation.0));
        if matches!(self.action, Action::Crash(_)) {
            self.reloaded(&state, after.as_ref());
            so_far = None;
        }
        for effect in effects {
            match effect {
                Effect::Append(batch) => self.appended(&mut state, batch, told),
                Effect::Reply { token, body } => {
                    self.replied(&mut state, after.as_ref(), token, &body);
                }
                Effect::Dropped { token, .. } => match state.asker(token) {
                    Some(number) if number != ADMIN => state.clients[number].lost(),
                    _ => self.found.violated(P1, || format!("{token} is dropped, and not open")),
                },
                Effect::Note(Note::Transition { from, to, generation, cause, .. }) => {
                    self.transition(&mut so_far, from, to, generation.0, &cause);
                }
                Effect::Note(_) => {}
            }
        }
        if let Action::Ask(number, Ask::Heartbeat) = self.action {
            let behind = state.unstored.len();
            if let Some(open) = &mut state.clients[usize::from(number)].open {
                open.behind = behind;
            }
        }
        state.rebase();
        state
    }

    fn transition(
        &mut self,
        so_far: &mut Option<(&'static str, i32)>,
        from: Option<&'static str>,
        to: Option<&'static str>,
        generation: i32,
        cause: &Cause,
    ) {
        let edge = (from.unwrap_or("none"), to.unwrap_or("none"));
        let is_edge = match edge {
            ("none", "Empty") | ("Empty", "none" | "PreparingRebalance") => true,
            ("PreparingRebalance", "none") => *cause == Cause::AppendFailed,
            ("PreparingRebalance", to) => matches!(to, "CompletingRebalance" | "Empty"),
            ("CompletingRebalance", to) => matches!(to, "Stable" | "PreparingRebalance"),
            ("Stable", to) => to == "PreparingRebalance",
            _ => false,
        };
        self.found.check(is_edge, C1, || format!("it went from {} to {}", edge.0, edge.1));
        let before = so_far.map_or(0, |(_, generation)| generation);
        let rises = matches!(edge, ("PreparingRebalance", "CompletingRebalance" | "Empty"));
        let expected = before + i32::from(rises);
        if to.is_some() && !matches!(self.action, Action::Crash(_)) {
            self.found.check(generation == expected, C2, || {
                format!("generation {generation} after {before}, from {} to {}", edge.0, edge.1)
            });
        }
        match cause {
            Cause::SessionExpired { .. } => _ = self.marks.insert("a session expires"),
            Cause::JoinTimeout { .. } => _ = self.marks.insert("a rebalance goes on without some"),
            Cause::SyncTimeout { .. } => _ = self.marks.insert("members never sync"),
            Cause::AppendFailed => _ = self.marks.insert("an append of the group is refused"),
            Cause::Removed => _ = self.marks.insert("the group is deleted"),
            _ => {}
        }
        *so_far = to.map(|to| (to, generation));
    }

    fn appended(&mut self, state: &mut State, batch: Batch, told: (u64, u64)) {
        let (batches, before) = (state.unstored.len() as u64, records(state));
        let expected = (told.0 + batches + 1, told.1 + before, state.epoch);
        let seen = (batch.id.0, batch.base.0, batch.epoch.0);
        self.found.check(seen == expected, P5, || {
            format!("(batch, base, epoch) {seen:?} where {expected:?} comes next")
        });
        let is_commit = |record: &Record| {
            record.value.is_some() && matches!(record.key, RecordKey::Offset { .. })
        };
        if let (Action::Ask(number, Ask::Commit(offset)), true) =
            (self.action, batch.records.iter().any(is_commit))
        {
            let entitled = state.clients[usize::from(number)].open.is_none_or(|o| o.entitled);
            self.found.check(entitled, O3, || format!("c{number} wrote offset {offset}"));
            let completing = self.before.is_some_and(|group| group.state == "CompletingRebalance");
            self.found.check(!completing, O4, || format!("c{number} wrote offset {offset}"));
        }
        state.append(batch);
    }

    fn replied(
        &mut self,
        state: &mut State,
        after: Option<&GroupView>,
        token: Token,
        body: &Response,
    ) {
        let Some(number) = state.asker(token) else {
            let who = asker(token);
            self.found.violated(P1, || format!("c{who} is answered, and asked nothing: {body:?}"));
            return;
        };
        let ok = error(body) == ErrorCode::None;
        if ok && matches!(self.action, Action::Refuse(_)) && refers_to_batch(body) {
            self.found.violated(D8, || format!("c{number} is told {body:?}"));
        }
        if number == ADMIN {
            state.deleting = false;
            let gone = !state.log.contains_key(&RecordKey::Group(group()));
            self.found.check(!ok || gone, P3, || "the group's record is still stored".into());
            return;
        }
        let Some(open) = state.clients[number].open else { return };
        if let Response::JoinGroup(join) = body {
            self.joined(state, after, number, open, join);
        } else if ok {
            self.found.check(open.entitled, C8, || format!("c{number} is told {body:?}"));
        }
        match (body, open.ask) {
            (Response::SyncGroup(sync), _) if ok => {
                self.synced(state, after, number, &sync.assignment);
            }
            (Response::Heartbeat(_), _) if ok => {
                let own = self.action == Action::Ask(number as u8, Ask::Heartbeat);
                let behind = if own { state.unstored.len() } else { open.behind };
                self.found.check(behind == 0, P3, || format!("{behind} batches are in flight"));
            }
            (_, Ask::Commit(offset)) if ok => {
                let stored = committed(&state.log);
                self.found.check(stored >= offset, P3, || {
                    format!("commit {offset} is acknowledged, {stored} is stored")
                });
                state.acknowledged = state.acknowledged.max(offset);
                self.marks.insert("a commit is acknowledged");
            }
            _ => {}
        }
        if error(body) == ErrorCode::CoordinatorNotAvailable && self.action == Action::Fire {
            self.marks.insert("an append takes too long");
        }
        state.clients[number].heard(body);
    }

    fn joined(
        &mut self,
        state: &mut State,
        after: Option<&GroupView>,
        number: usize,
        open: Open,
        join: &JoinGroup,
    ) {
        let ok = join.error == ErrorCode::None;
        if open.anonymous && (ok || join.error == ErrorCode::MemberIdRequired) {
            // The client's name in front is no merit of the core's: two clients may share it.
            let unique = |id: &MemberId| id.as_str().get(2..).map(str::to_owned);
            let is_new = state.given.iter().all(|id| unique(id) != unique(&join.member_id));
            self.found.check(is_new, D11, || format!("{} came again", join.member_id));
            Arc::make_mut(&mut state.given).push(join.member_id.clone());
        }
        // A static member that came back is told how the group was when it came.
        let of_before = state.clients[number].is_static && open.anonymous;
        let Some(group) = after.filter(|_| ok && !of_before) else { return };
        let told = (Some(&join.leader), join.generation, join.protocol_name.as_ref());
        let is = (group.leader.as_ref(), group.generation, group.protocol.as_ref());
        self.found.check(told == is, C3, || format!("c{number} is told {told:?} of {is:?}"));
        let leads = join.leader == join.member_id;
        let gets = leads && group.state == "CompletingRebalance" || join.skip_assignment;
        self.found.check(gets != join.members.is_empty(), C3, || {
            format!("c{number} gets {} members of a {} group", join.members.len(), group.state)
        });
        if gets {
            let listed = join.members.iter().map(|m| (&m.member_id, m.metadata.clone()));
            let expected = group
                .members
                .iter()
                .map(|member| (&member.id, metadata(owner(member.id.as_str().as_bytes()))));
            let same = listed.clone().eq(expected.clone());
            self.found.check(same, C4, || {
                let (listed, expected) = (listed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                format!("listed {listed:?}, expected {expected:?}")
            });
        }
    }

    fn synced(
        &mut self,
        state: &State,
        after: Option<&GroupView>,
        number: usize,
        assigned: &bytes::Bytes,
    ) {
        let client = &state.clients[number];
        let generation = client.generation;
        let row = match state.log.get(&RecordKey::Group(group())) {
            Some(RecordValue::Group(row)) => Some(row),
            _ => None,
        };
        let stored = row.filter(|row| row.generation == generation).and_then(|row| {
            row.members.iter().find(|member| Some(&member.member_id) == client.member.as_ref())
        });
        self.found.check(stored.is_some_and(|member| member.assignment == *assigned), C7, || {
            format!("c{number} gets {assigned:?} of generation {generation}; stored is {row:?}")
        });
        let leader = after.and_then(|group| group.leader.as_ref());
        let leader = leader.map_or(usize::MAX, |leader| owner(leader.as_str().as_bytes()));
        let expected = assignment(generation.0, leader, number);
        self.found.check(*assigned == expected, C6, || {
            format!("c{number} gets {assigned:?}, its leader sent {expected:?}")
        });
    }

    fn reloaded(&mut self, state: &State, after: Option<&GroupView>) {
        let row = match state.log.get(&RecordKey::Group(group())) {
            Some(RecordValue::Group(row)) => Some(row),
            _ => None,
        };
        if let Some(state) = self.before.map(|group| group.state) {
            self.marks.insert(match state {
                "Stable" => "a reload in Stable",
                "Empty" => "a reload in Empty",
                "PreparingRebalance" => "a reload in PreparingRebalance",
                _ => "a reload in CompletingRebalance",
            });
        }
        let Some(group) = after else {
            self.found
                .check(row.is_none(), D9, || format!("the group is not there; stored {row:?}"));
            return;
        };
        if let Some(row) = row {
            let same = row.generation == group.generation
                && row.members.iter().map(|m| &m.member_id).eq(group.members.iter().map(|m| &m.id));
            self.found.check(same, D9, || format!("stored {row:?}, loaded {group:?}"));
        }
        let full = |deadline: Option<quorate_core::Instant>| {
            deadline.is_some_and(|at| at.since_start() == SESSION.duration())
        };
        let is_stable = group.state == "Stable" && !group.members.is_empty();
        let quiet = is_stable || group.state == "Empty" && group.members.is_empty();
        let over = group.members.len() > config(self.scope).max_group_size;
        let full = group.members.iter().all(|member| full(member.session_deadline));
        let holds = (quiet || over) && full && group.pending_join.is_empty();
        self.found.check(holds, D10, || format!("loaded {group:?}"));
    }

    /// What must hold of every situation.
    pub fn holds(&mut self, state: &State) {
        let (parked, open) = (state.shard.parked(), state.open());
        self.found.check(parked == open, P1, || format!("{parked} wait for {open} to be answered"));
        let (flying, unstored) = (state.shard.in_flight(), state.unstored.len());
        let (next, expected) = (state.shard.next_offset().0, records(state));
        self.found.check((flying, next) == (unstored, expected), P5, || {
            format!("{flying} of {unstored} in flight, next offset {next} of {expected}")
        });
        let (next, armed) = (state.shard.next_deadline(), state.shard.earliest_armed());
        let in_time = armed.is_none_or(|armed| next.is_some_and(|next| next <= armed));
        self.found.check(in_time, P6, || format!("{next:?} is after {armed:?}"));
        let rows = state.shard.rows();
        let folded = fold(state);
        let same =
            rows.iter().map(|(key, value)| (key, value)).eq(folded.iter().map(|r| (*r.0, *r.1)));
        self.found.check(same, D1, || format!("rows {rows:?}, expected {folded:?}"));
        let stored = committed(&state.log);
        self.found.check(stored >= state.acknowledged, D5, || {
            format!("commit {} was acknowledged, {stored} is stored", state.acknowledged)
        });
        if let Some(group) = state.view() {
            self.group_holds(&group);
        }
        let stable = |c: &super::client::Client| c.phase == Phase::Stable && c.open.is_none();
        let same = state.clients.windows(2).all(|two| two[0].generation == two[1].generation);
        if same && state.clients.iter().all(stable) {
            self.marks.insert("all clients are Stable");
        }
    }

    fn group_holds(&mut self, group: &GroupView) {
        let led = group.leader.as_ref().is_some_and(|leader| group.member(leader).is_some());
        let on = matches!(group.state, "CompletingRebalance" | "Stable");
        let by_all =
            |name| group.members.iter().all(|m| m.protocols.iter().any(|p| p.name == name));
        let supported = group.protocol.clone().is_some_and(by_all);
        self.found.check(!on || led && supported, C5, || format!("{group:?}"));
        let own = |(instance, member): (&_, &_)| {
            group.member(member).is_some_and(|member| member.instance_id.as_ref() == Some(instance))
        };
        let statics = group.members.iter().filter(|member| member.instance_id.is_some()).count();
        let one = group.static_members.iter().all(own) && statics == group.static_members.len();
        self.found.check(one, C9, || format!("{group:?}"));
        let strange = group.pending_join.keys().all(|id| group.member(id).is_none());
        self.found.check(strange, C14, || format!("{group:?}"));
        let joins = group.state == "PreparingRebalance";
        let armed = group.join_deadline.is_some();
        let waits = group.held_by.is_some();
        self.found.check(joins == armed || waits, C15, || format!("{group:?}"));
        let max = config(self.scope).max_group_size;
        let fits = !on || group.members.len() <= max || statics > 0;
        self.found.check(fits, C16, || format!("{} members", group.members.len()));
    }
}

/// Whether an answer is held against the group as it is.
fn has_view(effect: &Effect) -> bool {
    let Effect::Reply { body, .. } = effect else { return false };
    matches!(body, Response::JoinGroup(_) | Response::SyncGroup(_))
}

fn refers_to_batch(body: &Response) -> bool {
    use Response::{DeleteGroups, OffsetCommit, SyncGroup};
    matches!(body, SyncGroup(_) | OffsetCommit(_) | DeleteGroups(_))
}

fn records(state: &State) -> u64 {
    state.unstored.iter().map(|records| records.len() as u64).sum()
}

/// The offset that is stored.
fn committed(log: &LiteMap<RecordKey, RecordValue>) -> i64 {
    let key = RecordKey::Offset { group: group(), topic: "t".into(), partition: PARTITION };
    match log.get(&key) {
        Some(RecordValue::Offset(row)) => row.offset,
        _ => 0,
    }
}

/// The journal, and on it the batches in flight.
fn fold(state: &State) -> LiteMap<&RecordKey, &RecordValue> {
    let mut all: LiteMap<_, _> = state.log.iter().collect();
    for Record { key, value } in state.unstored.iter().flat_map(|batch| batch.iter()) {
        match value {
            Some(value) => _ = all.insert(key, value),
            None => _ = all.remove(key),
        }
    }
    all
}
