//! Values of settings: whether Kafka would take them, and what they are.
//!
//! Decided here: how text becomes a number, a truth or a list (Kafka's `ConfigDef.parseType`), and
//! whether it is within the setting's bound.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::known::{Kind, Known};

/// Why Kafka would refuse a value, and what it would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a whole number, or one that does not fit the setting's type.
    #[error("it is to be a whole number from {min} to {max}")]
    Whole {
        /// The least of the type.
        min: i64,
        /// The greatest of the type.
        max: i64,
    },
    /// Not a number at all.
    #[error("it is to be a number")]
    Number,
    /// Neither `true` nor `false`.
    #[error("it is to be true or false")]
    Truth,
    /// A number under the least that is allowed.
    #[error("it is to be at least {0}")]
    AtLeast(String),
    /// A number over the greatest that is allowed.
    #[error("it is to be at most {0}")]
    AtMost(String),
    /// Not one of the words that are allowed.
    #[error("it is to be {}", any_of(.0))]
    Choice(Vec<String>),
    /// Not addresses with a count each.
    #[error("'{0}' is not ADDRESS:COUNT, for example 127.0.0.1:100")]
    CountOfAddress(String),
    /// `classic` is missing from the group protocols.
    #[error("'classic' cannot be left out: write classic, or classic,consumer")]
    Classic,
    /// Less room for requests than one request may take.
    #[error("it is to be at least socket.request.max.bytes, which is {0}, or -1 for the default")]
    UnderOneRequest(usize),
}

fn any_of(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
        [] => String::new(),
    }
}

/// Checks a value against type and bound, as Kafka does for every setting it is given.
pub(super) fn check(known: &Known, value: &str) -> Result<(), ValueError> {
    match known.kind {
        Kind::Short => whole(value, i16::MIN.into(), i16::MAX.into())
            .and_then(|number| within(known, number as f64)),
        Kind::Int => whole(value, i32::MIN.into(), i32::MAX.into())
            .and_then(|number| within(known, number as f64)),
        Kind::Long => whole(value, i64::MIN, i64::MAX).and_then(|n| within(known, n as f64)),
        Kind::Double => {
            let number = value.trim().parse().map_err(|_| ValueError::Number)?;
            within(known, number)
        }
        Kind::Boolean => truth(value).map(|_| ()),
        Kind::List => list(value).iter().try_for_each(|word| one_of(known, word)),
        Kind::String => one_of(known, value.trim()),
        Kind::Class | Kind::Password => Ok(()),
    }
}

/// What stands between a bound's brackets.
fn inside(known: &Known) -> Option<&'static str> {
    let (_, inside) = known.bound?.split_once('[')?;
    inside.strip_suffix(']')
}

fn within(known: &Known, number: f64) -> Result<(), ValueError> {
    let Some((least, most)) = inside(known).and_then(|bound| bound.split_once(",...")) else {
        return Ok(());
    };
    let most = most.strip_prefix(',');
    if least.parse().is_ok_and(|least: f64| number < least) {
        return Err(ValueError::AtLeast(least.to_owned()));
    }
    match most {
        Some(most) if most.parse().is_ok_and(|most: f64| number > most) => {
            Err(ValueError::AtMost(most.to_owned()))
        }
        _ => Ok(()),
    }
}

fn one_of(known: &Known, word: &str) -> Result<(), ValueError> {
    let Some(choices) = inside(known) else { return Ok(()) };
    let any_case = known.bound.is_some_and(|bound| bound.starts_with("(case insensitive)"));
    let mut choices = choices.split(", ");
    let found = choices
        .clone()
        .any(|choice| choice == word || (any_case && choice.eq_ignore_ascii_case(word)));
    if found {
        Ok(())
    } else {
        Err(ValueError::Choice(choices.by_ref().map(str::to_owned).collect()))
    }
}

fn whole(value: &str, min: i64, max: i64) -> Result<i64, ValueError> {
    let number = value.trim().parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or(ValueError::Whole { min, max })
}

/// A number of Kafka's type INT.
pub(super) fn int(value: &str) -> Result<i32, ValueError> {
    whole(value, i32::MIN.into(), i32::MAX.into()).map(|number| number as i32)
}

