//! Checks the daily budgets: whether dollars can be counted, and which limits are reached.

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
    let Report { scopes, day, time_zone, warnings, .. } = spending.report(now);
    for warning in warnings {
        check.note(warning);
    }
    for scope in scopes.iter().filter(|scope| !scope.limits.is_none()) {
        let line = format!("{}: {} on {day} ({time_zone})", scope.name(), scope.words);
        if scope.reached {
            check.note(line);
        } else {
            check.say(line);
        }
    }
    Some(check)
}
