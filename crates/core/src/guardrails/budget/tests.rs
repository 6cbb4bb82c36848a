//! Reservations, limits, days and restarts, by example and against other books.

use std::collections::BTreeMap;

use super::*;
use crate::gateway::{ModelCall, Usage};
use crate::work::WorkId;
use mcr_model::spending::{Prices, parse_agents};
use mcr_model::zone::Zone;

const HOUR_MS: i64 = 3_600_000;

const SECOND: Duration = Duration::from_secs(1);

/// 2026-11-30T12:00:00Z.
pub(super) const NOON: Millis = Millis(1_796_040_000_000);

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, nano_dollars: 0 }
}

fn id(number: u32) -> TurnId {
    TurnId::new(&WorkId::new("n1"), number)
}

fn cost(read: u64) -> TurnCost {
    TurnCost::of(Some(Usage { input_tokens: read, ..Usage::default() }))
}

fn with(account: Option<u64>, agents: &str) -> Spending {
    Spending::new(Budgets {
        account: Limits { tokens: account, nano_dollars: None },
        agents: parse_agents(agents).unwrap(),
        ..Budgets::default()
    })
}

fn is_at_limit(result: &Result<(), TurnRefusal>) -> bool {
    matches!(result, Err(TurnRefusal::AtLimit(_)))
}

#[test]
fn a_turn_is_reserved_and_charged_once() {
    let mut spending = with(Some(1_000), "");
    assert_eq!(spending.reserve(&id(1), "Ben", tokens(100), NOON), Ok(()));
    spending.settle(&id(1), &cost(300), Some(0));
    spending.settle(&id(1), &cost(300), Some(0));
    spending.settle(&id(2), &cost(300), Some(0));
    assert_eq!(spending.spent_in_all(), tokens(300));
    let report = spending.report(NOON);
    assert_eq!((report.day.as_str(), report.time_zone), ("2026-11-30", "UTC"));
    assert_eq!(report.ends_at.to_string(), "2026-12-01T00:00:00.000Z");
    assert_eq!(report.scopes[0].words, "300 of 1,000 tokens (30 %)");
}

#[test]
fn at_the_limit_no_turn_starts_until_it_is_raised_or_reset_or_the_day_ends() {
    let mut spending = with(Some(1_000), "");
    assert_eq!(spending.reserve(&id(1), "ben", tokens(1), NOON), Ok(()));
    spending.settle(&id(1), &cost(1_000), Some(0));
    let refused = spending.reserve(&id(2), "ben", tokens(1), NOON);
    let Err(TurnRefusal::AtLimit(reached)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        reached.explain(),
        "The account's daily budget is used up: 1,000 tokens of 1,000 tokens. `budget raise AMOUNT` or `budget reset` \
         lets turns start before the next day."
    );
    assert!(spending.held().all() && spending.held().of("ada").is_some());

    let mut raised = spending.clone();
    let to = |tokens| Limits { tokens: Some(tokens), nano_dollars: None };
    assert!(
        raised
            .raise(&Scope::Account, to(999), NOON)
            .unwrap_err()
            .contains("1,000 tokens today, which is more")
    );
    let dollars = Limits { nano_dollars: Some(5), tokens: None };
    assert!(
        raised
            .raise(&Scope::Account, dollars, NOON)
            .unwrap_err()
            .contains("no budget of this kind is set for the account")
    );
    let ben = Scope::Agent("ben".to_owned());
    assert!(
        raised
            .raise(&ben, to(5), NOON)
            .unwrap_err()
            .contains("no budget is set for ben alone: BUDGET_AGENTS names no agent")
    );
    raised.raise(&Scope::Account, to(2_000), NOON).unwrap();
    assert_eq!(
        raised.raise(&Scope::Account, to(2_000), NOON).unwrap_err(),
        "the budget of the account is already 2,000 tokens today; raise it to more"
    );
    assert_eq!(raised.reserve(&id(2), "ben", tokens(1), NOON), Ok(()));
    assert_eq!(raised.report(NOON).scopes[0].words, "1,000 of 2,000 tokens (50 %), raised today");

    let mut reset = spending.clone();
    assert!(reset.reset(&ben, NOON).unwrap_err().contains("no budget is set for ben alone"));
    reset.reset(&Scope::Account, NOON).unwrap();
    assert_eq!(reset.reserve(&id(2), "ben", tokens(1), NOON), Ok(()));
    assert_eq!(reset.spent_in_all(), tokens(1_000), "a reset forgets no spending");

    let tomorrow = spending.next_day(NOON);
    assert!(is_at_limit(&spending.reserve(&id(2), "ben", tokens(1), Millis(tomorrow.0 - 1))));
    assert_eq!(spending.reserve(&id(2), "ben", tokens(1), tomorrow), Ok(()));
    assert!(is_at_limit(&spending.reserve(&id(3), "ben", tokens(1), NOON)), "the clock went back");
}

