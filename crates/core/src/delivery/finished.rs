//! Items that have ended here, and what guards each of them against a second start.
//!
//! A list and the end of a delivery can cross: a list that began before an item ended still shows it. So a source counts
//! its looks at the backend. An item that ends is not started again for any look that had begun by then.
//!
//! Some items are shown by later looks as well, because the backend has no mark for them. Such an item is refused for an
//! hour. After that only its mark is retried; an item that was gone starts anew, because it exists after all.
//!
//! An item that was given up is a dead letter as well, until a person decides. The dead letter and the guard of an item
//! have different lifetimes: neither ends because the other does.

#[cfg(test)]
mod five_containers;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::shelf::{self, Shelved};
use super::{End, Job, Record};
use crate::work::WorkId;
use mcr_model::clock::Millis;

/// How long an item without a mark at the backend is refused.
const REFUSED_FOR: Duration = Duration::from_hours(1);

/// The most items that are refused at a time; the oldest make room.
const REFUSED_MAX: usize = 1000;

/// Whether an item that a source offers may start.
#[derive(Debug, PartialEq)]
pub(super) enum Admission {
    /// The item starts from the beginning.
    Start,
    /// The item has ended; only its mark at the backend is missing.
    OnlyMark(Box<Record>),
    /// The look that shows the item began before the item ended.
    Outdated,
    /// The item has ended, and the backend goes on to show it.
    Refused,
}

/// What guards an item against a second start in looks that began after its end.
#[derive(Debug, Default)]
enum Guard {
    /// Nothing: the backend has its mark, so no look shows it.
    #[default]
    None,
    /// The item is refused: until it has been refused for [`REFUSED_FOR`], or [`REFUSED_MAX`] later ones are.
    Refused { since: Millis, end: End },
    /// The item is not started, only marked: until a look shows it.
    OnlyMark(End),
}

/// A finished item. It is forgotten once nothing is left of it.
#[derive(Debug, Default)]
struct Item {
    /// The last look that had begun when the item ended; until a later look comes back.
    outdated_look: Option<u64>,
    guard: Guard,
    /// What was given up: until a person decides, or [`shelf::MOST`] later letters have come.
    dead_letter: Option<Box<Shelved>>,
}

impl Item {
    fn is_empty(&self) -> bool {
        self.outdated_look.is_none() && matches!(self.guard, Guard::None) && self.dead_letter.is_none()
    }

    /// The end of the refusal. An item that was gone has no mark to retry.
    fn refuse_no_longer(&mut self) {
        self.guard = match std::mem::take(&mut self.guard) {
            Guard::Refused { end, .. } if end.is_marked() => Guard::OnlyMark(end),
            Guard::Refused { .. } => Guard::None,
            other @ (Guard::None | Guard::OnlyMark(_)) => other,
        };
    }
}

/// All finished items that are remembered.
#[derive(Debug, Default)]
pub(super) struct FinishedItems {
    items: HashMap<WorkId, Item>,
    /// Items with an outdated look, by that look. It may have changed since; the item has the valid one.
    outdated: VecDeque<(u64, WorkId)>,
    /// Refused items, oldest first.
    refused: VecDeque<WorkId>,
    /// Items with a dead letter, oldest letter first.
    dead_letters: VecDeque<WorkId>,
}

impl FinishedItems {
    /// The items of an earlier process; the dead letters in their order.
    pub(super) fn new(closed: HashMap<WorkId, End>, dead_letters: Vec<Shelved>) -> Self {
        let guarded = |(id, end)| (id, Item { guard: Guard::OnlyMark(end), ..Item::default() });
        let mut finished = Self { items: closed.into_iter().map(guarded).collect(), ..Self::default() };
        for letter in dead_letters {
            finished.put_dead_letter(letter);
        }
        finished
    }

