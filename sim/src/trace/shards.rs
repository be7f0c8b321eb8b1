//! What shards tell and write, in words: notes with their causes, and records.

use std::time::Duration;

use quorate_core::note::{ArmedFor, TimerEvent, TimerOf};
use quorate_core::record::GroupMetadata;
use quorate_core::{
    Batch, Cause, Generation, GroupId, Instant, Note, Record, RecordKey, RecordValue, Text,
};

use super::names::Names;
use super::words;

/// How many records of a batch are written out.
const SHOWN: usize = 6;

/// A note: its glyph and what follows it.
pub(super) fn note(names: &mut Names, note: &Note, clock: Clock) -> (&'static str, String) {
    let text = match note {
        Note::Transition { group, from, to, generation, cause, .. } => {
            let (from, to) = (from.unwrap_or("(none)"), to.unwrap_or("(gone)"));
            let cause = self::cause(names, cause);
            format!("{}  {from} -> {to}   gen {generation}   {cause}", words::group(group))
        }
        Note::Member { group, cause } => {
            format!("{}  {}", words::group(group), self::cause(names, cause))
        }
        Note::ServerAssigned { group, leader, .. } => {
            let leader = names.member(leader);
            format!("{}  leader {leader} sent no assignment: the server deals", words::group(group))
        }
        Note::Elected { group, generation, leader } => {
            format!("{}  gen {generation}   leader {}", words::group(group), names.member(leader))
        }
        Note::OffsetsRemoved { group, count } => {
            format!("{}  {} removed", words::group(group), words::count(*count, "offset"))
        }
        Note::SweepPutOff { ahead_ms } => {
            format!("sweep put off: the wall clock ran {ahead_ms} ms ahead")
        }
        Note::Timer { group, timer, event } => {
            return self::timer(names, group, timer, *event, clock);
        }
    };
    ("::", text)
}

/// What a broker's clock showed at a time of the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) world: Duration,
    pub(super) broker: Instant,
}

impl Clock {
    /// `@3.002`, in the world's time.
    fn at(self, at: Instant) -> String {
        let world = match at.since(self.broker) {
            Duration::ZERO => self.world.saturating_sub(self.broker.since(at)),
            ahead => self.world + ahead,
        };
        format!("@{:.3}", world.as_secs_f64())
    }
}

fn timer(
    names: &mut Names,
    group: &GroupId,
    timer: &TimerOf,
    event: TimerEvent,
    clock: Clock,
) -> (&'static str, String) {
    let timer = match timer {
        TimerOf::Session(member) => format!("session {}", names.member(member)),
        TimerOf::Join => "join".to_owned(),
        TimerOf::Sync => "sync".to_owned(),
    };
    let (glyph, text) = match event {
        TimerEvent::Armed { at, reason } => {
            let reason = match reason {
                ArmedFor::Initial => "initial",
                ArmedFor::Rebalance => "rebalance",
                ArmedFor::Leader => "for somebody to lead",
                ArmedFor::Syncs => "syncs",
                ArmedFor::HandedOut => "id handed out",
            };
            ("+t", format!("{timer}  {}  {reason}", clock.at(at)))
        }
        TimerEvent::Cancelled => ("-t", timer),
        TimerEvent::Fired => ("!t", timer),
        TimerEvent::Extended { at } => {
            ("!t", format!("{timer}  extended {}  new member", clock.at(at)))
        }
        TimerEvent::Graced { at } => {
            ("!t", format!("{timer}  overdue, grace until {}", clock.at(at)))
        }
    };
    (glyph, format!("{}  {text}", words::group(group)))
}

fn because(reason: Option<&Text>) -> String {
    match reason {
        Some(reason) if !reason.is_empty() => format!(" ({reason})"),
        _ => String::new(),
    }
}

fn cause(names: &mut Names, cause: &Cause) -> String {
    match cause {
        Cause::Created => "created".to_owned(),
        Cause::MemberJoined { member, reason } => {
            format!("+{}{}", names.member(member), because(reason.as_ref()))
        }
        Cause::StaticReplaced { instance, old, new } => {
            let (old, new) = (names.member(old), names.member(new));
            format!("{instance} comes back: -{old} +{new}")
        }
        Cause::LeaderRejoined { member, reason } => {
            format!("leader {} rejoined{}", names.member(member), because(reason.as_ref()))
        }
        Cause::ProtocolsChanged { member, reason } => {
            format!("{} changed{}", names.member(member), because(reason.as_ref()))
        }
        Cause::MemberLeft { member, reason } => {
            format!("-{} left{}", names.member(member), because(reason.as_ref()))
        }
        Cause::SessionExpired { member } => format!("-{} expired", names.member(member)),
        Cause::SyncTimeout { members } => format!("no sync of {{{}}}", names.members(members)),
        Cause::AllJoined => "all joined".to_owned(),
        Cause::NobodyLeft => "nobody left".to_owned(),
        Cause::JoinTimeout { dropped } if dropped.is_empty() => "time to join over".to_owned(),
        Cause::JoinTimeout { dropped } => {
            format!("time to join over, dropped {{{}}}", names.members(dropped))
        }
        Cause::Assigned => "assigned".to_owned(),
        Cause::AppendFailed => "append failed".to_owned(),
        Cause::OverSize => "over group.max.size".to_owned(),
        Cause::Removed => "removed".to_owned(),
    }
}

/// A batch, with the first of its records.
pub(super) fn batch(names: &mut Names, batch: &Batch) -> String {
    let id = format!("b{}@{}", batch.id, batch.base);
    let shown = batch.records.iter().take(SHOWN).map(|of| record(names, of));
    let mut text = format!("{id:<7}  {}", shown.collect::<Vec<_>>().join("   "));
    if let Some(more) = batch.records.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text += &format!("   and {more} more");
    }
    text
}

fn record(names: &mut Names, record: &Record) -> String {
    match (&record.key, &record.value) {
        (RecordKey::Group(group), Some(RecordValue::Group(value))) => {
            format!("Group {} {}", words::group(group), metadata(names, value))
        }
        (RecordKey::Group(group), _) => format!("Group {} gone", words::group(group)),
        (RecordKey::Offset { group, topic, partition }, Some(RecordValue::Offset(value))) => {
            format!("Offset {} {topic}/{partition} = {}", words::group(group), value.offset)
        }
        (RecordKey::Offset { group, topic, partition }, _) => {
            format!("Offset {} {topic}/{partition} gone", words::group(group))
        }
    }
}

/// A stored generation.
pub(super) fn metadata(names: &mut Names, value: &GroupMetadata) -> String {
    if value.members.is_empty() {
        let zero = value.generation == Generation(0);
        return if zero { "empty".to_owned() } else { format!("gen {} empty", value.generation) };
    }
    let members = value.members.iter().map(|of| {
        let instance = of.instance_id.as_ref().map(|id| format!("/{id}")).unwrap_or_default();
        format!("{}{instance}:{}", names.member(&of.member_id), words::blob(&of.assignment))
    });
    let members = members.collect::<Vec<_>>().join(" ");
    let leader = value.leader.as_ref().map_or("-".to_owned(), |id| names.member(id));
    format!("gen {} leader {leader} {{{members}}}", value.generation)
}
