//! What people ask and want done.

use super::{Dispatcher, Effect, Wish};
use crate::delivery::ask::{Answer, Ask, Ear, Refused};
use crate::delivery::shelf::Shelved;
use crate::delivery::{End, Job};
use crate::work::WorkId;
use mcr_model::clock::Millis;

impl Dispatcher {
    /// Answers, and does what is wanted.
    pub(super) fn asked(&mut self, ask: Ask, ear: Ear, now: Millis) {
        let told = match ask {
            Ask::Look => Answer::Rows(self.queue.pending(now), self.shelf.all()),
            Ask::Hold(hold) => {
                self.hold = hold;
                Answer::Done
            }
            Ask::Suspend(suspended) => {
                self.suspended = suspended;
                Answer::Done
            }
            _ if self.stopping || self.rival.leaves() => Answer::Refused(Refused::Stopping),
            Ask::Retry(id) => self.retry(&id, now),
            Ask::Drop(id) => self.drop_dead(&id),
            Ask::GiveUp(id) => self.give_up(&id, now),
        };
        // Behind what it brings about: whoever is told that it is done finds it noted.
        self.forgotten.push(Effect::Wish(Wish::Tell(ear, told)));
    }

    /// Begins again what was given up, at the end of its track.
    fn retry(&mut self, id: &WorkId, now: Millis) -> Answer {
        if self.queue.has(id) {
            return Answer::Refused(Refused::UnderWay);
        }
        let Some(Shelved { work, record, .. }) = self.shelf.take(id) else {
            return Answer::Refused(Refused::NotDead);
        };
        self.admit(id);
        let record = record.retried();
        self.forgotten.push(Effect::Wish(Wish::Reopen(Box::new((work.clone(), record.clone())))));
        self.queue.recall(work, record, None, now);
        self.pace.stir(now);
        Answer::Done
    }

    /// Closes for good what was given up. The backend mostly has it as settled; where it does not, and goes on to list
    /// it, it is told.
    fn drop_dead(&mut self, id: &WorkId) -> Answer {
        let Some(Shelved { work, record, why, .. }) = self.shelf.take(id) else {
            let refused = if self.queue.has(id) { Refused::UnderWay } else { Refused::NotDead };
            return Answer::Refused(refused);
        };
        self.admit(id);
        self.closed.insert(id.clone(), End::Dropped(why.clone()));
        *self.tally.ended.entry(End::Dropped(String::new()).name()).or_default() += 1;
        self.forgotten.push(Effect::Wish(Wish::Dropped(Box::new((work, record)), why)));
        Answer::Done
    }

    fn give_up(&mut self, id: &WorkId, now: Millis) -> Answer {
        if !self.queue.hurry(id, now) {
            return Answer::Refused(Refused::NotUnderWay);
        }
        self.forgotten.push(Effect::Wish(Wish::GiveUp(id.clone())));
        Answer::Done
    }

    /// What was not to be begun again may.
    fn admit(&mut self, id: &WorkId) {
        self.closed.remove(id);
        self.settled.remove(id);
        self.unmarked.remove(id);
        self.unmarked_order.retain(|(_, other)| other != id);
    }

    /// How it ended: what was given up stays until a person decides.
    pub(super) fn shelve(&mut self, job: Job, end: &End, now: Millis) {
        let End::Dead(why) = end else {
            self.shelf.take(&job.work.id);
            return;
        };
        self.shelf.put(Shelved { at: now, work: job.work, record: job.record, why: why.clone() });
    }
}
