//! The state of the budgets for people: `/health`, the live page and `budget show`.

use serde::Serialize;

use super::{Count, Reached, Scope, Spending};
use crate::spans::sentence;
use mcr_model::clock::Millis;
use mcr_model::spending::{Amount, Dollars, Limits, grouped};

/// The budgets and what was spent of them today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The day, in the time zone of the budgets.
    pub day: String,
    /// The time zone.
    pub time_zone: &'static str,
    /// When the day ends.
    pub ends_at: Millis,
    /// The account first, then the agents with a budget.
    pub scopes: Vec<ScopeReport>,
    /// What prevents that a limit works as intended: findings without a full stop.
    pub warnings: Vec<String>,
}

/// The budget of the account or of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the JSON")]
pub struct ScopeReport {
    /// The agent's slug; none for the account.
    pub agent: Option<String>,
    /// The limits of today.
    pub limits: Limits,
    /// Whether an operator has raised them.
    pub raised: bool,
    /// The limits to which an operator has raised them.
    #[serde(skip_serializing_if = "Limits::is_none")]
    pub raised_to: Limits,
    /// What counts against the limits.
    pub counted: Amount,
    /// Whether an operator has started the count from zero.
    #[serde(skip)]
    pub is_reset: bool,
    /// What running turns have used so far, as read from their sessions.
    pub running: Amount,
    /// What was spent today, whether or not an operator has reset the count.
    pub spent: Amount,
    /// How many requests to the gateway were settled. A turn with tool calls has several.
    pub requests: u64,
    /// The part of the tokens that is estimated.
    pub estimated_tokens: u64,
    /// The part of the tokens without a cost in dollars.
    pub unpriced_tokens: u64,
    /// Whether a limit is reached, so that turns wait.
    pub reached: bool,
    /// Whether it counts as reached before the count is at the limit.
    pub early: bool,
    /// Whether the stored count cannot be read.
    pub unreadable: bool,
    /// The used part of the limit that is nearest to its end.
    pub percent: u64,
    /// All of that in a line.
    pub words: String,
}

/// What is said where no budget is set.
pub const NO_BUDGET: &str =
    "No budget is set. BUDGET_DAILY_TOKENS, BUDGET_DAILY_USD and BUDGET_AGENTS set one.";

/// What is said where a command does not have the variables of the service.
pub const LIMITS_ELSEWHERE: &str = "The limits are variables of the service, which this command may not have: give the env file of the service with --env-file.";

/// A sentence without its end about an agent that has no budget of its own. `named` are the agents that have one.
pub fn no_budget_of(agent: &str, named: impl Iterator<Item = String>) -> String {
    let named: Vec<String> = named.collect();
    let others =
        if named.is_empty() { "names no agent".to_owned() } else { format!("names {}", named.join(", ")) };
    format!("no budget is set for {agent} alone: BUDGET_AGENTS {others}")
}

const UNCOUNTED_DOLLARS: &str = "a budget in dollars counts nothing unless the gateway reports the cost of turns, and none is known so far: \
                                 set BUDGET_PRICES to the prices of the models";

impl Report {
    /// The budgets for people, one in each line.
    pub fn lines(&self) -> Vec<String> {
        let head = format!("Budgets of {} ({}); the day ends at {}.", self.day, self.time_zone, self.ends_at);
        let width = self.scopes.iter().map(|scope| scope.name().chars().count()).max().unwrap_or_default();
        let line = |scope: &ScopeReport| format!("  {:<width$}  {}", scope.name(), scope.words);
        let warnings = self.warnings.iter().map(|warning| sentence(warning));
        std::iter::once(head).chain(self.scopes.iter().map(line)).chain(warnings).collect()
    }

    /// The counts alone, one in each line, where the limits and their time zone are not known. None if nothing was
    /// counted.
    pub fn counts(&self) -> Option<Vec<String>> {
        let line = |scope: &ScopeReport| format!("  {}: {}", scope.name(), scope.words);
        let head = format!("The ledger has these counts of {}:", self.day);
        let lines = std::iter::once(head).chain(self.scopes.iter().map(line));
        (!self.scopes.is_empty()).then(|| lines.collect())
    }

    /// Whether turns cost dollars that a limit in dollars does not count.
    pub fn misses_dollars(&self) -> bool {
        self.scopes.iter().any(ScopeReport::misses_dollars)
    }

    /// Whether a limit is reached.
    pub fn is_reached(&self) -> bool {
        self.scopes.iter().any(|scope| scope.reached)
    }
}

impl ScopeReport {
    /// The name for people.
    pub fn name(&self) -> &str {
        self.agent.as_deref().unwrap_or("account")
    }

    fn misses_dollars(&self) -> bool {
        self.unpriced_tokens > 0 && self.limits.nano_dollars.is_some()
    }

    fn whose(&self) -> &str {
        self.agent.as_deref().unwrap_or("the account")
    }

    fn percent(&self) -> u64 {
        let used = self.counted.plus(self.running);
        let part = |used: u64, limit: Option<u64>| {
            limit.map(|limit| u128::from(used) * 100 / u128::from(limit.max(1)))
        };
        let parts =
            [part(used.tokens, self.limits.tokens), part(used.nano_dollars, self.limits.nano_dollars)];
        parts.into_iter().flatten().max().map_or(0, |percent| u64::try_from(percent).unwrap_or(u64::MAX))
    }

    fn with_words(self) -> Self {
        let percent = self.percent();
        let words = Self { percent, ..self.clone() }.in_words();
        Self { percent, words, ..self }
    }

