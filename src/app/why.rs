//! The command `why`: explains what happened to a notification, a task or an agent, why, and what happens next.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::command_env::CommandEnv;
use super::exit::Exit;
use super::service_client::{CommandContext, is_word};
use super::{complain, print};
use mcr_clients::convex::Backoff;
use mcr_clients::mission::ListUndelivered;
use mcr_clients::wire::Stop;
use mcr_core::ops::Finding;
use mcr_model::Notification;
use mcr_model::limits::UNDELIVERED_ROWS;

/// How long Mission Control may take to list the unsettled notifications.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds the explanation for `id` and prints it.
pub fn why(env_file: Option<&Path>, id: &str, as_json: bool) -> Exit {
    let env = CommandEnv::load(env_file);
    let footing = match CommandContext::on(&env) {
        Ok(footing) => footing,
        Err(exit) => return exit,
    };
    match look(&footing, &|| listed(&env), id) {
        Ok(finding) => print(&shown(&finding, as_json)),
        Err(lines) if as_json => {
            print(&format!("{:#}\n", json!({"success": false, "error": lines[0], "blocks": lines[1..]})));
            Exit::Failed
        }
        Err(lines) => complain(&lines.join("\n")),
    }
}

fn shown(finding: &Finding, as_json: bool) -> String {
    if as_json { format!("{:#}\n", json!(finding)) } else { finding.text() }
}

/// The notifications that Mission Control lists as not settled: the oldest 500. The error is the end of a sentence.
fn listed(env: &CommandEnv) -> Result<Vec<Notification>, String> {
    let settings = env
        .configuration
        .settings
        .as_ref()
        .ok_or("the configuration is invalid: run `doctor`, which lists each mistake")?;
    let way = env.connect(settings, Backoff::never()).map_err(|why| why.to_string())?;
    let mission = way.mission(settings, &Stop::new());
    let listed = mission.ask_within(PATIENCE, &ListUndelivered { limit: UNDELIVERED_ROWS });
    listed.map(|listed| listed.rows).map_err(|why| why.to_string())
}

/// Requests the explanation from the service, which knows more than the ledger. If no service answers, searches the
/// ledger, and the rows of Mission Control that have not been started. The error holds the lines to print.
pub(super) fn look(
    footing: &CommandContext,
    listed: &dyn Fn() -> Result<Vec<Notification>, String>,
    id: &str,
) -> Result<Finding, Vec<String>> {
    if !is_word(id) {
        return Err(vec![format!(
            "{} is not an id. Give the id of a notification, a task or an agent, or the slug of an agent.",
            footing.clean(id)
        )]);
    }
    let mut looked = "no service runs here".to_owned();
    if let Some(service) = footing.service().map_err(|why| vec![why])? {
        match service.get(&format!("/why/{id}")) {
            Ok((200, finding)) => {
                return serde_json::from_value(finding).map_err(|_| {
                    vec!["The running service has another version than this command. Use the program of the service, or restart the service.".to_owned()]
                });
            }
            Ok((_, answer)) => {
                let blocks =
                    answer["blocks"].as_array().into_iter().flatten().filter_map(|block| block.as_str());
                let error = super::service_client::refusal(&answer);
                return Err([error].into_iter().chain(blocks).map(str::to_owned).collect());
            }
            Err(why) => looked = format!("the service at {} does not answer ({why})", service.address),
        }
    }
    let (waiting, unasked) = match listed() {
        Ok(waiting) => (waiting, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let told = footing.tell(waiting, |book| {
        let finding = book.find(id).map(|finding| finding.cleaned(&|text| footing.clean(text)));
        finding.ok_or(book.cases.len())
    });
    match told {
        Ok(Ok(finding)) => Ok(finding),
        Ok(Err(known)) => {
            let lacks = format!("the ledger in {} does not have it", footing.place.path().display());
            let mut lines = vec![unknown(&footing.clean(id), &lacks, known)];
            lines.push(match (footing.place.trouble(), unasked) {
                (Some(why), _) => format!("{why}."),
                (None, None) => format!("Neither the ledger nor Mission Control has it: {looked}."),
                (None, Some(why)) => footing.clean(&format!(
                    "Only the ledger was searched ({looked}), because Mission Control cannot list what waits: {why}"
                )),
            });
            Err(lines)
        }
        Err(why) => Err(vec![format!("The ledger cannot be read: {why}."), format!("Also, {looked}.")]),
    }
}

/// The answer if no delivery matches the id. `asked` names the searched sources, which have `among` deliveries.
pub(super) fn unknown(id: &str, asked: &str, among: usize) -> String {
    format!(
        "No agent, task or notification matches “{id}”: {asked}, among {among} deliveries. (A task without notifications has none.)"
    )
}
