//! Folding: requests that repeat with the same answer, and nothing else between them, become one
//! line with their number and their first and last time.

use std::time::Duration;

use super::Line;
use crate::event::Call;
use crate::plan::ClientId;

/// What makes two exchanges repeats of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Whose.
    pub(super) client: ClientId,
    /// Which.
    pub(super) call: Call,
    /// The request; and in its answer's line the answer, else empty.
    pub(super) request: String,
    pub(super) answer: String,
}

/// An exchange of a client, or several that are equal.
struct Repeats {
    key: Key,
    times: usize,
    first: Duration,
    last: Duration,
    lines: Vec<usize>,
}

/// The same lines, with repeats folded.
pub(super) fn fold(lines: Vec<Line>) -> Vec<Line> {
    let mut folded = Vec::with_capacity(lines.len());
    let mut rest = lines.into_iter().peekable();
    while let Some(line) = rest.next() {
        if line.repeats.is_none() {
            folded.push(line);
            continue;
        }
        let mut run = vec![line];
        while let Some(next) = rest.next_if(|next| next.repeats.is_some()) {
            run.push(next);
        }
        fold_run(run, &mut folded);
    }
    folded
}

/// A run has requests and answers only that may be folded, of any clients.
fn fold_run(run: Vec<Line>, folded: &mut Vec<Line>) {
    let groups: Vec<Repeats> = repeats(&run).into_iter().filter(|of| of.times > 1).collect();
    let gone: std::collections::BTreeSet<usize> =
        groups.iter().flat_map(|of| of.lines.iter().copied()).collect();
    for (index, line) in run.into_iter().enumerate() {
        if let Some(of) = groups.iter().find(|of| of.lines[0] == index) {
            folded.push(of.line(line.who));
        } else if !gone.contains(&index) {
            folded.push(line);
        }
    }
}

fn repeats(run: &[Line]) -> Vec<Repeats> {
    let mut groups: Vec<Repeats> = Vec::new();
    for (end, line) in run.iter().enumerate() {
        let (Some(key), Some(at)) = (&line.repeats, line.at) else { continue };
        if key.answer.is_empty() {
            continue;
        }
        let is_request =
            |of: &Key| of.answer.is_empty() && of.client == key.client && of.call == key.call;
        let start = run[..end].iter().position(|of| of.repeats.as_ref().is_some_and(is_request));
        let Some((start, first)) = start.and_then(|start| Some((start, run[start].at?))) else {
            continue;
        };
        let same = groups.iter_mut().rev().find(|of| of.key.client == key.client);
        match same.filter(|of| of.key.request == key.request && of.key.answer == key.answer) {
            Some(of) => {
                of.times += 1;
                of.last = at;
                of.lines.extend([start, end]);
            }
            None => groups.push(Repeats {
                key: key.clone(),
                times: 1,
                first,
                last: at,
                lines: vec![start, end],
            }),
        }
    }
    groups
}

impl Repeats {
    fn line(&self, who: String) -> Line {
        let (first, last) = (self.first.as_secs_f64(), self.last.as_secs_f64());
        let (request, answer) = (&self.key.request, &self.key.answer);
        let what = format!("{request} x{} {answer}  ({first:.1} - {last:.1})", self.times);
        Line { at: None, who, glyph: "..", what, call: None, repeats: None }
    }
}
