//! Carries out the requests of operators: pause, suspend, retry, drop and give up.

use std::sync::Arc;

use super::Dispatcher;
use crate::delivery::dead_letters::{self, DROPPED, DeadLetter, RETRIED_STEP};
use crate::delivery::operator_requests::{OperatorReply, OperatorRequest, Pending, Place, Refused};
use crate::delivery::scheduler_messages::{Effect, OperatorEffect};
use crate::delivery::{End, Record};
use crate::guardrails::origin::Origin;
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

impl Dispatcher {
    /// Carries out a request and returns the answer.
    pub(in crate::delivery) fn asked(&mut self, ask: OperatorRequest, now: Millis) -> OperatorReply {
        match ask {
            OperatorRequest::Look => OperatorReply::Rows(self.pending(now), self.finished.dead_letters()),
            OperatorRequest::Hold(hold) => {
                self.stops.hold = hold;
                OperatorReply::Done
            }
            OperatorRequest::Suspend(suspended) => {
                self.suspended = suspended;
                OperatorReply::Done
            }
            OperatorRequest::Ping => OperatorReply::Done,
            OperatorRequest::Retry(id) => self.retry(&id, now),
            OperatorRequest::Drop(id) => self.drop_dead(&id, now),
            OperatorRequest::GiveUp(id) => self.give_up(&id, now),
        }
    }

    /// The open work. An item that only a limit keeps from starting has that limit as its place.
    fn pending(&mut self, now: Millis) -> Vec<Pending> {
        let mut pending = self.queue.pending(now);
        let ceiling = self.ceiling_until(now);
        let ready = pending.iter_mut().filter(|one| one.place == Place::Ready);
        for one in ready.filter(|one| one.record.needs_turn(&one.work)) {
            if let Some(why) = self.stops.limited.reason(&one.work.track.agent) {
                one.place = Place::Limited(why.to_owned());
            } else if ceiling.is_some() && one.record.origin_of(&one.work) != Some(Origin::Person) {
                one.place = Place::Limited(self.agent_limits.explain());
            }
        }
        pending
    }

    /// Starts a dead letter or a stopped row again; instead of a covered row, the one that covers it.
    fn retry(&mut self, id: &WorkId, now: Millis) -> OperatorReply {
        let cover = self.stopped.cover_of(id).cloned();
        let id = cover.as_ref().unwrap_or(id);
        if self.queue.has(id) {
            let is_marked = self.queue.is_only_marked(id);
            return OperatorReply::Refused(if is_marked { Refused::BeingMarked } else { Refused::UnderWay });
        }
        if self.unreadable.has_open(id) {
            return OperatorReply::Refused(Refused::Unreadable);
        }
        let dead = self.finished.retry(id).map(|DeadLetter { work, record, .. }| (work, record));
        let Some((work, record)) = dead.or_else(|| self.take_stopped(id)) else {
            return OperatorReply::Refused(Refused::NotDead);
        };
        let record = record.retried();
        let next = dead_letters::next_step(&record);
        self.start_again(work, record, RETRIED_STEP, now);
        OperatorReply::Decided(next)
    }

    /// Queues work again that has ended, at the end of its track.
    pub(super) fn start_again(&mut self, work: Arc<Work>, record: Record, words: &'static str, now: Millis) {
        let again = Box::new((work.clone(), record.clone()));
        self.effects.push(Effect::Operator(OperatorEffect::Reopen(again, words)));
        self.queue.recall(work, record, None, now);
    }

    /// Closes a dead letter permanently, or a row that is not understood. A running retry of the mark continues. It
    /// records nothing, so the ledger keeps this end.
    fn drop_dead(&mut self, id: &WorkId, now: Millis) -> OperatorReply {
        if self.unreadable.has_open(id) {
            return self.drop_unreadable(id, now);
        }
        let Some(DeadLetter { work, record, why, .. }) = self.finished.drop_dead_letter(id) else {
            let is_under_way = self.queue.has(id) && !self.queue.is_only_marked(id);
            return OperatorReply::Refused(if is_under_way { Refused::UnderWay } else { Refused::NotDead });
        };
        self.count_dropped();
        self.effects.push(Effect::Operator(OperatorEffect::Dropped(Box::new((work, record)), why)));
        OperatorReply::Decided(DROPPED)
    }

    /// Closes a row that is not understood, so that the work behind it continues.
    fn drop_unreadable(&mut self, id: &WorkId, now: Millis) -> OperatorReply {
        self.unreadable.remove(id);
        self.queue.unblock(id, now);
        self.finished.guard_dropped(id, String::new(), true);
        self.count_dropped();
        self.effects.push(Effect::Operator(OperatorEffect::DroppedUnreadable(id.clone())));
        OperatorReply::Decided(DROPPED)
    }

    fn count_dropped(&mut self) {
        *self.stats.ended.entry(End::Dropped(String::new()).name()).or_default() += 1;
    }

    fn give_up(&mut self, id: &WorkId, now: Millis) -> OperatorReply {
        if !self.queue.hurry(id, now) {
            return OperatorReply::Refused(Refused::NotUnderWay);
        }
        self.effects.push(Effect::Operator(OperatorEffect::GiveUp(id.clone())));
        OperatorReply::Done
    }
}
