//! A trace as a ribbon: time goes to the right, one character for 100 ms.
//!
//! Decided here: what a character means. A group: `E`mpty, `P`reparing, `C`ompleting, `S`table, and
//! a blank where there is none or nobody serves it; where there are several brokers, one row for
//! each. Above it a lane for each client in it: `J` parked join, `S` parked
//! sync, `h` heartbeat, `x` its member expired, `.` nothing.

use std::time::Duration;

use litemap::LiteMap;

use super::grammar::{NotATrace, Parsed, parse};

/// How much time one character is.
pub const STEP: Duration = Duration::from_millis(100);

/// How many characters stand in one line.
const WIDTH: usize = 100;

/// The ribbon of a trace or of its snapshot file.
pub fn draw(text: &str) -> Result<String, NotATrace> {
    let lines = parse(text)?;
    let mut ribbon = Ribbon::default();
    for line in &lines {
        ribbon.line(line);
    }
    Ok(ribbon.finish())
}

#[derive(Default)]
struct Ribbon {
    now: usize,
    /// Rows by group; a row by its label: clients first, then the group itself.
    groups: LiteMap<String, Rows>,
    /// Which request each client waits for: its number, group, and since when.
    waits: LiteMap<(String, u32), (String, char, usize)>,
    /// Which member id a client goes by, so that its expiry is drawn in its lane.
    members: LiteMap<String, String>,
}

#[derive(Default)]
struct Rows {
    /// By the broker, whose name is empty where there is one only.
    state: LiteMap<String, Vec<char>>,
    clients: LiteMap<String, Vec<char>>,
}

fn set(row: &mut Vec<char>, at: usize, mark: char, fill: char) {
    if row.len() <= at {
        row.resize(at + 1, fill);
    }
    row[at] = mark;
}

/// Requests say to which broker they go where there are several.
fn without_node<'a, 'w>(words: &'a [&'w str]) -> &'a [&'w str] {
    let is_node = |word: &str| word.strip_prefix('n').is_some_and(|id| id.parse::<u16>().is_ok());
    match words {
        [first, rest @ ..] if is_node(first) => rest,
        words => words,
    }
}

fn letter(state: &str) -> char {
    match state {
        "Empty" => 'E',
        "PreparingRebalance" => 'P',
        "CompletingRebalance" => 'C',
        "Stable" => 'S',
        _ => ' ',
    }
}

impl Ribbon {
    fn line(&mut self, line: &Parsed) {
        if let Some(at) = line.at {
            self.now = usize::try_from(at.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX);
        }
        let words: Vec<&str> = line.what.split_whitespace().collect();
        match line.glyph.as_str() {
            "->" => self.asks(line, &words),
            "<-" | "~>" => self.hears(line, &words),
            "::" => self.changes(line, &words),
            ".." => self.repeats(line, &words),
            _ => {}
        }
    }

    fn asks(&mut self, line: &Parsed, words: &[&str]) {
        let words = without_node(words);
        let (Some(api), Some(group), Some(call)) = (words.first(), words.get(1), line.call) else {
            return;
        };
        let member = words.get(2).map(|word| word.trim_start_matches("m="));
        if let Some(member) = member.filter(|member| member.starts_with('m')) {
            self.members.insert(member.to_owned(), line.who.clone());
        }
        let mark = match *api {
            "Join" => 'J',
            "Sync" => 'S',
            "Heartbeat" => 'h',
            _ => return,
        };
        self.waits.insert((line.who.clone(), call), ((*group).to_owned(), mark, self.now));
        let rows = self.groups.entry((*group).to_owned()).or_default();
        let row = rows.clients.entry(line.who.clone()).or_default();
        if mark == 'h' || row.get(self.now).is_none_or(|now| *now == '.') {
            set(row, self.now, mark, '.');
        }
    }

    fn hears(&mut self, line: &Parsed, words: &[&str]) {
        if let Some(member) = words.iter().find_map(|word| word.strip_prefix("m=")) {
            self.members.insert(member.to_owned(), line.who.clone());
        }
        let Some(call) = line.call else { return };
        let Some((group, mark, since)) = self.waits.remove(&(line.who.clone(), call)) else {
            return;
        };
        let row =
            self.groups.entry(group).or_default().clients.entry(line.who.clone()).or_default();
        for at in (since..=self.now).filter(|_| mark != 'h') {
            set(row, at, mark, '.');
        }
    }

