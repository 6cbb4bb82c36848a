//! The place of each row in the queue, for people.

use super::row::{PASSED_FOR_OTHERS, QueueEntry};
use super::{Queue, TrackQueue};
use crate::delivery::operator_requests::{Pending, Place};
use crate::work::WorkId;
use mcr_model::clock::Millis;

impl Queue {
    /// All rows, each with its place in the queue.
    pub(in crate::delivery) fn pending(&self, now: Millis) -> Vec<Pending> {
        let rows = self.rows.iter();
        rows.map(|(number, row)| Pending {
            work: row.work.clone(),
            record: row.record.clone(),
            trouble: row.trouble.clone(),
            place: self.place(*number, row, now),
        })
        .collect()
    }

    fn place(&self, number: u64, row: &QueueEntry, now: Millis) -> Place {
        if row.running {
            return Place::Running;
        }
        let queued = self.tracks.get(&row.work.track);
        let behind =
            queued.and_then(|queued| self.waits_for(number, queued)).and_then(|other| self.rows.get(&other));
        match (row.not_before.filter(|at| *at > now), behind) {
            // The row waits for a running row, but its own pause has not ended either.
            (Some(at), Some(other)) if other.running => Place::Rests(at),
            (_, Some(other)) => Place::Behind(other.work.id.clone()),
            (rests, None) => match (self.blocked_by(number, row), rests) {
                (Some(id), _) => Place::BehindUnreadable(id.clone()),
                (None, Some(at)) => Place::Rests(at),
                (None, None) => Place::Ready,
            },
        }
    }

    /// The row outside the queue that this row waits for.
    fn blocked_by(&self, number: u64, row: &QueueEntry) -> Option<&WorkId> {
        let may_begin = self.tracks.get(&row.work.track).is_some_and(|queued| queued.next.contains(&number));
        self.blocked.get(&row.work.track).filter(|_| !may_begin)?.first()
    }

    /// The row of the same track that has to end, or to progress, before this row may start.
    fn waits_for(&self, number: u64, queued: &TrackQueue) -> Option<u64> {
        if queued.busy.is_some() || queued.next.contains(&number) {
            return queued.busy;
        }
        let mut others = PASSED_FOR_OTHERS;
        let blocks = |earlier: &u64| !self.rows[earlier].lets_pass(&mut others);
        let holder = self.holder(queued).filter(|_| self.rows[&number].needs_turn());
        let mut earlier = queued.rows.iter().copied().take_while(|other| *other != number);
        holder.or_else(|| earlier.find(blocks))
    }
}
