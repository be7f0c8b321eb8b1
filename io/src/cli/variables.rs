//! Settings from variables: `QUORATE_NUM_PARTITIONS` is `num.partitions`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::known::{is_of_a_plugin, known_settings, nearest};

/// The variables of a process.
pub type Variables<'a> = &'a mut dyn Iterator<Item = (OsString, OsString)>;

const PREFIX: &str = "QUORATE_";
/// Variables that stand for flags.
const FLAGS: [&str; 5] = ["ADMIN", "CONFIG", "DATA", "EPHEMERAL", "LISTEN"];

/// A variable that is of no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// There is no such setting.
    #[error(
        "the variable {variable} is of no setting: {}",
        match nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "unset it".to_owned(),
        }
    )]
    Unknown {
        /// The variable.
        variable: String,
        /// The one that may have been meant.
        nearest: Option<String>,
    },
    /// Its value is not text.
    #[error("the variable {variable} has a value that is not UTF-8")]
    NotText {
        /// The variable.
        variable: String,
    },
}

/// The settings that variables give.
pub fn settings(variables: Variables<'_>) -> Result<BTreeMap<String, String>, VariableError> {
    let mut given = BTreeMap::new();
    for (variable, value) in variables {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if FLAGS.contains(&name) {
            continue;
        }
        let name = name.to_lowercase().replace('_', ".");
        if !known_settings().contains_key(name.as_str()) && !is_of_a_plugin(&name) {
            return Err(VariableError::Unknown {
                variable: variable.to_owned(),
                nearest: nearest(&name).map(variable_of),
            });
        }
        let text = value.into_string();
        let text = text.map_err(|_| VariableError::NotText { variable: variable.to_owned() })?;
        given.insert(name, text);
    }
    Ok(given)
}

/// The variable of a setting.
fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(variables: &[(&str, &str)]) -> Result<BTreeMap<String, String>, VariableError> {
        settings(&mut variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_variable_is_a_setting_in_capitals() {
        let all = given(&[
            ("QUORATE_NUM_PARTITIONS", "3"),
            ("QUORATE_GROUP_MAX_SIZE", "4"),
            ("QUORATE_DATA", "folder"),
            ("PATH", "/bin"),
        ]);
        let expected = [("group.max.size", "4"), ("num.partitions", "3")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(all, Ok(BTreeMap::from(expected)));
    }

    #[test]
    fn a_variable_of_no_setting_is_refused_with_the_one_that_was_meant() {
        let error = given(&[("QUORATE_NUM_PARTITION", "3")]).expect_err("there is none");
        assert_eq!(
            error.to_string(),
            "the variable QUORATE_NUM_PARTITION is of no setting: did you mean \
             QUORATE_NUM_PARTITIONS?"
        );
        let error = given(&[("QUORATE_X", "3")]).expect_err("there is none");
        assert_eq!(error.to_string(), "the variable QUORATE_X is of no setting: unset it");
    }

    #[test]
    fn every_setting_has_a_variable_of_its_own() {
        for name in known_settings().keys() {
            let variable = variable_of(name);
            assert!(!FLAGS.iter().any(|flag| variable == format!("{PREFIX}{flag}")), "{name}");
            assert_eq!(given(&[(&variable, "v")]).map(|all| all.contains_key(*name)), Ok(true));
        }
    }
}