    /// An item has ended. `look` is the last look of its source that had begun by then. If the item had ended before, this
    /// was only an attempt to mark it.
    pub(super) fn insert(&mut self, job: Job, end: &End, had_ended: bool, look: u64, now: Millis) {
        let id = job.work.id.clone();
        let item = self.items.entry(id.clone()).or_default();
        item.outdated_look = Some(look);
        self.outdated.push_back((look, id.clone()));
        if matches!(end, End::Gone | End::Dead(_)) || job.record.unmarked {
            self.refuse(&id, end.clone(), now);
        }
        match end {
            End::Dead(_) if had_ended => {}
            End::Dead(why) => {
                let why = why.clone();
                self.put_dead_letter(Shelved { at: now, work: job.work, record: job.record, why });
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

    fn refuse(&mut self, id: &WorkId, end: End, now: Millis) {
        if self.refused.len() == REFUSED_MAX
            && let Some(oldest) = self.refused.pop_front()
        {
            self.change(&oldest, Item::refuse_no_longer);
        }
        self.refused.push_back(id.clone());
        self.items.entry(id.clone()).or_default().guard = Guard::Refused { since: now, end };
    }

    /// A look has come back: no earlier look comes back after it, and refusals end with time.
    pub(super) fn expire(&mut self, look: u64, now: Millis) {
        while let Some((_, id)) = self.outdated.pop_front_if(|(at, _)| *at < look) {
            self.change(&id, |item| item.outdated_look = item.outdated_look.filter(|at| *at >= look));
        }
        let is_over = |item: Option<&Item>| match item.map(|item| &item.guard) {
            Some(Guard::Refused { since, .. }) => now.since(*since) >= REFUSED_FOR,
            Some(Guard::None | Guard::OnlyMark(_)) | None => true,
        };
        while let Some(id) = self.refused.pop_front_if(|id| is_over(self.items.get(id))) {
            self.change(&id, Item::refuse_no_longer);
        }
    }

    /// Changes an item that is there, and forgets it if nothing is left of it.
    fn change(&mut self, id: &WorkId, change: impl FnOnce(&mut Item)) {
        let Some(item) = self.items.get_mut(id) else { return };
        change(item);
        if item.is_empty() {
            self.items.remove(id);
        }
    }

    /// Decides about an item that a source offers and that is not in the queue.
    pub(super) fn admit(&mut self, id: &WorkId) -> Admission {
        let Some(item) = self.items.get_mut(id) else { return Admission::Start };
        if let Guard::Refused { .. } = item.guard {
            return Admission::Refused;
        }
        if item.outdated_look.is_some() {
            return Admission::Outdated;
        }
        let admission = match std::mem::take(&mut item.guard) {
            // An item that was gone exists after all.
            Guard::None | Guard::Refused { .. } | Guard::OnlyMark(End::Gone) => Admission::Start,
            Guard::OnlyMark(end) => {
                let record = item.dead_letter.as_ref().map(|letter| letter.record.clone());
                Admission::OnlyMark(Box::new(record.unwrap_or_else(|| Record::ended(end))))
            }
        };
        self.change(id, |_| {});
        admission
    }

    /// Adds a dead letter. An item has one at most: the last.
    fn put_dead_letter(&mut self, letter: Shelved) {
        let id = letter.work.id.clone();
        drop(self.take_dead_letter(&id));
        if self.dead_letters.len() == shelf::MOST
            && let Some(oldest) = self.dead_letters.pop_front()
        {
            self.change(&oldest, |item| item.dead_letter = None);
        }
        self.dead_letters.push_back(id.clone());
        self.items.entry(id).or_default().dead_letter = Some(Box::new(letter));
    }

    fn take_dead_letter(&mut self, id: &WorkId) -> Option<Shelved> {
        let letter = self.items.get_mut(id)?.dead_letter.take()?;
        self.dead_letters.retain(|other| other != id);
        self.change(id, |_| {});
        Some(*letter)
    }

    /// A person retries a dead letter: nothing guards the item any more.
    pub(super) fn retry(&mut self, id: &WorkId) -> Option<Shelved> {
        let letter = self.take_dead_letter(id)?;
        self.items.remove(id);
        self.refused.retain(|other| other != id);
        Some(letter)
    }

    /// A person drops a dead letter. If a source offers the item again, only its mark is retried.
    pub(super) fn drop_dead_letter(&mut self, id: &WorkId) -> Option<Shelved> {
        let letter = self.retry(id)?;
        let guard = Guard::OnlyMark(End::Dropped(letter.why.clone()));
        self.items.insert(id.clone(), Item { guard, ..Item::default() });
        Some(letter)
    }

    /// The dead letters, oldest first.
    pub(super) fn dead_letters(&self) -> Vec<Shelved> {
        let letters = self.dead_letters.iter().filter_map(|id| self.items.get(id)?.dead_letter.as_deref());
        letters.cloned().collect()
    }

    /// The number of dead letters.
    pub(super) fn dead_letter_count(&self) -> usize {
        self.dead_letters.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::delivery::Stage;

    const NOW: Millis = Millis(1_000_000);

    fn id(id: &str) -> WorkId {
        WorkId::new(id)
    }

    /// A job whose record has this end.
    pub(super) fn job(id: &str, end: &End, unmarked: bool) -> Job {
        let row = serde_json::json!({"_id": id, "type": "mention", "recipientType": "agent",
            "recipientId": "agent", "taskId": "task", "title": "", "body": "", "createdAt": 1});
        let record = Record { stage: Stage::Ended(end.clone()), unmarked, ..Record::default() };
        let row: mcr_model::Notification = serde_json::from_value(row).unwrap();
        Job { number: 0, work: Arc::new(row.into()), record }
    }

    fn insert(items: &mut FinishedItems, name: &str, end: &End, look: u64) {
        items.insert(job(name, end, false), end, false, look, NOW);
    }

    fn dead() -> End {
        End::Dead("no".to_owned())
    }

    /// What a source gets that offers a dead item again, as long as its letter is there.
    fn only_mark_of(letter: &str) -> Admission {
        Admission::OnlyMark(Box::new(job(letter, &dead(), false).record))
    }

    #[test]
    fn an_item_is_outdated_in_every_look_that_began_before_its_end() {
        let mut items = FinishedItems::default();
        insert(&mut items, "a", &End::Answered(1), 7);
        for look in [6, 7] {
            items.expire(look, NOW);
            assert_eq!(items.admit(&id("a")), Admission::Outdated, "{look}");
        }
        items.expire(8, NOW);
        assert_eq!(items.admit(&id("a")), Admission::Start);
        assert!(items.items.is_empty() && items.outdated.is_empty());
    }

    #[test]
    fn an_item_that_is_retried_is_outdated_by_its_second_end() {
        let mut items = FinishedItems::default();
        insert(&mut items, "a", &dead(), 7);
        assert!(items.retry(&id("a")).is_some());
        insert(&mut items, "a", &End::Answered(1), 8);
        items.expire(8, NOW);
        assert_eq!(items.admit(&id("a")), Admission::Outdated);
    }

    #[test]
    fn an_item_without_a_mark_is_refused_for_an_hour() {
        let unmarked = End::Answered(1);
        let rows = [
            (End::Gone, Admission::Start),
            (dead(), only_mark_of("a")),
            (unmarked.clone(), Admission::OnlyMark(Box::new(Record::ended(unmarked)))),
        ];
        for (end, afterwards) in rows {
            let mut items = FinishedItems::default();
            items.insert(job("a", &end, true), &end, false, 7, NOW);
            items.expire(8, NOW + REFUSED_FOR - Duration::from_millis(1));
            assert_eq!(items.admit(&id("a")), Admission::Refused, "{end:?}");
            items.expire(9, NOW + REFUSED_FOR);
            assert_eq!(items.items.is_empty(), end == End::Gone, "nothing is left of an item that was gone");
            // The letter of a dead item has the whole record.
            let expected = match (afterwards, &end) {
                (Admission::OnlyMark(record), End::Dead(_)) => {
                    Admission::OnlyMark(Box::new(Record { unmarked: true, ..*record }))
                }
                (other, _) => other,
            };
            assert_eq!(items.admit(&id("a")), expected, "{end:?}");
            assert!(items.refused.is_empty());
        }
    }

    #[test]
    fn the_oldest_refused_item_makes_room() {
        let mut items = FinishedItems::default();
        for number in 0..=REFUSED_MAX {
            insert(&mut items, &number.to_string(), &End::Gone, 7);
        }
        assert_eq!(items.refused.len(), REFUSED_MAX);
        assert_eq!(items.admit(&id("0")), Admission::Outdated, "this look may still show it");
        items.expire(8, NOW);
        assert_eq!(items.admit(&id("0")), Admission::Start);
        assert_eq!(items.admit(&id("1")), Admission::Refused);
    }

    #[test]
    fn an_item_of_an_earlier_process_is_only_marked_and_once() {
        let closed = HashMap::from([(id("a"), End::Answered(1)), (id("b"), End::Gone)]);
        let mut items = FinishedItems::new(closed, Vec::new());
        let record = Record::ended(End::Answered(1));
        assert_eq!(items.admit(&id("a")), Admission::OnlyMark(Box::new(record)));
        assert_eq!(items.admit(&id("b")), Admission::Start, "it was not gone");
        assert_eq!(items.admit(&id("a")), Admission::Start, "the queue has it, and its end is reported");
        assert!(items.items.is_empty());
    }

    /// 500 letters are kept, and the guards of all others.
    #[test]
    fn a_dead_letter_that_is_evicted_leaves_its_guard_behind() {
        let mut items = FinishedItems::default();
        for number in 0..=shelf::MOST {
            insert(&mut items, &number.to_string(), &dead(), 7);
        }
        let letters = items.dead_letters();
        assert_eq!((letters.len(), letters[0].work.id.as_str()), (shelf::MOST, "1"));
        assert!(items.retry(&id("0")).is_none());
        items.expire(8, NOW);
        assert_eq!(items.admit(&id("0")), Admission::Refused);
        items.expire(9, NOW + REFUSED_FOR);
        assert_eq!(items.admit(&id("0")), Admission::OnlyMark(Box::new(Record::ended(dead()))));
        assert_eq!(items.admit(&id("1")), only_mark_of("1"), "its letter is there");
    }

    #[test]
    fn a_guard_that_ends_leaves_the_dead_letter_behind() {
        let mut items = FinishedItems::default();
        insert(&mut items, "a", &dead(), 7);
        items.expire(8, NOW + REFUSED_FOR);
        assert_eq!(items.admit(&id("a")), only_mark_of("a"));
        assert_eq!(items.dead_letter_count(), 1);
        // Its mark is refused once more: it keeps its first letter.
        let later = NOW + REFUSED_FOR;
        items.insert(job("a", &dead(), false), &dead(), true, 8, later);
        assert_eq!(items.dead_letters()[0].at, NOW);
        assert!(items.retry(&id("a")).is_some());
        assert_eq!(items.admit(&id("a")), Admission::Start, "a person wants it to start");
        assert!(items.items.is_empty() && items.refused.is_empty());
    }

    #[test]
    fn an_item_has_one_dead_letter() {
        let letter = |why: &str| {
            let Job { work, record, .. } = job("a", &dead(), false);
            Shelved { at: NOW, work, record, why: why.to_owned() }
        };
        let mut items = FinishedItems::new(HashMap::new(), vec![letter("first"), letter("last")]);
        let letters = items.dead_letters();
        assert_eq!((items.dead_letter_count(), letters.len(), &*letters[0].why), (1, 1, "last"));
        assert!(items.retry(&id("a")).is_some() && items.items.is_empty());
    }

    #[test]
    fn a_dropped_dead_letter_is_only_marked() {
        let mut items = FinishedItems::default();
        insert(&mut items, "a", &dead(), 7);
        assert!(items.drop_dead_letter(&id("a")).is_some());
        let dropped = Record::ended(End::Dropped("no".to_owned()));
        assert_eq!(items.admit(&id("a")), Admission::OnlyMark(Box::new(dropped)));
        assert!(items.drop_dead_letter(&id("a")).is_none() && items.dead_letters().is_empty());
    }
}
