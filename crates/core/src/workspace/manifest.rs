//! The list of the files that the runtime wrote into a workspace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Digest, FilePath, Layout};
use mcr_model::clock::Millis;

/// The files that the runtime wrote. Fields of newer versions are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of the files.
    #[serde(default)]
    pub layout: Layout,
    /// The files by their paths.
    pub files: BTreeMap<FilePath, Managed>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A file that the runtime wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managed {
    /// The content that was written.
    pub sha256: Digest,
    /// When it was written.
    pub at: Millis,
}

impl Manifest {
    /// Reads a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|why| why.to_string())
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a map with text keys always makes JSON");
        format!("{text}\n")
    }

    /// When the runtime last wrote a file.
    pub fn changed_at(&self) -> Option<Millis> {
        self.files.values().map(|file| file.at).max()
    }
}
