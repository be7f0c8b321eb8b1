//! Traces: what happened in a run, one line an event, for people.
//!
//! Decided here: the columns and glyphs, the head and the last line. `->` request, `<-` reply,
//! `::` change of state with its cause, `+t` `-t` `!t` timer armed, cancelled, fired, `>>` append,
//! `<<` appended, `!!` refused or fenced, `~>` dropped, `..` folded repeats, `xx` fault, `%%` step
//! of a script, `#n` which request. The lines parse (see [`grammar`]), so pictures are made of
//! them: [`mermaid`], [`ribbon`].

mod fold;
pub mod grammar;
pub mod mermaid;
mod names;
mod requests;
pub mod ribbon;
mod shards;
mod tell;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use crate::event::{ClientNote, Event, What};
use crate::plan::{Action, Drive, Op, Plan, Step, Who};
use crate::recorder::Outcome;

/// Where the number of the request stands.
const CALL_COLUMN: usize = 96;

/// How wide the head is at most.
const HEAD_WIDTH: usize = 100;

/// How a trace is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether repeats are written out rather than folded.
    pub full: bool,
}

/// One line, before it is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When, from the start; none in a folded line.
    at: Option<Duration>,
    /// The actor: a client, a shard; `xx` or `%%`, which have no glyph.
    who: String,
    glyph: &'static str,
    what: String,
    /// The number of the request, with the latency on the reply.
    call: Option<String>,
    /// For requests and replies that may be folded: what must be equal for that.
    repeats: Option<fold::Key>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = match self.at {
            Some(at) => format!("{:>7.3}   ", at.as_secs_f64()),
            None => " ".repeat(10),
        };
        if self.glyph.is_empty() {
            let _ = write!(line, "{:<4} {}", self.who, self.what);
        } else {
            let _ = write!(line, "{:<4} {}  {}", self.who, self.glyph, self.what);
        }
        if let Some(call) = &self.call {
            let gap = CALL_COLUMN.saturating_sub(line.chars().count()).max(2);
            let _ = write!(line, "{}{call}", " ".repeat(gap));
        }
        f.write_str(line.trim_end())
    }
}

/// The lines of some events, repeats folded.
#[must_use]
pub fn lines(events: &[Event]) -> Vec<String> {
    text(&fold::fold(tell::tell(events)))
}

/// The lines of some events, repeats written out.
#[must_use]
pub fn full_lines(events: &[Event]) -> Vec<String> {
    text(&tell::tell(events))
}

fn text(lines: &[Line]) -> Vec<String> {
    lines.iter().map(Line::to_string).collect()
}

/// The last `n` lines of a run, repeats folded: what led to its end.
#[must_use]
pub fn tail(outcome: &Outcome, n: usize) -> Vec<String> {
    let mut lines = lines(&outcome.events);
    lines.split_off(lines.len().saturating_sub(n))
}

/// A trace with its head, which says what it is and what must be true, and its last line.
#[must_use]
pub fn render(outcome: &Outcome, title: &str, description: &str, options: Options) -> String {
    let told = tell::tell(&with_steps(outcome));
    let hash = hash(&text(&told));
    let shown = if options.full { told } else { fold::fold(told) };
    let mut all = vec![head(&outcome.plan, title)];
    all.extend(description.lines().flat_map(wrapped));
    all.push("  time    who  what".to_owned());
    all.extend(text(&shown));
    all.extend(last_lines(outcome, &hash));
    all.join("\n") + "\n"
}

/// The events, with the steps of the script where they were carried out.
fn with_steps(outcome: &Outcome) -> Vec<Event> {
    let events = &outcome.events;
    if events.iter().any(|event| matches!(event.what, What::Script(_))) {
        return events.clone();
    }
    let plan = &outcome.plan;
    let done = plan.steps.iter().filter(|step| step.at <= outcome.simulated);
    let mut steps = done.filter_map(|step| step_to_tell(plan, step)).peekable();
    let mut all = Vec::with_capacity(events.len() + plan.steps.len());
    for event in events {
        while let Some(due) = steps.next_if(|step| step.at <= event.at) {
            all.push(due);
        }
        if !is_told_by_a_step(&event.what) {
            all.push(event.clone());
        }
    }
    all.extend(steps);
    all
}