/// A number of Kafka's type LONG.
pub(super) fn long(value: &str) -> Result<i64, ValueError> {
    whole(value, i64::MIN, i64::MAX)
}

/// A count or a size; one under 0, where Kafka allows it, is 0.
pub(super) fn size(value: &str) -> Result<usize, ValueError> {
    Ok(usize::try_from(int(value)?).unwrap_or(0))
}

/// A time in milliseconds; one under 0, where Kafka allows it, is 0.
pub(super) fn millis(value: &str) -> Result<Duration, ValueError> {
    Ok(Duration::from_millis(u64::try_from(long(value)?).unwrap_or(0)))
}

/// `true` or `false`, in any case.
pub(super) fn truth(value: &str) -> Result<bool, ValueError> {
    match value.trim() {
        value if value.eq_ignore_ascii_case("true") => Ok(true),
        value if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ValueError::Truth),
    }
}

/// Words separated by commas; an empty text is an empty list.
pub(super) fn list(value: &str) -> Vec<&str> {
    let value = value.trim();
    if value.is_empty() { Vec::new() } else { value.split(',').map(str::trim).collect() }
}

/// Pairs of an address and a count: `127.0.0.1:100,::1:50`.
pub(super) fn by_address(value: &str) -> Result<BTreeMap<IpAddr, usize>, ValueError> {
    let pairs = list(value).into_iter().map(|pair| {
        let wrong = || ValueError::CountOfAddress(pair.to_owned());
        let (address, count) = pair.rsplit_once(':').ok_or_else(wrong)?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        Ok((address.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::known_settings;

    fn checked(name: &str, value: &str) -> Result<(), String> {
        check(&known_settings()[name], value).map_err(|error| error.to_string())
    }

    #[test]
    fn every_default_of_kafka_passes_its_own_check() {
        for known in known_settings().values() {
            if let Some(default) = known.default {
                assert_eq!(check(known, default), Ok(()), "{}", known.name);
            }
        }
    }

    #[test]
    fn values_out_of_type_or_bound_are_refused_with_what_is_allowed() {
        let int = "it is to be a whole number from -2147483648 to 2147483647";
        for (name, value, message) in [
            ("num.partitions", "0", "it is to be at least 1"),
            ("num.partitions", "many", int),
            ("num.partitions", "", int),
            ("num.partitions", "2147483648", int),
            (
                "offsets.topic.replication.factor",
                "40000",
                "it is to be a whole number from -32768 to 32767",
            ),
            ("group.share.max.size", "1001", "it is to be at most 1000"),
            ("log.cleaner.min.cleanable.ratio", "1.5", "it is to be at most 1"),
            ("log.cleaner.min.cleanable.ratio", "half", "it is to be a number"),
            ("auto.create.topics.enable", "yes", "it is to be true or false"),
            ("durability", "none", "it is to be sync or os"),
            ("log.cleanup.policy", "delete,keep", "it is to be compact or delete"),
            (
                "group.coordinator.rebalance.protocols",
                "classic,new",
                "it is to be consumer, classic, share or streams",
            ),
        ] {
            assert_eq!(checked(name, value), Err(message.to_owned()), "{name} = {value}");
        }
    }

    #[test]
    fn values_are_read_as_kafka_reads_them() {
        for (name, value) in [
            ("num.partitions", " 7 "),
            ("num.partitions", "+7"),
            ("auto.create.topics.enable", "TRUE"),
            ("group.consumer.migration.policy", "Upgrade"),
            ("log.cleanup.policy", "compact , delete"),
            ("log.cleanup.policy", ""),
            ("compression.gzip.level", "-1"),
            ("offset.metadata.max.bytes", "-1"),
        ] {
            assert_eq!(checked(name, value), Ok(()), "{name} = {value}");
        }
        assert_eq!(list(" a , b,"), ["a", "b", ""]);
        assert_eq!(list("  "), Vec::<&str>::new());
        assert_eq!(size("-1"), Ok(0));
        assert_eq!(millis("1500"), Ok(Duration::from_millis(1500)));
    }
}
