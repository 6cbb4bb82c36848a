//! What was spent on each calendar day, and which day counts now.
//!
//! Each calendar day has one book, which is never emptied. So a clock that jumps over midnight finds the same count when
//! it comes back. If the clock goes back to a day without a book, the count is carried over: setting the clock back
//! grants no fresh budget.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use mcr_model::spending::{Amount, Limits};
use mcr_model::zone::Day;

/// How many days are kept. Older ones only matter to a clock that goes back as far.
const DAYS_MAX: usize = 35;

/// The count of one day for the account or for one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Count {
    /// What the settled turns cost.
    pub spent: Amount,
    /// How many requests to the gateway were settled. A turn with tool calls has several.
    #[serde(rename = "turns")]
    pub requests: u64,
    /// The part of the tokens that is estimated, because the gateway reported no usage.
    pub estimated: u64,
    /// The part of the tokens without a cost in dollars.
    pub unpriced: u64,
    /// The count of a later day, because the clock was set back.
    #[serde(skip_serializing_if = "is_default")]
    pub carried: Amount,
    /// The count at the last reset.
    #[serde(skip_serializing_if = "is_default")]
    pub forgiven: Amount,
    /// Limits that an operator has raised for this day.
    #[serde(skip_serializing_if = "is_default")]
    pub raised: Limits,
    /// The limits at which running turns were aborted. While they apply, they count as reached.
    #[serde(skip_serializing_if = "is_default")]
    pub closed_at: Limits,
    /// Whether the stored count cannot be read. Then the limit counts as reached until a reset.
    #[serde(skip_serializing_if = "is_default")]
    pub unreadable: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The most that one turn is charged: a million dollars. A figure beyond it is nonsense, and must not exhaust the range of a count.
const CHARGE_MAX: Amount = Amount { tokens: 1_000_000_000_000_000, nano_dollars: 1_000_000_000_000_000 };

impl Count {
    /// What counts against the limit.
    pub fn counted(&self) -> Amount {
        self.counted_with(Amount::default())
    }

    /// The same with an amount that is not charged yet. A reset also forgives what running turns had used by then.
    pub(super) fn counted_with(&self, open: Amount) -> Amount {
        self.spent.plus(self.carried).plus(open).minus(self.forgiven)
    }

    pub(super) fn charge(&mut self, charge: &Charge) {
        self.spent = self.spent.plus(charge.amount.at_most(CHARGE_MAX));
        self.requests += 1;
        self.estimated = self.estimated.saturating_add(charge.estimated);
        self.unpriced = self.unpriced.saturating_add(charge.unpriced);
    }

    /// Starts the count from zero. The running turns have used this much.
    pub(super) fn reset(&mut self, running: Amount) {
        self.forgiven = self.spent.plus(self.carried).plus(running);
        self.unreadable = false;
        self.closed_at = Limits::default();
    }

    /// The limits that apply today. Raising cannot set a limit of a kind that has none.
    pub fn limits(&self, configured: Limits) -> Limits {
        let higher = |set: Option<u64>, raised: Option<u64>| set.map(|set| set.max(raised.unwrap_or(0)));
        Limits {
            tokens: higher(configured.tokens, self.raised.tokens),
            nano_dollars: higher(configured.nano_dollars, self.raised.nano_dollars),
        }
    }
}

/// What a turn cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) amount: Amount,
    pub(super) estimated: u64,
    pub(super) unpriced: u64,
}

/// The account, or an agent by its lower-case slug.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All agents together.
    Account,
    /// One agent.
    Agent(String),
}

impl Scope {
    /// The scopes of an agent's turn.
    pub(super) fn of(agent: &str) -> [Self; 2] {
        [Self::Account, Self::Agent(agent.to_owned())]
    }

    /// The scope of this agent, or of the account.
    pub fn named(agent: Option<&str>) -> Self {
        agent.map_or(Self::Account, |agent| Self::Agent(agent.to_lowercase()))
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Account => "the account",
            Self::Agent(slug) => slug,
        }
    }

    /// Whether turns of this agent belong to the scope.
    pub fn covers(&self, agent: &str) -> bool {
        match self {
            Self::Account => true,
            Self::Agent(slug) => slug == agent,
        }
    }
}

/// The counts of one day.
pub(super) type Book = BTreeMap<Scope, Count>;

/// Whether the day has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// The day is the same.
    No,
    /// Another day counts now.
    Yes,
    /// The clock went back to a day without a book, which has taken over the count.
    Carried,
}

