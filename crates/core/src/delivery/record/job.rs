//! What the record of a job of a worker pool has in addition to that of other deliveries.

use serde::{Deserialize, Serialize};

use super::{Record, Stage, UnknownFields};
use crate::outbox::Outbox;
use mcr_model::clock::Millis;

/// The job's own part of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobRecord {
    /// What is done for the answer; none before there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox: Option<Outbox>,
    /// The lease under which the session was searched for turns of other workers. No other worker sends a turn under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searched_under: Option<String>,
    /// Since when the session cannot be read for that search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable_since: Option<Millis>,
    /// The last attempt that the agent ended without a text. Another claim asks again instead of taking over that end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_attempt: Option<u32>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl Record {
    /// The record for another claim of the same message. An answer that was paid for is delivered; otherwise a turn that
    /// was sent is looked for before another one is sent.
    #[must_use]
    pub fn claimed_again(&self) -> Self {
        let outbox = self.job.as_ref().and_then(|job| job.outbox.as_ref()).map(Outbox::reclaimed);
        let stage = match (&outbox, &self.stage) {
            (Some(_), _) => Stage::Answered(super::PendingAnswer::default()),
            (None, Stage::Working(rounds)) => Stage::Working(rounds.clone()),
            (None, _) => Stage::Fresh,
        };
        let own = self.job.as_deref().cloned().unwrap_or_default();
        Self {
            tries: self.tries,
            not_accepted: self.not_accepted,
            requests: self.requests,
            sent: self.sent.clone(),
            unanswered_question: self.unanswered_question,
            tools_missing: self.tools_missing,
            charged: self.charged,
            parted: self.parted,
            since: self.since,
            effects: self.effects.clone(),
            spent: self.spent.clone(),
            job: Some(Box::new(JobRecord { outbox, unreadable_since: None, ..own })),
            stage,
            extra: self.extra.clone(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::End;

    #[test]
    fn another_claim_keeps_the_answer_and_the_count_of_questions() {
        let outbox = Outbox::new("hello".to_owned(), vec!["hello".to_owned()], None);
        let job = Some(Box::new(JobRecord { outbox: Some(outbox), ..JobRecord::default() }));
        let stage = Stage::Ended(End::Missed("the lease is lost".to_owned()));
        let ended = Record { tries: 2, held: 3, job, stage: stage.clone(), ..Record::default() };
        let again = ended.claimed_again();
        assert!(matches!(again.stage, Stage::Answered(_)), "no turn is needed: {:?}", again.stage);
        assert_eq!((again.tries, again.held), (2, 0));
        assert_eq!(again.job.unwrap().outbox.unwrap().answer, "hello");

        let unanswered = Record { tries: 1, stage, ..Record::default() };
        assert_eq!(unanswered.claimed_again().stage, Stage::Fresh);
    }
}
