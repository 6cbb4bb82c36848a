//! Checks of the files that the operator and the agents share: the checklist of heartbeats, and the folder of workspaces.

use std::path::{Path, PathBuf};

use super::disk::try_to_make;
use super::{Check, CheckResult};
use mcr_config::Settings;
use mcr_core::workspace::OWN_FOLDER;
use mcr_service::heartbeat::checklist_file;

/// The check; none if the service uses neither.
pub(super) fn check(settings: &Settings) -> Option<Check> {
    let mut check = Check::new("agent files", CheckResult::Good, Vec::new());
    let root = settings.agents.profile_sync.then_some(settings.agents.workspace_root.as_path());
    if let Some(file) = &settings.heartbeats.checklist {
        check_checklist(&mut check, file, &settings.agents.workspace_root);
    }
    if let Some(root) = root {
        check_root(&mut check, root);
    }
    (!check.sentences.is_empty()).then_some(check)
}

fn check_checklist(check: &mut Check, file: &Path, root: &Path) {
    let shown = file.display();
    if file.is_relative() {
        check.wrong(format!(
            "HEARTBEAT_CHECKLIST {shown} is not an absolute path, so it depends on the folder in which the service starts: \
             name the file from /"
        ));
    }
    if let Err(why) = checklist_file::read(file) {
        check.wrong(format!(
            "HEARTBEAT_CHECKLIST {shown} is not used ({why}), so heartbeats have the built-in checklist: correct the file \
             or the variable"
        ));
    } else if file.starts_with(root) || inside_workspace(file).is_some() {
        check.wrong(format!(
            "HEARTBEAT_CHECKLIST {shown} is in an agent's folder, so agents can change their own checklist: move it out of \
             {}",
            root.display()
        ));
    } else {
        check.say(format!("heartbeats have the checklist {shown}"));
    }
}

fn check_root(check: &mut Check, root: &Path) {
    let shown = root.display();
    if root.is_relative() {
        check.wrong(format!(
            "OPENCLAW_WORKSPACE_ROOT {shown} is not an absolute path, and the gateway starts in another folder: name the \
             folder from /"
        ));
    }
    if root.exists() && !root.is_dir() {
        check.wrong(format!(
            "OPENCLAW_WORKSPACE_ROOT {shown} is a file: name a folder, or move the file away"
        ));
    } else if let Some(workspace) = inside_workspace(root) {
        check.wrong(format!(
            "OPENCLAW_WORKSPACE_ROOT {shown} is inside the workspace {}: name the folder that has all workspaces",
            workspace.display()
        ));
    } else if let Err(why) = try_to_make(&root.join("workspace")) {
        check.wrong(format!(
            "OPENCLAW_WORKSPACE_ROOT {shown} cannot be written ({why}): make it writable for the user of the service, or name \
             another folder"
        ));
    } else if check.verdict == CheckResult::Good {
        check.say(format!("workspaces are written to {shown}"));
    }
}

/// The agent's workspace that contains this path or is this path.
fn inside_workspace(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|folder| folder.join(OWN_FOLDER).join("manifest.json").exists()).map(Path::to_owned)
}
