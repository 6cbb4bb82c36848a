//! `skills verify`, `skills pack` and `skills sync`: the skills that a queue component publishes, on the disk.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::agent_state::sync_skills;
use super::exit::Exit;
use super::{fail, print};
use mcr_core::skills::{
    CheckedManifest, MARKER, ManifestFile, ManifestSkill, PackRequest, SkillManifest, SkillState, check,
    pack, verify,
};
use mcr_model::visible;
use mcr_service::skills::{folders, read_skill, read_text};

/// The largest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skills {
    /// Check a manifest, a bundle, or the skills in a folder.
    Verify(PathBuf),
    /// Install the skills of the queue, with `--env-file`.
    Sync(Option<PathBuf>),
    /// Make a bundle of a folder.
    Pack {
        /// The folder.
        folder: PathBuf,
        /// `--as`: slug and version.
        name: (String, String),
    },
}

/// Runs the command.
pub fn skills(wanted: &Skills, as_json: bool) -> Exit {
    let result = match wanted {
        Skills::Verify(path) => verify_path(path, as_json),
        Skills::Sync(env_file) => Ok(sync_skills(env_file.as_deref(), as_json)),
        Skills::Pack { folder, name } => pack_folder(folder, name),
    };
    result.unwrap_or_else(|lines| fail(as_json, Exit::Failed, &lines))
}

fn verify_path(path: &Path, as_json: bool) -> Result<Exit, Vec<String>> {
    let shown = path.display();
    let kind = fs::metadata(path).map_err(|why| vec![format!("{shown} cannot be read: {why}.")])?;
    if kind.is_dir() {
        verify_folder(path, as_json)
    } else if kind.is_file() {
        verify_manifest(path, as_json)
    } else {
        Err(vec![format!("{shown} is neither a folder nor a plain file.")])
    }
}

fn verify_manifest(path: &Path, as_json: bool) -> Result<Exit, Vec<String>> {
    let shown = path.display();
    let text = read_text(path, MANIFEST_BYTES_MAX).map_err(|why| vec![format!("{shown} {why}.")])?;
    // Only a manifest has the field `skills`, and only a bundle has files of its own.
    if let Ok(bundle) = serde_json::from_str::<ManifestSkill>(&text) {
        return verify_bundle(path, &bundle, as_json);
    }
    let manifest: SkillManifest = serde_json::from_str(&text)
        .map_err(|why| vec![format!("{shown} is neither a manifest of skills nor a bundle: {why}.")])?;
    let CheckedManifest { version, skills } = check(&manifest).map_err(|mistakes| {
        let head = format!("{shown} must not be used, not even in part:");
        [head]
            .into_iter()
            .chain(mistakes.into_iter().map(|mistake| format!("  {mistake}.")))
            .collect::<Vec<_>>()
    })?;
    if as_json {
        let rows: Vec<_> = skills
            .iter()
            .map(|skill| json!({"folder": skill.folder, "slug": skill.slug, "version": skill.version, "sha256": skill.sha256}))
            .collect();
        return Ok(print(&format!(
            "{:#}\n",
            json!({"success": true, "manifestVersion": version, "skills": rows})
        )));
    }
    let mut text = format!("The manifest is good: {} skills, checksum {version}.\n", skills.len());
    for skill in &skills {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {}: {}@{}", skill.folder, skill.slug, skill.version);
    }
    Ok(print(&text))
}

