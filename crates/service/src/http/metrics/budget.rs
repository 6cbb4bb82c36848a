//! The families of the daily budgets.

use super::page::Page;
use crate::http::health::Health;
use mcr_model::spending::Dollars;

/// The daily budget of the account, and how many budgets are reached.
pub(super) fn budget(page: &mut Page, health: &Health) {
    let Some(budget) = &health.budget else { return };
    let reached = budget.scopes.iter().filter(|scope| scope.reached).count();
    page.maybe(
        "runtime_budgets_reached",
        "Daily budgets that are reached, so that turns wait.",
        Some(reached),
    );
    let Some(account) = budget.scopes.first() else { return };
    let used = account.counted.plus(account.running);
    let dollars = |nanos| Dollars(nanos).to_string();
    page.maybe(
        "runtime_budget_used_tokens",
        "Tokens that count today against the budgets.",
        Some(used.tokens),
    );
    page.maybe("runtime_budget_limit_tokens", "The account's daily budget in tokens.", account.limits.tokens);
    let used = Some(dollars(used.nano_dollars));
    page.maybe("runtime_budget_used_dollars", "Dollars that count today against the budgets.", used);
    let limit = account.limits.nano_dollars.map(dollars);
    page.maybe("runtime_budget_limit_dollars", "The account's daily budget in dollars.", limit);
}
