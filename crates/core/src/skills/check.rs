//! Checks a manifest as a whole. Nothing of it is used if one skill is not right.

use std::collections::BTreeSet;

use super::files::{
    BUNDLE_BYTES_MAX, INSTRUCTIONS, MARKER, ModuleFormat, clean_path, clean_slug, folder_name,
};
use super::hash;
use super::manifest::{LAYOUT, ManifestFile, ManifestSkill, SkillManifest};

/// The most skills of a manifest.
const SKILLS_MAX: usize = 1_000;

/// A manifest in which everything is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedManifest {
    /// The checksum of the whole.
    pub version: String,
    /// The skills, by the name of their folder.
    pub skills: Vec<CheckedSkill>,
}

/// A skill in which everything is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedSkill {
    /// The name of its folder.
    pub folder: String,
    /// Its slug.
    pub slug: String,
    /// Its version.
    pub version: String,
    /// The checksum of its bundle.
    pub sha256: String,
    /// Its files: path and text, the marker among them.
    pub files: Vec<(String, String)>,
}

/// Checks a manifest. The errors are sentences without the final full stop, one for each mistake.
pub fn check(manifest: &SkillManifest) -> Result<CheckedManifest, Vec<String>> {
    let mut mistakes = Vec::new();
    if manifest.layout_version != LAYOUT {
        mistakes.push(format!("The layout is `{}`, and only `{LAYOUT}` is known", manifest.layout_version));
    }
    if manifest.skills.len() > SKILLS_MAX {
        mistakes.push(format!("There are {} skills, more than {SKILLS_MAX}", manifest.skills.len()));
        return Err(mistakes);
    }
    let mut folders = BTreeSet::new();
    let mut skills = Vec::new();
    for skill in &manifest.skills {
        let mut report = |what: String| mistakes.push(format!("Skill `{}`: {what}", skill.slug));
        if let Some(checked) = check_skill(skill, &mut report) {
            if folders.insert(checked.folder.clone()) {
                skills.push(checked);
            } else {
                report(format!("another skill has the folder `{}`, too", checked.folder));
            }
        }
    }
    skills.sort_by(|one, other| one.folder.cmp(&other.folder));
    // The checksum of the whole only says something if the parts are right.
    if mistakes.is_empty() {
        let version = version_of(&skills);
        if version != manifest.manifest_version {
            mistakes.push(format!(
                "The manifest says that its checksum is `{}`, but its content has {version}",
                manifest.manifest_version
            ));
        }
    }
    if mistakes.is_empty() {
        Ok(CheckedManifest { version: manifest.manifest_version.clone(), skills })
    } else {
        Err(mistakes)
    }
}

fn version_of(skills: &[CheckedSkill]) -> String {
    let sums: Vec<Vec<(&str, String)>> = skills
        .iter()
        .map(|skill| skill.files.iter().map(|(path, content)| (path.as_str(), hash::of(content))).collect())
        .collect();
    hash::of_manifest(skills.iter().zip(&sums).map(|(skill, sums)| {
        let files = sums.iter().map(|(path, sum)| (*path, sum.as_str())).collect();
        (skill.slug.as_str(), skill.version.as_str(), skill.sha256.as_str(), files)
    }))
}

