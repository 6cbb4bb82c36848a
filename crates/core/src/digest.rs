//! Digests that identify contents.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

/// The SHA-256 of a content, in hexadecimal digits.
pub fn full_digest(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Half of the digest of a text. That is enough to tell texts apart.
pub fn half_digest(text: &str) -> String {
    let mut digest = full_digest(text.as_bytes());
    digest.truncate(32);
    digest
}