/// The counts of all kept days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    /// The day that counts now.
    current: Option<Day>,
    days: BTreeMap<Day, Book>,
}

impl Books {
    pub(super) fn new(current: Option<Day>, days: BTreeMap<Day, Book>) -> Self {
        Self { current, days }
    }

    /// Turns to the day of the clock.
    pub(super) fn turn_to(&mut self, today: Day) -> Turned {
        let Some(before) = self.current.replace(today) else { return Turned::Yes };
        if before == today {
            return Turned::No;
        }
        if today < before && !self.days.contains_key(&today) {
            let carried = |(scope, count): (&Scope, &Count)| {
                let Count { raised, closed_at, unreadable, .. } = *count;
                let carried = count.counted();
                (scope.clone(), Count { carried, raised, closed_at, unreadable, ..Count::default() })
            };
            let book = self.days.get(&before).map(|book| book.iter().map(carried).collect());
            self.days.insert(today, book.unwrap_or_default());
            return Turned::Carried;
        }
        Turned::Yes
    }

    /// Removes the oldest days beyond the number that is kept. Returns them.
    pub(super) fn prune(&mut self, is_needed: impl Fn(Day) -> bool) -> Vec<(Day, Book)> {
        let mut excess = self.days.len().saturating_sub(DAYS_MAX);
        let current = self.current;
        let goes = |day: &Day, _: &mut Book| {
            let goes = excess > 0 && Some(*day) != current && !is_needed(*day);
            excess -= usize::from(goes);
            goes
        };
        self.days.extract_if(.., goes).collect()
    }

    /// The day that counts now.
    pub(super) fn today(&self) -> Day {
        self.current.unwrap_or_default()
    }

    pub(super) fn count(&self, day: Day, scope: &Scope) -> Option<&Count> {
        self.days.get(&day)?.get(scope)
    }

    pub(super) fn count_mut(&mut self, day: Day, scope: &Scope) -> &mut Count {
        self.days.entry(day).or_default().entry(scope.clone()).or_default()
    }

    pub(super) fn book(&self, day: Day) -> impl Iterator<Item = (&Scope, &Count)> {
        self.days.get(&day).into_iter().flatten()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Day, &Scope, &Count)> {
        self.days.iter().flat_map(|(day, book)| book.iter().map(|(scope, count)| (*day, scope, count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(books: &Books) -> u64 {
        books.count(books.today(), &Scope::Account).map_or(0, |count| count.counted().tokens)
    }

    fn spend(books: &mut Books, tokens: u64) {
        let charge = Charge { amount: Amount { tokens, nano_dollars: 0 }, ..Charge::default() };
        let today = books.today();
        books.count_mut(today, &Scope::Account).charge(&charge);
    }

    /// A clock that jumps: each step is the day it shows, what is spent then, and what counts afterwards.
    #[test]
    fn a_clock_that_jumps_over_midnight_grants_no_fresh_budget() {
        type Steps = [(i64, u64, u64)];
        let rows: [(&str, &Steps); 6] = [
            ("days follow each other", &[(10, 900, 900), (11, 5, 5), (12, 0, 0)]),
            ("back to a known day", &[(10, 900, 900), (11, 5, 5), (10, 50, 950), (11, 5, 10)]),
            ("back to a day without a book", &[(10, 900, 900), (9, 50, 950), (10, 0, 900)]),
            ("forward and back", &[(10, 900, 900), (11, 300, 300), (10, 50, 950), (11, 1, 301)]),
            ("a year forward and back", &[(10, 900, 900), (375, 300, 300), (10, 0, 900), (11, 1, 1)]),
            ("a first start in the future", &[(375, 900, 900), (10, 50, 950), (11, 1, 1)]),
        ];
        for (name, steps) in rows {
            let mut books = Books::default();
            for (day, tokens, expected) in steps {
                books.turn_to(Day(*day));
                spend(&mut books, *tokens);
                assert_eq!(spent(&books), *expected, "{name}, day {day}");
            }
        }
    }

    #[test]
    fn old_days_are_removed_but_not_the_needed_ones() {
        let mut books = Books::default();
        for day in 0..50 {
            books.turn_to(Day(day));
            spend(&mut books, 1);
        }
        books.turn_to(Day(3));
        let removed = books.prune(|day| day == Day(0));
        let days: Vec<i64> = removed.iter().map(|(day, _)| day.0).collect();
        assert_eq!(days, [1, 2].into_iter().chain(4..17).collect::<Vec<_>>());
        assert_eq!((books.days.len(), spent(&books)), (DAYS_MAX, 1));
    }
}
