//! Does the tree keep its own rules?
//!
//! Each rule is a test; what breaks it is listed as `file:line: what`. Rules about code do not look
//! at comments, and do not read this file, which has to name what it forbids.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders that hold code.
const FOLDERS: [&str; 4] = ["core", "io", "sim", "tests"];

/// What may stand at the top, beside dot-folders: little enough for a reader to take in.
const TOP: [&str; 16] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "core",
    "deny.toml",
    "io",
    "quorate-data",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "sim",
    "snapshots",
    "target",
];
const TESTS: &str = "tests";

const NOTHING: [String; 0] = [];

/// A file of the tree: its name from the top, and its text.
struct File {
    name: String,
    text: String,
}

impl File {
    /// Lines with their numbers, without what is only a comment.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..).map(|(line, number)| (number, line));
        lines.map(|(number, line)| (number, without_comment(line)))
    }

    /// Each line of code that holds one of these, as `file:line: what`.
    fn lines_with(&self, forbidden: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.code() {
            for what in forbidden.iter().filter(|what| line.contains(**what)) {
                found.push(format!("{}:{number}: {what}", self.name));
            }
        }
        found
    }
}

fn without_comment(line: &str) -> &str {
    match line.find("//") {
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder, but not in folders that tools make.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "__pycache__" {
            below(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// The files of the folders that hold code, by the end of their name, this one left out.
fn files(ends: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        below(&top().join(folder), &mut paths);
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.strip_prefix(top()).expect("below the top").to_string_lossy().into_owned();
        if name != "tests/tidy.rs" && ends.iter().any(|end| name.ends_with(end)) {
            files.push(File { name, text: fs::read_to_string(&path).expect("a text file") });
        }
    }
    assert!(!files.is_empty(), "there are files that end in {ends:?}");
    files
}

/// Everything in these files that breaks a rule.
fn broken(files: &[File], rule: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    files.iter().flat_map(rule).collect()
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long = broken(&files(&[".rs", ".py"]), |file| {
        let lines = file.text.lines().count();
        if lines > 600 { vec![format!("{}: {lines} lines", file.name)] } else { Vec::new() }
    });
    assert_eq!(long, NOTHING);
}

#[test]
fn no_line_is_longer_than_100_columns() {
    let long = broken(&files(&[".rs", ".py"]), |file| {
        let lines = file.text.lines().zip(1..).filter(|(line, _)| line.chars().count() > 100);
        lines.map(|(_, number)| format!("{}:{number}", file.name)).collect()
    });
    assert_eq!(long, NOTHING);
}

#[test]
fn every_shipped_file_says_first_what_it_is_about() {
    let silent = broken(&files(&[".rs"]), |file| {
        let told = file.text.starts_with("//! ");
        let test = !file.name.contains("/src/") || file.name.ends_with("/tests.rs");
        if told || test { Vec::new() } else { vec![file.name.clone()] }
    });
    assert_eq!(silent, NOTHING);
}

#[test]
fn nothing_is_left_for_later() {
    let forbidden =
        ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "allow(dead_code)", "allow(unused"];
    assert_eq!(broken(&files(&[".rs"]), |file| file.lines_with(&forbidden)), NOTHING);
    let notes = broken(&files(&[".rs", ".py"]), |file| {
        let lines = file.text.lines().zip(1..);
        let notes = lines.filter(|(line, _)| line.contains("FIXME") || line.contains("TODO"));
        notes.map(|(_, number)| format!("{}:{number}", file.name)).collect()
    });
    assert_eq!(notes, NOTHING);
}

#[test]
fn every_select_is_biased_so_that_a_run_repeats() {
    let unbiased = broken(&files(&[".rs"]), |file| {
        let code: Vec<_> = file.code().collect();
        let mut found = Vec::new();
        for (index, (number, line)) in code.iter().enumerate() {
            let Some((_, after)) = line.split_once("select!") else { continue };
            let rest = code[index + 1..].iter().map(|(_, line)| *line);
            let inside: String = std::iter::once(after).chain(rest.take(3)).collect();
            if !inside
                .trim_start()
                .trim_start_matches(['{', '('])
                .trim_start()
                .starts_with("biased;")
            {
                found.push(format!("{}:{number}", file.name));
            }
        }
        found
    });
    assert_eq!(unbiased, NOTHING);
}

#[test]
fn clocks_are_read_in_one_file_only() {
    let forbidden = ["Instant::now(", "SystemTime::now(", "UNIX_EPOCH.elapsed("];
    let shipped = files(&[".rs"]).into_iter().filter(|file| file.name.contains("/src/"));
    let shipped: Vec<_> = shipped.filter(|file| file.name != "io/src/clock.rs").collect();
    assert_eq!(broken(&shipped, |file| file.lines_with(&forbidden)), NOTHING);
}

#[test]
fn the_core_names_no_runtime_socket_file_clock_codec_or_log() {
    let forbidden = [
        "tokio",
        "std::net",
        "std::fs",
        "std::io",
        "std::env",
        "std::thread",
        "std::process",
        "std::time::Instant",
        "SystemTime",
        "kafka_protocol",
        "tracing",
        "getrandom",
        "println!",
    ];
    let core = files(&[".rs"]).into_iter().filter(|file| file.name.starts_with("core/src/"));
    let core: Vec<_> = core.collect();
    assert_eq!(broken(&core, |file| file.lines_with(&forbidden)), NOTHING);
    let times = broken(&core, |file| {
        let lines = file.code().filter(|(_, line)| line.contains("std::time"));
        let lines = lines.filter(|(_, line)| !line.contains("std::time::Duration"));
        lines.map(|(number, line)| format!("{}:{number}: {line}", file.name)).collect()
    });
    assert_eq!(times, NOTHING);
}

#[test]
fn the_core_depends_on_eight_crates_of_data_structures_and_no_more() {
    let manifest = fs::read_to_string(top().join("core/Cargo.toml")).expect("a manifest");
    let section = manifest.split("[dependencies]").nth(1).expect("dependencies");
    let lines = section.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    let names: Vec<_> = names.filter(|name| !name.is_empty() && !name.starts_with('#')).collect();
    let allowed =
        ["bytes", "foldhash", "hashbrown", "indexmap", "rand_chacha", "slab", "thiserror", "uuid"];
    assert_eq!(names, allowed);
}

#[test]
fn the_top_holds_only_what_a_reader_expects_there() {
    let entries = fs::read_dir(top()).expect("the top");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut stray: Vec<_> = names
        .filter(|name| !name.starts_with('.') && name != TESTS && !TOP.contains(&name.as_str()))
        .collect();
    stray.sort();
    assert_eq!(stray, NOTHING);
}

#[test]
fn no_path_of_somebodys_machine_is_in_the_tree() {
    let here = top().to_string_lossy().into_owned();
    let forbidden = [here.as_str(), "/home/", "/root/", "/Users/", "C:\\"];
    let mut all = files(&[".rs", ".py", ".toml", ".md", ".txt", "/run"]);
    for name in ["README.md", "ARCHITECTURE.md", "Cargo.toml", ".cargo/config.toml", ".ci/run"] {
        if let Ok(text) = fs::read_to_string(top().join(name)) {
            all.push(File { name: name.to_owned(), text });
        }
    }
    let paths = broken(&all, |file| {
        let mut found = Vec::new();
        for (line, number) in file.text.lines().zip(1..) {
            for path in forbidden.iter().filter(|path| line.contains(**path)) {
                found.push(format!("{}:{number}: {path}", file.name));
            }
        }
        found
    });
    assert_eq!(paths, NOTHING);
}

#[test]
fn every_snapshot_is_named_by_a_test() {
    let mut paths = Vec::new();
    below(&top().join("snapshots"), &mut paths);
    paths.sort();
    let tests = files(&[".rs"]);
    let mut stray = Vec::new();
    for path in paths {
        let name = path.strip_prefix(top()).expect("below the top").to_string_lossy().into_owned();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_snapshot = name.ends_with(".snap");
        let quoted = format!("\"{stem}\"");
        if !is_snapshot || !tests.iter().any(|file| file.text.contains(&quoted)) {
            stray.push(format!("{name}: no test names it"));
        }
    }
    assert_eq!(stray, NOTHING);
}
