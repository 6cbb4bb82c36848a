//! Remembers the items that have ended here, and guards each of them against a second start.
//!
//! A list and the end of a delivery can cross: a list that began before an item ended still shows that item. So a
//! source counts its looks at the backend. An ended item is not started again because of a look that began before its
//! end.
//!
//! Later looks also show some items, because the backend has no mark for them. Such an item is refused for an hour.
//! After that only its mark is retried. An item that was gone starts from the beginning, because it exists after all.
//!
//! An item that a source offers without looks is guarded until that source has confirmed its end ([`Source`]).
//!
//! An item that was given up is also a dead letter, until a person decides. The dead letter and the guard of an item
//! have different lifetimes: the end of one does not end the other.

#[cfg(test)]
mod five_containers;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::dead_letters::{self, DeadLetter};
use super::{End, Job, Record};
use crate::work::{Source, Work, WorkId};
use mcr_model::clock::Millis;

/// How long an item that has no mark at the backend is refused.
const REFUSED_FOR: Duration = Duration::from_hours(1);

/// The most items that are refused at a time. A newer item displaces the oldest one.
const REFUSED_MAX: usize = 1000;

/// Whether an item that a source offers may start.
#[derive(Debug, PartialEq)]
pub(super) enum Admission {
    /// The item starts from the beginning.
    Start,
    /// The item has ended; only its mark at the backend is missing.
    OnlyMark(Box<Record>),
    /// The look that shows the item had begun before the item ended.
    Outdated,
    /// The item has ended, but the backend still shows it.
    Refused,
}

/// Guards an item against a second start because of looks that began after its end.
#[derive(Debug, Default)]
enum Guard {
    /// No guard: the backend has the mark of the item, so no look shows it.
    #[default]
    None,
    /// The item is refused for [`REFUSED_FOR`], or until [`REFUSED_MAX`] later items are refused.
    Refused { since: Millis, closed: ClosedWork },
    /// The item is not started again, only marked, once a look shows it. The field says how it ended, and whether its
    /// source has not confirmed that.
    OnlyMark(ClosedWork),
}

/// Work that has ended.
#[derive(Clone, Debug)]
pub struct ClosedWork {
    /// How it ended.
    pub end: End,
    /// Whether its source was requested to mark the end and has not confirmed the mark.
    pub unmarked: bool,
}

/// A finished item. It is removed once all its fields are empty.
#[derive(Debug, Default)]
struct FinishedItem {
    /// The last look that had begun when the item ended. Kept until a later look comes back.
    outdated_look: Option<u64>,
    guard: Guard,
    /// The dead letter of an item that was given up. Kept until a person decides, or until [`dead_letters::MOST`] later
    /// letters have come.
    dead_letter: Option<Box<DeadLetter>>,
}

impl FinishedItem {
    fn is_empty(&self) -> bool {
        self.outdated_look.is_none() && matches!(self.guard, Guard::None) && self.dead_letter.is_none()
    }

    /// Ends the refusal. An item that was gone has no mark to retry.
    fn refuse_no_longer(&mut self) {
        self.guard = match std::mem::take(&mut self.guard) {
            Guard::Refused { closed, .. } if closed.end.is_marked() => Guard::OnlyMark(closed),
            Guard::Refused { .. } => Guard::None,
            other @ (Guard::None | Guard::OnlyMark(_)) => other,
        };
    }
}

/// All finished items that are remembered.
#[derive(Debug, Default)]
pub(super) struct FinishedItems {
    items: HashMap<WorkId, FinishedItem>,
    /// Items with an outdated look, ordered by that look. The look may have changed since; the item has the valid one.
    outdated: VecDeque<(u64, WorkId)>,
    /// Refused items, oldest first.
    refused: VecDeque<WorkId>,
    /// Items with a dead letter, oldest dead letter first.
    dead_letters: VecDeque<WorkId>,
}

impl FinishedItems {
    /// Takes over the items of an earlier process. The dead letters keep their order.
    pub(super) fn new(closed: HashMap<WorkId, ClosedWork>, dead_letters: Vec<DeadLetter>) -> Self {
        let guarded =
            |(id, closed)| (id, FinishedItem { guard: Guard::OnlyMark(closed), ..FinishedItem::default() });
        let mut finished = Self { items: closed.into_iter().map(guarded).collect(), ..Self::default() };
        for letter in dead_letters {
            finished.put_dead_letter(letter);
        }
        finished
    }

    /// Adds an item that has ended. `look` is the last look of its source that had begun by then; a source that offers
    /// each item once has none. If the item had ended before, this attempt only tried to mark it.
    pub(super) fn insert(&mut self, job: Job, end: &End, had_ended: bool, look: Option<u64>, now: Millis) {
        let id = job.work.id.clone();
        if let Some(look) = look {
            self.items.entry(id.clone()).or_default().outdated_look = Some(look);
            self.outdated.push_back((look, id.clone()));
        }
        let unmarked = job.record.unmarked;
        let is_shown_again = match job.work.source() {
            Source::Listed => matches!(end, End::Gone | End::Dead(_)),
            Source::Offered => false,
        };
        if unmarked || is_shown_again {
            self.refuse(&id, ClosedWork { end: end.clone(), unmarked }, now);
        }
        match end {
            End::Dead(_) if had_ended => {}
            End::Dead(why) => {
                let why = why.clone();
                self.put_dead_letter(DeadLetter { at: now, work: job.work, record: job.record, why });
            }
            End::Answered(_)
            | End::Kept(_)
            | End::Silent(_)
            | End::Unanswered(_)
            | End::Skipped(_)
            | End::Gone
            | End::Stopped
            | End::Dropped(_) => drop(self.take_dead_letter(&id)),
        }
    }

