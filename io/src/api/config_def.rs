//! What a config is: its type, its default, the values it takes, and which of several that are set
//! holds. The tables are Kafka's own: [topics](super::topic_configs) and
//! [groups](super::group_configs).

use std::collections::BTreeMap;

use super::config_value::check_value;
use crate::cli::{Effective, Settings};

/// Where a value is from, in the numbers of DescribeConfigs.
pub mod source {
    use crate::cli::Source;

    pub const DYNAMIC_TOPIC: i8 = 1;
    pub const DYNAMIC_BROKER: i8 = 2;
    pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
    pub const STATIC_BROKER: i8 = 4;
    pub const DEFAULT: i8 = 5;
    pub const GROUP: i8 = 8;

    /// The number of a setting's source.
    pub fn of(source: Source) -> i8 {
        match source {
            Source::Default => DEFAULT,
            Source::Static => STATIC_BROKER,
            Source::DynamicDefault => DYNAMIC_DEFAULT_BROKER,
            Source::Dynamic => DYNAMIC_BROKER,
        }
    }
}

/// A table of configs, by name.
pub type Table = BTreeMap<&'static str, ConfigDef>;

/// One config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigDef {
    /// Its name.
    pub name: &'static str,
    /// The type, in Kafka's words.
    pub kind: &'static str,
    /// The value if nobody sets any.
    pub default: &'static str,
    /// The broker's settings that give the default; the first that is set does.
    pub settings: Vec<&'static str>,
    /// Which values it takes, as Kafka writes it.
    bound: &'static str,
}

/// Reads a table: a config a line, with tabs between its fields. Lines that begin with `#` are
/// words.
pub fn table(text: &'static str) -> Table {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| parse(line).expect("a line of a table of configs")).collect()
}

fn parse(line: &'static str) -> Option<(&'static str, ConfigDef)> {
    let mut columns = line.split('\t');
    let (name, kind, default) = (columns.next()?, columns.next()?, columns.next()?);
    let settings = columns.next()?.split(',').filter(|name| !name.is_empty()).collect();
    let bound = columns.next()?;
    Some((name, ConfigDef { name, kind, default, settings, bound }))
}

/// A value that a config could have, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The config's name, or that of the broker's setting.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// Where it is from, one of [`source`].
    pub source: i8,
}

/// The value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The value.
    pub value: String,
    /// Where it is from, one of [`source`].
    pub source: i8,
    /// All values that there are, the one that holds first (KIP-226).
    pub synonyms: Vec<Candidate>,
}

impl ConfigDef {
    /// What holds for a resource with these configs of its own, which are from `own_source`.
    pub fn held(
        &self,
        own: &BTreeMap<String, String>,
        own_source: i8,
        settings: &Settings,
    ) -> Held {
        let mut synonyms = Vec::new();
        if let Some(value) = own.get(self.name) {
            let (name, value) = (self.name, value.clone());
            synonyms.push(Candidate { name, value, source: own_source });
        }
        for &name in &self.settings {
            let set = settings.effective.get(name).into_iter().flat_map(Effective::set);
            synonyms.extend(set.filter_map(|(from, value)| {
                let (value, source) = (value?.to_owned(), source::of(from));
                Some(Candidate { name, value, source })
            }));
        }
        // The names of Kafka's list that have no unit of their own are those with its default.
        if let [name] = self.settings[..] {
            let value = self.default.to_owned();
            synonyms.push(Candidate { name, value, source: source::DEFAULT });
        }
        let (value, source) = match synonyms.first() {
            Some(first) => (in_millis(first.name, &first.value), first.source),
            None => (self.default.to_owned(), source::DEFAULT),
        };
        Held { value, source, synonyms }
    }

    /// Whether a value may be set, or why not, in Kafka's words.
    pub fn check(&self, value: &str) -> Result<(), String> {
        check_value(self.name, self.kind, self.bound, value)
    }
}

/// A broker's setting in the unit of the topic's config, which is milliseconds for times.
fn in_millis(name: &str, value: &str) -> String {
    let unit = match name.rsplit_once('.') {
        Some((_, "hours")) => 3_600_000,
        Some((_, "minutes")) => 60_000,
        _ => return value.to_owned(),
    };
    match value.trim().parse::<i64>() {
        Ok(count) if count >= 0 => count.saturating_mul(unit).to_string(),
        _ => value.to_owned(),
    }
}
