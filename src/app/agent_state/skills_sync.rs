//! `skills sync`: installs the skills that the queue publishes.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::with_state;
use crate::app::command_env::CommandEnv;
use crate::app::exit::Exit;
use crate::app::print;
use mcr_service::skills::SkillsOutcome;

/// Runs the command.
pub(in crate::app) fn sync_skills(env_file: Option<&Path>, as_json: bool) -> Exit {
    let env = CommandEnv::load_worker(env_file);
    with_state(&env, as_json, Vec::new(), |state| {
        let outcome = state.skills().sync();
        if let SkillsOutcome::Failed { error, .. } = outcome {
            return Err(error);
        }
        if as_json {
            let mut shown = json!(outcome);
            shown["success"] = json!(true);
            return Ok(print(&format!("{shown:#}\n")));
        }
        Ok(print(&text(&outcome)))
    })
}

fn text(outcome: &SkillsOutcome) -> String {
    let SkillsOutcome::Ready { manifest_version, change } = outcome else {
        return "Nothing was done: SKILLS_BOOTSTRAP_MODE is off.\n".to_owned();
    };
    let mut text = format!("The skills are those of the manifest {manifest_version}.\n");
    let lists = [
        ("installed", &change.installed),
        ("unchanged", &change.unchanged),
        ("removed", &change.removed),
        ("not installed, since another folder has the name", &change.blocked),
        ("in quarantine", &change.quarantined),
    ];
    for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {what}: {}", names.join(", "));
    }
    text
}
