//! What shards tell and write, in words: notes with their causes, and records.

use std::time::Duration;

use litemap::LiteMap;
use quorate_core::note::{ArmedFor, TimerEvent, TimerOf};
use quorate_core::record::GroupMetadata;
use quorate_core::{
    Batch, Cause, Generation, GroupId, Instant, Note, Record, RecordKey, RecordValue, Text,
    TopicName,
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
        Cause::GroupFull { member } => format!("-{} one too many", names.member(member)),
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

/// A batch, with the first of its records; offsets of a topic stand together.
pub(super) fn batch(names: &mut Names, batch: &Batch) -> String {
    let id = format!("b{}@{}", batch.id, batch.base);
    let shown = &batch.records[..batch.records.len().min(SHOWN)];
    let runs =
        shown.chunk_by(|one, next| topic_of(one).is_some() && topic_of(one) == topic_of(next));
    let shown: Vec<_> = runs.map(|run| records(names, run)).collect();
    let mut text = format!("{id:<7}  {}", shown.join("   "));
    if let Some(more) = batch.records.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text += &format!("   and {more} more");
    }
    text
}

/// Of an offset: its group and topic, and whether it is written or removed.
fn topic_of(record: &Record) -> Option<(&GroupId, &TopicName, bool)> {
    match &record.key {
        RecordKey::Offset { group, topic, .. } => Some((group, topic, record.value.is_some())),
        RecordKey::Group(_) => None,
    }
}

/// Records of which one is shown, or offsets of one topic.
fn records(names: &mut Names, run: &[Record]) -> String {
    let first = &run[0];
    let Some((group, topic, is_written)) = topic_of(first) else {
        let RecordKey::Group(group) = &first.key else { return String::new() };
        let what = match &first.value {
            Some(RecordValue::Group(value)) => metadata(names, value),
            _ => "gone".to_owned(),
        };
        return format!("Group {} {what}", words::group(group));
    };
    let parts = run.iter().filter_map(|record| match (&record.key, &record.value) {
        (RecordKey::Offset { partition, .. }, Some(RecordValue::Offset(value))) => {
            Some(format!("{partition}={}", value.offset))
        }
        (RecordKey::Offset { partition, .. }, _) => Some(partition.to_string()),
        (RecordKey::Group(_), _) => None,
    });
    let parts = parts.collect::<Vec<_>>().join(" ");
    let gone = if is_written { "" } else { " gone" };
    format!("Offset {} {topic}{{{parts}}}{gone}", words::group(group))
}

/// What a log says of its groups: their generations and offsets.
pub(super) fn rows(names: &mut Names, rows: &LiteMap<RecordKey, RecordValue>) -> String {
    let mut groups: LiteMap<&GroupId, (String, LiteMap<&TopicName, Vec<String>>)> = LiteMap::new();
    for (key, value) in rows {
        match (key, value) {
            (RecordKey::Group(group), RecordValue::Group(value)) => {
                groups.entry(group).or_default().0 = metadata(names, value);
            }
            (RecordKey::Offset { group, topic, partition }, RecordValue::Offset(value)) => {
                let topics = &mut groups.entry(group).or_default().1;
                topics.entry(topic).or_default().push(format!("{partition}={}", value.offset));
            }
            _ => {}
        }
    }
    let mut text = String::new();
    for (group, (generation, topics)) in groups {
        text += &format!("   {}", words::group(group));
        if !generation.is_empty() {
            text += &format!(" {generation}");
        }
        for (topic, offsets) in topics {
            text += &format!("  {topic}{{{}}}", offsets.join(" "));
        }
    }
    text
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
