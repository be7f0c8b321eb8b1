//! Where clients connect to: Kafka's `listeners`, `advertised.listeners` and
//! `listener.security.protocol.map`, which belong together.
//!
//! Decided here: which listeners can be served. Those are all without encryption, under any names;
//! one that only a controller of Kafka's would have is passed over, so that a user's settings carry
//! over.

use std::collections::BTreeMap;

use super::endpoint::{Endpoint, EndpointError};
use super::value::list;

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOLS: &str = "listener.security.protocol.map";
const CONTROLLERS: &str = "controller.listener.names";
/// The only protocol that is served, and the name of a listener that is not given one.
const PLAINTEXT: &str = "PLAINTEXT";

/// A place to listen at, and what clients that come to it are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Its name, in capitals.
    pub name: String,
    /// Where to listen.
    pub listen: Endpoint,
    /// What clients are told. `None`: the address listened on, or on a wildcard the one that the
    /// client connected to.
    pub advertised: Option<Endpoint>,
}

impl ListenerSpec {
    /// A listener that is not given a name.
    #[must_use]
    pub fn plaintext(listen: Endpoint) -> ListenerSpec {
        ListenerSpec { name: PLAINTEXT.to_owned(), listen, advertised: None }
    }
}

/// Whether a setting is one of those that belong together.
pub(super) fn is_of_listeners(name: &str) -> bool {
    matches!(name, LISTENERS | ADVERTISED | PROTOCOLS | CONTROLLERS)
}

/// The listeners that the settings ask for, of which `default` is used if none are named; or which
/// setting is wrong, and why.
pub(super) fn resolve(
    given: &BTreeMap<String, String>,
    default: ListenerSpec,
) -> Result<Vec<ListenerSpec>, (&'static str, EndpointError)> {
    let value = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let controllers: Vec<String> =
        list(value(CONTROLLERS)).into_iter().map(str::to_uppercase).collect();
    let protocols: BTreeMap<String, String> = list(value(PROTOCOLS))
        .into_iter()
        .filter_map(|pair| pair.split_once(':'))
        .map(|(name, protocol)| (name.trim().to_uppercase(), protocol.trim().to_uppercase()))
        .collect();
    let mut all = Vec::new();
    if given.contains_key(LISTENERS) {
        for (name, listen) in named(value(LISTENERS), &controllers).map_err(|e| (LISTENERS, e))? {
            let protocol = protocols.get(&name).map_or(name.as_str(), String::as_str);
            if protocol != PLAINTEXT {
                return Err((LISTENERS, EndpointError::Protocol(format!("{name}://{listen}"))));
            }
            all.push(ListenerSpec { name, listen, advertised: None });
        }
    } else {
        all.push(default);
    }
    if all.is_empty() {
        return Err((LISTENERS, EndpointError::None(value(LISTENERS).to_owned())));
    }
    for (name, told) in named(value(ADVERTISED), &controllers).map_err(|e| (ADVERTISED, e))? {
        if told.is_wildcard() {
            return Err((ADVERTISED, EndpointError::Unreachable(told.to_string())));
        }
        match all.iter_mut().find(|listener| listener.name == name) {
            Some(listener) => listener.advertised = Some(told),
            None => return Err((ADVERTISED, EndpointError::NotListening(name))),
        }
    }
    Ok(all)
}

/// Name and address of each listener of a list that is for clients.
fn named(text: &str, controllers: &[String]) -> Result<Vec<(String, Endpoint)>, EndpointError> {
    let mut found: Vec<(String, Endpoint)> = Vec::new();
    for listener in list(text).into_iter().filter(|listener| !listener.is_empty()) {
        let (name, address) =
            listener.split_once("://").ok_or_else(|| EndpointError::NoName(listener.to_owned()))?;
        let name = name.trim().to_uppercase();
        if controllers.contains(&name) {
            continue;
        }
        if found.iter().any(|(other, _)| *other == name) {
            return Err(EndpointError::Twice(name));
        }
        found.push((name, address.parse()?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(
        given: &[(&str, &str)],
    ) -> Result<Vec<ListenerSpec>, (&'static str, EndpointError)> {
        let given = given.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let default = ListenerSpec::plaintext(Endpoint::new("127.0.0.1", 9092));
        resolve(&given.collect(), default)
    }

    fn spec(name: &str, listen: (&str, u16), advertised: Option<(&str, u16)>) -> ListenerSpec {
        ListenerSpec {
            name: name.to_owned(),
            listen: Endpoint::new(listen.0, listen.1),
            advertised: advertised.map(|(host, port)| Endpoint::new(host, port)),
        }
    }

    #[test]
    fn listeners_have_names_and_advertise_for_themselves() {
        let all = resolved(&[
            (LISTENERS, "INSIDE://:9092, outside://[::1]:9093,CONTROLLER://:9094"),
            (ADVERTISED, "OUTSIDE://broker.example:19093"),
            (PROTOCOLS, "INSIDE:PLAINTEXT,OUTSIDE:plaintext,CONTROLLER:PLAINTEXT"),
            (CONTROLLERS, "CONTROLLER"),
        ]);
        let outside = Some(("broker.example", 19093));
        let expected =
            vec![spec("INSIDE", ("", 9092), None), spec("OUTSIDE", ("::1", 9093), outside)];
        assert_eq!(all, Ok(expected));
    }

    #[test]
    fn without_a_word_there_is_one() {
        let default = vec![spec("PLAINTEXT", ("127.0.0.1", 9092), None)];
        assert_eq!(resolved(&[]), Ok(default));
        let told = Some(("broker.example", 1));
        let advertised = vec![spec("PLAINTEXT", ("127.0.0.1", 9092), told)];
        assert_eq!(resolved(&[(ADVERTISED, "PLAINTEXT://broker.example:1")]), Ok(advertised));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_setting() {
        for (given, error) in [
            (&[(LISTENERS, "h:1")][..], (LISTENERS, EndpointError::NoName("h:1".to_owned()))),
            (&[(LISTENERS, "")], (LISTENERS, EndpointError::None(String::new()))),
            (
                &[(LISTENERS, "SSL://h:1")],
                (LISTENERS, EndpointError::Protocol("SSL://h:1".to_owned())),
            ),
            (
                &[(LISTENERS, "A://h:1"), (PROTOCOLS, "A:SASL_SSL")],
                (LISTENERS, EndpointError::Protocol("A://h:1".to_owned())),
            ),
            (
                &[(LISTENERS, "PLAINTEXT://a:1,plaintext://b:2")],
                (LISTENERS, EndpointError::Twice("PLAINTEXT".to_owned())),
            ),
            (
                &[(ADVERTISED, "PLAINTEXT://[::]:1")],
                (ADVERTISED, EndpointError::Unreachable("[::]:1".to_owned())),
            ),
            (
                &[(ADVERTISED, "OTHER://h:1")],
                (ADVERTISED, EndpointError::NotListening("OTHER".to_owned())),
            ),
        ] {
            assert_eq!(resolved(given), Err(error));
        }
    }
}
