//! Which settings there are: every broker setting of Kafka 4.4, and three of our own.
//!
//! Decided here: what counts as a name of Kafka's, and which name a mistyped one was meant to be.
//! The table is what Kafka's own `KafkaConfig` says of itself, one setting a line.

use std::collections::BTreeMap;
use std::sync::LazyLock;

const KAFKA: &str = include_str!("kafka_settings.txt");

/// Settings that Kafka does not have, in the same form.
const OWN: &str = "\
accept.any.replication.factor\tBOOLEAN\tfalse\t
durability\tSTRING\tsync\t[sync, os]
group.classic.server.assignor\tSTRING\troundrobin\t[roundrobin, none]
";

/// Beginnings of names that Kafka reads whatever follows: a listener's or a plugin's own settings.
const PREFIXES: [&str; 4] = ["listener.name.", "config.providers.", "rlmm.config.", "rsm.config."];

/// The type of a setting, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// The name of a Java class.
    Class,
    /// A number with a fraction.
    Double,
    /// 32 bits, signed.
    Int,
    /// Strings, separated by commas.
    List,
    /// 64 bits, signed.
    Long,
    /// A string that is never shown.
    Password,
    /// 16 bits, signed.
    Short,
    /// Any text.
    String,
}

impl Kind {
    /// The type in Kafka's words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Class => "CLASS",
            Kind::Double => "DOUBLE",
            Kind::Int => "INT",
            Kind::List => "LIST",
            Kind::Long => "LONG",
            Kind::Password => "PASSWORD",
            Kind::Short => "SHORT",
            Kind::String => "STRING",
        }
    }
}

/// A setting, as Kafka 4.4 defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default; `None` where Kafka has null, or wants the user to choose.
    pub default: Option<&'static str>,
    /// Which values it takes, as Kafka writes it: `[1,...]`, `[0,...,10]` or `[one, other]`.
    pub bound: Option<&'static str>,
    /// Whether Kafka takes it and does not show it.
    pub is_internal: bool,
}

static SETTINGS: LazyLock<BTreeMap<&'static str, Known>> = LazyLock::new(|| {
    let lines = KAFKA.lines().chain(OWN.lines()).filter(|line| !line.starts_with('#'));
    lines.map(|line| parse(line).expect("a line of the table of settings")).collect()
});

fn parse(line: &'static str) -> Option<(&'static str, Known)> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let kind = match columns.next()? {
        "BOOLEAN" => Kind::Boolean,
        "CLASS" => Kind::Class,
        "DOUBLE" => Kind::Double,
        "INT" => Kind::Int,
        "LIST" => Kind::List,
        "LONG" => Kind::Long,
        "PASSWORD" => Kind::Password,
        "SHORT" => Kind::Short,
        "STRING" => Kind::String,
        _ => return None,
    };
    let default =
        Some(columns.next()?).filter(|default| !matches!(*default, "null" | "(required)"));
    let bound = Some(columns.next()?).filter(|bound| !bound.is_empty());
    let is_internal = columns.next() == Some("internal");
    Some((name, Known { name, kind, default, bound, is_internal }))
}

/// All settings by name: those of Kafka 4.4's brokers, `accept.any.replication.factor`,
/// `durability` and `group.classic.server.assignor`.
pub fn known_settings() -> &'static BTreeMap<&'static str, Known> {
    &SETTINGS
}

/// Whether Kafka reads a setting of this name though no table can list it.
pub(super) fn is_of_a_plugin(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
}

/// The known name that takes the fewest changes to reach, if it is near enough to be meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let (changes, nearest) = SETTINGS.keys().map(|known| (changes(name, known), *known)).min()?;
    (changes <= name.len().max(6) / 3).then_some(nearest)
}

/// Levenshtein's distance, in bytes.
fn changes(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_setting_of_kafka_and_three_of_our_own() {
        assert_eq!(known_settings().len(), 379 + 3);
        let known = |name: &str| known_settings().get(name).copied();
        let node_id = Known {
            name: "node.id",
            kind: Kind::Int,
            default: None,
            bound: Some("[0,...]"),
            is_internal: false,
        };
        assert_eq!(known("node.id"), Some(node_id));
        let partitions = Known {
            name: "num.partitions",
            kind: Kind::Int,
            default: Some("1"),
            bound: Some("[1,...]"),
            is_internal: false,
        };
        assert_eq!(known("num.partitions"), Some(partitions));
        assert_eq!(known("num.partition"), None);
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (name, meant) in [
            ("num.partition", Some("num.partitions")),
            ("offset.retention.minutes", Some("offsets.retention.minutes")),
            ("group.initial.rebalance.delay", Some("group.initial.rebalance.delay.ms")),
            ("durabilty", Some("durability")),
            ("nothing.like.it.at.all", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name), meant, "{name}");
        }
    }

    #[test]
    fn settings_of_listeners_and_plugins_are_names_of_kafka() {
        assert!(is_of_a_plugin("listener.name.internal.ssl.keystore.location"));
        assert!(is_of_a_plugin("rsm.config.bucket"));
        assert!(!is_of_a_plugin("listener.name."));
        assert!(!is_of_a_plugin("listener.security.protocol.map"));
    }
}
