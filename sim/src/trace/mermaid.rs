//! A trace as a Mermaid sequence diagram, made of its lines alone.
//!
//! Decided here: lanes are clients, shards and the journal. What a shard tells at one time is one
//! note beside it, with the time; a fault is a coloured box over all lanes, folded repeats are a
//! loop. Timers that are armed or cancelled are left out: those that fire are told.

use std::fmt::Write as _;
use std::time::Duration;

use litemap::LiteMap;

use super::grammar::{NotATrace, Parsed, parse};

const FAULT: &str = "rgb(255, 225, 225)";
const JOURNAL: &str = "journal";

/// The diagram of a trace or of its snapshot file, from a time on.
pub fn draw(text: &str, from: Duration) -> Result<String, NotATrace> {
    let mut lines = parse(text)?;
    let start = lines.iter().position(|line| line.at.is_some_and(|at| at >= from));
    lines.drain(..start.unwrap_or(lines.len()));
    let mut drawing = Drawing::new(&lines);
    for line in &lines {
        drawing.line(line);
    }
    drawing.end_note();
    Ok(drawing.text)
}

struct Drawing {
    text: String,
    lanes: Vec<String>,
    /// Whether requests say to which broker they go.
    many_nodes: bool,
    /// To which lane each request went, so that its answer comes from there.
    asked: LiteMap<(String, Option<u32>), String>,
    /// A note in the making: over whom, since when, and its lines.
    note: Option<(String, Option<Duration>, Vec<String>)>,
}

fn is_client(who: &str) -> bool {
    who.starts_with('c')
}

fn is_node(word: &str) -> bool {
    word.strip_prefix('n').is_some_and(|id| id.parse::<u16>().is_ok())
}

/// A shard; where there are several brokers, one on a broker, such as `n1s0`.
fn is_shard(who: &str, many_nodes: bool) -> bool {
    let shard = match who.split_once('s') {
        Some((node, shard)) if is_node(node) == many_nodes => shard,
        _ => return false,
    };
    shard.parse::<u32>().is_ok()
}

/// What Mermaid takes as text: no `#`, no `;`, no arrows.
fn plain(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.replace("->", "to").replace(['#', ';'], "")
}

impl Drawing {
    fn new(lines: &[Parsed]) -> Drawing {
        let many_nodes = lines.iter().any(|line| is_shard(&line.who, true));
        let mut lanes: Vec<String> = Vec::new();
        let mut actors: Vec<&str> = lines.iter().map(|line| line.who.as_str()).collect();
        actors.sort_by_key(|who| (!is_client(who), who.len(), *who));
        for who in actors {
            let is_actor = is_client(who) || is_shard(who, many_nodes);
            if is_actor && !lanes.iter().any(|lane| lane == who) {
                lanes.push(who.to_owned());
            }
        }
        if lines.iter().any(|line| line.glyph == ">>" || line.who.starts_with('j')) {
            lanes.push(JOURNAL.to_owned());
        }
        let mut text = "sequenceDiagram\n".to_owned();
        for lane in &lanes {
            let _ = writeln!(text, "    participant {lane}");
        }
        Drawing { text, lanes, many_nodes, asked: LiteMap::new(), note: None }
    }

    fn add(&mut self, line: impl AsRef<str>) {
        self.end_note();
        self.text.push_str("    ");
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// One line more of the note over an actor, or the first one of another.
    fn note(&mut self, who: &str, at: Option<Duration>, what: String) {
        match &mut self.note {
            Some((over, since, lines)) if over == who && *since == at => lines.push(what),
            _ => {
                self.end_note();
                self.note = Some((who.to_owned(), at, vec![what]));
            }
        }
    }

    fn end_note(&mut self) {
        let Some((over, at, lines)) = self.note.take() else { return };
        let at = at.map(|at| format!("{:.3}: ", at.as_secs_f64())).unwrap_or_default();
        let _ = writeln!(self.text, "    Note over {over}: {at}{}", lines.join("<br/>"));
    }

    /// The lane that a request goes to, and what is left of its words.
    fn shard_of<'w>(&self, what: &'w str) -> (String, &'w str) {
        let is_lane = |lane: &&String| is_shard(lane, self.many_nodes);
        let mut shards = self.lanes.iter().filter(is_lane);
        let (node, rest) = what.split_once(' ').unwrap_or(("", what));
        let (node, rest) = if self.many_nodes && is_node(node) { (node, rest) } else { ("", what) };
        let named = shards
            .clone()
            .find(|lane| lane.strip_prefix(node).is_some_and(|rest| rest.starts_with('s')));
        let lane = named.or_else(|| shards.next()).cloned();
        (lane.unwrap_or_else(|| JOURNAL.to_owned()), rest)
    }