fn check_skill(skill: &ManifestSkill, report: &mut dyn FnMut(String)) -> Option<CheckedSkill> {
    let mut is_good = true;
    let mut refuse = |what: String| {
        is_good = false;
        report(what);
    };
    if let Err(why) = clean_slug(&skill.slug) {
        refuse(format!("the slug {why}"));
    }
    let Some(format) = ModuleFormat::parse(&skill.module_format) else {
        refuse(format!("the module format is `{}`, and only esm and cjs are known", skill.module_format));
        return None;
    };
    let mut files: Vec<(String, String)> = Vec::new();
    let mut spellings = BTreeSet::new();
    for ManifestFile { path, content, sha256 } in &skill.files {
        let clean = match clean_path(path) {
            Ok(clean) => clean,
            Err(why) => {
                refuse(format!("the path `{path}` {why}"));
                continue;
            }
        };
        // Some disks do not tell upper case from lower case.
        if !spellings.insert(clean.to_lowercase()) {
            refuse(format!("two files have the path `{clean}`"));
        }
        let sum = hash::of(content);
        if sha256.as_ref().is_some_and(|given| *given != sum) {
            refuse(format!("the checksum of `{clean}` is {sum}, not the one in the manifest"));
        }
        files.push((clean, content.clone()));
    }
    for (one, _) in &files {
        if files
            .iter()
            .any(|(other, _)| other.strip_prefix(one.as_str()).is_some_and(|rest| rest.starts_with('/')))
        {
            refuse(format!("`{one}` is a file and a folder"));
        }
    }
    for needed in [INSTRUCTIONS, format.script(), MARKER] {
        if !files.iter().any(|(path, _)| path == needed) {
            refuse(format!("the file `{needed}` is missing"));
        }
    }
    let bytes: usize =
        files.iter().filter(|(path, _)| path != MARKER).map(|(_, content)| content.len()).sum();
    if bytes > BUNDLE_BYTES_MAX {
        refuse(format!("its files have {bytes} bytes, more than {BUNDLE_BYTES_MAX}"));
    }
    let sum = hash::of_bundle(files.iter().map(|(path, content)| (path.as_str(), content.as_str())));
    if skill.sha256.as_ref().is_some_and(|given| *given != sum) {
        refuse(format!("the checksum of its files is {sum}, not the one in the manifest"));
    }
    let entry_point = if skill.entry_point.is_empty() { "default" } else { &skill.entry_point };
    let expected = hash::marker(&skill.slug, &skill.version, &sum, entry_point, format.as_str());
    if files.iter().any(|(path, content)| path == MARKER && *content != expected) {
        refuse(format!("`{MARKER}` does not agree with the manifest"));
    }
    let folder = folder_name(skill.skill_dir_name.as_deref().unwrap_or(&skill.slug));
    is_good.then(|| CheckedSkill {
        folder,
        slug: skill.slug.clone(),
        version: skill.version.clone(),
        sha256: sum,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> ManifestFile {
        ManifestFile { path: path.to_owned(), content: content.to_owned(), sha256: Some(hash::of(content)) }
    }

    /// A manifest with the demo skill of the vector, after a change of its skill. The checksums of bundle, marker and
    /// manifest follow the change.
    fn manifest(change: impl Fn(&mut ManifestSkill)) -> SkillManifest {
        let mut skill = ManifestSkill {
            slug: "demo".to_owned(),
            version: "1.0.0".to_owned(),
            module_format: "esm".to_owned(),
            entry_point: "default".to_owned(),
            files: vec![file("scripts/index.mjs", "export default {};\n"), file("SKILL.md", "# demo\n")],
            ..ManifestSkill::default()
        };
        change(&mut skill);
        let sum = hash::of_bundle(skill.files.iter().map(|file| (file.path.as_str(), file.content.as_str())));
        let marker =
            hash::marker(&skill.slug, &skill.version, &sum, &skill.entry_point, &skill.module_format);
        skill.files.push(file(MARKER, &marker));
        skill.sha256.get_or_insert(sum);
        sealed(vec![skill])
    }

    fn sealed(skills: Vec<ManifestSkill>) -> SkillManifest {
        let mut manifest =
            SkillManifest { layout_version: LAYOUT.to_owned(), skills, ..SkillManifest::default() };
        let checked: Vec<CheckedSkill> =
            manifest.skills.iter().filter_map(|skill| check_skill(skill, &mut |_| {})).collect();
        manifest.manifest_version = version_of(&checked);
        manifest
    }

    fn mistakes(manifest: &SkillManifest) -> String {
        check(manifest).map_or_else(|mistakes| mistakes.join("; "), |_| "good".to_owned())
    }

    #[test]
    fn the_demo_manifest_is_good_with_the_checksums_of_the_vector() {
        let checked = check(&manifest(|_| {})).unwrap();
        assert_eq!(checked.version, "54ade31617ccf67f776bc6177c01fa5fae3e2aca5ce5b5248e58da8627cc45e8");
        assert_eq!(checked.skills[0].folder, "demo");
        assert_eq!(
            checked.skills[0].sha256,
            "ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68"
        );
        assert_eq!(checked.skills[0].files.len(), 3);
        assert_eq!(mistakes(&sealed(Vec::new())), "good");
    }

    /// Each mistake in one skill refuses the whole, with the words that name it.
    #[test]
    fn one_mistake_refuses_the_whole() {
        type Change = fn(&mut ManifestSkill);
        let rows: [(&str, Change); 14] = [
            ("the slug needs", |skill| skill.slug = "../demo".to_owned()),
            ("only esm and cjs", |skill| skill.module_format = "wasm".to_owned()),
            ("`SKILL.md` is missing", |skill| drop(skill.files.remove(1))),
            ("`scripts/index.mjs` is missing", |skill| drop(skill.files.remove(0))),
            ("`scripts/index.cjs` is missing", |skill| skill.module_format = "cjs".to_owned()),
            ("the part `..`", |skill| skill.files.push(file("a/..", "x"))),
            ("the part `..`", |skill| skill.files.push(file("..\\..\\x", "x"))),
            ("an empty part", |skill| skill.files.push(file("a//b", "x"))),
            ("two files have the path", |skill| skill.files.push(file("/SKILL.md", "# other"))),
            ("two files have the path", |skill| skill.files.push(file("skill.MD", "# other"))),
            ("is a file and a folder", |skill| skill.files.push(file("SKILL.md/x", "x"))),
            ("more than 200000", |skill| skill.files.push(file("large", &"x".repeat(200_001)))),
            ("the checksum of `SKILL.md`", |skill| skill.files[1].sha256 = Some(hash::of("another"))),
            ("the checksum of its files", |skill| skill.sha256 = Some(hash::of("another"))),
        ];
        for (words, change) in rows {
            let found = mistakes(&manifest(change));
            assert!(found.contains(words), "{words}: {found}");
        }
    }

    #[test]
    fn mistakes_of_the_whole() {
        let mut bad = manifest(|_| {});
        bad.manifest_version = hash::of("another");
        assert!(mistakes(&bad).contains("says that its checksum is"), "{}", mistakes(&bad));
        let mut bad = manifest(|_| {});
        bad.layout_version = "v2".to_owned();
        assert!(mistakes(&bad).contains("only `openclaw-workspace-skill-v1` is known"));
        let mut bad = manifest(|_| {});
        bad.skills[0].files[2] = file(MARKER, "{}\n");
        assert!(mistakes(&bad).contains("does not agree with the manifest"), "{}", mistakes(&bad));
        let two = sealed([manifest(|_| {}).skills, manifest(|_| {}).skills].concat());
        assert!(mistakes(&two).contains("another skill has the folder `demo`"), "{}", mistakes(&two));
    }
}
