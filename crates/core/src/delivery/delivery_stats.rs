//! Delivery counts and the last trouble, for `/health`.

use std::collections::BTreeMap;

use super::End;
use mcr_model::clock::Millis;

/// The counts since the start.
#[derive(Clone, Debug, Default)]
pub struct DeliveryStats {
    /// How many deliveries ended with each outcome.
    pub ended: BTreeMap<&'static str, u64>,
    /// How many rows were skipped, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// How often the loop brake has stopped a thread.
    pub team_stops: u64,
    /// Failed attempts.
    pub failed: u64,
    /// How many of the last attempts failed in a row.
    pub consecutive_failures: u64,
    /// When a cycle was last completed: a delivery ended, or a list returned, with or without work.
    pub last_delivery: Option<Millis>,
    /// When an attempt or a list last failed.
    pub last_error_at: Option<Millis>,
    /// Why it failed, redacted.
    pub last_error: Option<String>,
    /// Why the last list failed, if it did.
    pub list_error: Option<String>,
    /// When a list last succeeded.
    pub last_list: Option<Millis>,
}

impl DeliveryStats {
    /// How many deliveries ended with this outcome.
    pub fn of(&self, name: &str) -> u64 {
        self.ended.get(name).copied().unwrap_or_default()
    }

    /// How many rows are settled, with any outcome.
    pub fn settled(&self) -> u64 {
        self.ended.values().sum()
    }

    /// Counts a settled row.
    pub(super) fn close(&mut self, end: &End, now: Millis) {
        *self.ended.entry(end.name()).or_default() += 1;
        self.last_delivery = Some(now);
        if let End::Skipped(why) = end {
            *self.skipped.entry(why.name()).or_default() += 1;
        }
        match end {
            End::Dead(why) => self.fail(why.clone(), now),
            End::Answered(_)
            | End::Kept(_)
            | End::Silent(_)
            | End::Unanswered(_)
            | End::Skipped(_)
            | End::Stopped
            | End::Dropped(_)
            | End::Gone => self.consecutive_failures = 0,
        }
    }

    /// Counts a failed list.
    pub(super) fn fail_to_list(&mut self, why: String, now: Millis) {
        self.last_error_at = Some(now);
        self.list_error = Some(why.clone());
        self.last_error = Some(why);
    }

    /// Counts a successful list.
    pub(super) fn list(&mut self, now: Millis) {
        self.last_list = Some(now);
        self.last_delivery = Some(now);
        self.list_error = None;
    }

    /// Counts a failed attempt.
    pub(super) fn fail(&mut self, why: String, now: Millis) {
        self.failed += 1;
        self.consecutive_failures += 1;
        self.last_error_at = Some(now);
        self.last_error = Some(why);
    }
}
