//! The document that lists the published skills.

use serde::{Deserialize, Serialize};

/// The layout that this program understands.
pub(super) const LAYOUT: &str = "openclaw-workspace-skill-v1";

/// A manifest, as the backend sends it. [`check`](super::check()) makes sure that it is right.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillManifest {
    /// The layout of the skills.
    pub layout_version: String,
    /// The checksum of the whole manifest.
    pub manifest_version: String,
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    pub generated_at: f64,
    /// The channel of its releases.
    #[serde(default)]
    pub release_channel: String,
    /// The workspace of the worker.
    #[serde(default)]
    pub workspace_id: String,
    /// The skills.
    pub skills: Vec<ManifestSkill>,
}

/// A skill of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestSkill {
    /// Its slug.
    pub slug: String,
    /// Its version.
    pub version: String,
    /// `esm` or `cjs`.
    pub module_format: String,
    /// The function that is called.
    #[serde(default)]
    pub entry_point: String,
    /// The checksum of its files.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The name of its folder.
    #[serde(default)]
    pub skill_dir_name: Option<String>,
    /// Its files. Their order counts for the checksum.
    pub files: Vec<ManifestFile>,
}

/// A file of a skill.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestFile {
    /// Its path within the folder of the skill.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Its checksum.
    #[serde(default)]
    pub sha256: Option<String>,
}
