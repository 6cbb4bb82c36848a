//! Counts how often a row met each cause of failure.
//!
//! A newer version may have written a name that this version does not know. Such a name is kept unchanged. It counts
//! as an attempt that failed by the row's own fault. It never causes a row to be given up, because only a version that
//! knows the cause can meet it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Blame, Cause};

/// How often each cause was met. In the ledger this is one map by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    counts: BTreeMap<Cause, u32>,
    /// The counts under names that only a newer version knows.
    unknown: BTreeMap<String, u32>,
}

impl Failures {
    /// How often this cause was met.
    pub fn of(&self, cause: Cause) -> u32 {
        self.counts.get(&cause).copied().unwrap_or(0)
    }

    /// Counts a cause `times` more times. Returns how often it was met in total.
    pub fn add(&mut self, cause: Cause, times: u32) -> u32 {
        if times == 0 {
            return self.of(cause);
        }
        let count = self.counts.entry(cause).or_default();
        *count = count.saturating_add(times);
        *count
    }

    /// Resets the count of a cause that has ended.
    pub fn clear(&mut self, cause: Cause) {
        self.counts.remove(&cause);
    }

    /// Failures that need not concern any other row.
    pub fn of_row(&self) -> u32 {
        sum(self.unknown.values().copied()).saturating_add(self.blamed_on(Blame::Row))
    }

    /// Failures caused by the model's provider or by the gateway's configuration.
    pub fn of_provider(&self) -> u32 {
        self.blamed_on(Blame::Provider)
    }

    /// Failed attempts, as people count them: a turn that is sent again because its answer was lost does not count.
    pub fn attempts(&self) -> u32 {
        let row = self.of_row().saturating_sub(self.of(Cause::LostAnswer));
        row.saturating_add(self.of_provider()).saturating_add(self.of(Cause::BackendAway))
    }

    fn blamed_on(&self, blame: Blame) -> u32 {
        sum(self.counts.iter().filter(|(cause, _)| cause.rule().blame == blame).map(|(_, count)| *count))
    }
}

fn sum(counts: impl Iterator<Item = u32>) -> u32 {
    counts.fold(0, u32::saturating_add)
}

impl<const N: usize> From<[(Cause, u32); N]> for Failures {
    fn from(counts: [(Cause, u32); N]) -> Self {
        let mut failures = Self::default();
        for (cause, count) in counts {
            failures.add(cause, count);
        }
        failures
    }
}

impl Serialize for Failures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.counts.iter().map(|(cause, count)| (cause.name(), count));
        serializer.collect_map(known.chain(self.unknown.iter().map(|(name, count)| (name.as_str(), count))))
    }
}

impl<'de> Deserialize<'de> for Failures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut failures = Self::default();
        for (name, count) in BTreeMap::<String, u32>::deserialize(deserializer)? {
            match Cause::of_name(&name) {
                Some(cause) => {
                    failures.counts.insert(cause, count);
                }
                None => {
                    failures.unknown.insert(name, count);
                }
            }
        }
        Ok(failures)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn causes_of_a_newer_version_are_kept_and_count_as_attempts_of_the_row() {
        let stored = json!({"lost-answer": 1, "internal": 2, "crash": 9, "of-a-newer-version": 3});
        let mut failures: Failures = serde_json::from_value(stored).unwrap();
        assert_eq!((failures.of_row(), failures.of_provider(), failures.attempts()), (6, 0, 5));
        failures.add(Cause::Internal, 1);
        failures.clear(Cause::LostAnswer);
        let written = serde_json::to_value(&failures).unwrap();
        assert_eq!(written, json!({"internal": 3, "crash": 9, "of-a-newer-version": 3}));
    }
}