    fn changes(&mut self, line: &Parsed, words: &[&str]) {
        let node = line.who.split_once('s').map_or("", |(node, _)| node).to_owned();
        match words {
            ["ends", ..] => return self.ends(&node),
            ["loaded", ..] => return self.loaded(&node, &line.what),
            [_, _, "->", ..] => {}
            _ => return,
        }
        let (group, from, to) = (words[0], words[1], words[3]);
        self.state(group, &node, letter(from), letter(to));
        let rows = self.groups.entry(group.to_owned()).or_default();
        let expired = words.contains(&"expired");
        let gone = words.iter().filter_map(|word| word.strip_prefix('-')).filter(|_| expired);
        for client in gone.filter_map(|member| self.members.get(member)) {
            let row = rows.clients.entry(client.clone()).or_default();
            set(row, self.now, 'x', '.');
        }
    }

    /// From now on a group is in a state; before, as far as nobody said, in that one.
    fn state(&mut self, group: &str, node: &str, before: char, state: char) {
        let rows = self.groups.entry(group.to_owned()).or_default();
        let row = rows.state.entry(node.to_owned()).or_default();
        let fill = row.last().copied().unwrap_or(before);
        row.resize(self.now.max(row.len()), fill);
        set(row, self.now, state, before);
    }

    /// Nobody serves the groups of a broker any more.
    fn ends(&mut self, node: &str) {
        let groups = self.groups.iter().filter(|(_, rows)| rows.state.contains_key(node));
        let groups: Vec<String> = groups.map(|(group, _)| group.clone()).collect();
        groups.iter().for_each(|group| self.state(group, node, ' ', ' '));
    }

    /// `loaded   epoch 2   orders gen 1 leader m1 {m1:4B.1f2e}   payments gen 3 empty`.
    fn loaded(&mut self, node: &str, what: &str) {
        for group in what.split("   ").skip(2) {
            let state = if group.contains(" leader ") { 'S' } else { 'E' };
            self.state(group.split(' ').next().unwrap_or(group), node, ' ', state);
        }
    }

    /// `Heartbeat orders  m1  gen 1 x6 ok  (19.0 - 34.0)`.
    fn repeats(&mut self, line: &Parsed, words: &[&str]) {
        let words = without_node(words);
        let (Some(&"Heartbeat"), Some(group)) = (words.first(), words.get(1)) else { return };
        let number = |word: &str| word.trim_matches(['(', ')']).parse::<f64>().ok();
        let times = words.iter().find_map(|word| word.strip_prefix('x')?.parse::<usize>().ok());
        let [.., first, "-", last] = words else { return };
        let (Some(first), Some(last), Some(times)) = (number(first), number(last), times) else {
            return;
        };
        let rows = self.groups.entry((*group).to_owned()).or_default();
        let row = rows.clients.entry(line.who.clone()).or_default();
        for beat in 0..times {
            let share = beat as f64 / (times - 1).max(1) as f64;
            set(row, ((first + (last - first) * share) * 10.0) as usize, 'h', '.');
        }
        self.now = self.now.max((last * 10.0) as usize);
    }

    fn finish(mut self) -> String {
        let end = self.now + 1;
        for ((client, _), (group, mark, since)) in std::mem::take(&mut self.waits) {
            let rows = self.groups.entry(group).or_default();
            let row = rows.clients.entry(client).or_default();
            for at in (since..end).filter(|_| mark != 'h') {
                set(row, at, mark, '.');
            }
        }
        let mut text = "one character is 100 ms\n".to_owned();
        for (group, rows) in &mut self.groups {
            for (_, row) in rows.state.iter_mut() {
                let last = row.last().copied().unwrap_or(' ');
                row.resize(end.max(row.len()), last);
            }
            for (_, row) in rows.clients.iter_mut() {
                row.resize(end.max(row.len()), '.');
            }
            for from in (0..end).step_by(WIDTH) {
                let part = |row: &[char]| row.iter().skip(from).take(WIDTH).collect::<String>();
                text += &format!("{:>7.1}s\n", from as f64 / 10.0);
                for (client, row) in &rows.clients {
                    text += &format!("{client:>8}  {}\n", part(row));
                }
                for (node, row) in &rows.state {
                    let label = format!("{node} {group}");
                    text += &format!("{:>8}  {}\n", label.trim_start(), part(row));
                }
            }
        }
        text
    }
}
