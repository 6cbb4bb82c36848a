//! Counts and durations under fixed names. They are atomics without a lock. Input from outside never adds a name, so
//! memory stays bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The name under which unknown names and results are counted.
pub const OTHER: &str = "other";

/// How often an operation ran, by name and result, and how long it took, by name.
#[derive(Debug)]
pub struct Family {
    names: Vec<&'static str>,
    results: Vec<&'static str>,
    /// One for each pair; the results of one name are adjacent.
    counts: Vec<AtomicU64>,
    /// One for each name.
    times: Vec<Histogram>,
}

impl Family {
    /// A family of these names and results. `bounds` are the upper ends of the buckets of durations, in seconds.
    pub fn new(
        names: impl IntoIterator<Item = &'static str>,
        results: impl IntoIterator<Item = &'static str>,
        bounds: &'static [f64],
    ) -> Self {
        let with_other = |words: &mut dyn Iterator<Item = &'static str>| {
            words.chain([OTHER]).collect::<Vec<&'static str>>()
        };
        let names = with_other(&mut names.into_iter());
        let results = with_other(&mut results.into_iter());
        let counts = (0..names.len() * results.len()).map(|_| AtomicU64::new(0)).collect();
        let times = names.iter().map(|_| Histogram::new(bounds)).collect();
        Self { names, results, counts, times }
    }

    /// Counts one operation. Unknown names and results count as [`OTHER`].
    pub fn record(&self, name: &str, result: &str, took: Duration) {
        // `OTHER` is the last entry of both lists.
        let index = |words: &[&'static str], word: &str| {
            words.iter().position(|known| *known == word).unwrap_or(words.len() - 1)
        };
        let name = index(&self.names, name);
        let result = index(&self.results, result);
        self.counts[name * self.results.len() + result].fetch_add(1, Ordering::Relaxed);
        self.times[name].record(took);
    }

    /// Every pair that was counted at least once: name, result, count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let pairs =
            self.names.iter().flat_map(|name| self.results.iter().map(move |result| (*name, *result)));
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        pairs
            .zip(counts)
            .map(|((name, result), count)| (name, result, count))
            .filter(|(.., count)| *count > 0)
    }

    /// The number of all operations.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The durations of every name that was counted at least once.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, Durations)> {
        let times = self.names.iter().zip(&self.times).map(|(name, times)| (*name, times.read()));
        times.filter(|(_, times)| times.count() > 0)
    }
}

/// Durations in buckets.
#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for longer durations.
    buckets: Vec<AtomicU64>,
    nanos: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, nanos: AtomicU64::new(0) }
    }

    fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        // The sum of all durations is less than the 584 years that fit.
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> Durations {
        let mut total = 0;
        let upto = self.buckets.iter().map(|bucket| {
            total += bucket.load(Ordering::Relaxed);
            total
        });
        let upto = upto.collect();
        let nanos = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        Durations { bounds: self.bounds, upto, seconds: nanos.as_secs_f64() }
    }
}

/// Durations at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// The ends of the buckets, in seconds.
    pub bounds: &'static [f64],
    /// How many were at most as long as each bound; the last entry counts all.
    pub upto: Vec<u64>,
    /// The sum of all durations.
    pub seconds: f64,
}

impl Durations {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.upto.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_known_pair_and_sums_unknown_names_as_other() {
        let family = Family::new(["a", "b"], ["ok", "no"], &[0.1, 1.0]);
        for (name, result, millis) in [
            ("a", "ok", 5),
            ("a", "ok", 100),
            ("a", "no", 101),
            ("z", "ok", 5000),
            ("zz", "?", 1),
            ("b", "?", 0),
        ] {
            family.record(name, result, Duration::from_millis(millis));
        }
        let counts: Vec<_> = family.counts().collect();
        let expected =
            [("a", "ok", 2), ("a", "no", 1), ("b", "other", 1), ("other", "ok", 1), ("other", "other", 1)];
        assert_eq!(counts, expected);
        let times: Vec<_> = family.times().map(|(name, times)| (name, times.upto)).collect();
        // A bucket includes durations equal to its bound.
        assert_eq!(times, [("a", vec![2, 3, 3]), ("b", vec![1, 1, 1]), ("other", vec![1, 1, 2])]);
        let (_, a) = family.times().next().unwrap();
        assert!((a.seconds - 0.206).abs() < 1e-9 && a.count() == 3);
    }
}