#[test]
fn an_agent_has_its_own_limit_within_the_account() {
    let mut spending = with(Some(1_000), "ben=300");
    spending.reserve(&id(1), "ben", tokens(1), NOON).unwrap();
    spending.settle(&id(1), &cost(300), Some(0));
    assert!(is_at_limit(&spending.reserve(&id(2), "BEN", tokens(1), NOON)));
    assert_eq!(spending.reserve(&id(2), "ada", tokens(1), NOON), Ok(()));
    let held = spending.held();
    assert!(!held.all() && held.agents().eq(["ben"]) && held.of("Ben").is_some() && held.of("ada").is_none());
}

/// A turn alone may use what is left. Beside others it starts only if its estimate fits.
#[test]
fn near_the_limit_turns_start_one_by_one() {
    let mut spending = with(Some(1_000), "");
    assert_eq!(spending.reserve(&id(1), "ben", tokens(5_000), NOON), Ok(()), "nothing else runs");
    assert_eq!(spending.reserve(&id(2), "ada", tokens(1), NOON), Err(TurnRefusal::Reserved));
    spending.settle(&id(1), &cost(200), Some(0));
    assert_eq!(spending.reserve(&id(3), "ada", tokens(400), NOON), Ok(()));
    assert_eq!(spending.reserve(&id(4), "cleo", tokens(400), NOON), Ok(()));
    assert_eq!(spending.reserve(&id(5), "dan", tokens(1), NOON), Err(TurnRefusal::Reserved));
    spending.release(&id(4));
    assert_eq!(spending.reserve(&id(5), "dan", tokens(1), NOON), Ok(()));
}

#[test]
fn running_turns_are_aborted_at_the_limit_and_shrinking_usage_changes_nothing() {
    let mut spending = with(Some(1_000), "ben=500");
    for (number, agent) in [(1, "ben"), (2, "ada"), (3, "ada")] {
        spending.reserve(&id(number), agent, tokens(10), NOON).unwrap();
    }
    for (seen, since) in [(100, 1), (190, 0), (250, 0), (40, 0), (0, 0)] {
        spending.observe(&id(1), &cost(seen), since * SECOND);
    }
    assert_eq!((spending.open()[&id(1)].observed(), spending.to_abort()), (tokens(250), vec![]));
    // Four calls in 800 ms: two more of the largest lead over 500 before the turn can be aborted.
    let calls = [100, 50, 40, 100, 110].into_iter().flat_map(|read| cost(read).0).collect();
    spending.observe(&id(1), &TurnCost(calls), Duration::from_millis(800));
    assert_eq!(spending.to_abort(), [id(1)]);
    let held = spending.held();
    assert!(!held.all(), "the account has room");
    assert_eq!(
        held.of("ben").unwrap().in_words(),
        "the daily budget of ben is closed: 400 tokens of 500 tokens are used, and the rest may be less than a turn needs"
    );
    spending.observe(&id(2), &cost(900), SECOND);
    assert_eq!(spending.to_abort(), [id(1), id(2), id(3)]);
    assert!(spending.held().all());
    spending.settle(&id(1), &TurnCost::default(), Some(0));
    assert_eq!(spending.spent_in_all(), tokens(400), "the last reading counts without a report");
}

/// The clock goes back over midnight to a day without a book while a turn runs. The turn is charged to its own day, and
/// counts on the earlier one as well, which takes over the count.
#[test]
fn a_clock_that_goes_back_over_midnight_takes_running_turns_along() {
    let yesterday = Millis(NOON.0 - 24 * HOUR_MS);
    let mut spending = with(Some(1_000), "");
    spending.reserve(&id(1), "ben", tokens(400), NOON).unwrap();
    spending.settle(&id(1), &cost(300), Some(0));
    spending.reserve(&id(2), "ben", tokens(400), NOON).unwrap();
    assert_eq!(spending.reserve(&id(3), "ada", tokens(500), yesterday), Err(TurnRefusal::Reserved));
    assert_eq!(spending.report(yesterday).scopes[0].counted, tokens(300));
    // The process ends meanwhile.
    let mut stored = BTreeMap::new();
    apply(&mut stored, spending.take_changes());
    let mut spending = Spending::recall(spending.budgets().clone(), &stored, |_| true);
    spending.observe(&id(2), &cost(650), SECOND);
    assert_eq!(spending.reserve(&id(3), "ada", tokens(51), yesterday), Err(TurnRefusal::Reserved));
    spending.observe(&id(2), &cost(700), SECOND);
    assert_eq!(spending.to_abort(), [id(2)]);
    spending.settle(&id(2), &cost(700), Some(0));
    assert!(is_at_limit(&spending.reserve(&id(3), "ada", tokens(1), yesterday)));
    assert!(is_at_limit(&spending.reserve(&id(3), "ada", tokens(1), NOON)), "its own day");
    assert_eq!(spending.spent_in_all(), tokens(1_000), "charged once");
    let before = Millis(NOON.0 - 48 * HOUR_MS);
    assert!(is_at_limit(&spending.reserve(&id(3), "ada", tokens(1), before)), "further back");
}

