//! The workspaces of agents: their files as runtime-behaviour §7 describes them, and what the plan never does.

mod hostile;
mod names;
mod plans;
mod profiles;
mod properties;
mod rules;
mod skills;
mod unchanged;
mod writing;

use std::collections::BTreeMap;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::model::AgentProfile;
use mission_control_runtime::workspace::{
    Desired, Digest, FileChange, FilePath, FoundFile, FoundFiles, Layout, Manifest, ProfileTexts, desired,
    paths, plan,
};
use serde_json::{Value, json};

/// 2026-11-30, noon.
pub(crate) const NOW: Millis = Millis(1_796_040_000_000);

pub(crate) fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap_or_else(|| panic!("{text}"))
}

/// An agent as `listAgentsForRuntime` returns it, with these fields changed.
pub(crate) fn profile(changes: &Value) -> AgentProfile {
    let mut row = json!({
        "_id": "a1", "name": "Jonas", "slug": "engineer", "role": "Builds",
        "effectiveSoulContent": "  # Soul\n\nBuild small things.\n\n", "effectiveUserMd": "Robin owns the place.",
        "effectiveIdentityContent": "Jonas, engineer", "resolvedSkills": [],
    });
    row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

pub(crate) fn skill(slug: &str, text: &str) -> Value {
    json!({"_id": format!("skill-{slug}"), "name": "A skill", "slug": slug, "description": "Does it.", "contentMarkdown": text})
}

pub(crate) fn texts() -> ProfileTexts {
    ProfileTexts { agents: "# Rules\n".to_owned(), heartbeat: "# Beat\n".to_owned() }
}

pub(crate) fn files_of(changes: &Value, layout: Layout) -> Desired {
    desired(&profile(changes), &texts(), layout, NOW)
}

/// A workspace in memory. It keeps copies as the writer does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) copies: Vec<String>,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) adopts: bool,
}

impl Disk {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { files: files.collect(), ..Self::default() }
    }

    pub(crate) fn found(&self, desired: &Desired) -> FoundFiles {
        let files = paths(desired, self.manifest.as_ref()).into_iter().filter_map(|path| {
            let text = self.files.get(path.as_str())?;
            let found = match text.as_str() {
                "<folder>" => FoundFile::Obstacle,
                "<large>" => FoundFile::Large,
                text => FoundFile::Content(Digest::of(text.as_bytes())),
            };
            Some((path, found))
        });
        let (manifest, adopts) = (self.manifest.clone(), self.adopts);
        FoundFiles { files: files.collect(), manifest, adopts, ..FoundFiles::default() }
    }

    /// Carries out the plan, and returns its operations and warnings as lines.
    pub(crate) fn sync(&mut self, desired: &Desired, now: Millis) -> Vec<String> {
        let plan = plan(desired, &self.found(desired), now);
        let mut lines = Vec::new();
        for operation in &plan.operations {
            let (path, text, verb) = match operation {
                FileChange::Write { path, content, .. } => (path, Some(content.as_str()), "write"),
                FileChange::Create { path, content } => (path, Some(*content), "create"),
                FileChange::Folder(path) => (path, Some("<folder>"), "folder"),
                FileChange::Remove { path, .. } => (path, None, "remove"),
            };
            lines.push(format!("{verb} {path}"));
            let before = self.files.remove(path.as_str());
            if let FileChange::Write { ours, .. } | FileChange::Remove { ours, .. } = operation
                && let Some(before) = before
                && ours.as_ref() != Some(&Digest::of(before.as_bytes()))
            {
                self.copies.push(before);
            }
            if let Some(text) = text {
                self.files.insert(path.to_string(), text.to_owned());
            }
        }
        lines.extend(plan.warnings.iter().map(|warning| format!("warn {warning}")));
        self.manifest = Some(plan.manifest);
        lines
    }
}
