//! Does ARCHITECTURE.md list the properties that the simulators hold runs against, and the marks?

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use quorate_sim::marks;
use quorate_sim::mutants;
use quorate_sim::oracle::properties;

const TO_UPDATE: &str = "UPDATE_CATALOGUE=1 cargo test --test catalogue";

/// Puts lines between the two comments that are named so.
fn listed(text: &str, name: &str, lines: &[String]) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).expect("where a list begins");
    let (_, after) = rest.split_once(&end).expect("where a list ends");
    format!("{before}{begin}{}\n{end}{after}", lines.join("\n"))
}

/// With a capital and a full stop, as a sentence has them.
fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    let rest = rest.strip_suffix('.').unwrap_or(rest);
    format!("{}{rest}.", first.to_uppercase())
}

#[test]
fn the_architecture_lists_all_properties_and_marks() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(&file).expect("a text");
    let row =
        |of: quorate_sim::oracle::Property| format!("| {} | {} |", of.id, sentence(of.sentence));
    let head = ["| id | what must hold |".to_owned(), "|---|---|".to_owned()];
    let rows: Vec<String> = head.into_iter().chain(properties().map(row)).collect();
    let marks: Vec<String> = marks::ALL.iter().map(|mark| format!("- {mark}")).collect();
    let expected = listed(&listed(&text, "properties", &rows), "marks", &marks);
    if std::env::var_os("UPDATE_CATALOGUE").is_some() {
        fs::write(&file, expected).expect("a file that can be written");
        return;
    }
    let differs = text.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        text == expected,
        "ARCHITECTURE.md lists other properties or marks; `{TO_UPDATE}` lists them again.\n\
         first difference (is, should be): {differs:#?}"
    );
}

/// A property that never fails says nothing: each is the only one that must find some planted bug,
/// or fails in a test of its family, whose name ends in what it breaks.
#[test]
fn every_property_has_been_seen_to_fail() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for mutant in mutants::all(top).expect("descriptions that can be read") {
        if let [only] = &mutant.kills[..] {
            seen.insert(only.clone());
        }
    }
    let oracles = top.join("sim/src/oracle");
    for family in fs::read_dir(&oracles).expect("a folder") {
        let tests = family.expect("an entry").path().join("tests.rs");
        let text = fs::read_to_string(tests).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.strip_prefix("fn ")?.strip_suffix("() {"));
        let broken = names.filter_map(|name| {
            let (_, id) = name.rsplit_once("_breaks_").or(name.rsplit_once("_violates_"))?;
            Some(id.to_uppercase())
        });
        seen.extend(broken);
    }
    let never: Vec<&str> = properties().map(|of| of.id).filter(|id| !seen.contains(*id)).collect();
    assert!(never.is_empty(), "never seen to fail: {never:?}");
}
