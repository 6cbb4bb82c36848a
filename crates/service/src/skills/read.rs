//! Reads the skills in a folder.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use mcr_core::skills::{BUNDLE_BYTES_MAX, MARKER, SkillFolder};

/// The most files of a skill.
const FILES_MAX: usize = 1_000;

/// The deepest folder of a skill.
const DEPTH_MAX: usize = 8;

/// Reads a folder of skills when it is called, so that one is in memory at a time.
pub type ReadSkill = Box<dyn FnOnce() -> SkillFolder>;

/// The folders of a folder of skills, by name. Files next to them, such as a lock file, are left out. The error is a
/// sentence.
pub fn folders(path: &Path) -> Result<Vec<(String, ReadSkill)>, String> {
    let unreadable = |why: std::io::Error| format!("{} cannot be read: {why}.", path.display());
    let mut found: Vec<(String, ReadSkill)> = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() {
            let (path, named) = (entry.path(), name.clone());
            found.push((name, Box::new(move || read_skill(&path, named))));
        } else if kind.is_symlink() {
            // A link to a folder would be used as a skill.
            let strange = vec!["it is a link".to_owned()];
            let skill = SkillFolder { name: name.clone(), marker: None, files: Vec::new(), strange };
            found.push((name, Box::new(move || skill)));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Reads the files of a skill. What is not a plain text file is named in `strange`.
pub fn read_skill(path: &Path, name: String) -> SkillFolder {
    let mut skill = SkillFolder { name, marker: None, files: Vec::new(), strange: Vec::new() };
    read_into(&mut skill, path, "", 0);
    let at = skill.files.iter().position(|(path, _)| path == MARKER);
    skill.marker = at.map(|at| skill.files.remove(at).1);
    skill
}

fn read_into(skill: &mut SkillFolder, folder: &Path, within: &str, depth: usize) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) => return skill.strange.push(format!("the folder `{within}` cannot be read: {why}")),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(why) => return skill.strange.push(format!("the folder `{within}` cannot be read: {why}")),
        };
        let Ok(name) = entry.file_name().into_string() else {
            skill
                .strange
                .push(format!("`{}` has a name that is not UTF-8", entry.file_name().to_string_lossy()));
            continue;
        };
        let path = format!("{within}{name}");
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(why) => {
                skill.strange.push(format!("`{path}` cannot be read: {why}"));
                continue;
            }
        };
        if skill.files.len() >= FILES_MAX || depth > DEPTH_MAX {
            return skill
                .strange
                .push(format!("it has more than {FILES_MAX} files or {DEPTH_MAX} levels of folders"));
        }
        if kind.is_dir() {
            read_into(skill, &entry.path(), &format!("{path}/"), depth + 1);
        } else if kind.is_file() {
            match read_text(&entry.path(), BUNDLE_BYTES_MAX as u64 + 1) {
                Ok(text) => {
                    skill.files.push((path, text));
                    let bytes: usize = skill.files.iter().map(|(_, text)| text.len()).sum();
                    if bytes > 2 * BUNDLE_BYTES_MAX {
                        return skill.strange.push("it has far more bytes than a bundle may have".to_owned());
                    }
                }
                Err(why) => skill.strange.push(format!("`{path}` {why}")),
            }
        } else {
            let what = if kind.is_symlink() { "a link" } else { "not a plain file" };
            skill.strange.push(format!("`{path}` is {what}"));
        }
    }
}

/// The text of a file. The error follows its name.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|why| format!("cannot be read: {why}"))?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|why| format!("cannot be read: {why}"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("has more than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}
