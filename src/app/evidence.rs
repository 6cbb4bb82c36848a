//! The command `evidence`: lists the tasks whose status and facts differ.

use std::time::Duration;

use serde_json::json;

use super::delivery_report::{name_in, names};
use super::exit::Exit;
use super::service_client::{CommandContext, ServiceLocation, refusal};
use super::{fail, print};
use mcr_core::ops::evidence::{TaskReport, report};
use mcr_model::Roster;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_store::ledger;

/// Prints the report on the tasks with activity in this time: from the running service, or from the ledger.
pub fn evidence(at: &ServiceLocation, since: Duration, as_json: bool) -> Exit {
    let context = match CommandContext::find(at, as_json) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    let found = match context.service() {
        Ok(Some(service)) => match service.get(&format!("/evidence/{}", since.as_secs())) {
            Ok((200, answer)) => serde_json::from_value(answer).map(|report| (report, None)).map_err(|_| {
                "The running service has another version than this command. Use the program of the service, or restart the \
                 service."
                    .to_owned()
            }),
            Ok((_, answer)) => Err(refusal(&answer).to_owned()),
            Err(why) => from_ledger(&context, since)
                .map(|report| (report, Some(format!("The service at {} does not answer ({why})", service.address)))),
        },
        Ok(None) => {
            from_ledger(&context, since).map(|report| (report, Some("No service runs here".to_owned())))
        }
        Err(why) => Err(why),
    };
    match found {
        Ok((report, absent)) => print(&shown(&context, report, absent.as_deref(), as_json)),
        Err(why) => fail(as_json, Exit::Failed, &[why]),
    }
}

/// The report on the ledger. An error if there is no ledger: then only a running service knows the tasks.
fn from_ledger(context: &CommandContext, since: Duration) -> Result<TaskReport, String> {
    let folder = context.place.with_ledger().map_err(|why| {
        format!("{why} Without a ledger only a running service has the facts: start the service, or name its STATE_DIR.")
    })?;
    let unreadable = |why: ledger::LedgerError| context.clean(&format!("The ledger cannot be read: {why}."));
    let read = ledger::read(&folder).map_err(unreadable)?;
    let account = context.account(&read).map_err(|why| context.clean(&why))?;
    let facts = ledger::task_facts(&folder, &account, None).map_err(unreadable)?;
    let roster = Roster::default();
    let names = names(&read, &roster);
    let since = SystemClock.now() - since;
    Ok(report(&facts, since, context.done_policy, &|agent| name_in(&names, agent)))
}

fn shown(context: &CommandContext, report: TaskReport, absent: Option<&str>, as_json: bool) -> String {
    let report = report.cleaned(&|text| context.clean(text));
    let shown = context.place.path().display();
    let note = absent.map(|absent| format!("{absent}: this is what the ledger in {shown} says."));
    if as_json {
        let mut object = json!(report);
        if let Some(note) = note {
            object["note"] = note.into();
        }
        return format!("{object:#}\n");
    }
    format!("{}{}", note.map_or(String::new(), |note| format!("{note}\n")), report.text())
}
