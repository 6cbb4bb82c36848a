//! Providers' keys that people store in Mission Control, as variables for the gateway.
//!
//! [`name`] decides which variables a key may set. [`mod@file`] turns keys into the text of an env file that the gateway's
//! start script, systemd and [`file::entries`] read alike. [`sync`] decides what an answer of Mission Control changes.

pub mod file;
pub mod name;
pub mod sync;

use mcr_model::secret::Secret;

/// A key as Mission Control returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The name of its variable.
    pub name: String,
    /// The key.
    pub value: Secret,
}
