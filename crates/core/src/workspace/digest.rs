//! The digest of a file's content.

use serde::{Deserialize, Serialize};

use crate::digest::full_digest;

/// The SHA-256 of a content, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of this content.
    pub fn of(content: &[u8]) -> Self {
        Self(full_digest(content))
    }
}
