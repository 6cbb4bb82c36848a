//! A value that cannot be printed.
//!
//! Code that needs the text calls [`Secret::expose`], which is easy to search for. There is no other access: no
//! `Display`, no `Serialize`, and `Debug` shows only whether the value is empty.

use std::fmt;
use std::hint::black_box;

/// A token, key or password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text. An empty text is also a secret: it means "set, but blank".
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the code that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the same text. The comparison's duration does not reveal how much matches.
    pub fn is(&self, shown: &str) -> bool {
        same(self.0.as_bytes(), shown.as_bytes())
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Compares bytes in a time that depends only on their number.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    one.len() == other.len() && differs == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(***)" })
    }
}
