//! What the command line says of itself: `snapshots/cli`.

use std::path::Path;
use std::process::Command;

/// What it says to these arguments, behind them.
fn said(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate-sim"));
    let output = command.args(arguments).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.trim_end().lines().map(|line| line.trim_end().to_owned() + "\n");
    let lines: String = lines.collect();
    format!("$ quorate-sim {}\n{lines}", arguments.join(" "))
}

#[test]
fn each_command_says_what_it_does() {
    let commands = ["run", "replay", "farm", "render", "mutants"];
    let all = commands.map(|command| said(&[command, "--help"]));
    let text = said(&["--help"]) + "\n" + &all.join("\n");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/cli"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("sim_help", text));
}
