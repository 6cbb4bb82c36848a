//! Makes a bundle of a folder, as the component's function `globalSkillsDeploy` takes it.

use serde::Serialize;

use super::files::{
    BUNDLE_BYTES_MAX, INSTRUCTIONS, MARKER, ModuleFormat, clean_path, clean_slug, is_version,
};
use super::{collation, hash};

/// What to pack.
#[derive(Clone, Debug)]
pub struct PackRequest<'a> {
    /// The slug.
    pub slug: &'a str,
    /// The version.
    pub version: &'a str,
    /// The files: path and text.
    pub files: Vec<(String, String)>,
}

/// A bundle, with the checksums that publishing demands.
///
/// As JSON it is the argument object of `globalSkillsDeploy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The slug.
    pub slug: String,
    /// The version.
    pub version: String,
    /// `esm` or `cjs`.
    pub module_format: &'static str,
    /// The function that is called.
    pub entry_point: &'static str,
    /// The checksum of its files. The function computes it itself, and refuses a field with it.
    #[serde(skip)]
    pub sha256: String,
    /// The files, in the order of the publisher.
    pub files: Vec<BundleFile>,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BundleFile {
    /// Its path within the bundle.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Its checksum.
    pub sha256: String,
}

/// Packs a folder. The errors are sentences without the final full stop, one for each mistake.
pub fn pack(request: PackRequest<'_>) -> Result<Bundle, Vec<String>> {
    let mut mistakes = Vec::new();
    let slug = clean_slug(request.slug).unwrap_or_else(|why| {
        mistakes.push(format!("The name `{}` {why}", request.slug));
        String::new()
    });
    if !is_version(request.version) {
        mistakes.push(format!("The version `{}` is not of the form 1.2.3", request.version));
    }
    let mut files = request.files;
    for (path, _) in &mut files {
        match clean_path(path) {
            Ok(_) if !path.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
                mistakes
                    .push(format!("The path `{path}` has letters outside ASCII, whose order is not certain"));
            }
            Ok(clean) => *path = clean,
            Err(why) => mistakes.push(format!("The path `{path}` {why}")),
        }
    }
    let has = |needed: &str| files.iter().any(|(path, _)| path == needed);
    if has(MARKER) {
        mistakes.push(format!("The publisher writes `{MARKER}`; remove it from the folder"));
    }
    if !has(INSTRUCTIONS) {
        mistakes.push(format!("The file `{INSTRUCTIONS}` is missing"));
    }
    let formats: Vec<ModuleFormat> =
        [ModuleFormat::Esm, ModuleFormat::Cjs].into_iter().filter(|format| has(format.script())).collect();
    let format = match formats[..] {
        [format] => format,
        [] => {
            mistakes.push("The file `scripts/index.mjs` or `scripts/index.cjs` is missing".to_owned());
            ModuleFormat::Esm
        }
        _ => {
            mistakes
                .push("There are `scripts/index.mjs` and `scripts/index.cjs`; keep one of them".to_owned());
            ModuleFormat::Esm
        }
    };
    let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
    if bytes > BUNDLE_BYTES_MAX {
        mistakes.push(format!("The files have {bytes} bytes, more than {BUNDLE_BYTES_MAX}"));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    files.sort_by(|one, other| collation::compare(&one.0, &other.0));
    let sha256 = hash::of_bundle(files.iter().map(|(path, content)| (path.as_str(), content.as_str())));
    let files =
        files.into_iter().map(|(path, content)| BundleFile { sha256: hash::of(&content), path, content });
    Ok(Bundle {
        slug,
        version: request.version.to_owned(),
        module_format: format.as_str(),
        entry_point: "default",
        sha256,
        files: files.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(slug: &str, version: &str, files: &[(&str, &str)]) -> Result<Bundle, Vec<String>> {
        let files = files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect();
        pack(PackRequest { slug, version, files })
    }

    const DEMO: [(&str, &str); 2] = [("SKILL.md", "# demo\n"), ("scripts/index.mjs", "export default {};\n")];

    #[test]
    fn the_demo_skill_is_packed_as_in_the_vector() {
        let bundle = packed("Demo", "1.0.0", &DEMO).unwrap();
        assert_eq!(bundle.sha256, "ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68");
        let paths: Vec<&str> = bundle.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["scripts/index.mjs", "SKILL.md"]);
        assert_eq!((bundle.slug.as_str(), bundle.module_format), ("demo", "esm"));
        assert_eq!(
            bundle.files[1].sha256,
            "bc70e26f40b8816eb177813dda1f5f529a27a4641d45aa19cae2348a8c6a5fe9"
        );
    }

    #[test]
    fn every_mistake_is_named() {
        type Row<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str);
        let large = "x".repeat(BUNDLE_BYTES_MAX);
        let rows: [Row<'_>; 8] = [
            ("d", "1.0.0", DEMO.to_vec(), "The name `d` needs"),
            ("demo", "1.0", DEMO.to_vec(), "not of the form 1.2.3"),
            ("demo", "1.0.0", vec![DEMO[1]], "`SKILL.md` is missing"),
            ("demo", "1.0.0", vec![DEMO[0]], "`scripts/index.cjs` is missing"),
            ("demo", "1.0.0", vec![DEMO[0], DEMO[1], ("scripts/index.cjs", "")], "keep one of them"),
            ("demo", "1.0.0", vec![DEMO[0], DEMO[1], (MARKER, "{}")], "remove it from the folder"),
            ("demo", "1.0.0", vec![DEMO[0], DEMO[1], ("a", &large)], "more than 200000"),
            ("demo", "1.0.0", vec![DEMO[0], DEMO[1], ("é.md", "")], "outside ASCII"),
        ];
        for (slug, version, files, words) in rows {
            let mistakes = packed(slug, version, &files).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].contains(words), "{mistakes:?}");
        }
    }
}
