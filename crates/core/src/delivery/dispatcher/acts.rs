//! Requests of people.

use super::Dispatcher;
use crate::delivery::End;
use crate::delivery::ask::{Answer, Ask, Refused};
use crate::delivery::scheduler::{Effect, Wish};
use crate::delivery::shelf::Shelved;
use crate::work::WorkId;
use mcr_model::clock::Millis;

impl Dispatcher {
    /// Carries out a request and returns the answer.
    pub(in crate::delivery) fn asked(&mut self, ask: Ask, now: Millis) -> Answer {
        match ask {
            Ask::Look => Answer::Rows(self.queue.pending(now), self.finished.dead_letters()),
            Ask::Hold(hold) => {
                self.hold = hold;
                Answer::Done
            }
            Ask::Suspend(suspended) => {
                self.suspended = suspended;
                Answer::Done
            }
            Ask::Retry(id) => self.retry(&id, now),
            Ask::Drop(id) => self.drop_dead(&id),
            Ask::GiveUp(id) => self.give_up(&id, now),
        }
    }

    /// Starts a dead letter again, at the end of its track.
    fn retry(&mut self, id: &WorkId, now: Millis) -> Answer {
        if self.queue.has(id) {
            return Answer::Refused(Refused::UnderWay);
        }
        let Some(Shelved { work, record, .. }) = self.finished.retry(id) else {
            return Answer::Refused(Refused::NotDead);
        };
        let record = record.retried();
        self.effects.push(Effect::Wish(Wish::Reopen(Box::new((work.clone(), record.clone())))));
        self.queue.recall(work, record, None, now);
        Answer::Done
    }

    /// Closes a dead letter for good.
    fn drop_dead(&mut self, id: &WorkId) -> Answer {
        let Some(Shelved { work, record, why, .. }) = self.finished.drop_dead_letter(id) else {
            let refused = if self.queue.has(id) { Refused::UnderWay } else { Refused::NotDead };
            return Answer::Refused(refused);
        };
        *self.tally.ended.entry(End::Dropped(String::new()).name()).or_default() += 1;
        self.effects.push(Effect::Wish(Wish::Dropped(Box::new((work, record)), why)));
        Answer::Done
    }

    fn give_up(&mut self, id: &WorkId, now: Millis) -> Answer {
        if !self.queue.hurry(id, now) {
            return Answer::Refused(Refused::NotUnderWay);
        }
        self.effects.push(Effect::Wish(Wish::GiveUp(id.clone())));
        Answer::Done
    }
}