#[test]
fn a_missing_usage_is_estimated_and_marked() {
    let mut spending = with(Some(1_000), "");
    spending.reserve(&id(1), "ben", estimate(400), NOON).unwrap();
    spending.settle(&id(1), &TurnCost::of(Some(Usage::default())), Some(20));
    let scope = &spending.report(NOON).scopes[0];
    assert_eq!((scope.spent, scope.estimated_tokens), (tokens(121), 121));
    assert!(scope.words.contains(", 121 tokens estimated"), "{}", scope.words);
}

/// The limits, and the line after a turn, a reset and another turn of 100 tokens and 50 cents each.
#[test]
fn the_line_has_the_dollars_and_the_cost_of_the_day() {
    let limits = |tokens, nano_dollars| Limits { tokens, nano_dollars };
    let spent = ", 200 tokens and $1 spent today before and after the reset";
    let rows = [
        (limits(Some(1_000), None), format!("100 of 1,000 tokens (10 %), $0.5 without a limit{spent}")),
        (limits(None, Some(2_000_000_000)), format!("$0.5 of $2 (25 %){spent}")),
        (
            limits(Some(1_000), Some(2_000_000_000)),
            format!("100 of 1,000 tokens and $0.5 of $2 (25 %){spent}"),
        ),
    ];
    for (account, expected) in rows {
        let mut spending = Spending::new(Budgets { account, ..Budgets::default() });
        for number in [1, 2] {
            if number == 2 {
                spending.reset(&Scope::Account, NOON).unwrap();
            }
            spending.reserve(&id(number), "ben", tokens(1), NOON).unwrap();
            let usage = Usage { input_tokens: 100, output_tokens: 0, nano_dollars: 500_000_000 };
            spending.settle(&id(number), &TurnCost::of(Some(usage)), Some(0));
        }
        let scope = spending.report(NOON).scopes.remove(0);
        assert_eq!((scope.words, scope.requests), (expected, 2));
    }
}

#[test]
fn an_agent_without_a_budget_of_its_own_is_refused_with_those_that_have_one() {
    let mut spending = with(Some(1_000), "writer=5,qa=6");
    let scope = Scope::Agent("wirter".to_owned());
    let expected = "no budget is set for wirter alone: BUDGET_AGENTS names qa, writer";
    assert_eq!(
        spending.raise(&scope, Limits { tokens: Some(9), nano_dollars: None }, NOON).unwrap_err(),
        expected
    );
    assert_eq!(spending.reset(&scope, NOON).unwrap_err(), expected);
}

#[test]
fn dollars_are_reported_or_priced_or_missing() {
    let limits = Limits { tokens: None, nano_dollars: Some(2_000_000_000) };
    let prices = Prices::parse("gpt-5=1/10").unwrap();
    let mut spending = Spending::new(Budgets { account: limits, prices, ..Budgets::default() });
    let usage = |model: &str, nano_dollars| {
        let usage = Usage { input_tokens: 1_000_000, output_tokens: 0, nano_dollars };
        ModelCall { model: Some(model.to_owned()), usage }
    };
    spending.reserve(&id(1), "ben", tokens(1), NOON).unwrap();
    spending.settle(
        &id(1),
        &TurnCost(vec![usage("x", 500_000_000), usage("openai/gpt-5", 0), usage("y", 0)]),
        Some(0),
    );
    let scope = spending.report(NOON).scopes.remove(0);
    assert_eq!(scope.spent, Amount { tokens: 3_000_000, nano_dollars: 1_500_000_000 });
    assert_eq!((scope.unpriced_tokens, scope.percent), (1_000_000, 75));
    assert_eq!(scope.words, "$1.5 of $2 (75 %)");
    let warnings = spending.report(NOON).warnings;
    assert_eq!(
        warnings,
        ["1,000,000 tokens of the account have no price: set BUDGET_PRICES for their model"]
    );
}

