//! Pictures of traces, for the command line.
//!
//! Decided here: which pictures there are, and why one cannot be made.

use std::time::Duration;

use crate::trace::grammar::{NotATrace, parse};
use crate::trace::{mermaid, ribbon};

/// A picture of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Mermaid sequence diagram, from a time on.
    Mermaid(Duration),
    /// One character for 100 ms, a lane for each client and group.
    Ribbon,
    /// The trace alone, without what a snapshot file has around it.
    Text,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The text is something else.
    #[error(transparent)]
    NotATrace(#[from] NotATrace),
    /// There is nothing to draw.
    #[error("no line of a trace is in the text")]
    Empty,
}

/// Draws the text of a trace, or of a snapshot file with one.
pub fn run(text: &str, kind: Kind) -> Result<String, RenderError> {
    if parse(text)?.is_empty() {
        return Err(RenderError::Empty);
    }
    Ok(match kind {
        Kind::Mermaid(from) => mermaid::draw(text, from)?,
        Kind::Ribbon => ribbon::draw(text)?,
        Kind::Text => {
            let body = text.splitn(3, "---\n").nth(2).filter(|_| text.starts_with("---\n"));
            body.unwrap_or(text).to_owned()
        }
    })
}
