//! `pause` and `resume`: no new turns start, for all agents or for one. Running turns continue. Restarts keep
//! a pause.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::service_client::{CommandContext, refusal};
use super::{complain, print};
use mcr_core::ops::Paused;
use mcr_model::Roster;

/// The requested change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whether to pause; otherwise to resume.
    pub pause: bool,
    /// The agent, by slug or id. `None` means all agents.
    pub agent: Option<String>,
}

/// Makes the change: at once in a running service, otherwise from the next start on.
pub fn pause(env_file: Option<&Path>, wanted: &Pause) -> Exit {
    let context = match CommandContext::find(env_file) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    match change(&context, wanted) {
        Ok(words) => print(&context.clean(&words)),
        Err((exit, why)) => {
            complain(&context.clean(&why));
            exit
        }
    }
}

/// An error has an exit code and a sentence.
fn change(context: &CommandContext, wanted: &Pause) -> Result<String, (Exit, String)> {
    let failed = |why: String| (Exit::Failed, why);
    if let Some(service) = context.service().map_err(failed)? {
        let path = if wanted.pause { "/pause" } else { "/resume" };
        let body = wanted.agent.as_ref().map_or(String::new(), |agent| json!({"agent": agent}).to_string());
        let (status, answer) = service.post(path, &body).map_err(|why| {
            failed(format!(
                "The service at {} does not answer ({why}). Look at its log, or run `doctor`.",
                service.address
            ))
        })?;
        if status != 200 {
            return Err(failed(refusal(&answer).to_owned()));
        }
        let paused: Paused = serde_json::from_value(answer["paused"].clone()).unwrap_or_default();
        let warning = answer["warning"].as_str().map_or(String::new(), |warning| format!("{warning}\n"));
        let ended = answer["ended"].as_u64().and_then(|ended| usize::try_from(ended).ok());
        return Ok(format!("{}\n{warning}", summary(&paused, ended)));
    }
    if let Some(why) = context.uncertain() {
        return Err((Exit::Misconfigured, why));
    }
    let mut paused = context.place.paused();
    let ended = if wanted.pause {
        paused.pause(wanted.agent.as_deref());
        None
    } else {
        Some(paused.resume(wanted.agent.as_deref(), &Roster::default()))
    };
    context.place.pause(&paused).map_err(failed)?;
    let (summary, shown) = (summary(&paused, ended), context.place.path().display());
    Ok(format!(
        "{summary}\nNo service runs on STATE_DIR {shown}, so nothing changes now: this applies from its next start on.\n"
    ))
}

/// The pauses in force. After a `resume` also how many pauses it ended.
fn summary(paused: &Paused, ended: Option<usize>) -> String {
    ended.map_or_else(|| paused.in_words(), |ended| paused.after_resume(ended))
}
