//! Ids with a table prefix, as on the platform: a task's id in place of an agent's is refused before anything runs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Row, Table};

/// The length of an id, including the two characters of its table.
pub(crate) const ID_CHARS: usize = 32;

/// The characters of an id, without `_`, `:` and `-`, because tokens, session keys and links are split at those.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of a row of one table.
pub(crate) struct Id<R> {
    text: String,
    row: PhantomData<fn() -> R>,
}

impl<R> Id<R> {
    /// From a text that is known to be such an id.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), row: PhantomData }
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl<R: Row> Id<R> {
    /// Parses an id of this table.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (table_of(text) == Some(R::TABLE)).then(|| Self::new(text))
    }
}

/// The table of an id, if the text is an id.
pub(crate) fn table_of(text: &str) -> Option<Table> {
    let well_formed = text.len() == ID_CHARS && text.bytes().all(|b| LETTERS.contains(&b));
    Table::ALL.into_iter().find(|table| well_formed && text.starts_with(table.id_prefix()))
}

/// A new id: the table's letters, then 150 random bits.
pub(super) fn make(table: Table) -> Result<String, getrandom::Error> {
    let mut random = [0_u8; ID_CHARS];
    getrandom::getrandom(&mut random)?;
    let prefix = table.id_prefix();
    let tail = random[prefix.len()..].iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(prefix.chars().chain(tail).collect())
}

impl<R> Clone for Id<R> {
    fn clone(&self) -> Self {
        Self::new(self.text.clone())
    }
}

impl<R> Default for Id<R> {
    fn default() -> Self {
        Self::new("")
    }
}

impl<R> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<R> Eq for Id<R> {}

impl<R> PartialEq<str> for Id<R> {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl<R> Hash for Id<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<R> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<R> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<R> Serialize for Id<R> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de, R> Deserialize<'de> for Id<R> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}