    fn in_words(&self) -> String {
        let used = self.counted.plus(self.running);
        let tokens =
            self.limits.tokens.map(|limit| format!("{} of {} tokens", grouped(used.tokens), grouped(limit)));
        let dollars = self
            .limits
            .nano_dollars
            .map(|limit| format!("${} of ${}", Dollars(used.nano_dollars), Dollars(limit)));
        let parts: Vec<String> = tokens.into_iter().chain(dollars).collect();
        let state = match (self.reached, self.early) {
            (true, true) => ": closed, because the rest may be less than a turn needs; turns wait",
            (true, false) => ": reached, turns wait",
            (false, _) => "",
        };
        let raised = if self.raised { ", raised today" } else { "" };
        let estimated = match self.estimated_tokens {
            0 => String::new(),
            tokens => format!(", {} tokens estimated", grouped(tokens)),
        };
        if parts.is_empty() {
            let limit = if self.raised_to.is_none() {
                ", no limit".to_owned()
            } else {
                format!(", limit raised to {}", self.raised_to)
            };
            return format!("{used}{limit}{estimated}");
        }
        let parts = parts.join(" and ");
        let also = if self.limits.nano_dollars.is_none() && used.nano_dollars > 0 {
            format!(", ${} without a limit", Dollars(used.nano_dollars))
        } else {
            String::new()
        };
        let all = if self.is_reset {
            format!(", {} spent today before and after the reset", self.spent.plus(self.running))
        } else {
            String::new()
        };
        format!("{parts} ({} %){also}{raised}{all}{estimated}{state}", self.percent)
    }
}

impl Reached {
    /// The reason why turns wait, as the beginning of a sentence.
    pub fn in_words(&self) -> String {
        let whose = match &self.scope {
            Scope::Account => "the account's daily budget".to_owned(),
            Scope::Agent(slug) => format!("the daily budget of {slug}"),
        };
        if self.unreadable {
            return format!("{whose} holds turns, because its stored count cannot be read");
        }
        let used = format!("{} of {}", self.counted, self.limits);
        if self.early {
            return format!("{whose} is closed: {used} are used, and the rest may be less than a turn needs");
        }
        format!("{whose} is used up: {used}")
    }

    /// The commands that let turns start again.
    pub fn remedy(&self) -> String {
        let agent = match &self.scope {
            Scope::Account => String::new(),
            Scope::Agent(slug) => format!(" --agent {slug}"),
        };
        format!("`budget raise AMOUNT{agent}` or `budget reset{agent}` lets turns start before the next day")
    }

    /// Reason and remedy in two sentences.
    pub fn explain(&self) -> String {
        format!("{} {}.", sentence(&self.in_words()), self.remedy())
    }
}

impl Spending {
    /// The state now.
    pub fn report(&self, now: Millis) -> Report {
        let (day, zone) = (self.books.today(), self.budgets.zone);
        let configured: Vec<Scope> = if self.budgets.are_set() {
            self.scopes().collect()
        } else {
            self.books.book(day).map(|(scope, _)| scope.clone()).collect()
        };
        let scopes = configured.into_iter().map(|scope| {
            let none = Count::default();
            let count = self.books.count(day, &scope).unwrap_or(&none);
            let configured = self.configured(&scope);
            let limits = count.limits(configured);
            let reached = self.reached(day, &scope);
            let running = self.open_in(day, &scope).map(|(_, turn)| turn.observed());
            ScopeReport {
                limits,
                raised: limits != configured,
                raised_to: count.raised,
                counted: count.counted(),
                is_reset: !count.forgiven.is_zero(),
                running: running.fold(Amount::default(), Amount::plus),
                spent: count.spent,
                requests: count.requests,
                estimated_tokens: count.estimated,
                unpriced_tokens: count.unpriced,
                early: reached.as_ref().is_some_and(|reached| reached.early),
                reached: reached.is_some(),
                unreadable: count.unreadable,
                agent: match scope {
                    Scope::Account => None,
                    Scope::Agent(slug) => Some(slug),
                },
                ..ScopeReport::default()
            }
            .with_words()
        });
        let scopes: Vec<ScopeReport> = scopes.collect();
        let warnings = self.warnings(&scopes);
        Report { day: day.to_string(), time_zone: zone.name(), ends_at: zone.next_day(now), scopes, warnings }
    }

    fn warnings(&self, scopes: &[ScopeReport]) -> Vec<String> {
        let unpriced = scopes.iter().filter(|scope| scope.misses_dollars());
        let unpriced = unpriced.map(|scope| {
            let tokens = grouped(scope.unpriced_tokens);
            format!("{tokens} tokens of {} have no price: set BUDGET_PRICES for their model", scope.whose())
        });
        let uncounted = self.counts_no_dollars().then(|| UNCOUNTED_DOLLARS.to_owned());
        uncounted.into_iter().chain(unpriced).collect()
    }

    /// Whether dollars are limited, but neither prices nor a reported cost is known.
    pub fn counts_no_dollars(&self) -> bool {
        let knows_dollars = !self.budgets.prices.is_empty() || self.spent_in_all().nano_dollars > 0;
        self.budgets.limit_dollars() && !knows_dollars
    }

    /// When the next day begins.
    pub fn next_day(&self, now: Millis) -> Millis {
        self.budgets.zone.next_day(now)
    }

    /// The sums of everything that was spent, for tests that compare them with other books.
    pub fn spent_in_all(&self) -> Amount {
        let account = self.books.all().filter(|(_, scope, _)| **scope == Scope::Account);
        account.fold(Amount::default(), |sum, (_, _, count)| sum.plus(count.spent))
    }
}
