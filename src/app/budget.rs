//! `budget`: shows the daily budgets, raises today's limits, or starts today's counts from zero.

use std::sync::Arc;

use serde_json::{Value, json};

use super::exit::Exit;
use super::service_client::{CommandContext, ServiceEndpoint, ServiceLocation, refusal};
use super::{fail, print};
use mcr_core::guardrails::budget::{LIMITS_ELSEWHERE, NO_BUDGET, Report, Scope, Spending, no_budget_of};
use mcr_core::spans::sentence;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::spending::{Budgets, Limits};
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_store::ledger::{self, Ledger};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetRequest {
    /// Show the budgets, or that of one agent.
    Show(Option<String>),
    /// Raise today's limit to this amount: tokens, or dollars with the ending `usd`.
    Raise(String, Option<String>),
    /// Start today's counts from zero.
    Reset(Option<String>),
}

/// The answer of the service, or from the ledger.
struct Answered {
    report: Value,
    lines: Vec<String>,
    by_service: bool,
}

/// Shows or changes the budgets: in a running service, otherwise in its ledger.
pub fn budget(at: &ServiceLocation, wanted: &BudgetRequest, as_json: bool) -> Exit {
    let context = match CommandContext::find(at, as_json) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    let answered = act(&context, wanted).and_then(|answered| match wanted {
        BudgetRequest::Show(Some(agent)) => answered.of_agent(agent).map_err(|why| (Exit::Failed, why)),
        _ => Ok(answered),
    });
    match answered {
        Ok(Answered { report, by_service, .. }) if as_json => {
            print(&format!("{:#}\n", json!({"success": true, "budget": report, "atOnce": by_service})))
        }
        Ok(answered) => print(&context.clean(&answered.text(&context))),
        Err((exit, why)) => fail(as_json, exit, &[context.clean(&why)]),
    }
}

/// An error has an exit code and a sentence.
fn act(context: &CommandContext, wanted: &BudgetRequest) -> Result<Answered, (Exit, String)> {
    let failed = |why: String| (Exit::Failed, why);
    if let Some(service) = context.service().map_err(failed)? {
        return by_service(&service, wanted).map_err(failed);
    }
    let unset = context.budgets.as_ref().is_none_or(|budgets| !budgets.are_set());
    let shows = matches!(wanted, BudgetRequest::Show(_));
    if shows && unset {
        return counts(context).map_err(failed);
    }
    let Some(budgets) = &context.budgets else {
        let why = "No service runs here, and the configuration is incomplete, so the budgets are not known. Run `doctor`.";
        return Err((Exit::Misconfigured, why.to_owned()));
    };
    if !shows && let Some(why) = context.uncertain() {
        return Err((Exit::Misconfigured, why));
    }
    let report = in_ledger(context, budgets, wanted).map_err(failed)?;
    Ok(Answered { report: json!(report), lines: report.lines(), by_service: false })
}

/// The counts in the ledger, where the limits are not known.
fn counts(context: &CommandContext) -> Result<Answered, String> {
    let folder = context.place.with_ledger()?;
    let read = ledger::read(&folder).map_err(|why| why.to_string())?;
    let report = Spending::recall(Budgets::default(), &read.kept, |_| true).report(SystemClock.now());
    let counts = report.counts();
    let shown = counts.as_ref().map(|_| json!({"day": report.day, "scopes": report.scopes}));
    let mut lines = counts.unwrap_or_else(|| vec![NO_BUDGET.to_owned()]);
    lines.push(LIMITS_ELSEWHERE.to_owned());
    Ok(Answered { report: json!(shown), lines, by_service: false })
}

fn by_service(service: &ServiceEndpoint, wanted: &BudgetRequest) -> Result<Answered, String> {
    let answer = match wanted {
        BudgetRequest::Show(_) => service.get("/budget"),
        BudgetRequest::Raise(amount, agent) => {
            service.post("/budget/raise", &json!({"amount": amount, "agent": agent}).to_string())
        }
        BudgetRequest::Reset(agent) => service.post("/budget/reset", &json!({"agent": agent}).to_string()),
    };
    match answer {
        Ok((200, answer)) => {
            let lines = answer["lines"].as_array().into_iter().flatten();
            let lines = lines.filter_map(Value::as_str).map(str::to_owned).collect();
            Ok(Answered { report: answer["budget"].clone(), lines, by_service: true })
        }
        Ok((_, answer)) => Err(refusal(&answer).to_owned()),
        Err(why) => Err(format!(
            "The service at {} does not answer ({why}). Look at its log, or run `doctor`.",
            service.address
        )),
    }
}

/// Reads or changes the counts in the ledger, while no service runs.
fn in_ledger(context: &CommandContext, budgets: &Budgets, wanted: &BudgetRequest) -> Result<Report, String> {
    if !budgets.are_set() {
        return Err(format!("{NO_BUDGET} {LIMITS_ELSEWHERE}"));
    }
    let folder = context.place.with_ledger()?;
    let read = ledger::read(&folder).map_err(|why| why.to_string())?;
    let now = SystemClock.now();
    let recall = |kept| {
        // Open turns stay open: the service settles them at its next start.
        let mut spending = Spending::recall(budgets.clone(), kept, |_| true);
        spending.turn_to(now);
        spending
    };
    let (scope, limits) = match wanted {
        BudgetRequest::Show(_) => return Ok(recall(&read.kept).report(now)),
        BudgetRequest::Raise(amount, agent) => (Scope::named(agent.as_deref()), Some(Limits::parse(amount)?)),
        BudgetRequest::Reset(agent) => (Scope::named(agent.as_deref()), None),
    };
    let options = ledger::Options::new(context.account(&read)?, context.sync);
    let opened = Ledger::open(&folder, &options).map_err(|why| why.to_string())?;
    let ledger = Arc::new(opened.ledger);
    let keeper = BudgetKeeper::new(recall(&opened.kept), ledger.clone());
    let changed = match limits {
        Some(limits) => keeper.raise(&scope, limits, now),
        None => keeper.reset(&scope, now),
    };
    ledger.close();
    changed.and_then(|()| keeper.report(now).ok_or_else(|| NO_BUDGET.to_owned()))
}

impl Answered {
    /// The answer about one agent: the first line, the agent's line, and the findings after those of all scopes.
    fn of_agent(mut self, agent: &str) -> Result<Self, String> {
        let scopes = self.report["scopes"].as_array().cloned().unwrap_or_default();
        let is_named =
            |scope: &Value| scope["agent"].as_str().is_some_and(|slug| slug.eq_ignore_ascii_case(agent));
        let Some(place) = scopes.iter().position(is_named) else {
            let named = scopes.iter().filter_map(|scope| scope["agent"].as_str()).map(str::to_owned);
            return Err(sentence(&no_budget_of(agent, named)));
        };
        let line = 1 + place;
        let mut number = 0;
        self.lines.retain(|_| {
            let shown = number == 0 || number == line || number > scopes.len();
            number += 1;
            shown
        });
        self.report["scopes"] = json!([scopes[place]]);
        Ok(self)
    }

    fn text(&self, context: &CommandContext) -> String {
        let lines = self.lines.join("\n");
        if self.by_service {
            return format!("{lines}\n");
        }
        format!("No service runs on STATE_DIR {}.\n{lines}\n", context.place.path().display())
    }
}