    fn line(&mut self, line: &Parsed) {
        let (who, what) = (&line.who, plain(&line.what));
        let is_actor = self.lanes.contains(who);
        match line.glyph.as_str() {
            "->" => {
                let (to, words) = self.shard_of(&line.what);
                self.add(format!("{who}->>{to}: {}", plain(words)));
                self.asked.insert((who.clone(), line.call), to);
            }
            "<-" | "~>" if is_client(who) => {
                let asked = self.asked.remove(&(who.clone(), line.call));
                let (lane, words) = self.shard_of(&line.what);
                let arrow = if line.glyph == "<-" { "-->>" } else { "--x" };
                self.add(format!("{}{arrow}{who}: {}", asked.unwrap_or(lane), plain(words)));
            }
            ">>" => self.add(format!("{who}->>{JOURNAL}: {what}")),
            "<<" if is_actor => self.add(format!("{JOURNAL}-->>{who}: {what}")),
            "!!" if is_actor => self.add(format!("{JOURNAL}--x{who}: {what}")),
            ".." => self.repeats(who, &line.what),
            "+t" | "-t" => {}
            "!t" => {
                let (group, timer) = what.split_once(' ').unwrap_or(("", &what));
                self.note(who, line.at, format!("{group} timer {timer}"));
            }
            "" => self.by_the_script(line, &what),
            _ if is_actor => self.note(who, line.at, what),
            _ if who.starts_with('j') => self.note(JOURNAL, line.at, what),
            // Who leads a shard is told over all brokers; what the topics are, nowhere.
            _ if is_shard(who, false) => self.over_all(line, &format!("{who} is {what}"), false),
            _ => {}
        }
    }

    fn repeats(&mut self, who: &str, what: &str) {
        let (to, what) = self.shard_of(what);
        let what = plain(what);
        let times = what.split(' ').find_map(|word| word.strip_prefix('x')?.parse::<u32>().ok());
        let request = what.split(" x").next().unwrap_or(&what);
        let answer = what.split(" x").nth(1).and_then(|rest| rest.split_once(' '));
        let answer = answer.map_or("", |(_, answer)| answer);
        let (answer, from_to) = answer.split_once(" (").unwrap_or((answer, ""));
        let from_to = from_to.trim_end_matches(')').replace(" - ", " to ");
        self.add(format!("loop {} times, {from_to}", times.unwrap_or(1)));
        self.add(format!("    {who}->>{to}: {request}"));
        self.add(format!("    {to}-->>{who}: {answer}"));
        self.add("end");
    }

    /// A fault, or a step that no request tells: a client ends, sleeps, starts.
    fn by_the_script(&mut self, line: &Parsed, what: &str) {
        let is_fault = line.who == "xx";
        let (client, rest) = what.split_once(' ').unwrap_or((what, ""));
        match self.lanes.iter().any(|lane| lane == client) {
            // What it says is told by its request.
            true if !is_fault && rest.starts_with("says ") => {}
            true if !is_fault => self.note(client, line.at, rest.to_owned()),
            _ => self.over_all(line, what, is_fault),
        }
    }

    fn over_all(&mut self, line: &Parsed, what: &str, is_fault: bool) {
        let (Some(first), Some(last)) = (self.lanes.first(), self.lanes.last()) else { return };
        let over = if first == last { first.clone() } else { format!("{first},{last}") };
        let at = line.at.map(|at| format!("{:.3}: ", at.as_secs_f64())).unwrap_or_default();
        let note = format!("Note over {over}: {at}{what}");
        if !is_fault {
            return self.add(note);
        }
        self.add(format!("rect {FAULT}"));
        self.add(format!("    {note}"));
        self.add("end");
    }
}
