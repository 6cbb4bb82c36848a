//! Decides when something that an answer of Mission Control no longer contains is gone.
//!
//! One answer may be incomplete by mistake, and what is deleted because of it cannot be restored. So something is gone
//! only if a later answer lacks it as well. Plain data; the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcr_model::clock::Millis;

/// The usual time between the two answers.
pub const CONFIRM_AFTER: Duration = Duration::from_mins(1);

/// Since when things are missing.
#[derive(Debug)]
pub struct Absences<K> {
    confirm_after: Duration,
    /// The first answer. Anything that no answer has contained is missing since then.
    first: Option<Millis>,
    since: BTreeMap<K, Millis>,
    is_settled: bool,
}

impl<K: Clone + Ord> Absences<K> {
    /// No answer yet. Two answers that are this far apart prove that something is gone.
    pub fn new(confirm_after: Duration) -> Self {
        Self { confirm_after, first: None, since: BTreeMap::new(), is_settled: false }
    }

    /// Records what the newest answer lacks, and returns what of this is gone.
    pub fn record(&mut self, missing: impl IntoIterator<Item = K>, now: Millis) -> BTreeSet<K> {
        // A clock that went back delays nothing by more than the usual time.
        let is_confirmed = |since: Millis| now.since(since) >= self.confirm_after;
        self.is_settled |= self.first.is_some_and(is_confirmed);
        self.first = Some(self.first.map_or(now, |first| first.min(now)));
        let mut gone = BTreeSet::new();
        let mut since = BTreeMap::new();
        for key in missing {
            let former = self.since.get(&key).copied();
            if former.is_some_and(is_confirmed) {
                gone.insert(key.clone());
            }
            since.insert(key, former.map_or(now, |former| former.min(now)));
        }
        self.since = since;
        gone
    }

    /// Whether something that no answer has contained is gone.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Forgets what is missing, because the newest answer has parts that cannot be read.
    pub fn clear(&mut self) {
        self.since.clear();
    }
}

impl<K: Clone + Ord> Default for Absences<K> {
    fn default() -> Self {
        Self::new(CONFIRM_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_answers_a_minute_apart_confirm_that_something_is_gone() {
        // The seconds, what is missing, and what is gone.
        let rows: [(i64, &[&str], &[&str]); 7] = [
            (0, &["a"], &[]),
            (59, &["a", "b"], &[]),
            (60, &["a", "b"], &["a"]),
            (70, &["b"], &[]),
            (80, &["a"], &[]),
            (139, &["a", "b"], &[]),
            (140, &["a", "b"], &["a"]),
        ];
        let mut absences = Absences::default();
        for (second, missing, gone) in rows {
            let found = absences.record(missing.iter().copied(), Millis(second * 1_000));
            assert_eq!(found, gone.iter().copied().collect(), "after {second} s");
            assert_eq!(absences.is_settled(), second >= 60, "after {second} s");
        }
    }

    #[test]
    fn a_clock_that_goes_back_delays_the_confirmation_once() {
        let mut absences = Absences::default();
        for (second, gone) in [(1_000_000, 0), (10, 0), (70, 1)] {
            assert_eq!(absences.record(["a"], Millis(second * 1_000)).len(), gone, "{second}");
        }
    }
}
