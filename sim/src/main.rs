//! The command line of the simulators.

#[cfg(feature = "shell")]
mod farm;
mod hunting;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_sim::plan::Plan;
use quorate_sim::recorder::Outcome;
use quorate_sim::render::{self, Kind};
use quorate_sim::shrink::shrink;
use quorate_sim::suite::{Suite, parse_seed, parse_seeds, run_seeds};
use quorate_sim::{marks, report, trace};

/// Runs of a shrinker, at most.
const SHRINK_RUNS: usize = 600;

/// Seeded simulations of Quorate's group coordinator.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a range of seeds, and reports the first that fails.
    Run {
        /// Which simulator.
        #[arg(long, default_value = "direct")]
        suite: Suite,
        /// From the first to before the second, such as 0..2000.
        #[arg(long, value_parser = parse_seeds)]
        seeds: Option<Range<u64>>,
        /// Also tell in how many runs each mark was hit.
        #[arg(long)]
        marks: bool,
        /// Go on after a failure, and only list what failed.
        #[arg(long)]
        keep_going: bool,
    },
    /// Runs one seed or one kept plan again; prints its report, or its trace if all is well.
    Replay {
        /// Which simulator.
        #[arg(long, default_value = "direct")]
        suite: Suite,
        /// The seed, decimal or hexadecimal.
        #[arg(long, value_parser = parse_seed, required_unless_present = "plan")]
        seed: Option<u64>,
        /// A plan that a failure left behind.
        #[arg(long, conflicts_with = "seed")]
        plan: Option<PathBuf>,
        /// Print every event.
        #[arg(long)]
        full: bool,
    },
    #[cfg(feature = "shell")]
    /// Runs random seeds for a while, and keeps those that fail.
    Farm {
        /// Which simulator.
        #[arg(long, default_value = "direct")]
        suite: Suite,
        /// For how long.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Where failing plans and traces go.
        #[arg(long, default_value = "target/sim")]
        keep: PathBuf,
        /// The first seed; by default one that the clock chooses.
        #[arg(long, value_parser = parse_seed)]
        from: Option<u64>,
    },
    /// Draws a trace, such as a snapshot's.
    Render {
        /// The file.
        file: PathBuf,
        /// As a Mermaid sequence diagram.
        #[arg(long, conflicts_with = "ribbon")]
        mermaid: bool,
        /// Only what happens from this second on.
        #[arg(long, default_value_t = 0.0, requires = "mermaid")]
        from: f64,
        /// As one character for 100 ms, a lane for each client and group.
        #[arg(long)]
        ribbon: bool,
    },
    /// Plants bugs, one at a time, and requires that the default seeds find each.
    Mutants {
        /// Only those with this in their name.
        #[arg(long)]
        only: Option<String>,
        /// Only so many, chosen by `--by`.
        #[arg(long)]
        sample: Option<usize>,
        /// What chooses a sample, such as a commit's hash.
        #[arg(long, default_value = "")]
        by: String,
        /// Also print the report of what each breaks.
        #[arg(long)]
        report: bool,
    },
    /// Looks for a seed that violates one of these properties; how a mutant is judged.
    #[command(hide = true)]
    Hunt {
        /// Which simulator.
        #[arg(long)]
        suite: Suite,
        /// Ids of properties.
        #[arg(long, value_delimiter = ',')]
        kills: Vec<String>,
        /// Print its report too.
        #[arg(long)]
        report: bool,
    },
}

fn main() -> ExitCode {
    // A panic of the code under test is a failure that is reported; its own message would only
    // come in between.
    std::panic::set_hook(Box::new(|_| {}));
    match Arguments::parse().command {
        Command::Run { suite, seeds, marks, keep_going } => {
            run(suite, seeds.unwrap_or(suite.default_seeds()), marks, keep_going)
        }
        Command::Replay { suite, seed, plan, full } => replay(suite, seed, plan, full),
        #[cfg(feature = "shell")]
        Command::Farm { suite, minutes, keep, from } => farm::farm(suite, minutes, &keep, from),
        Command::Render { file, mermaid, from, ribbon } => {
            let from = Duration::try_from_secs_f64(from).unwrap_or_default();
            draw(&file, mermaid.then_some(from), ribbon)
        }
        Command::Mutants { only, sample, by, report } => {
            hunting::mutants(only.as_deref(), sample, &by, report)
        }
        Command::Hunt { suite, kills, report } => hunting::hunt(suite, &kills, report),
    }
}

fn bar(length: Option<u64>) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = "{elapsed_precise} {wide_bar} {pos}/{len} seeds, {per_sec} {msg}";
    bar.with_style(ProgressStyle::with_template(template).expect("a good template"))
}

fn run(suite: Suite, seeds: Range<u64>, tells_marks: bool, keeps_going: bool) -> ExitCode {
    let bar = bar(Some(seeds.end.saturating_sub(seeds.start)));
    let summary = run_seeds(suite, seeds, |_, outcome| {
        bar.inc(1);
        outcome.failure.is_some() && !keeps_going
    });
    bar.finish_and_clear();
    println!("{summary}");
    if tells_marks {
        for mark in marks::ALL {
            println!("{:>6} {mark}", summary.marks.get(mark).copied().unwrap_or_default());
        }
    }
    if keeps_going {
        for (seed, id) in &summary.failures {
            println!("{seed:#x} {id}");
        }
        return ExitCode::from(u8::from(!summary.failures.is_empty()));
    }
    match summary.failures.keys().next() {
        None => ExitCode::SUCCESS,
        Some(seed) => explain(suite, *seed, suite.run(&suite.plan(*seed))),
    }
}

/// Shrinks a failure, prints its report and says where the whole trace is.
fn explain(suite: Suite, seed: u64, failed: Outcome) -> ExitCode {
    let shrunk = shrink(suite, failed.clone(), SHRINK_RUNS);
    println!("{}", report::report(suite, seed, &failed, Some(&shrunk)));
    match report::keep(Path::new("target/sim"), suite, seed, &shrunk.outcome) {
        Ok(paths) => paths.iter().for_each(|path| println!("kept: {}", path.display())),
        Err(error) => println!("the plan and its trace could not be kept: {error}"),
    }
    ExitCode::from(report::exit_code(&failed))
}

fn replay(suite: Suite, seed: Option<u64>, file: Option<PathBuf>, full: bool) -> ExitCode {
    let plan = match (seed, file) {
        (_, Some(file)) => match read_plan(&file) {
            Ok(plan) => plan,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        },
        (seed, None) => suite.plan(seed.unwrap_or_default()),
    };
    let seed = seed.unwrap_or(plan.seed);
    let outcome = suite.run(&plan);
    if full || outcome.failure.is_none() {
        let lines = if full { trace::full_lines } else { trace::lines };
        lines(&outcome.events).iter().for_each(|line| println!("{line}"));
        return ExitCode::from(report::exit_code(&outcome));
    }
    explain(suite, seed, outcome)
}

fn draw(file: &Path, mermaid: Option<Duration>, ribbon: bool) -> ExitCode {
    let kind = match (mermaid, ribbon) {
        (Some(from), _) => Kind::Mermaid(from),
        (_, true) => Kind::Ribbon,
        _ => Kind::Text,
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(2);
        }
    };
    match render::run(&text, kind) {
        Ok(picture) => {
            print!("{picture}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}

fn read_plan(file: &Path) -> Result<Plan, Box<dyn std::error::Error>> {
    Ok(ron::from_str(&std::fs::read_to_string(file)?)?)
}
