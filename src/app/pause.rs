//! `pause` and `resume`: no new turns start, for all agents or for one. Running turns continue. Restarts keep
//! a pause.

use serde_json::json;

use super::exit::Exit;
use super::service_client::{CommandContext, ServiceEndpoint, ServiceLocation, refusal};
use super::{fail, print};
use mcr_core::ops::Paused;
use mcr_model::Roster;
use mcr_service::pool::WORKER_IDS;

/// The requested change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whether to pause; otherwise to resume.
    pub pause: bool,
    /// The agent, by slug or id. `None` means all agents.
    pub agent: Option<String>,
}

/// The pauses after a change.
struct Changed {
    paused: Paused,
    /// How many pauses a `resume` ended.
    ended: Option<usize>,
    /// Whether a running service made the change. Otherwise it applies from the next start on.
    by_service: bool,
    /// Why the change does not outlast a restart, if so.
    warning: Option<String>,
}

/// Makes the change: at once in a running service, otherwise from the next start on.
pub fn pause(at: &ServiceLocation, wanted: &Pause, as_json: bool) -> Exit {
    let context = match CommandContext::find(at, as_json) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    match change(&context, wanted) {
        Ok(changed) if as_json => {
            let Changed { paused, ended, by_service, warning } = changed;
            let paused = paused.cleaned(&|name| context.clean(name));
            let answer = json!({
                "success": true, "paused": paused, "ended": ended, "atOnce": by_service, "warning": warning,
            });
            print(&format!("{answer:#}\n"))
        }
        Ok(changed) => print(&context.clean(&changed.text(&context))),
        Err((exit, why)) => fail(as_json, exit, &[context.clean(&why)]),
    }
}

/// An error has an exit code and a sentence.
fn change(context: &CommandContext, wanted: &Pause) -> Result<Changed, (Exit, String)> {
    let failed = |why: String| (Exit::Failed, why);
    if let Some(service) = context.service().map_err(failed)? {
        return by_service(&service, wanted).map_err(failed);
    }
    if let Some(why) = context.uncertain() {
        return Err((Exit::Misconfigured, why));
    }
    if context.place.path().join(WORKER_IDS).exists() {
        return Err(failed(format!(
            "Nothing was changed: {} belongs to a worker of a pool, which has no pause; stop the worker, or the messages at the queue",
            context.place.path().display()
        )));
    }
    context.place.own_or_unused().map_err(|why| failed(format!("Nothing was changed: {why}.")))?;
    let mut paused = context.place.paused();
    let ended = if wanted.pause {
        paused.pause(wanted.agent.as_deref());
        None
    } else {
        Some(paused.resume(wanted.agent.as_deref(), &Roster::default()))
    };
    context.place.pause(&paused).map_err(failed)?;
    Ok(Changed { paused, ended, by_service: false, warning: None })
}

fn by_service(service: &ServiceEndpoint, wanted: &Pause) -> Result<Changed, String> {
    let path = if wanted.pause { "/pause" } else { "/resume" };
    let body = wanted.agent.as_ref().map_or(String::new(), |agent| json!({"agent": agent}).to_string());
    let (status, answer) = service.post(path, &body).map_err(|why| {
        format!(
            "The service at {} does not answer ({why}). Look at its log, or run `doctor`.",
            service.address
        )
    })?;
    if status != 200 {
        return Err(refusal(&answer).to_owned());
    }
    Ok(Changed {
        paused: serde_json::from_value(answer["paused"].clone()).unwrap_or_default(),
        ended: answer["ended"].as_u64().and_then(|ended| usize::try_from(ended).ok()),
        by_service: true,
        warning: answer["warning"].as_str().map(str::to_owned),
    })
}

impl Changed {
    fn text(&self, context: &CommandContext) -> String {
        let summary =
            self.ended.map_or_else(|| self.paused.in_words(), |ended| self.paused.after_resume(ended));
        let warning = self.warning.as_ref().map_or(String::new(), |warning| format!("{warning}\n"));
        if self.by_service {
            return format!("{summary}\n{warning}");
        }
        let shown = context.place.path().display();
        format!(
            "{summary}\nNo service runs on STATE_DIR {shown}, so nothing changes now: this applies from its next start on.\n"
        )
    }
}
