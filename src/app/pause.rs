//! `pause` and `resume`: no new turns begin, of anybody or of one agent; what runs goes on. It outlives restarts.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::service_client::{CommandContext, refusal};
use super::{complain, print};
use mcr_core::ops::Paused;
use mcr_model::Roster;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whether turns are to wait; otherwise not any longer.
    pub pause: bool,
    /// Whose, by slug or id; none for everybody's.
    pub agent: Option<String>,
}

/// Does it: on a running service at once, on a stopped one from the next start on.
pub fn pause(env_file: Option<&Path>, wanted: &Pause) -> Exit {
    let footing = match CommandContext::find(env_file) {
        Ok(footing) => footing,
        Err(exit) => return exit,
    };
    match change(&footing, wanted) {
        Ok(words) => print(&footing.clean(&words)),
        Err((exit, why)) => {
            complain(&footing.clean(&why));
            exit
        }
    }
}

/// The error is the exit code and a sentence.
fn change(footing: &CommandContext, wanted: &Pause) -> Result<String, (Exit, String)> {
    let failed = |why: String| (Exit::Failed, why);
    if let Some(service) = footing.service().map_err(failed)? {
        let path = if wanted.pause { "/pause" } else { "/resume" };
        let body = wanted.agent.as_ref().map_or(String::new(), |agent| json!({"agent": agent}).to_string());
        let (status, answer) = service
            .post(path, &body)
            .map_err(|why| failed(format!("The service at {} does not answer ({why}).", service.address)))?;
        if status != 200 {
            return Err(failed(refusal(&answer).to_owned()));
        }
        let paused: Paused = serde_json::from_value(answer["paused"].clone()).unwrap_or_default();
        let warning = answer["warning"].as_str().map_or(String::new(), |warning| format!("{warning}\n"));
        let ended = answer["ended"].as_u64().and_then(|ended| usize::try_from(ended).ok());
        return Ok(format!("{}\n{warning}", told(&paused, ended)));
    }
    if let Some(why) = footing.uncertain() {
        return Err((Exit::Misconfigured, why));
    }
    let mut paused = footing.place.paused();
    let ended = if wanted.pause {
        paused.pause(wanted.agent.as_deref());
        None
    } else {
        Some(paused.resume(wanted.agent.as_deref(), &Roster::default()))
    };
    footing.place.pause(&paused).map_err(failed)?;
    Ok(format!("{}\nNo service runs here: this counts from its next start on.\n", told(&paused, ended)))
}

/// What is paused now; after a `resume` also how many pauses it has ended.
fn told(paused: &Paused, ended: Option<usize>) -> String {
    ended.map_or_else(|| paused.in_words(), |ended| paused.after_resume(ended))
}
