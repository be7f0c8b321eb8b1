//! The settings file: TOML, as flat names.
//!
//! Decided here: `num.partitions = 3`, `[num]` with `partitions = 3` and `"num.partitions" = 3` are
//! the same. Quotes are needed only for a name that begins another one, which TOML cannot have both
//! as a value and as a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Why a settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Read {
        /// The file that `--config` names.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error(
        "the settings file {} is not TOML: {source}\
         (a name that is also the beginning of another is to be quoted: \"a.b\" = 1)",
        path.display()
    )]
    Toml {
        /// The file that `--config` names.
        path: PathBuf,
        /// Where and why, with the line.
        source: Box<toml::de::Error>,
    },
    /// A name is given twice, once quoted and once not.
    #[error("the settings file {} gives {name} twice: keep one of the two", path.display())]
    Twice {
        /// The file that `--config` names.
        path: PathBuf,
        /// The flat name.
        name: String,
    },
    /// A value of a kind that no setting has.
    #[error(
        "the settings file {} gives {name} a value of the kind {kind}: \
         write a string, a number, true, false or a list of these",
        path.display()
    )]
    Kind {
        /// The file that `--config` names.
        path: PathBuf,
        /// The flat name.
        name: String,
        /// TOML's word for the kind.
        kind: &'static str,
    },
}

/// Reads a settings file into flat names and values, as `--set` would give them.
pub fn read_settings_file(path: &Path) -> Result<BTreeMap<String, String>, FileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    flatten(path, &text)
}

fn flatten(path: &Path, text: &str) -> Result<BTreeMap<String, String>, FileError> {
    let table: Table = text
        .parse()
        .map_err(|source| FileError::Toml { path: path.to_owned(), source: Box::new(source) })?;
    let mut flat = BTreeMap::new();
    // Tables still to be read, each with the beginning of its names.
    let mut rest = vec![(String::new(), table)];
    while let Some((prefix, table)) = rest.pop() {
        for (key, value) in table {
            let name = format!("{prefix}{key}");
            match value {
                Value::Table(inner) => rest.push((format!("{name}."), inner)),
                value => {
                    let value = scalar_or_list(value).map_err(|kind| FileError::Kind {
                        path: path.to_owned(),
                        name: name.clone(),
                        kind,
                    })?;
                    if flat.insert(name.clone(), value).is_some() {
                        return Err(FileError::Twice { path: path.to_owned(), name });
                    }
                }
            }
        }
    }
    Ok(flat)
}

/// The value as Kafka's properties write it; lists are joined by commas.
fn scalar_or_list(value: Value) -> Result<String, &'static str> {
    match value {
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(scalar).collect();
            Ok(items?.join(","))
        }
        value => scalar(value),
    }
}

fn scalar(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(truth) => Ok(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err(value.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let flat = flatten(Path::new("quorate.toml"), text);
        flat.map(|flat| flat.into_iter().collect()).map_err(|error| error.to_string())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn dotted_keys_tables_and_quoted_keys_are_the_same() {
        let expected = Ok(pairs(&[("group.max.size", "5"), ("group.min.x", "a")]));
        assert_eq!(read("group.max.size = 5\ngroup.min.x = 'a'"), expected);
        assert_eq!(read("[group]\nmax.size = 5\n[group.min]\nx = 'a'"), expected);
        assert_eq!(read("\"group.max.size\" = 5\n[\"group.min\"]\nx = 'a'"), expected);
    }

    #[test]
    fn a_name_that_begins_another_is_quoted() {
        let both = "\"a.b\" = 1\na.b.c = 2";
        assert_eq!(read(both), Ok(pairs(&[("a.b", "1"), ("a.b.c", "2")])));
        let message = read("a.b = 1\na.b.c = 2").expect_err("TOML has no value that is a table");
        assert!(message.contains("line 2"), "{message}");
        assert!(message.ends_with("is to be quoted: \"a.b\" = 1)"), "{message}");
    }

    #[test]
    fn values_are_written_as_kafka_writes_them() {
        let text = "i = -1\nf = 0.5\nt = true\ns = 'a b'\nl = ['classic', 'consumer']";
        let expected =
            [("f", "0.5"), ("i", "-1"), ("l", "classic,consumer"), ("s", "a b"), ("t", "true")];
        assert_eq!(read(text), Ok(pairs(&expected)));
    }

    #[test]
    fn what_is_no_setting_is_refused_by_name() {
        assert_eq!(
            read("a.b = 2020-01-01"),
            Err("the settings file quorate.toml gives a.b a value of the kind datetime: \
                 write a string, a number, true, false or a list of these"
                .to_owned())
        );
        assert_eq!(
            read("a.b = 1\n\"a.b\" = 2"),
            Err("the settings file quorate.toml gives a.b twice: keep one of the two".to_owned())
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read_settings_file(Path::new("not/there.toml")).expect_err("no such file");
        assert_eq!(
            error.to_string(),
            "cannot read the settings file not/there.toml: No such file or directory (os error 2)"
        );
    }
}