#[test]
fn a_dollar_budget_without_prices_and_reported_cost_draws_a_warning() {
    let limits = Limits { tokens: None, nano_dollars: Some(2_000_000_000) };
    let mut spending = Spending::new(Budgets { account: limits, ..Budgets::default() });
    let warnings = |spending: &Spending| spending.report(NOON).warnings.join("\n");
    assert!(warnings(&spending).starts_with("a budget in dollars counts nothing"), "{}", warnings(&spending));
    let last = spending.report(NOON).lines().pop().unwrap();
    assert!(last.starts_with("A budget in dollars") && last.ends_with("models."), "{last}");
    let usage = Usage { input_tokens: 10, output_tokens: 0, nano_dollars: 5 };
    spending.reserve(&id(1), "ben", tokens(1), NOON).unwrap();
    spending.settle(&id(1), &TurnCost::of(Some(usage)), Some(0));
    assert_eq!(warnings(&spending), "");
    assert_eq!(warnings(&with(Some(1_000), "ben=300")), "");
}

/// Only turns that left the process stay open, and each is charged once.
#[test]
fn a_restart_settles_what_was_sent_and_releases_the_rest() {
    let mut spending = with(Some(1_000), "ben=5usd");
    let mut stored = BTreeMap::new();
    for number in 1..=3 {
        spending.reserve(&id(number), "ben", tokens(10), NOON).unwrap();
    }
    spending.settle(&id(1), &cost(100), Some(0));
    apply(&mut stored, spending.take_changes());
    spending.settle(&id(2), &cost(1), Some(0));
    // Lost in the crash: the settlement of the second turn.
    let mut restarted = Spending::recall(spending.budgets().clone(), &stored, |turn| *turn == id(2));
    assert!(restarted.open().keys().eq([&id(2)]));
    apply(&mut stored, restarted.take_changes());
    restarted.settle(&id(1), &cost(100), Some(0));
    restarted.settle(&id(2), &cost(200), Some(0));
    assert_eq!(restarted.spent_in_all(), tokens(300));
    apply(&mut stored, restarted.take_changes());
    let again = Spending::recall(spending.budgets().clone(), &stored, |_| true);
    assert_eq!((again.spent_in_all(), again.open().len()), (tokens(300), 0));
    assert!(id(7).is_of(&WorkId::new("n1")) && !id(7).is_of(&WorkId::new("n")));
}

/// The aborted turn at the limit is charged only once its outcome is known, and a reset before that forgives it as well.
#[test]
fn a_reset_forgives_what_running_turns_have_used() {
    let mut spending = with(Some(1_000), "");
    spending.reserve(&id(1), "ben", tokens(1), NOON).unwrap();
    spending.observe(&id(1), &cost(1_200), Duration::from_secs(1));
    assert!(is_at_limit(&spending.reserve(&id(2), "ben", tokens(1), NOON)));
    spending.reset(&Scope::Account, NOON).unwrap();
    assert_eq!(spending.reserve(&id(2), "ben", tokens(1), NOON), Ok(()));
    spending.settle(&id(1), &cost(1_200), Some(0));
    spending.settle(&id(2), &cost(300), Some(0));
    assert_eq!(spending.report(NOON).scopes[0].counted, tokens(300));
    assert_eq!(spending.spent_in_all(), tokens(1_500));
}

/// A figure that no turn can cost does not exhaust the range of a count: after a reset, later turns count.
#[test]
fn an_absurd_cost_hides_no_later_one() {
    let mut spending = with(Some(1_000), "");
    spending.reserve(&id(1), "ben", tokens(1), NOON).unwrap();
    spending.settle(&id(1), &cost(u64::MAX), Some(0));
    spending.reset(&Scope::Account, NOON).unwrap();
    spending.reserve(&id(2), "ben", tokens(1), NOON).unwrap();
    spending.settle(&id(2), &cost(1_000), Some(0));
    assert!(is_at_limit(&spending.reserve(&id(3), "ben", tokens(1), NOON)));
}

#[test]
fn an_unreadable_count_holds_turns_until_a_reset() {
    let mut spending = with(Some(1_000), "");
    spending.turn_to(NOON);
    let mut stored = BTreeMap::new();
    apply(&mut stored, spending.take_changes());
    let day = stored["budget/day"].clone();
    stored.insert(format!("budget/count/{day}"), "{".to_owned());
    let mut recalled = Spending::recall(spending.budgets().clone(), &stored, |_| true);
    let refused = recalled.reserve(&id(1), "ben", tokens(1), NOON);
    let Err(TurnRefusal::AtLimit(reached)) = refused else { panic!("{refused:?}") };
    assert!(reached.explain().contains("its stored count cannot be read"), "{}", reached.explain());
    recalled.reset(&Scope::Account, NOON).unwrap();
    assert_eq!(recalled.reserve(&id(1), "ben", tokens(1), NOON), Ok(()));
}

fn apply(stored: &mut BTreeMap<String, String>, changes: StoredChanges) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(stored.insert(key, value)),
            None => drop(stored.remove(&key)),
        }
    }
}

/// Spending against other books.
mod books;
