//! Tests of the lifetimes of guards and dead letters, one test for each.

use std::sync::Arc;

use super::*;
use crate::delivery::Stage;

const NOW: Millis = Millis(1_000_000);

fn id(id: &str) -> WorkId {
    WorkId::new(id)
}

fn work(id: &str) -> Arc<Work> {
    job(id, &End::Gone, false).work
}

/// A job whose record has this end.
pub(super) fn job(id: &str, end: &End, unmarked: bool) -> Job {
    let row = serde_json::json!({"_id": id, "type": "mention", "recipientType": "agent",
        "recipientId": "agent", "taskId": "task", "title": "", "body": "", "createdAt": 1});
    let record = Record { stage: Stage::Ended(end.clone()), unmarked, ..Record::default() };
    let row: mcr_model::Notification = serde_json::from_value(row).unwrap();
    Job::new(0, Arc::new(row.into()), record)
}

fn insert(items: &mut FinishedItems, name: &str, end: &End, look: u64) {
    items.insert(job(name, end, false), end, false, Some(look), NOW);
}

fn dead() -> End {
    End::Dead("no".to_owned())
}

/// The answer to a source that offers a dead item again, as long as its dead letter exists.
fn only_mark_of(letter: &str) -> Admission {
    Admission::OnlyMark(Box::new(Record { is_closed: true, ..job(letter, &dead(), false).record }))
}

#[test]
fn an_item_is_outdated_in_every_look_that_began_before_its_end() {
    let mut items = FinishedItems::default();
    insert(&mut items, "a", &End::Answered(1), 7);
    for look in [6, 7] {
        items.expire(look, NOW);
        assert_eq!(items.admit(&work("a")), Admission::Outdated, "{look}");
    }
    items.expire(8, NOW);
    assert_eq!(items.admit(&work("a")), Admission::Start);
    assert!(items.items.is_empty() && items.outdated.is_empty());
}

/// A claimed job whose lease was lost is claimed and offered again. It waits for no look of another source.
#[test]
fn an_item_of_a_source_without_looks_starts_again_when_it_is_offered_again() {
    let mut items = FinishedItems::default();
    items.insert(job("a", &End::Stopped, false), &End::Stopped, false, None, NOW);
    assert!(items.items.is_empty());
    assert_eq!(items.admit(&work("a")), Admission::Start);
    items.insert(job("a", &dead(), false), &dead(), false, None, NOW);
    assert_eq!(items.admit(&work("a")), Admission::Refused, "a person has to decide about it");
}

#[test]
fn an_item_that_is_retried_is_outdated_by_its_second_end() {
    let mut items = FinishedItems::default();
    insert(&mut items, "a", &dead(), 7);
    assert!(items.retry(&id("a")).is_some());
    insert(&mut items, "a", &End::Answered(1), 8);
    items.expire(8, NOW);
    assert_eq!(items.admit(&work("a")), Admission::Outdated);
}

#[test]
fn an_item_without_a_mark_is_refused_for_an_hour() {
    let unmarked = End::Answered(1);
    let rows = [
        (End::Gone, Admission::Start),
        (dead(), only_mark_of("a")),
        (unmarked.clone(), Admission::OnlyMark(Box::new(Record::closed(unmarked)))),
    ];
    for (end, afterwards) in rows {
        let mut items = FinishedItems::default();
        items.insert(job("a", &end, true), &end, false, Some(7), NOW);
        items.expire(8, NOW + REFUSED_FOR - Duration::from_millis(1));
        assert_eq!(items.admit(&work("a")), Admission::Refused, "{end:?}");
        items.expire(9, NOW + REFUSED_FOR);
        assert_eq!(items.items.is_empty(), end == End::Gone, "nothing is left of an item that was gone");
        // The dead letter of an item has the whole record.
        let expected = match (afterwards, &end) {
            (Admission::OnlyMark(record), End::Dead(_)) => {
                Admission::OnlyMark(Box::new(Record { unmarked: true, ..*record }))
            }
            (other, _) => other,
        };
        assert_eq!(items.admit(&work("a")), expected, "{end:?}");
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
    assert_eq!(items.admit(&work("0")), Admission::Outdated, "this look may still show it");
    items.expire(8, NOW);
    assert_eq!(items.admit(&work("0")), Admission::Start);
    assert_eq!(items.admit(&work("1")), Admission::Refused);
}

#[test]
fn an_item_of_an_earlier_process_is_only_marked_and_once() {
    let closed = [("a", End::Answered(1)), ("b", End::Gone)];
    let closed = closed.map(|(name, end)| (id(name), ClosedWork { end, unmarked: false })).into();
    let mut items = FinishedItems::new(closed, Vec::new());
    let record = Record::closed(End::Answered(1));
    assert_eq!(items.admit(&work("a")), Admission::OnlyMark(Box::new(record)));
    assert_eq!(items.admit(&work("b")), Admission::Start, "it was not gone");
    assert_eq!(items.admit(&work("a")), Admission::Start, "the queue has it, and its end is reported");
    assert!(items.items.is_empty());
}

/// 500 dead letters are kept, and the guards of all other items.
#[test]
fn a_dead_letter_that_is_evicted_leaves_its_guard_behind() {
    let mut items = FinishedItems::default();
    for number in 0..=dead_letters::MOST {
        insert(&mut items, &number.to_string(), &dead(), 7);
    }
    let letters = items.dead_letters();
    assert_eq!((letters.len(), letters[0].work.id.as_str()), (dead_letters::MOST, "1"));
    assert!(items.retry(&id("0")).is_none());
    items.expire(8, NOW);
    assert_eq!(items.admit(&work("0")), Admission::Refused);
    items.expire(9, NOW + REFUSED_FOR);
    assert_eq!(items.admit(&work("0")), Admission::OnlyMark(Box::new(Record::closed(dead()))));
    assert_eq!(items.admit(&work("1")), only_mark_of("1"), "its letter is there");
}

#[test]
fn a_guard_that_ends_leaves_the_dead_letter_behind() {
    let mut items = FinishedItems::default();
    insert(&mut items, "a", &dead(), 7);
    items.expire(8, NOW + REFUSED_FOR);
    assert_eq!(items.admit(&work("a")), only_mark_of("a"));
    assert_eq!(items.dead_letter_count(), 1);
    // The mark of the item is refused once more: the item keeps its first dead letter.
    let later = NOW + REFUSED_FOR;
    items.insert(job("a", &dead(), false), &dead(), true, Some(8), later);
    assert_eq!(items.dead_letters()[0].at, NOW);
    assert!(items.retry(&id("a")).is_some());
    assert_eq!(items.admit(&work("a")), Admission::Start, "a person wants it to start");
    assert!(items.items.is_empty() && items.refused.is_empty());
}

#[test]
fn an_item_has_one_dead_letter() {
    let letter = |why: &str| {
        let Job { work, record, .. } = job("a", &dead(), false);
        DeadLetter { at: NOW, work, record, why: why.to_owned() }
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
    let dropped = Record::closed(End::Dropped("no".to_owned()));
    assert_eq!(items.admit(&work("a")), Admission::OnlyMark(Box::new(dropped)));
    assert!(items.drop_dead_letter(&id("a")).is_none() && items.dead_letters().is_empty());
}
