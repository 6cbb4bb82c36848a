//! The command `dead`: lists and shows dead letters, and retries or drops one of them.
//!
//! If a service runs, the command sends it the request. Otherwise the command works on the ledger, under its lock, and
//! the next start of the service acts on the change.

use serde_json::{Value, json};

use super::delivery_report::DeliverySummary;
use super::exit::Exit;
use super::service_client::{CommandContext, ServiceEndpoint, ServiceLocation, is_word, refusal};
use super::why::{self, Answer, Failure};
use super::{fail, print};
use mcr_core::delivery::dead_letters::{DROPPED, RETRIED_STEP};
use mcr_core::delivery::journal::{Journal as _, Wait};
use mcr_core::delivery::operator_requests::Refused;
use mcr_core::delivery::{End, dead_letters};
use mcr_core::ops::Finding;
use mcr_core::ops::id_prefix::{IdMatch, resolve};
use mcr_core::ops::unreadable::UNREADABLE;
use mcr_core::spans::clock;
use mcr_core::work::WorkId;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_store::ledger::{self, Ledger};

/// The subcommand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dead {
    /// Lists the dead letters.
    List,
    /// Shows one dead letter, with the agent's answer.
    Show(String),
    /// Starts one again.
    Retry(String),
    /// Closes one permanently.
    Drop(String),
}

/// Runs the subcommand and prints its result.
pub fn dead(at: &ServiceLocation, what: &Dead, as_json: bool) -> Exit {
    let context = match CommandContext::find(at, as_json) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    let failed = |why: String| (Exit::Failed, vec![why]);
    let done = |(id, words): (String, String)| {
        let data = json!({"success": true, "id": id, "done": words});
        if as_json { format!("{data:#}\n") } else { format!("{id}: {words}.\n") }
    };
    let result = match what {
        Dead::List => list(&context, as_json).map_err(failed),
        Dead::Show(id) => show(&context, id).map(|answer| answer.shown(as_json)),
        Dead::Retry(id) => change(&context, id, true).map(done),
        Dead::Drop(id) => change(&context, id, false).map(done),
    };
    match result {
        Ok(words) => print(&words),
        Err((exit, lines)) => fail(as_json, exit, &lines),
    }
}

/// Explains one dead letter, with the agent's answer.
fn show(context: &CommandContext, typed: &str) -> Result<Answer, Failure> {
    let id = meant(context, typed)?;
    explain(context, &id)
}

/// Explains one dead letter. Other work is refused with what it is.
fn explain(context: &CommandContext, id: &str) -> Result<Answer, Failure> {
    let not_searched = || Err("dead letters are in the ledger only".to_owned());
    let answer = why::look(context, &not_searched, id)?;
    let Finding { id, state, what, .. } = &answer.finding;
    if answer.finding.deliveries.is_empty() && (state == "dead" || state == UNREADABLE) {
        return Ok(answer);
    }
    let lines = [
        format!("{id} is not a dead letter (its state is {state}). {what}"),
        format!("`why {id}` shows more; `dead list` lists the dead letters."),
    ];
    Err((Exit::Failed, lines.into()))
}

/// Retries or drops a dead letter. Returns its id and what was done.
fn change(context: &CommandContext, typed: &str, retry: bool) -> Result<(String, String), Failure> {
    let id = meant(context, typed)?;
    match act(context, &id, retry) {
        Ok(done) => Ok((id, done)),
        Err(NotDone::NotDead) => {
            explain(context, &id)?;
            // It was given up between the two requests, or is not understood and already closed.
            Err((Exit::Failed, vec![Refused::NotDead.explain().to_owned()]))
        }
        Err(NotDone::Because(why)) => Err((Exit::Failed, vec![why])),
    }
}

/// Why a dead letter was not changed.
enum NotDone {
    /// No dead letter has the id.
    NotDead,
    /// Another reason, as a sentence.
    Because(String),
}

