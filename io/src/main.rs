//! The broker's binary: reads the command line.

use std::process::ExitCode;

use clap::Parser;
use quorate_io::cli::{Cli, EXIT_USAGE};

fn main() -> ExitCode {
    match Cli::parse().serve() {
        Ok(serve) => {
            for warning in &serve.settings.warnings {
                eprintln!("warning: {warning}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
