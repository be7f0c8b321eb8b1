//! Are the diagrams of ARCHITECTURE.md those of the traces that they are of?
//!
//! Between `<!-- trace: NAME from SECOND -->` and `<!-- end -->` stands what
//! `quorate-sim render --mermaid --from SECOND snapshots/protocol/NAME.snap` draws.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_sim::render::{Kind, run};

const BEGIN: &str = "<!-- trace: ";
const END: &str = "<!-- end -->";
const TO_UPDATE: &str = "UPDATE_DIAGRAMS=1 cargo test --test diagrams";

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn snapshot(name: &str) -> PathBuf {
    top().join("snapshots/protocol").join(name).with_extension("snap")
}

/// What must stand behind a marker such as `leader_dies from 7`.
fn drawn(marker: &str) -> String {
    let (name, from) = marker.split_once(" from ").unwrap_or((marker, "0"));
    let from = from.parse().expect("a second");
    let file = snapshot(name);
    let trace =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let diagram = run(&trace, Kind::Mermaid(Duration::from_secs_f64(from)));
    let diagram = diagram.unwrap_or_else(|error| panic!("{name}: {error}"));
    format!("\n```mermaid\n{diagram}```\n")
}

/// The text with all its diagrams drawn again, and how many there are.
fn drawn_again(text: &str) -> (String, usize) {
    let mut parts = text.split(BEGIN);
    let mut all = parts.next().unwrap_or_default().to_owned();
    let mut count = 0;
    for part in parts {
        let (marker, rest) = part.split_once(" -->").expect("a marker ends in its line");
        let (_, rest) = rest.split_once(END).expect("a diagram ends with its marker");
        all += &format!("{BEGIN}{marker} -->{}{END}{rest}", drawn(marker));
        count += 1;
    }
    (all, count)
}

#[test]
fn the_diagrams_of_the_architecture_are_those_of_its_traces() {
    let file = top().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&file).expect("a text");
    let (expected, count) = drawn_again(&text);
    assert_eq!(count, 3, "diagrams in {}", file.display());
    if std::env::var_os("UPDATE_DIAGRAMS").is_some() {
        fs::write(&file, expected).expect("a file that can be written");
        return;
    }
    let differs = text.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        text == expected,
        "a diagram of ARCHITECTURE.md is not that of its trace; `{TO_UPDATE}` draws it again.\n\
         first difference (is, should be): {differs:#?}"
    );
}
