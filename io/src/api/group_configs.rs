//! The configs of a group (KIP-848): which there are, and how far a group's may go from the
//! broker's. They are of consumer groups of the newer protocol; a classic group's members choose
//! for themselves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::config_def::{Table, table};
use crate::cli::Settings;

/// All configs of groups.
pub(super) static CONFIGS: LazyLock<Table> =
    LazyLock::new(|| table(include_str!("group_configs.txt")));

/// What the configs of consumer groups begin with. Share and streams groups are not served.
const SERVED: &str = "consumer.";

/// Checks the configs that a group is to have. The error says what Kafka says.
pub(super) fn check(values: &BTreeMap<String, String>, settings: &Settings) -> Result<(), String> {
    if let Some(name) = values.keys().find(|name| !CONFIGS.contains_key(name.as_str())) {
        return Err(format!("Unknown group config name: {name}"));
    }
    for (name, value) in values {
        CONFIGS[name.as_str()].check(value)?;
        if !name.starts_with(SERVED) {
            return Err(format!(
                "{name} is not supported by this broker, which has no groups of that type"
            ));
        }
        check_bounds(name, value, settings)?;
    }
    Ok(())
}

/// The broker says how small and how large a group's value may be.
fn check_bounds(name: &str, value: &str, settings: &Settings) -> Result<(), String> {
    let Some(of_broker) = name.strip_prefix(SERVED) else { return Ok(()) };
    let bound = |which: &str| {
        let set = settings.effective.get(&format!("group.consumer.{which}.{of_broker}"))?;
        set.value.as_ref()?.trim().parse::<i64>().ok()
    };
    let (Some(least), Some(most)) = (bound("min"), bound("max")) else { return Ok(()) };
    match value.trim().parse::<i64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(()),
        _ => Err(format!("{name} must be in the range {least} to {most} inclusive.")),
    }
}
