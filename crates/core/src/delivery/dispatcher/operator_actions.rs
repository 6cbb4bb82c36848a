//! Requests of people.

use super::Dispatcher;
use crate::delivery::End;
use crate::delivery::dead_letters::DeadLetter;
use crate::delivery::operator_requests::{OperatorReply, OperatorRequest, Refused};
use crate::delivery::scheduler_messages::{Effect, OperatorEffect};
use crate::work::WorkId;
use mcr_model::clock::Millis;

impl Dispatcher {
    /// Carries out a request and returns the answer.
    pub(in crate::delivery) fn asked(&mut self, ask: OperatorRequest, now: Millis) -> OperatorReply {
        match ask {
            OperatorRequest::Look => {
                OperatorReply::Rows(self.queue.pending(now), self.finished.dead_letters())
            }
            OperatorRequest::Hold(hold) => {
                self.hold = hold;
                OperatorReply::Done
            }
            OperatorRequest::Suspend(suspended) => {
                self.suspended = suspended;
                OperatorReply::Done
            }
            OperatorRequest::Retry(id) => self.retry(&id, now),
            OperatorRequest::Drop(id) => self.drop_dead(&id),
            OperatorRequest::GiveUp(id) => self.give_up(&id, now),
        }
    }

    /// Starts a dead letter again, at the end of its track.
    fn retry(&mut self, id: &WorkId, now: Millis) -> OperatorReply {
        if self.queue.has(id) {
            return OperatorReply::Refused(Refused::UnderWay);
        }
        let Some(DeadLetter { work, record, .. }) = self.finished.retry(id) else {
            return OperatorReply::Refused(Refused::NotDead);
        };
        let record = record.retried();
        self.effects.push(Effect::Operator(OperatorEffect::Reopen(Box::new((work.clone(), record.clone())))));
        self.queue.recall(work, record, None, now);
        OperatorReply::Done
    }

    /// Closes a dead letter for good.
    fn drop_dead(&mut self, id: &WorkId) -> OperatorReply {
        let Some(DeadLetter { work, record, why, .. }) = self.finished.drop_dead_letter(id) else {
            let refused = if self.queue.has(id) { Refused::UnderWay } else { Refused::NotDead };
            return OperatorReply::Refused(refused);
        };
        *self.stats.ended.entry(End::Dropped(String::new()).name()).or_default() += 1;
        self.effects.push(Effect::Operator(OperatorEffect::Dropped(Box::new((work, record)), why)));
        OperatorReply::Done
    }

    fn give_up(&mut self, id: &WorkId, now: Millis) -> OperatorReply {
        if !self.queue.hurry(id, now) {
            return OperatorReply::Refused(Refused::NotUnderWay);
        }
        self.effects.push(Effect::Operator(OperatorEffect::GiveUp(id.clone())));
        OperatorReply::Done
    }
}
