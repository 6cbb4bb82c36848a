//! The start after a restart in the same state folder: how soon work begins.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::duplicate_runtime::Predecessor;
use mission_control_runtime::delivery::scheduler::Event;
use serde_json::json;

use super::duplicate_runtime::{INTERVAL, Watch, row, untouched};

#[test]
fn after_a_stop_in_order_work_begins_with_the_first_list() {
    let mut watch = Watch::after(Predecessor::Stopped);
    watch.sees(&[row("it", &json!({"readAt": 20})), untouched("other")], 0.5);
    assert_eq!((watch.begun().len(), watch.now), (2, Millis(0)));
    // A runtime that was started elsewhere meanwhile shows itself later.
    watch.sees(&[row("it", &json!({"readAt": 20})), untouched("other"), untouched("third")], 0.5);
    watch.sees(&[row("third", &json!({"readAt": 90}))], 0.5);
    assert_eq!(watch.suspects(), Some(false));
}

#[test]
fn after_a_crash_two_lists_a_second_apart_are_enough() {
    let rows = [row("it", &json!({"readAt": 20})), untouched("other")];
    let mut watch = Watch::after(Predecessor::Crashed);
    watch.sees(&rows, 1.0);
    assert!(watch.begun().is_empty());
    watch.sees_for(Duration::from_secs(1), &rows, 1.0);
    assert_eq!((watch.begun().len(), watch.suspects()), (2, None));
    assert!(watch.now < Millis(1_300), "{:?}", watch.now);
}

/// A call that the killed process sent may still change a mark. Another runtime changes marks again and again.
#[test]
fn after_a_crash_one_changed_mark_costs_a_second_and_two_are_a_sign() {
    let list = |read_at: i64| [row("it", &json!({"readAt": read_at})), untouched("other")];
    let after = |later: [i64; 2]| {
        let mut watch = Watch::after(Predecessor::Crashed);
        watch.sees(&list(20), 1.0);
        watch.sees(&list(later[0]), 1.0);
        assert!(watch.begun().is_empty(), "{later:?}");
        watch.sees_for(Duration::from_secs(1), &list(later[1]), 1.0);
        let soon = (watch.begun().len(), watch.suspects());
        assert!(watch.now < Millis(2_500), "{:?}", watch.now);
        watch.sees_for(INTERVAL, &list(later[1]), 1.0);
        (soon, watch.suspects(), watch.left)
    };
    assert_eq!(after([30, 30]), ((2, None), None, 0));
    assert_eq!(after([30, 40]), ((0, Some(false)), Some(false), 0));
}

/// A list that takes two seconds shows that calls are slow, so late calls of the predecessor are possible for longer.
#[test]
fn after_a_crash_the_two_lists_are_twice_the_duration_of_a_list_apart() {
    let mut watch = Watch::after(Predecessor::Crashed);
    let (list, limit) = watch.next_list();
    watch.now = watch.now + Duration::from_secs(2);
    watch.tell(Some(Event::Listed { list, limit, rows: vec![untouched("it")], malformed: 0, dice: 0.0 }));
    while watch.begun().is_empty() {
        watch.sees(&[untouched("it")], 0.0);
    }
    assert_eq!(watch.now, Millis(4_000));
}
