//! The list of the files that the runtime wrote into a workspace.

use std::collections::BTreeMap;
use std::time::Duration;

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
    /// Its size.
    #[serde(default)]
    pub bytes: u64,
    /// Whether the text in Mission Control is longer than the gateway reads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// When it replaced the text of another program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Millis>,
    /// The state of the file in which it was found to have this content. While the file has this state, it is not read
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundState>,
}

/// The state of a file. Every write changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundState {
    /// The size.
    pub bytes: u64,
    /// The number of the file on its disk.
    pub inode: u64,
    /// The time of the last change, in nanoseconds since 1970.
    pub changed_ns: i64,
}

/// How long the operator is reminded that the text of another program was replaced.
const REPLACED_SHOWN: Duration = Duration::from_hours(24);

/// Two changes within this time may get the same time from the disk.
const CLOCK_STEP_MS: i64 = 1_000;

impl FoundState {
    /// Whether a later write certainly changes the stamp: the last change is old enough at this moment.
    pub fn is_settled(&self, now: Millis) -> bool {
        self.changed_ns / 1_000_000 <= now.0.saturating_sub(CLOCK_STEP_MS)
    }
}

impl Managed {
    /// When it replaced the text of another program, while the operator is reminded of that.
    pub(super) fn shown_replaced(&self, now: Millis) -> Option<Millis> {
        self.replaced.filter(|at| now.since(*at) < REPLACED_SHOWN)
    }
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
