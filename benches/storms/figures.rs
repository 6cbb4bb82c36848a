//! The figures of a storm.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::world::Observations;

/// What was counted in a time.
pub(crate) struct Figures {
    time: Duration,
    turns: u64,
    lists: u64,
    bytes: usize,
}

impl Figures {
    pub(crate) fn of(seen: &Observations, time: Duration) -> Self {
        Self {
            time,
            turns: seen.turns.load(Ordering::Relaxed),
            lists: seen.lists.load(Ordering::Relaxed),
            bytes: seen.backend_bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn print(&self, name: &str) {
        let seconds = self.time.as_secs_f64();
        println!("{name}, {seconds:.0} s");
        println!("  turns a minute   {:.0}", self.turns as f64 / seconds * 60.0);
        println!("  lists a second   {:.2}", self.lists as f64 / seconds);
        let megabytes = self.bytes as f64 / 1e6;
        println!("  from the backend {megabytes:.1} MB ({:.1} MB a minute)", megabytes / seconds * 60.0);
    }
}

/// How long people waited for their answers.
pub(crate) struct Waits {
    /// Sorted.
    answered: Vec<Duration>,
    /// Of the questions without an answer: how long people have waited so far.
    open: Vec<Duration>,
}

impl Waits {
    pub(crate) fn of(asked: &[Instant], answered: &HashMap<usize, Instant>, now: Instant) -> Self {
        let mut waits = Self { answered: Vec::new(), open: Vec::new() };
        for (number, began) in asked.iter().enumerate() {
            match answered.get(&number) {
                Some(at) => waits.answered.push(at.saturating_duration_since(*began)),
                None => waits.open.push(now.saturating_duration_since(*began)),
            }
        }
        waits.answered.sort();
        waits.open.sort();
        waits
    }

    /// The wait that this percentage of the questions did not exceed. Questions without an answer are the longest.
    fn percentile(&self, percent: usize) -> String {
        let count = self.answered.len() + self.open.len();
        let place = (count * percent).div_ceil(100).saturating_sub(1);
        match self.answered.get(place) {
            Some(wait) => format!("{:.2} s", wait.as_secs_f64()),
            None => self
                .open
                .get(place - self.answered.len())
                .map_or_else(|| "–".to_owned(), |wait| format!("more than {:.0} s", wait.as_secs_f64())),
        }
    }

    pub(crate) fn print(&self) {
        let (answered, all) = (self.answered.len(), self.answered.len() + self.open.len());
        let (p50, p99) = (self.percentile(50), self.percentile(99));
        println!("  a person waits   p50 {p50}, p99 {p99} ({answered} of {all} answered)");
    }
}