/// A bundle, as `skills pack` prints it: packed again, it must be the same.
fn verify_bundle(path: &Path, bundle: &ManifestSkill, as_json: bool) -> Result<Exit, Vec<String>> {
    let shown = path.display();
    let of = |file: &ManifestFile| (file.path.clone(), file.content.clone());
    let files = bundle.files.iter().map(of).collect();
    let bad = |mistakes: Vec<String>| {
        let head = [format!("{shown} must not be published:")];
        head.into_iter()
            .chain(mistakes.into_iter().map(|mistake| format!("  {mistake}.")))
            .collect::<Vec<_>>()
    };
    let packed = pack(PackRequest { slug: &bundle.slug, version: &bundle.version, files }).map_err(bad)?;
    let mut mistakes = Vec::new();
    let computed = [("sha256", &bundle.sha256), ("skillDirName", &bundle.skill_dir_name)];
    for (field, _) in computed.iter().filter(|(_, given)| given.is_some()) {
        mistakes.push(format!("The publisher computes `{field}` and refuses the field; pack it again"));
    }
    if !bundle.entry_point.is_empty() && bundle.entry_point != packed.entry_point {
        let (given, needed) = (&bundle.entry_point, packed.entry_point);
        mistakes.push(format!("Its entry point is `{given}`, not `{needed}`; pack it again"));
    }
    if bundle.module_format != packed.module_format {
        mistakes.push(format!(
            "Its script is of the format {}, not {}",
            packed.module_format, bundle.module_format
        ));
    }
    for file in &packed.files {
        let given = bundle.files.iter().find(|given| given.path.trim_start_matches('/') == file.path);
        let sum = given.and_then(|given| given.sha256.as_deref()).unwrap_or_default();
        if !sum.eq_ignore_ascii_case(&file.sha256) {
            mistakes.push(format!(
                "The checksum of `{}` is {}, not `{sum}`; pack it again",
                file.path, file.sha256
            ));
        }
    }
    if !mistakes.is_empty() {
        return Err(bad(mistakes));
    }
    let (slug, version, sha256) = (&packed.slug, &packed.version, &packed.sha256);
    if as_json {
        let skill = json!({"slug": slug, "version": version, "sha256": sha256, "files": packed.files.len()});
        return Ok(print(&format!("{:#}\n", json!({"success": true, "bundle": skill}))));
    }
    let count = packed.files.len();
    Ok(print(&format!("The bundle {slug}@{version} is good: {count} files, checksum {sha256}.\n")))
}

fn verify_folder(path: &Path, as_json: bool) -> Result<Exit, Vec<String>> {
    let mut rows = Vec::new();
    let mut is_good = true;
    for (name, folder) in folders(path).map_err(|why| vec![why])? {
        let state = verify(&folder());
        is_good &= !matches!(state, SkillState::Changed(_));
        let (word, skill, reasons) = match state {
            SkillState::Intact { skill } => ("intact", Some(skill), Vec::new()),
            SkillState::Changed(reasons) => ("changed", None, reasons),
            SkillState::Unmanaged => ("unmanaged", None, Vec::new()),
        };
        rows.push(json!({"folder": name, "state": word, "skill": skill, "reasons": reasons}));
    }
    let printed = if as_json {
        print(&format!("{:#}\n", json!({"success": is_good, "skills": rows})))
    } else {
        print(&rows.iter().map(row).collect::<String>())
    };
    Ok(if is_good { printed } else { Exit::Failed })
}

/// A row for people.
fn row(row: &serde_json::Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let skill = row["skill"].as_str().map(|skill| format!(" ({skill})")).unwrap_or_default();
    // A name with a line end must not look like a row of its own.
    let mut shown = format!("{:<10} ", text("state"));
    visible::push_line(&mut shown, &format!("{}{skill}", text("folder")));
    shown.push('\n');
    for reason in row["reasons"].as_array().into_iter().flatten() {
        shown.push_str("    ");
        visible::push_line(&mut shown, reason.as_str().unwrap_or_default());
        shown.push('\n');
    }
    shown
}

fn pack_folder(path: &Path, (slug, version): &(String, String)) -> Result<Exit, Vec<String>> {
    let shown = path.display();
    if !fs::metadata(path).map_err(|why| vec![format!("{shown} cannot be read: {why}.")])?.is_dir() {
        return Err(vec![format!("{shown} is not a folder.")]);
    }
    let skill = read_skill(path, String::new());
    let marker = skill.marker.map(|text| (MARKER.to_owned(), text));
    let files = skill.files.into_iter().chain(marker).collect();
    let packed = if skill.strange.is_empty() {
        pack(PackRequest { slug, version, files })
    } else {
        Err(skill.strange.iter().map(|what| format!("{}{}", what[..1].to_uppercase(), &what[1..])).collect())
    };
    let bundle = packed.map_err(|mistakes| {
        let head = format!("{shown} cannot be packed:");
        [head]
            .into_iter()
            .chain(mistakes.into_iter().map(|mistake| format!("  {mistake}.")))
            .collect::<Vec<_>>()
    })?;
    // A bundle of texts can always be written.
    let text = serde_json::to_string_pretty(&bundle).unwrap_or_default();
    Ok(print(&format!("{text}\n")))
}
