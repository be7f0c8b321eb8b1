//! The settings of a broker that can be changed while it runs.
//!
//! Decided here: which they are, those that are a default of topics and a few beside them; and what
//! they may be, in Kafka's words. A setting that the broker does not have is refused, where Kafka
//! keeps it for a plugin.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;

use super::config_value::{check_distinct, check_value};
use super::{Error, topic_configs};
use crate::cli::{Settings, known_settings};

/// Those that no topic has.
const OF_NO_TOPIC: [&str; 4] = [
    "log.cleaner.backoff.ms",
    "max.connections",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
];
/// Stays set for all brokers, see `core_thread`, and is never set for one (KIP-966).
pub(super) const OF_ALL: &str = "min.insync.replicas";

/// Whether a setting can be changed while the broker runs.
pub(super) fn is_dynamic(name: &str) -> bool {
    OF_NO_TOPIC.contains(&name) || topic_configs::of_setting(name).is_some()
}

/// Checks what is changed of one broker, or of all, and what is set then.
pub(super) fn check(
    of_all: bool,
    changes: &BTreeMap<String, Option<String>>,
    after: &BTreeMap<String, String>,
    settings: &Settings,
) -> Result<(), Error> {
    let set = changes.iter().filter(|(_, value)| value.is_some());
    let fixed = set.map(|(name, _)| name.as_str()).filter(|name| !is_dynamic(name));
    let fixed: Vec<&str> = fixed.collect();
    if !fixed.is_empty() {
        let names = fixed.join(", ");
        return Err(invalid(format!("Cannot update these configs dynamically: [{names}]")));
    }
    after.iter().try_for_each(|(name, value)| check_one(name, value)).map_err(invalid)?;
    check_together(after, settings).map_err(invalid)?;
    after.iter().try_for_each(|(name, value)| {
        let wrong = |why| invalid(format!("Invalid value {value} for configuration {name}: {why}"));
        // Kafka takes names of hosts for addresses.
        settings.takes(name, value).map_err(wrong)
    })?;
    let refused = |message: String| Err(Error::new(ResponseError::InvalidConfig, message));
    match changes.get(OF_ALL) {
        Some(None) if of_all => {
            refused(format!("Cluster-level {OF_ALL} cannot be removed while ELR is enabled."))
        }
        Some(_) if !of_all => {
            refused(format!("Broker-level {OF_ALL} cannot be altered while ELR is enabled."))
        }
        _ => Ok(()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ResponseError::InvalidRequest, message)
}

fn check_one(name: &str, value: &str) -> Result<(), String> {
    let Some(known) = known_settings().get(name) else { return Ok(()) };
    let kind = known.kind.name();
    if kind == "LIST" {
        check_distinct(name, value)?;
    }
    check_value(name, kind, known.bound.unwrap_or_default(), value)
}

/// What Kafka looks at once each value by itself is one.
fn check_together(after: &BTreeMap<String, String>, settings: &Settings) -> Result<(), String> {
    let number = |name: &str| after.get(name).and_then(|value| value.trim().parse::<i64>().ok());
    let under = |name: &str, least: i64| number(name).is_some_and(|number| number < least);
    if under("log.roll.ms", 1) {
        return Err("requirement failed: log.roll.ms must be greater than or equal to 1".to_owned());
    }
    if under("log.roll.jitter.ms", 0) {
        let why = "requirement failed: log.roll.jitter.ms must be greater than or equal to 0";
        return Err(why.to_owned());
    }
    // Whatever is less than 0 is without end.
    if number("log.retention.ms") == Some(0) {
        return Err(
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than \
                    or equal to 1"
                .to_owned(),
        );
    }
    if number("max.connections") == Some(0) {
        return Err("Invalid value org.apache.kafka.common.config.ConfigException: Invalid \
                    max.connections 0 for configuration Invalid dynamic configuration"
            .to_owned());
    }
    check_addresses(after, settings)
}

/// The setting that gives the counts of some addresses.
const OVERRIDES: &str = "max.connections.per.ip.overrides";

fn check_addresses(after: &BTreeMap<String, String>, settings: &Settings) -> Result<(), String> {
    let overrides = after.get(OVERRIDES).map_or("", |value| value.trim());
    let mut addresses = Vec::new();
    for pair in overrides.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((address, count)) = pair.rsplit_once(':') else {
            return Err(format!(
                "Error parsing configuration property '{OVERRIDES}': begin 0, end -1, length {}",
                pair.len()
            ));
        };
        let count = count.trim();
        if count.parse::<i32>().is_err() {
            return Err(format!("For input string: \"{count}\""));
        }
        addresses.push(address.trim());
    }
    let none = addresses.is_empty() && settings.max_connections_per_ip_overrides.is_empty();
    if none && after.get("max.connections.per.ip").is_some_and(|most| most.trim() == "0") {
        return Err(format!(
            "requirement failed: max.connections.per.ip can be set to zero only if {OVERRIDES} \
             property is set."
        ));
    }
    let of_host = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    addresses.retain(|address| !address.chars().all(of_host));
    if !addresses.is_empty() {
        return Err(format!("{OVERRIDES} contains invalid addresses : {}", addresses.join(",")));
    }
    Ok(())
}