/// What a client does is a line of its own, unless its request says it all.
fn step_to_tell(plan: &Plan, step: &Step) -> Option<Event> {
    let Action::Op(client, op) = &step.what else { return None };
    let is_scripted =
        plan.clients.get(usize::from(client.0)).is_some_and(|of| of.drive == Drive::Script);
    match op {
        Op::Say(_, Who::Itself) => None,
        Op::Start if is_scripted && step.at.is_zero() => None,
        op => Some(Event { at: step.at, what: What::Script(words::op(*client, op)) }),
    }
}

fn is_told_by_a_step(what: &What) -> bool {
    let What::Client { note, .. } = what else { return false };
    matches!(note, ClientNote::Started | ClientNote::Stopped | ClientNote::Paused)
}

fn head(plan: &Plan, title: &str) -> String {
    let seconds = |of: Duration| words::span(of);
    let mut head = format!("# {title:<48}  clients {}", plan.clients.len());
    if plan.nodes.len() > 1 {
        let _ = write!(head, "   brokers {}", plan.nodes.len());
    }
    if let Some(client) = plan.clients.first() {
        let (session, rebalance) = (seconds(client.session), seconds(client.rebalance));
        let _ = write!(head, "   session {session}   rebalance {rebalance}");
    }
    let _ = write!(head, "   delay {}", seconds(plan.knobs.initial_delay));
    head
}

/// A line of the head, broken between words where it is too long to read.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.len() + word.len() < HEAD_WIDTH) {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(format!("# {word}")),
        }
    }
    lines
}

/// Each group as it is at the end, and what is left of the shards that serve.
#[must_use]
pub fn groups_at_end(outcome: &Outcome) -> Vec<String> {
    let mut names = tell::names_of(&outcome.events);
    let shards = &outcome.last.shards;
    let groups = shards.iter().flat_map(|shard| shard.groups.iter().map(move |of| (shard, of)));
    let lines = groups.map(|(shard, (id, group))| {
        let members = group.members.iter().map(|member| names.member(&member.id));
        let members = members.collect::<Vec<_>>().join(" ");
        let node = match outcome.plan.nodes.len() {
            0 | 1 => String::new(),
            _ => format!("  n{}", shard.place.node.0 + 1),
        };
        let state = if group.is_being_created { "(being created)" } else { group.state };
        format!("{} {state} gen {} {{{members}}}{node}", words::group(id), group.generation)
    });
    lines.collect()
}

fn last_lines(outcome: &Outcome, hash: &str) -> Vec<String> {
    let last = &outcome.last;
    let parked: usize = last.shards.iter().map(|shard| shard.parked).sum();
    let in_flight: usize = last.shards.iter().map(|shard| shard.in_flight).sum();
    let (records, keys) =
        last.logs.values().fold((0, 0), |sum, log| (sum.0 + log.records, sum.1 + log.keys));
    let mut groups = groups_at_end(outcome);
    let first = if groups.is_empty() { "no groups".to_owned() } else { groups.remove(0) };
    let log = format!("log {}, {}", words::count(records, "record"), words::count(keys, "key"));
    let mut lines = vec![format!(
        "# end     {first}   {log}   in flight {in_flight}   parked {parked}   hash {hash}"
    )];
    lines.extend(groups.into_iter().map(|group| format!("#         {group}")));
    lines
}

/// Eight hex digits that change with any line.
fn hash(lines: &[String]) -> String {
    let hash = lines
        .iter()
        .fold(words::FNV_START, |hash, line| words::fnv(words::fnv(hash, line.as_bytes()), b"\n"));
    format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}
