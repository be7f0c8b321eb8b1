//! The grammar of lines, read back: snapshots and reports are text, and pictures are made of them.

use std::time::Duration;

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no trace: line {line} is {text:?}; a line is a time, who, a glyph and what")]
pub struct NotATrace {
    /// Which line, from 1.
    pub line: usize,
    /// What it is.
    pub text: String,
}

/// A line of a trace, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// When, from the start; none in a folded line.
    pub at: Option<Duration>,
    /// The actor; `xx` and `%%` for faults and steps.
    pub who: String,
    /// What kind of line; empty for faults and steps.
    pub glyph: String,
    /// The rest, without the number of the request.
    pub what: String,
    /// The number of the request.
    pub call: Option<u32>,
}

const GLYPHS: [&str; 11] = ["->", "<-", "::", "+t", "-t", "!t", ">>", "<<", "!!", "~>", ".."];

/// The lines of a trace; heads and the last line are left out, and so is what an insta snapshot
/// has before its second `---`.
pub fn parse(text: &str) -> Result<Vec<Parsed>, NotATrace> {
    let skip = match text.starts_with("---\n") {
        true => text.lines().skip(1).position(|line| line == "---").map_or(0, |at| at + 2),
        false => 0,
    };
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate().skip(skip) {
        let is_head = line.starts_with('#') || line.trim_start().starts_with("time ");
        if is_head || line.trim().is_empty() {
            continue;
        }
        let wrong = || NotATrace { line: index + 1, text: line.to_owned() };
        lines.push(parse_line(line).ok_or_else(wrong)?);
    }
    Ok(lines)
}

fn parse_line(line: &str) -> Option<Parsed> {
    let (time, rest) = line.split_at_checked(10)?;
    let at = match time.trim() {
        "" => None,
        seconds => Some(Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?),
    };
    let (who, rest) = rest.split_once(' ')?;
    if who == "xx" || who == "%%" {
        let (who, glyph) = (who.to_owned(), String::new());
        return Some(Parsed { at, who, glyph, what: rest.trim().to_owned(), call: None });
    }
    let (glyph, what) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    if !GLYPHS.contains(&glyph) || who.is_empty() {
        return None;
    }
    let (what, call) = match what.rsplit_once("  #") {
        Some((what, call)) => (what, call.split(' ').next().and_then(|id| id.parse().ok())),
        None => (what, None),
    };
    let (who, glyph, what) = (who.to_owned(), glyph.to_owned(), what.trim().to_owned());
    Some(Parsed { at, who, glyph, what, call })
}