impl From<String> for NotDone {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

impl From<Refused> for NotDone {
    fn from(why: Refused) -> Self {
        match why {
            Refused::NotDead => Self::NotDead,
            other => Self::Because(other.explain().to_owned()),
        }
    }
}

/// The id that is meant: the only dead letter or unreadable row whose id begins with the typed text, else the text.
fn meant(context: &CommandContext, typed: &str) -> Result<String, Failure> {
    let failed = |why: String| (Exit::Failed, vec![why]);
    let service = context.service().map_err(failed)?;
    // What prevents the overview is reported by the request itself.
    let Ok(overview) = overview(context, service.as_ref()) else { return Ok(typed.to_owned()) };
    let dead = overview.dead.iter().map(|dead| dead.id.as_str());
    let found = resolve(typed, dead.chain(overview.damaged_ids.iter().map(String::as_str)));
    match (&found, found.refusal(typed)) {
        (IdMatch::One(id), _) => Ok(id.clone()),
        (_, Some(lines)) => Err((Exit::Misused, lines.iter().map(|line| context.clean(line)).collect())),
        (_, None) => Ok(typed.to_owned()),
    }
}

/// The list of dead letters. If no service runs, the list begins with a line that says so.
fn list(context: &CommandContext, as_json: bool) -> Result<String, String> {
    let service = context.service()?;
    let overview = overview(context, service.as_ref()).map_err(|why| {
        if service.is_some() {
            why
        } else {
            format!("No service runs here, and the ledger cannot be read: {why}.")
        }
    })?;
    if as_json {
        let DeliverySummary { dead, damaged, set_aside, .. } = overview;
        return Ok(format!("{:#}\n", json!({"dead": dead, "damaged": damaged, "setAside": set_aside})));
    }
    let shown = context.place.path().display();
    let from = format!("No service runs here: this is what the ledger in {shown} says.\n");
    Ok(format!("{}{}", if service.is_some() { "" } else { &from }, listed(&overview)))
}

/// Reads the summary from the service if one runs, otherwise from the ledger.
pub(super) fn overview(
    context: &CommandContext,
    service: Option<&ServiceEndpoint>,
) -> Result<DeliverySummary, String> {
    if let Some(service) = service {
        let answer = answered(service, service.get("/deliveries"))?;
        return serde_json::from_value(answer)
            .map_err(|_| "The running service has another version than this command. Use the program of the service, or restart the service.".to_owned());
    }
    let set_aside = context.place.last_set_aside();
    context.tell(Vec::new(), |book| book.overview(set_aside).cleaned(&|text| context.clean(text)))
}

fn answered(service: &ServiceEndpoint, answer: Result<(u16, Value), String>) -> Result<Value, String> {
    match answer {
        Ok((200, answer)) => Ok(answer),
        Ok((_, answer)) => Err(refusal(&answer).to_owned()),
        Err(why) => Err(format!(
            "The service at {} does not answer ({why}). Look at its log, or run `doctor`.",
            service.address
        )),
    }
}

fn listed(overview: &DeliverySummary) -> String {
    let mut lines = Vec::new();
    if overview.dead.is_empty() {
        lines.push("No dead letters.".to_owned());
    }
    for dead in &overview.dead {
        let title = dead.title.as_ref().map_or(String::new(), |title| format!(" “{title}”"));
        let task = dead.task.as_ref().map_or(String::new(), |task| format!(" on {task}{title}"));
        lines.push(format!("{}  {} for {}{task}", dead.id, dead.kind, dead.agent));
        lines.push(format!("    {}", dead.words));
        let answer = if dead.unposted { "; the agent's answer is kept (`dead show`)" } else { "" };
        lines.push(format!("    cost so far: {}{answer}", dead.cost));
    }
    if let Some(at) = overview.set_aside {
        lines.push(format!(
            "A damaged ledger was set aside at {}: what was under way in it is not known here; look at the threads of \
             that time.",
            clock(at)
        ));
    }
    lines.extend(overview.damaged.iter().cloned());
    if !overview.dead.is_empty() {
        lines.push("`dead retry ID` starts one again, `dead drop ID` closes it permanently.".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Retries or drops one dead letter. Drops also close an unreadable row of the ledger.
fn act(context: &CommandContext, id: &str, retry: bool) -> Result<String, NotDone> {
    if !is_word(id) {
        return Err(NotDone::NotDead);
    }
    let verb = if retry { "retry" } else { "drop" };
    if let Some(service) = context.service()? {
        let answer = service.post(&format!("/dead/{id}/{verb}"), "");
        if matches!(answer, Ok((404, _))) {
            return Err(NotDone::NotDead);
        }
        let answer = answered(&service, answer)?;
        return Ok(answer["done"].as_str().unwrap_or("done").to_owned());
    }
    let failed = |why: String| context.clean(&why);
    let folder = context.place.with_ledger().map_err(failed)?;
    let known = ledger::read(&folder).map_err(|why| failed(why.to_string()))?;
    // Opening would create a missing ledger, and an empty one has no dead letters.
    if known.deliveries.is_empty() && known.unreadable.is_empty() {
        return Err(NotDone::NotDead);
    }
    let account = context.account(&known).map_err(failed)?;
    let options = ledger::Options::new(account, context.sync);
    let opened = Ledger::open(&folder, &options).map_err(|why| failed(why.to_string()))?;
    let (work_id, now) = (WorkId::new(id), SystemClock.now());
    let what = if opened.unreadable.iter().any(|row| row.is_open() && row.id == work_id) {
        if retry {
            return Err(Refused::Unreadable.into());
        }
        opened.ledger.drop_unreadable(&work_id, now, Wait::ForDisk).map_err(|why| failed(why.to_string()))?;
        format!("it is closed permanently: {DROPPED}")
    } else {
        let dead = opened.dead.into_iter().find(|dead| dead.work.id == work_id);
        let dead = dead.map(|dead| (dead.work, dead.record, dead.why));
        // The others of its thread follow when its delivery begins.
        let stopped = opened.stopped.into_iter().find(|(work, _)| retry && work.id == work_id);
        let stopped = stopped.map(|(work, record)| (work, record, String::new()));
        let (work, record, why) = dead.or(stopped).ok_or_else(|| {
            let under_way = opened.open.iter().any(|open| open.work.id == work_id);
            if under_way { Refused::UnderWay } else { Refused::NotDead }
        })?;
        let end = End::Dropped(why);
        let record = if retry { record.retried() } else { record };
        let (note, what) = if retry {
            let next = dead_letters::next_step(&record);
            let note = dead_letters::started_again(&work, &record, RETRIED_STEP, now);
            (note, format!("it begins again with the next start: {next}"))
        } else {
            let note = dead_letters::dropped(&work, &record, &end, now);
            (note, format!("it is closed permanently: {DROPPED}"))
        };
        opened.ledger.note(&note, Wait::ForDisk).map_err(|why| failed(why.to_string()))?;
        what
    };
    opened.ledger.close();
    Ok(what)
}
