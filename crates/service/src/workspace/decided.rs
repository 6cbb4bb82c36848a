//! The changes of a workspace that are decided: the content of `next.json`.

use std::fmt;

use mcr_core::workspace::{Digest, FilePath, Manifest};
use serde::{Deserialize, Serialize};

pub(super) const STAGED: &str = "staged-";

/// The changes that are decided.
#[derive(Serialize, Deserialize)]
pub(super) struct DecidedChanges {
    pub(super) manifest: Manifest,
    pub(super) steps: Vec<DecidedStep>,
}

/// A change of one file.
#[derive(Serialize, Deserialize)]
pub(super) struct DecidedStep {
    pub(super) path: FilePath,
    #[serde(flatten)]
    pub(super) kind: StepKind,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "change")]
pub(super) enum StepKind {
    Write { staged: StagedName, sha256: Digest, ours: Option<Digest> },
    Create { staged: StagedName },
    Folder,
    Remove { ours: Option<Digest> },
}

/// The name of a new content in the runtime's own folder: `staged-` and a number.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct StagedName(pub(super) u32);

impl TryFrom<String> for StagedName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let number = name.strip_prefix(STAGED).and_then(|number| number.parse().ok()).map(Self);
        number
            .filter(|staged| staged.to_string() == name)
            .ok_or_else(|| format!("{name:?} is no staged file"))
    }
}

impl From<StagedName> for String {
    fn from(staged: StagedName) -> Self {
        staged.to_string()
    }
}

impl fmt::Display for StagedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STAGED}{}", self.0)
    }
}
