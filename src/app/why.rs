//! The command `why`: explains what happened to a notification, a task or an agent, why, and what happens next.

use std::time::Duration;

use serde_json::{Value, json};

use super::command_env::CommandEnv;
use super::delivery_report::LookUp;
use super::exit::Exit;
use super::service_client::{CommandContext, ServiceLocation, is_word, refusal};
use super::{fail, print};
use mcr_clients::convex::Backoff;
use mcr_clients::mission::ListUndelivered;
use mcr_clients::wire::Stop;
use mcr_core::ops::Finding;
use mcr_model::Notification;
use mcr_model::limits::UNDELIVERED_ROWS;

/// How long Mission Control may take to list the unsettled notifications.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status of the service's answer if several ids begin with the typed text, or the text is too short.
pub(super) const AMBIGUOUS: u16 = 409;

/// An explanation, and where it comes from if no service was asked.
pub(super) struct Answer {
    pub(super) finding: Finding,
    pub(super) note: Option<String>,
}

/// Why there is no explanation: the exit code, and the lines to print.
pub(super) type Failure = (Exit, Vec<String>);

/// What Mission Control lists as unsettled. The error says why it was not asked, or did not answer: the end of a
/// sentence.
pub(super) type Waiting = Result<Vec<Notification>, String>;

/// Finds the explanation for `id` and prints it.
pub fn why(at: &ServiceLocation, id: &str, as_json: bool) -> Exit {
    let env = CommandEnv::load(at.env_file.as_deref());
    let context = match CommandContext::on(&env, at, as_json) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    match look(&context, &|| listed(&env), id) {
        Ok(answer) => print(&answer.shown(as_json)),
        Err((exit, lines)) => fail(as_json, exit, &lines),
    }
}

impl Answer {
    /// The answer for people or for programs.
    pub(super) fn shown(&self, as_json: bool) -> String {
        if as_json {
            let mut object = json!(self.finding);
            if let Some(note) = &self.note {
                object["note"] = note.as_str().into();
            }
            return format!("{object:#}\n");
        }
        let note = self.note.as_ref().map_or(String::new(), |note| format!("{note}\n"));
        format!("{note}{}", self.finding.text())
    }
}

/// The notifications that Mission Control lists as not settled: the oldest 500.
fn listed(env: &CommandEnv) -> Waiting {
    let Some(settings) = &env.configuration.settings else {
        let why = if env.configuration.report.errors().any(|found| found.is_absence) {
            "its address and token are not configured here"
        } else {
            "the configuration is invalid: run `doctor`, which lists each mistake"
        };
        return Err(why.to_owned());
    };
    let way = env.connect(settings, Backoff::never()).map_err(|why| why.to_string())?;
    let mission = way.mission(settings, &Stop::new());
    let listed = mission.ask_within(PATIENCE, &ListUndelivered { limit: UNDELIVERED_ROWS });
    listed.map(|listed| listed.rows).map_err(|why| why.to_string())
}

/// Requests the explanation from the service, which knows more than the ledger. If no service answers, searches the
/// ledger, and the rows of Mission Control that have not been started.
pub(super) fn look(
    context: &CommandContext,
    listed: &dyn Fn() -> Waiting,
    id: &str,
) -> Result<Answer, Failure> {
    let failed = |lines: Vec<String>| (Exit::Failed, lines);
    if !is_word(id) {
        return Err(failed(vec![format!(
            "{} is not an id. Give the id of a notification, a task or an agent, or the slug of an agent.",
            context.clean(id)
        )]));
    }
    let mut absent = "No service runs here".to_owned();
    if let Some(service) = context.service().map_err(|why| failed(vec![why]))? {
        match service.get(&format!("/why/{id}")) {
            Ok((200, finding)) => {
                let finding = serde_json::from_value(finding).map_err(|_| {
                    failed(vec!["The running service has another version than this command. Use the program of the service, or restart the service.".to_owned()])
                })?;
                return Ok(Answer { finding, note: None });
            }
            Ok((status, answer)) => {
                let lines =
                    |name: &str| answer[name].as_array().into_iter().flatten().filter_map(Value::as_str);
                let error = refusal(&answer);
                let lines = [error].into_iter().chain(lines("candidates")).chain(lines("blocks"));
                let exit = if status == AMBIGUOUS { Exit::Misused } else { Exit::Failed };
                return Err((exit, lines.map(str::to_owned).collect()));
            }
            Err(why) => absent = format!("The service at {} does not answer ({why})", service.address),
        }
    }
    let (waiting, not_asked) = match listed() {
        Ok(waiting) => (waiting, None),
        Err(why) => (Vec::new(), Some(context.clean(&why))),
    };
    let shown = context.place.path().display();
    let searched = not_asked.as_ref().map_or_else(
        || "Mission Control's list of unsettled notifications was searched as well".to_owned(),
        |why| format!("Mission Control was not searched: {why}"),
    );
    let found = context.tell(waiting, |report| (report.look_up(id), report.cases.len()));
    let (found, known) = found
        .map_err(|why| failed(vec![format!("The ledger cannot be read: {why}."), format!("{absent}.")]))?;
    match found {
        LookUp::Found(finding) => {
            let finding = finding.cleaned(&|text| context.clean(text));
            let note = format!("{absent}: this is what the ledger in {shown} says. {searched}.");
            Ok(Answer { finding, note: Some(note) })
        }
        LookUp::Idle(slug) => {
            let finding = Finding::idle(&context.clean(&slug), &[]);
            Ok(Answer { finding, note: Some(format!("{absent}. {searched}.")) })
        }
        LookUp::Refused(lines) => {
            Err((Exit::Misused, lines.iter().map(|line| context.clean(line)).collect()))
        }
        LookUp::Unknown => {
            let lacks = format!("the ledger in {shown} does not have it");
            let trouble = context.place.trouble().map(|why| format!("{why}."));
            let mut lines = vec![unknown(&context.clean(id), &lacks, known)];
            lines.push(trouble.unwrap_or_else(|| format!("{absent}. {searched}.")));
            Err(failed(lines))
        }
    }
}

/// The answer if nothing matches the id. `asked` names the searched sources, which have `among` deliveries.
pub(super) fn unknown(id: &str, asked: &str, among: usize) -> String {
    let deliveries = if among == 1 { "delivery" } else { "deliveries" };
    format!(
        "No agent, task or notification matches “{id}”: {asked}. Searched: {among} {deliveries}, each by notification, \
         task and agent. A task without deliveries is not found."
    )
}
