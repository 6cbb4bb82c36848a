//! Compares the skills on the disk with their markers.

use serde::Deserialize;

use super::files::{BUNDLE_BYTES_MAX, INSTRUCTIONS, MARKER, ModuleFormat};
use super::{collation, hash};

/// A folder within the folder of all skills, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillFolder {
    /// Its name.
    pub name: String,
    /// The text of its marker; none if it has no marker.
    pub marker: Option<String>,
    /// Its other files: path and text.
    pub files: Vec<(String, String)>,
    /// What could not be read, or is not a plain file, in words.
    pub strange: Vec<String>,
}

/// What a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkillState {
    /// As it was published.
    Intact {
        /// The slug and the version, as `slug@version`.
        skill: String,
    },
    /// Not as it was published, for these reasons.
    Changed(Vec<String>),
    /// It has no marker: no publisher manages it.
    Unmanaged,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkerFile {
    slug: String,
    version: String,
    sha256: String,
    module_format: String,
}

/// Compares a folder with its marker.
pub fn verify(folder: &SkillFolder) -> SkillState {
    let mut reasons = folder.strange.clone();
    let Some(marker) = &folder.marker else {
        // What cannot be read may be the marker.
        return if reasons.is_empty() { SkillState::Unmanaged } else { SkillState::Changed(reasons) };
    };
    let marker: MarkerFile = match serde_json::from_str(marker) {
        Ok(marker) => marker,
        Err(why) => {
            reasons.push(format!("`{MARKER}` cannot be read: {why}"));
            return SkillState::Changed(reasons);
        }
    };
    let has = |needed: &str| folder.files.iter().any(|(path, _)| path == needed);
    match ModuleFormat::parse(&marker.module_format) {
        Some(format) => {
            let needed = [INSTRUCTIONS, format.script()].into_iter().filter(|needed| !has(needed));
            reasons.extend(needed.map(|needed| format!("the file `{needed}` is missing")));
        }
        None => reasons.push(format!("the module format is `{}`", marker.module_format)),
    }
    let bytes: usize = folder.files.iter().map(|(_, content)| content.len()).sum();
    if bytes > BUNDLE_BYTES_MAX {
        reasons.push(format!("its files have {bytes} bytes, more than {BUNDLE_BYTES_MAX}"));
    }
    let mut files: Vec<(&str, &str)> =
        folder.files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    files.sort_by(|one, other| collation::compare(one.0, other.0));
    let sum = hash::of_bundle(files.into_iter());
    if sum != marker.sha256 {
        reasons.push(format!("the checksum of its files is {sum}, and its marker says {}", marker.sha256));
    }
    if reasons.is_empty() {
        SkillState::Intact { skill: format!("{}@{}", marker.slug, marker.version) }
    } else {
        SkillState::Changed(reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> SkillFolder {
        let bundle = "ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68";
        let files = [("SKILL.md", "# demo\n"), ("scripts/index.mjs", "export default {};\n")];
        SkillFolder {
            name: "demo".to_owned(),
            marker: Some(hash::marker("demo", "1.0.0", bundle, "default", "esm")),
            files: files.map(|(path, content)| (path.to_owned(), content.to_owned())).to_vec(),
            strange: Vec::new(),
        }
    }

    #[test]
    fn a_skill_is_intact_changed_or_unmanaged() {
        type Change = fn(&mut SkillFolder);
        assert_eq!(verify(&demo()), SkillState::Intact { skill: "demo@1.0.0".to_owned() });
        assert_eq!(verify(&SkillFolder { marker: None, ..demo() }), SkillState::Unmanaged);
        let strange = vec!["the marker is a link".to_owned()];
        let unreadable = SkillFolder { marker: None, strange: strange.clone(), ..demo() };
        assert_eq!(verify(&unreadable), SkillState::Changed(strange));
        let rows: [(&str, Change); 6] = [
            ("the checksum of its files", |skill| skill.files[0].1.push('x')),
            ("the checksum of its files", |skill| skill.files.push(("more.md".to_owned(), String::new()))),
            ("`SKILL.md` is missing", |skill| drop(skill.files.remove(0))),
            ("cannot be read", |skill| skill.marker = Some("{".to_owned())),
            ("the module format is `x`", |skill| {
                skill.marker = Some(hash::marker("demo", "1", "2", "default", "x"));
            }),
            ("`link` is a link", |skill| skill.strange.push("`link` is a link".to_owned())),
        ];
        for (words, change) in rows {
            let mut folder = demo();
            change(&mut folder);
            let SkillState::Changed(reasons) = verify(&folder) else { panic!("{words}") };
            assert!(reasons.iter().any(|reason| reason.contains(words)), "{words}: {reasons:?}");
        }
    }
}