    fn refuse(&mut self, id: &WorkId, closed: ClosedWork, now: Millis) {
        if self.refused.len() == REFUSED_MAX
            && let Some(oldest) = self.refused.pop_front()
        {
            self.change(&oldest, FinishedItem::refuse_no_longer);
        }
        self.refused.push_back(id.clone());
        self.items.entry(id.clone()).or_default().guard = Guard::Refused { since: now, closed };
    }

    /// Handles a look that has come back. No earlier look can come back after it, so their guards are removed. Refusals
    /// that have lasted [`REFUSED_FOR`] also end here.
    pub(super) fn expire(&mut self, look: u64, now: Millis) {
        while let Some((_, id)) = self.outdated.pop_front_if(|(at, _)| *at < look) {
            self.change(&id, |item| item.outdated_look = item.outdated_look.filter(|at| *at >= look));
        }
        let is_over = |item: Option<&FinishedItem>| match item.map(|item| &item.guard) {
            Some(Guard::Refused { since, .. }) => now.since(*since) >= REFUSED_FOR,
            Some(Guard::None | Guard::OnlyMark(_)) | None => true,
        };
        while let Some(id) = self.refused.pop_front_if(|id| is_over(self.items.get(id))) {
            self.change(&id, FinishedItem::refuse_no_longer);
        }
    }

    /// Changes an item if it exists, and removes it if it is empty afterwards.
    fn change(&mut self, id: &WorkId, change: impl FnOnce(&mut FinishedItem)) {
        let Some(item) = self.items.get_mut(id) else { return };
        change(item);
        if item.is_empty() {
            self.items.remove(id);
        }
    }

    /// Decides about an item that a source offers and that is not in the queue.
    pub(super) fn admit(&mut self, work: &Work) -> Admission {
        let (id, source) = (&work.id, work.source());
        let Some(item) = self.items.get_mut(id) else { return Admission::Start };
        if let Guard::Refused { .. } = item.guard {
            return Admission::Refused;
        }
        if item.outdated_look.is_some() {
            return Admission::Outdated;
        }
        // The source offers the item as new work, but a person has to decide about the dead letter first.
        if source == Source::Offered && item.dead_letter.is_some() {
            return Admission::Refused;
        }
        let admission = match std::mem::take(&mut item.guard) {
            // An item that was gone exists after all.
            Guard::None | Guard::Refused { .. } | Guard::OnlyMark(ClosedWork { end: End::Gone, .. }) => {
                Admission::Start
            }
            Guard::OnlyMark(ClosedWork { unmarked: false, .. }) if source == Source::Offered => {
                Admission::Start
            }
            Guard::OnlyMark(ClosedWork { end, .. }) => {
                let record = item.dead_letter.as_ref().map(|letter| letter.record.clone());
                let record =
                    record.map_or_else(|| Record::closed(end), |record| Record { is_closed: true, ..record });
                Admission::OnlyMark(Box::new(record))
            }
        };
        self.change(id, |_| {});
        admission
    }

    /// Adds a dead letter. An item has at most one, so the new one replaces an older one.
    fn put_dead_letter(&mut self, letter: DeadLetter) {
        let id = letter.work.id.clone();
        drop(self.take_dead_letter(&id));
        if self.dead_letters.len() == dead_letters::MOST
            && let Some(oldest) = self.dead_letters.pop_front()
        {
            self.change(&oldest, |item| item.dead_letter = None);
        }
        self.dead_letters.push_back(id.clone());
        self.items.entry(id).or_default().dead_letter = Some(Box::new(letter));
    }

    fn take_dead_letter(&mut self, id: &WorkId) -> Option<DeadLetter> {
        let letter = self.items.get_mut(id)?.dead_letter.take()?;
        self.dead_letters.retain(|other| other != id);
        self.change(id, |_| {});
        Some(*letter)
    }

    /// Removes a dead letter because a person retries it. All guards of the item end.
    pub(super) fn retry(&mut self, id: &WorkId) -> Option<DeadLetter> {
        let letter = self.take_dead_letter(id)?;
        self.forget(id);
        Some(letter)
    }

    /// Ends all guards of an item, because it starts again.
    pub(super) fn forget(&mut self, id: &WorkId) {
        self.items.remove(id);
        self.refused.retain(|other| other != id);
    }

    /// Removes a dead letter because a person drops it. If a source offers the item again, only its mark is retried.
    pub(super) fn drop_dead_letter(&mut self, id: &WorkId) -> Option<DeadLetter> {
        let letter = self.retry(id)?;
        self.guard_dropped(id, letter.why.clone(), letter.record.unmarked);
        Some(letter)
    }

    /// Guards an item that a person has closed. If a source offers it again, only its mark is retried.
    pub(super) fn guard_dropped(&mut self, id: &WorkId, why: String, unmarked: bool) {
        let guard = Guard::OnlyMark(ClosedWork { end: End::Dropped(why), unmarked });
        self.items.insert(id.clone(), FinishedItem { guard, ..FinishedItem::default() });
    }

    /// The dead letters, oldest first.
    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        let letters = self.dead_letters.iter().filter_map(|id| self.items.get(id)?.dead_letter.as_deref());
        letters.cloned().collect()
    }

    /// The number of dead letters.
    pub(super) fn dead_letter_count(&self) -> usize {
        self.dead_letters.len()
    }
}
