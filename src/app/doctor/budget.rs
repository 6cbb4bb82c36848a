//! Checks the daily budgets: whether dollars can be counted, and what is used up.

use super::{Check, CheckResult};
use crate::app::service_client::CommandContext;
use mcr_config::Settings;
use mcr_core::guardrails::budget::{Report, Spending};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_store::ledger;

/// The check; none if no budget is set.
pub(super) fn check(settings: &Settings, context: Option<&CommandContext>) -> Option<Check> {
    let budgets = &settings.budgets;
    if !budgets.are_set() {
        return None;
    }
    let mut check = Check::new("budgets", CheckResult::Good, Vec::new());
    let folder = context.and_then(|context| context.place.existing().ok());
    let kept = folder.and_then(|folder| ledger::read(&folder).ok()).map(|read| read.kept).unwrap_or_default();
    let now = SystemClock.now();
    let mut spending = Spending::recall(budgets.clone(), &kept, |_| true);
    spending.turn_to(now);
    let has_reported_dollars = spending.spent_in_all().nano_dollars > 0;
    if budgets.limit_dollars() && budgets.prices.is_empty() && !has_reported_dollars {
        check.note(
            "a budget in dollars counts nothing unless the gateway reports the cost of turns, and none is known so far: \
             set BUDGET_PRICES to the prices of the models"
                .to_owned(),
        );
    }
    let Report { scopes, day, time_zone, .. } = spending.report(now);
    for scope in scopes.iter().filter(|scope| !scope.limits.is_none()) {
        let line = format!("{}: {} on {day} ({time_zone})", scope.name(), scope.words);
        if scope.reached {
            check.note(line);
        } else {
            check.say(line);
        }
        if scope.unpriced_tokens > 0 && scope.limits.nano_dollars.is_some() {
            let tokens = mcr_model::spending::grouped(scope.unpriced_tokens);
            check.note(format!(
                "{}: {tokens} tokens have no price; set BUDGET_PRICES for their model",
                scope.name()
            ));
        }
    }
    Some(check)
}
