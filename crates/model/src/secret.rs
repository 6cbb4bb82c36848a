//! A value that cannot be printed.
//!
//! Whoever needs the text says so with [`Secret::expose`], which is easy to search for. Nothing else gives it
//! away: there is no `Display`, no `Serialize`, and `Debug` shows only whether there is something.

use std::fmt;
use std::hint::black_box;

/// A token, key or password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in. An empty text is a secret too: it stands for "set, but blank".
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the same text. How long it takes does not tell how much of it is right.
    pub fn is(&self, shown: &str) -> bool {
        same(self.0.as_bytes(), shown.as_bytes())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether these are the same bytes, in a time that depends on nothing but their number.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    one.len() == other.len() && differs == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(***)" })
    }
}
