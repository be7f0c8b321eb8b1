//! What is said when a run fails, in the order in which one wants to know it: the property as a
//! sentence, how to see it again, what led to it, and the smallest plan that does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::recorder::Outcome;
use crate::shrink::Shrunk;
use crate::suite::Suite;

/// Lines of the trace that a report shows.
const TAIL: usize = 40;

/// The exit code of a run: none failed 0, a property 1, a crash 3, liveness 4. 2 is wrong usage.
#[must_use]
pub fn exit_code(outcome: &Outcome) -> u8 {
    match outcome.failure.as_ref().map(crate::Failure::id) {
        None => 0,
        Some("crash" | "P7") => 3,
        Some(id) if id.starts_with('L') => 4,
        Some(_) => 1,
    }
}

/// The report of a failed run of a seed, and of the small plan that fails in the same way.
#[must_use]
pub fn report(suite: Suite, seed: u64, failed: &Outcome, shrunk: Option<&Shrunk>) -> String {
    let mut text = String::new();
    let shown = shrunk.map_or(failed, |shrunk| &shrunk.outcome);
    // Writing to a String does not fail.
    let _ = write_report(&mut text, suite, seed, failed, shown, shrunk);
    text
}

fn write_report(
    to: &mut String,
    suite: Suite,
    seed: u64,
    failed: &Outcome,
    shown: &Outcome,
    shrunk: Option<&Shrunk>,
) -> std::fmt::Result {
    match &failed.failure {
        Some(failure) => writeln!(to, "{failure}")?,
        None => writeln!(to, "nothing failed")?,
    }
    writeln!(to, "\nseed {seed:#x}   suite {suite}   {}", environment())?;
    writeln!(to, "again:  {}", replay_command(suite, seed))?;
    if let Some(shrunk) = shrunk {
        let (from, left) = (failed.plan.steps.len(), shown.plan.steps.len());
        writeln!(to, "shrunk: {from} steps to {left}, in {} runs", shrunk.runs)?;
        if let Some(failure) =
            shown.failure.as_ref().filter(|own| Some(*own) != failed.failure.as_ref())
        {
            writeln!(to, "then:   {failure}")?;
        }
    }
    writeln!(to, "\nthe last lines before the violation:")?;
    for line in crate::trace::tail(shown, TAIL) {
        writeln!(to, "{line}")?;
    }
    writeln!(to, "\nthe groups then:")?;
    for line in crate::trace::groups_at_end(shown) {
        writeln!(to, "{line}")?;
    }
    let id = shown.failure.as_ref().map_or("nothing", crate::Failure::id).to_lowercase();
    let about = shown.failure.as_ref().map_or_else(String::new, crate::Failure::sentence);
    writeln!(to, "\nthe plan, as a scenario for tests/protocol:")?;
    write!(to, "{}", crate::scenario::code(&format!("{id}_{seed:#x}"), &about, &shown.plan))
}

/// The command that shows a failing seed again.
#[must_use]
pub fn replay_command(suite: Suite, seed: u64) -> String {
    format!("cargo run --profile sim -p quorate-sim -- replay --suite {suite} --seed {seed:#x}")
}

/// A seed is tied to the code, the toolchain and the target that consume it.
fn environment() -> String {
    let git = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = git.ok().and_then(|out| String::from_utf8(out.stdout).ok());
    let commit = commit.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let toolchain = env!("CARGO_PKG_RUST_VERSION");
    format!("commit {commit}   toolchain {toolchain}   target {arch}-{os}")
}

/// Writes a failing plan and its whole trace into a folder; the paths.
pub fn keep(
    folder: &Path,
    suite: Suite,
    seed: u64,
    outcome: &Outcome,
) -> std::io::Result<[PathBuf; 2]> {
    fs::create_dir_all(folder)?;
    let plan = folder.join(format!("{suite}-{seed:x}.plan.ron"));
    let pretty = ron::ser::PrettyConfig::default();
    let text = ron::ser::to_string_pretty(&outcome.plan, pretty).map_err(std::io::Error::other)?;
    fs::write(&plan, text)?;
    let trace = folder.join(format!("{suite}-{seed:x}.trace.txt"));
    fs::write(&trace, crate::trace::full_lines(&outcome.events).join("\n") + "\n")?;
    Ok([plan, trace])
}
