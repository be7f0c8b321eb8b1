//! Values of configs: whether Kafka takes one, and why not in its words (its `ConfigDef`).

use std::fmt::Display;

/// Whether a value is of a type, which is in Kafka's words, and within a bound as Kafka writes it:
/// `[1,...]`, `[1,...,9] or -1`, `[one, other]`.
pub(super) fn check_value(name: &str, kind: &str, bound: &str, value: &str) -> Result<(), String> {
    let trimmed = value.trim();
    let wrong_type = |what: &str| Err(invalid(name, value, what));
    let is_truth = ["true", "false"].iter().any(|word| trimmed.eq_ignore_ascii_case(word));
    let number = match kind {
        "BOOLEAN" if is_truth => return Ok(()),
        "BOOLEAN" => return wrong_type("Expected value to be either true or false"),
        "INT" => trimmed.parse::<i32>().ok().map(i128::from),
        "LONG" => trimmed.parse::<i64>().ok().map(i128::from),
        "DOUBLE" => {
            return match double(trimmed) {
                Some(number) => check_ratio(name, number),
                None => wrong_type("Not a number of type DOUBLE"),
            };
        }
        "LIST" => return check_list(name, bound, trimmed),
        _ => return check_word(name, bound, trimmed),
    };
    match number {
        Some(number) => check_range(name, bound, number),
        None => wrong_type(&format!("Not a number of type {kind}")),
    }
}

/// A value of a type as Kafka shows it, which is what it has read.
pub(super) fn shown(kind: &str, value: &str) -> String {
    let trimmed = value.trim();
    match kind {
        "BOOLEAN" => trimmed.to_ascii_lowercase(),
        "INT" | "SHORT" | "LONG" => {
            trimmed.parse().map_or_else(|_| trimmed.to_owned(), |number: i64| number.to_string())
        }
        // Java writes very large and very small ones in its own way.
        "DOUBLE" => match double(trimmed) {
            Some(number) if (1e-3..1e7).contains(&number) => format!("{number:?}"),
            _ => trimmed.to_owned(),
        },
        "LIST" => trimmed.split(',').map(str::trim).collect::<Vec<_>>().join(","),
        _ => trimmed.to_owned(),
    }
}

fn invalid(name: &str, value: impl Display, why: &str) -> String {
    format!("Invalid value {value} for configuration {name}: {why}")
}

/// A fraction as Java reads it, which may have its type behind it. Not those in base 16.
pub(super) fn double(text: &str) -> Option<f64> {
    let bare = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    match bare.trim_start_matches(['+', '-']) {
        "NaN" | "Infinity" => bare.parse().ok(),
        digits if digits.starts_with(|first: char| first == '.' || first.is_ascii_digit()) => {
            bare.parse().ok()
        }
        _ => None,
    }
}

/// The one config that is a fraction is a ratio.
fn check_ratio(name: &str, number: f64) -> Result<(), String> {
    let why = match number {
        number if number < 0.0 => "Value must be at least 0",
        number if number > 1.0 => "Value must be no more than 1",
        _ => return Ok(()),
    };
    let shown = if number.is_finite() { format!("{number:?}") } else { "Infinity".to_owned() };
    Err(invalid(name, shown, why))
}

fn check_range(name: &str, bound: &str, number: i128) -> Result<(), String> {
    let (range, or) = bound.split_once(" or ").map_or((bound, None), |(r, or)| (r, Some(or)));
    let ends = range.strip_prefix('[').and_then(|range| range.strip_suffix(']'));
    let Some((least, most)) = ends.and_then(|ends| ends.split_once(",...")) else {
        return Ok(());
    };
    let most = most.strip_prefix(',');
    let under = least.parse().is_ok_and(|least: i128| number < least);
    let over = most.is_some_and(|most| most.parse().is_ok_and(|most: i128| number > most));
    let why = match (or, most) {
        _ if !under && !over => return Ok(()),
        (Some(or), _) if or.parse() == Ok(number) => return Ok(()),
        (Some(or), Some(most)) => {
            format!("Value must be between {least} and {most} or equal to {or}")
        }
        (_, Some(most)) if over => format!("Value must be no more than {most}"),
        _ => format!("Value must be at least {least}"),
    };
    Err(invalid(name, number, &why))
}

/// What a bound lists; none where any text will do.
fn choices(bound: &str) -> Option<&str> {
    bound.strip_prefix('[').and_then(|bound| bound.strip_suffix(']'))
}

fn check_word(name: &str, bound: &str, word: &str) -> Result<(), String> {
    match choices(bound) {
        Some(choices) if !choices.split(", ").any(|choice| choice == word) => {
            Err(invalid(name, word, &format!("String must be one of: {choices}")))
        }
        _ => Ok(()),
    }
}

fn check_list(name: &str, bound: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    let words: Vec<&str> = value.split(',').map(str::trim).collect();
    if bound.starts_with("[partitionId]") {
        return check_replicas(name, bound, words);
    }
    words.into_iter().try_for_each(|word| {
        if word.is_empty() {
            return Err(format!("Configuration '{name}' values must not be empty."));
        }
        check_word(name, bound, word)
    })
}

/// Whether a list, which the settings of brokers do not have twice, names each of its words once.
pub(super) fn check_distinct(name: &str, value: &str) -> Result<(), String> {
    let mut words: Vec<&str> = value.split(',').map(str::trim).collect();
    words.sort_unstable();
    if words.is_sorted_by(|one, next| one < next) {
        return Ok(());
    }
    Err(format!("Configuration '{name}' values must not be duplicated."))
}

/// `*`, or pairs of partition and broker.
fn check_replicas(name: &str, bound: &str, mut words: Vec<&str>) -> Result<(), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let pair = |text: &str| text.split_once(':').is_some_and(|(p, b)| number(p) && number(b));
    // What Kafka ignores.
    words.retain(|word| !word.is_empty());
    if words == ["*"] || words.iter().all(|word| pair(word)) {
        return Ok(());
    }
    let why = format!(
        "{name} must be the literal '*' or a list of replicas in the following format: {bound}"
    );
    Err(invalid(name, format!("[{}]", words.join(", ")), &why))
}
