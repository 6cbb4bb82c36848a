//! Counts of beats: how many were sent and saved, what they did, and what they cost.

use mcr_core::delivery::{End, Record};
use mcr_core::gateway::Usage;

/// The counts of beats since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BeatTally {
    /// Beats that were sent to the model.
    pub prompted: u64,
    /// Those of them in which the agent did something: it posted an update, or acted with its tools.
    pub worked: u64,
    /// Beats that were saved.
    pub saved: u64,
    /// Beats that were given up after all retries.
    pub failed: u64,
    /// Requests for a response that the orchestrator's beats sent without the model.
    pub follow_ups: u64,
    /// The cost of the beats that were sent.
    pub spent: Usage,
    /// Why the last beat was given up, if it was.
    pub last_error: Option<String>,
}

impl BeatTally {
    /// Adds a beat that has ended.
    pub(super) fn add(&mut self, record: &Record, end: &End) {
        let was_prompted = record.asked() > 0;
        let acted = record.beat.as_ref().is_some_and(|beat| beat.acted);
        self.prompted += u64::from(was_prompted);
        self.worked += u64::from(was_prompted && (acted || matches!(end, End::Answered(_))));
        self.saved += u64::from(!was_prompted && matches!(end, End::Skipped(why) if why.is_saved_beat()));
        self.failed += u64::from(matches!(end, End::Missed(_)));
        self.follow_ups += record.beat.as_ref().map_or(0, |beat| beat.asked.len() as u64);
        self.spent += *record.spent;
        self.last_error = match end {
            End::Missed(why) => Some(why.clone()),
            _ => None,
        };
    }

    /// The sum of two counts.
    #[must_use]
    pub(super) fn plus(mut self, other: &Self) -> Self {
        self.spent += other.spent;
        Self {
            prompted: self.prompted + other.prompted,
            worked: self.worked + other.worked,
            saved: self.saved + other.saved,
            failed: self.failed + other.failed,
            follow_ups: self.follow_ups + other.follow_ups,
            spent: self.spent,
            last_error: self.last_error.or_else(|| other.last_error.clone()),
        }
    }

    /// The tokens of all beats that were sent.
    pub fn tokens(&self) -> u64 {
        self.spent.input_tokens + self.spent.output_tokens
    }

    /// The tokens that the saved beats would have cost, at the average of those that were sent. None if none was sent.
    pub fn tokens_saved(&self) -> Option<u64> {
        self.tokens().checked_div(self.prompted).map(|each| each.saturating_mul(self.saved))
    }
}
