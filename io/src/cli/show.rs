//! `quorate config`: every setting with its value, default, source and meaning, as a settings file.
//!
//! Decided here: what is written can be read back with `--config`. Settings of Kafka's that have no
//! effect come last, as comments, unless somebody has set them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use super::known::{Known, known_settings};
use super::settings::{Effective, Settings, Source};

/// Who has set a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The file of `--config`.
    File,
    /// A variable, `QUORATE_` and the name.
    Variable,
    /// `--set` or `--listen`.
    Flag,
}

impl Origin {
    fn words(self) -> &'static str {
        match self {
            Origin::File => "the settings file",
            Origin::Variable => "a variable",
            Origin::Flag => "the command line",
        }
    }
}

static MEANINGS: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("meanings.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').expect("a name and a meaning")).collect()
});

/// What a setting that has an effect means, in a line.
#[must_use]
pub fn meaning(name: &str) -> Option<&'static str> {
    MEANINGS.get(name).copied()
}

/// All settings that have an effect, with what they mean.
pub fn meanings() -> impl Iterator<Item = (&'static str, &'static str)> {
    MEANINGS.iter().map(|(name, meaning)| (*name, *meaning))
}

/// The settings as a file that `--config` reads.
#[must_use]
pub fn show(settings: &Settings, origins: &BTreeMap<String, Origin>) -> String {
    let mut text = String::from("# The settings that have an effect.\n");
    for (name, meaning) in meanings() {
        let Some(set) = settings.effective.get(name) else { continue };
        let _ = write!(text, "\n# {meaning}\n{}", line(name, set, origins.get(name)));
    }
    text.push_str("\n# Settings of Kafka's that have no effect here.\n\n");
    let rest = settings.effective.iter().filter(|(name, _)| meaning(name).is_none());
    for (name, set) in rest {
        text.push_str(&line(name, set, origins.get(name.as_str())));
    }
    text
}

/// A comment about default and source, and the setting, which is a comment too if it has no value
/// that could be read back, or nobody has set it and it has no effect.
fn line(name: &str, set: &Effective, origin: Option<&Origin>) -> String {
    let default = known_settings().get(name).and_then(|known: &Known| known.default);
    let default = default.map_or_else(|| "none".to_owned(), |default| format!("{default:?}"));
    let from = origin.map_or("the default", |origin| origin.words());
    let has_effect = meaning(name).is_some();
    let value = match &set.value {
        Some(value) => format!("{name:?} = {value:?}"),
        None if set.source == Source::Default => format!("# {name:?} is not set"),
        None => format!("# {name:?} is set and not shown"),
    };
    let hidden = !has_effect && origin.is_none() && set.value.is_some();
    let comment = if hidden { "# " } else { "" };
    format!("{comment}{value}  # from {from}; Kafka's default: {default}\n")
}
