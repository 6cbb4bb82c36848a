//! The checksums: SHA-256, as lower-case hexadecimal digits.

use super::files::MARKER;
use crate::digest::full_digest;

/// The checksum of a text.
pub(super) fn of(text: &str) -> String {
    full_digest(text.as_bytes())
}

/// The checksum of a bundle: over its files in the given order, without the marker.
pub(super) fn of_bundle<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let files = files.filter(|(path, _)| *path != MARKER);
    let blocks: Vec<String> =
        files.map(|(path, content)| format!("{path}\n{}\n{content}", of(content))).collect();
    of(&blocks.join("\n---\n"))
}

/// The marker file of a skill.
pub(super) fn marker(
    slug: &str,
    version: &str,
    bundle: &str,
    entry_point: &str,
    module_format: &str,
) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let rows = [
        ("slug", slug),
        ("version", version),
        ("sha256", bundle),
        ("managedBy", "agent-factory"),
        ("entryPoint", entry_point),
        ("moduleFormat", module_format),
    ];
    let rows: Vec<String> =
        rows.iter().map(|(name, value)| format!("  \"{name}\": {}", quoted(value))).collect();
    format!("{{\n{}\n}}\n", rows.join(",\n"))
}

/// The version of a manifest: over its skills, each as slug, version, checksum of the bundle, and the paths and checksums
/// of its files.
pub(super) fn of_manifest<'a>(
    skills: impl Iterator<Item = (&'a str, &'a str, &'a str, Vec<(&'a str, &'a str)>)>,
) -> String {
    let mut skills: Vec<_> = skills.collect();
    skills.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
    let blocks: Vec<String> = skills
        .into_iter()
        .map(|(slug, version, bundle, mut files)| {
            files.retain(|(path, _)| *path != MARKER);
            files.sort_by(|one, other| one.0.encode_utf16().cmp(other.0.encode_utf16()));
            let files: Vec<String> = files.iter().map(|(path, sum)| format!("{path}:{sum}")).collect();
            format!("{slug}@{version}:{bundle}:{}", files.join(","))
        })
        .collect();
    if blocks.is_empty() { of("empty") } else { of(&blocks.join("|")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKILL: (&str, &str) = ("SKILL.md", "# demo\n");
    const SCRIPT: (&str, &str) = ("scripts/index.mjs", "export default {};\n");

    /// worker-pool B.10, the vector.
    #[test]
    fn the_checksums_of_the_demo_skill() {
        let skill = "bc70e26f40b8816eb177813dda1f5f529a27a4641d45aa19cae2348a8c6a5fe9";
        let script = "450f0af4f4c1ecc4c7180f2e364c8a59bfed69dd350fb6b47bce8641c2a37786";
        let bundle = "ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68";
        assert_eq!((of(SKILL.1).as_str(), of(SCRIPT.1).as_str()), (skill, script));
        let marker = marker("demo", "1.0.0", bundle, "default", "esm");
        assert_eq!(marker.len(), 207);
        assert_eq!(of(&marker), "41937f08ca66c1aa65af5256c202e9f4077032e933fcca60978fc5cebd4c6fac");
        assert_eq!(of_bundle([SCRIPT, SKILL, (MARKER, marker.as_str())].into_iter()), bundle);
        assert_ne!(of_bundle([SKILL, SCRIPT].into_iter()), bundle, "the order of the manifest counts");
        let files = vec![("scripts/index.mjs", script), ("SKILL.md", skill), (MARKER, "not counted")];
        assert_eq!(
            of_manifest([("demo", "1.0.0", bundle, files)].into_iter()),
            "54ade31617ccf67f776bc6177c01fa5fae3e2aca5ce5b5248e58da8627cc45e8"
        );
        assert_eq!(
            of_manifest(std::iter::empty()),
            "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"
        );
    }
}
