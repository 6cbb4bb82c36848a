//! Signals of the wake query while the lists show whether another runtime is on the account. Each causes a further list.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::duplicate_runtime::Predecessor;
use mission_control_runtime::wake_query::WakeSignal;
use serde_json::json;

use super::duplicate_runtime::{INTERVAL, Watch, row, untouched};

const SIGNALS: [WakeSignal; 2] = [WakeSignal::Changed, WakeSignal::Lost];

/// The time until the first row begins.
fn start(predecessor: Predecessor, signal: Option<WakeSignal>, dice: f64) -> Duration {
    let mut watch = Watch::after(predecessor);
    watch.signal = signal;
    while watch.begun().is_empty() {
        watch.sees(&[untouched("a")], dice);
        assert!(watch.now < Millis(60_000), "{predecessor:?} {signal:?} {dice}: it begins");
    }
    watch.now.since(Millis(0))
}

#[test]
fn signals_make_the_start_neither_earlier_nor_later() {
    for predecessor in [Predecessor::Unknown, Predecessor::Crashed, Predecessor::Stopped] {
        for dice in [0.0, 0.5, 1.0] {
            let plain = start(predecessor, None, dice);
            for signal in SIGNALS {
                let found = start(predecessor, Some(signal), dice);
                let most = plain + Duration::from_millis(100);
                assert!(
                    (plain..=most).contains(&found),
                    "{predecessor:?} {signal:?} {dice}: {found:?}, {plain:?}"
                );
            }
        }
    }
}

/// A change between the two lists is seen in whichever list it comes, and holds the start for minutes.
#[test]
fn signals_end_no_hold() {
    for signal in SIGNALS {
        let mut watch = Watch::after(Predecessor::Unknown);
        watch.signal = Some(signal);
        watch.sees(&[untouched("a")], 0.0);
        watch.sees_for(INTERVAL.mul_f64(0.2), &[untouched("a")], 0.0);
        let read = [row("a", &json!({"readAt": 20})), untouched("b")];
        watch.sees_for(INTERVAL / 2, &read, 0.0);
        assert_eq!((watch.suspects(), watch.begun().len()), (Some(false), 0), "{signal:?}");
        let since = watch.now;
        watch.sees_for(Duration::from_secs(100), &read, 0.0);
        assert_eq!((watch.left, watch.begun().len()), (0, 0), "{signal:?}: it stands back for two minutes");
        while watch.begun().is_empty() {
            watch.sees(&read, 0.0);
            assert!(watch.now.since(since) < Duration::from_mins(5), "{signal:?}: it begins");
        }
        assert_eq!((watch.left, watch.suspects()), (0, None), "{signal:?}");
    }
}

/// A runtime that is at work sees the mark of another one in a list that a signal has caused, and holds.
#[test]
fn a_sign_of_another_runtime_in_the_list_of_a_signal_holds_further_rows() {
    let mut watch = Watch::after(Predecessor::Stopped);
    watch.signal = Some(WakeSignal::Changed);
    watch.sees(&[], 0.5);
    watch.sees(&[untouched("a")], 0.5);
    assert_eq!(watch.begun(), ["a"]);
    let before = watch.now;
    let rows = [row("a", &json!({"readAt": 20})), row("x", &json!({"readAt": 30}))];
    watch.sees(&rows, 0.5);
    assert!(watch.now.since(before) < Duration::from_secs(1), "the signal has caused the list");
    assert_eq!(watch.suspects(), Some(false));
    watch.sees_for(Duration::from_secs(20), &rows, 0.5);
    assert_eq!(watch.begun(), ["a"]);
}
