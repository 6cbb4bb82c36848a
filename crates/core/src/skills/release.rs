//! What a publisher adds to stored bundles: the marker file of each, and the version of a manifest.

use super::files::MARKER;
use super::hash;
use super::pack::BundleFile;

/// A bundle that was packed before.
#[derive(Clone, Debug)]
pub struct ReleasedSkill<'a> {
    /// The slug.
    pub slug: &'a str,
    /// The version.
    pub version: &'a str,
    /// The checksum of its files.
    pub sha256: &'a str,
    /// The function that is called.
    pub entry_point: &'a str,
    /// `esm` or `cjs`.
    pub module_format: &'a str,
    /// The paths and checksums of its files.
    pub files: Vec<(&'a str, &'a str)>,
}

/// The marker file of a bundle.
pub fn marker_of(skill: &ReleasedSkill<'_>) -> BundleFile {
    let ReleasedSkill { slug, version, sha256, entry_point, module_format, .. } = skill;
    let content = hash::marker(slug, version, sha256, entry_point, module_format);
    BundleFile { path: MARKER.to_owned(), sha256: hash::of(&content), content }
}

/// The version of a manifest with these bundles.
pub fn manifest_version(skills: &[ReleasedSkill<'_>]) -> String {
    hash::of_manifest(
        skills.iter().map(|skill| (skill.slug, skill.version, skill.sha256, skill.files.clone())),
    )
}
