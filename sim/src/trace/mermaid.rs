//! A trace as a Mermaid sequence diagram, made of its lines alone.
//!
//! Decided here: lanes are clients, shards and their journal; a change of state is a note over its
//! actor, a fault a coloured box over all lanes, folded repeats a loop.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::grammar::{NotATrace, Parsed, parse};

const FAULT: &str = "rgb(255, 225, 225)";

/// The diagram of a trace or of its snapshot file.
pub fn draw(text: &str) -> Result<String, NotATrace> {
    let lines = parse(text)?;
    let mut drawing = Drawing::new(&lines);
    for line in &lines {
        drawing.line(line);
    }
    Ok(drawing.text)
}

struct Drawing {
    text: String,
    lanes: Vec<String>,
    /// To which lane each request went, so that its answer comes from there.
    asked: BTreeMap<(String, Option<u32>), String>,
}

fn is_client(who: &str) -> bool {
    who.starts_with('c')
}

fn is_shard(who: &str) -> bool {
    who.contains('s') && (who.starts_with('s') || who.starts_with('n'))
}

/// What Mermaid takes as text: no `#`, no `;`, no arrows.
fn plain(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.replace("->", "to").replace(['#', ';'], "")
}

impl Drawing {
    fn new(lines: &[Parsed]) -> Drawing {
        let mut lanes: Vec<String> = Vec::new();
        let mut actors: Vec<&str> = lines.iter().map(|line| line.who.as_str()).collect();
        actors.sort_by_key(|who| (!is_client(who), who.len()));
        for who in actors {
            let is_actor = is_client(who) || is_shard(who) || who.starts_with('j');
            if is_actor && !lanes.iter().any(|lane| lane == who) {
                lanes.push(who.to_owned());
            }
        }
        if lines.iter().any(|line| line.glyph == ">>") {
            lanes.push("journal".to_owned());
        }
        let mut text = "sequenceDiagram\n".to_owned();
        for lane in &lanes {
            let _ = writeln!(text, "    participant {lane}");
        }
        Drawing { text, lanes, asked: BTreeMap::new() }
    }

    fn add(&mut self, line: impl AsRef<str>) {
        self.text.push_str("    ");
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// The lane that a request goes to: it says which broker where there are several.
    fn shard_of(&self, what: &str) -> String {
        let node = what.split(' ').next().unwrap_or("");
        let mut shards = self.lanes.iter().filter(|lane| is_shard(lane));
        let named = shards
            .clone()
            .find(|lane| lane.strip_prefix(node).is_some_and(|rest| rest.starts_with('s')));
        named.or_else(|| shards.next()).cloned().unwrap_or_else(|| "journal".to_owned())
    }

    fn line(&mut self, line: &Parsed) {
        let (who, what) = (&line.who, plain(&line.what));
        match line.glyph.as_str() {
            "->" => {
                let to = self.shard_of(&line.what);
                self.add(format!("{who}->>{to}: {what}"));
                self.asked.insert((who.clone(), line.call), to);
            }
            "<-" => {
                let asked = self.asked.remove(&(who.clone(), line.call));
                let from = asked.unwrap_or_else(|| self.shard_of(""));
                self.add(format!("{from}-->>{who}: {what}"));
            }
            "~>" if is_client(who) => self.add(format!("{who}--x{who}: {what}")),
            ">>" => self.add(format!("{who}->>journal: {what}")),
            "<<" if is_shard(who) => self.add(format!("journal-->>{who}: {what}")),
            "!!" if is_shard(who) => self.add(format!("journal--x{who}: {what}")),
            ".." => self.repeats(who, &what),
            "+t" | "-t" => {}
            "" => self.over_all(line, &what),
            _ => self.add(format!("Note over {who}: {what}")),
        }
    }

    fn repeats(&mut self, who: &str, what: &str) {
        let times = what.split(' ').find_map(|word| word.strip_prefix('x')?.parse::<u32>().ok());
        let request = what.split(" x").next().unwrap_or(what);
        let answer = what.split(" x").nth(1).and_then(|rest| rest.split_once(' '));
        let answer = answer.map_or("", |(_, answer)| answer);
        let to = self.shard_of("");
        self.add(format!("loop {} times", times.unwrap_or(1)));
        self.add(format!("    {who}->>{to}: {request}"));
        self.add(format!("    {to}-->>{who}: {answer}"));
        self.add("end");
    }

    fn over_all(&mut self, line: &Parsed, what: &str) {
        let (Some(first), Some(last)) = (self.lanes.first(), self.lanes.last()) else { return };
        let over = if first == last { first.clone() } else { format!("{first},{last}") };
        if line.who == "xx" {
            self.add(format!("rect {FAULT}"));
            self.add(format!("    Note over {over}: {what}"));
            self.add("end");
        }
    }
}
