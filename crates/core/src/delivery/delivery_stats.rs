//! What has become of the rows so far, for `/health`: counts and the last trouble.

use std::collections::BTreeMap;

use super::End;
use mcr_model::clock::Millis;

/// The counts since the start.
#[derive(Clone, Debug, Default)]
pub struct DeliveryStats {
    /// How many deliveries ended in each way.
    pub ended: BTreeMap<&'static str, u64>,
    /// Why agents did not hear of rows.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Attempts that failed.
    pub failed: u64,
    /// How many of the last attempts failed, without a success between.
    pub consecutive_failures: u64,
    /// When a cycle was last completed: a delivery ended, or a list came back, with or without work.
    pub last_delivery: Option<Millis>,
    /// When something last failed.
    pub last_error_at: Option<Millis>,
    /// What, redacted.
    pub last_error: Option<String>,
    /// Why the last list failed, if it did.
    pub list_error: Option<String>,
    /// When a list last came back.
    pub last_list: Option<Millis>,
}

impl DeliveryStats {
    /// How many ended in this way.
    pub fn of(&self, name: &str) -> u64 {
        self.ended.get(name).copied().unwrap_or_default()
    }

    /// Rows that are settled, however.
    pub fn settled(&self) -> u64 {
        self.ended.values().sum()
    }

    /// A row is settled.
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

    /// A list failed.
    pub(super) fn fail_to_list(&mut self, why: String, now: Millis) {
        self.last_error_at = Some(now);
        self.list_error = Some(why.clone());
        self.last_error = Some(why);
    }

    /// A list came back.
    pub(super) fn list(&mut self, now: Millis) {
        self.last_list = Some(now);
        self.last_delivery = Some(now);
        self.list_error = None;
    }

    /// An attempt failed.
    pub(super) fn fail(&mut self, why: String, now: Millis) {
        self.failed += 1;
        self.consecutive_failures += 1;
        self.last_error_at = Some(now);
        self.last_error = Some(why);
    }
}
