//! The stored form: one small value for each count and each running turn, so that a turn changes three of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Spending;
use super::book::{Book, Books, Count, Scope};
use super::turn::{OpenTurn, TurnId};
use mcr_model::spending::Budgets;
use mcr_model::zone::Day;

/// The beginning of every key.
pub const PREFIX: &str = "budget/";

/// Changed values by key. `None` removes a value.
pub type StoredChanges = Vec<(String, Option<String>)>;

/// What differs from the stored state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dirty {
    day: bool,
    counts: BTreeSet<(Day, Scope)>,
    turns: BTreeSet<TurnId>,
}

impl Dirty {
    pub(super) fn day(&mut self) {
        self.day = true;
    }

    pub(super) fn count(&mut self, day: Day, scope: Scope) {
        self.counts.insert((day, scope));
    }

    pub(super) fn turn(&mut self, id: &TurnId) {
        self.turns.insert(id.clone());
    }
}

fn count_key(day: Day, scope: &Scope) -> String {
    match scope {
        Scope::Account => format!("{PREFIX}count/{}", day.0),
        Scope::Agent(slug) => format!("{PREFIX}count/{}/{slug}", day.0),
    }
}

fn turn_key(id: &TurnId) -> String {
    format!("{PREFIX}turn/{id}")
}

fn day_key() -> String {
    format!("{PREFIX}day")
}

impl Spending {
    /// What changed since the last call.
    pub fn take_changes(&mut self) -> StoredChanges {
        let Dirty { day, counts, turns } = std::mem::take(&mut self.changed);
        let counts = counts
            .into_iter()
            .map(|(day, scope)| (count_key(day, &scope), self.books.count(day, &scope).map(text)));
        let turns = turns.into_iter().map(|id| (turn_key(&id), self.open.get(&id).map(text)));
        let day = day.then(|| (day_key(), Some(self.books.today().0.to_string())));
        day.into_iter().chain(counts).chain(turns).collect()
    }

    /// The state that an earlier process has stored. Only turns that `was_sent` stay open: the others never left the
    /// process.
    pub fn recall(
        budgets: Budgets,
        stored: &BTreeMap<String, String>,
        was_sent: impl Fn(&TurnId) -> bool,
    ) -> Self {
        let (mut days, mut current) = (BTreeMap::<Day, Book>::new(), None);
        let mut recalled = Self::new(budgets);
        for (key, value) in stored.range(PREFIX.to_owned()..) {
            let Some(name) = key.strip_prefix(PREFIX) else { break };
            if let Some(id) = name.strip_prefix("turn/") {
                let id = TurnId::stored(id);
                // An unreadable reservation has no agent, so only its settlement can charge it.
                match serde_json::from_str::<OpenTurn>(value) {
                    Ok(turn) if was_sent(&id) => drop(recalled.open.insert(id, turn)),
                    Ok(_) | Err(_) => recalled.changed.turn(&id),
                }
            } else if let Some((day, scope)) = name.strip_prefix("count/").and_then(count_of) {
                let unreadable = Count { unreadable: true, ..Count::default() };
                let count = serde_json::from_str(value).unwrap_or(unreadable);
                days.entry(day).or_default().insert(scope, count);
            } else if name == "day" {
                current = value.parse().ok().map(Day);
            }
        }
        // Without the day in use, the latest one counts.
        let current = current.or_else(|| days.keys().next_back().copied());
        // A day in which a turn counts has a book, also without a stored count. So a clock that goes back to it adds no
        // other day to it.
        for day in recalled.open.values().flat_map(OpenTurn::days) {
            days.entry(day).or_default();
        }
        recalled.books = Books::new(current, days);
        recalled
    }
}

/// The day and the scope in the key of a count.
fn count_of(name: &str) -> Option<(Day, Scope)> {
    let (day, scope) = match name.split_once('/') {
        Some((day, slug)) => (day, Scope::Agent(slug.to_owned())),
        None => (name, Scope::Account),
    };
    day.parse().ok().map(|day| (Day(day), scope))
}

fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("counts have only numbers and texts")
}
