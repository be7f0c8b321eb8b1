//! The topics as every thread sees them: a copy that numbered changes keep up to date.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::{Builder, Uuid};

use super::{Entropy, Topic};

/// One change of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// One more than that of the change before it.
    pub number: u64,
    /// The topic before: none if it was created.
    pub before: Option<Arc<Topic>>,
    /// The topic after: none if it was deleted.
    pub after: Option<Arc<Topic>>,
}

/// All topics, by name and by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    number: u64,
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: BTreeMap<Uuid, Arc<Topic>>,
}

impl Topics {
    /// The topics in `topics`, before any change.
    pub fn new(topics: impl IntoIterator<Item = Topic>) -> Self {
        let mut all = Self::default();
        for topic in topics {
            all.put(Arc::new(topic));
        }
        all
    }

    /// Applies the next change.
    ///
    /// Changes come in order, each once; one that is not next is a fault of the caller.
    pub fn apply(&mut self, delta: &Delta) {
        assert_eq!(delta.number, self.number + 1, "changes of the catalog come in order");
        self.number = delta.number;
        if let Some(before) = &delta.before {
            self.by_name.remove(&before.name);
            self.by_id.remove(&before.id);
        }
        if let Some(after) = &delta.after {
            self.put(Arc::clone(after));
        }
    }

    /// Number of the last change that was applied.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The topic of that name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic of that id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn put(&mut self, topic: Arc<Topic>) {
        self.by_name.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        self.by_id.insert(topic.id, topic);
    }
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A random (version 4) id whose text does not start with `-`, so that it can be an argument of a
/// command, as Kafka's.
pub fn random_id(entropy: Entropy<'_>) -> Uuid {
    loop {
        let mut bytes = [0; 16];
        entropy(&mut bytes);
        let id = Builder::from_random_bytes(bytes).into_uuid();
        if !id_text(id).starts_with('-') {
            return id;
        }
    }
}

/// Kafka's text form of an id: base64 with `-` and `_`, without padding.
pub fn id_text(id: Uuid) -> String {
    let bits = id.as_u128();
    // 22 digits of six bits; the last has only two of them, at the top.
    let digit = |n: u32| if n < 21 { bits >> (122 - 6 * n) } else { bits << 4 };
    (0..22).map(|n| char::from(BASE64URL[(digit(n) & 63) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_id_is_kafkas() {
        assert_eq!(id_text(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(id_text(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(id_text(Uuid::max()), "_____________________w");
        let id = Uuid::from_u128(0xf808_0000_0000_4000_8000_0000_0000_0000);
        assert_eq!(id_text(id), "-AgAAAAAQACAAAAAAAAAAA");
    }

    #[test]
    fn an_id_whose_text_would_start_with_a_dash_is_not_taken() {
        let mut given = [0xf8_u8, 0x04].into_iter();
        let id = random_id(&mut |bytes| bytes.fill(given.next().expect("two draws")));
        assert_eq!(id, Uuid::from_u128(0x0404_0404_0404_4404_8404_0404_0404_0404));
    }
}
