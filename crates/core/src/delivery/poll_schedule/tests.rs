//! When lists are due: after events, writes, nudges, signals and failures.

use super::*;

const SECOND: i64 = 1000;

fn schedule() -> PollSchedule {
    PollSchedule::new(PollIntervals {
        interval: Duration::from_secs(5),
        idle_interval: Duration::from_mins(1),
        backoff_base: Duration::from_secs(5),
        backoff_max: Duration::from_mins(5),
    })
}

#[test]
fn lists_follow_an_event_soon_then_rarely_then_at_the_idle_interval() {
    let mut schedule = schedule();
    assert_eq!(schedule.due(Millis(0)), Millis(0), "the first list is due at once");
    schedule.begin(Millis(0));
    schedule.record_activity(Millis(0));
    let mut at = Millis(0);
    let mut gaps = Vec::new();
    for _ in 0..30 {
        let due = schedule.due(at);
        gaps.push(due.since(at).as_millis());
        // The dispatcher calls again at the due time; only then is the account known to be idle.
        at = schedule.due(due).max(due);
        schedule.begin(at);
    }
    assert_eq!(gaps[..8], [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    assert_eq!(gaps[29], 60_000, "{gaps:?}");
    schedule.record_activity(at);
    assert_eq!(schedule.due(at).since(at), SOON);
}

/// Each event ends the idle state at once, and running work keeps the account from becoming idle.
#[test]
fn the_account_is_idle_two_minutes_after_the_start_or_the_last_event() {
    let mut schedule = schedule();
    assert!(!schedule.is_idle(Millis(0)));
    schedule.begin(Millis(0));
    let idle_at = |schedule: &PollSchedule, second: i64| schedule.is_idle(Millis(second * SECOND));
    assert!(!idle_at(&schedule, 119) && idle_at(&schedule, 120));
    schedule.set_busy(true);
    assert!(!idle_at(&schedule, 120));
    assert!(schedule.due(Millis(120 * SECOND)) <= Millis(5 * SECOND), "the normal interval");
    schedule.set_busy(false);
    assert_eq!(schedule.due(Millis(120 * SECOND)), Millis(60 * SECOND));
    schedule.nudged(Millis(200 * SECOND));
    assert!(!idle_at(&schedule, 319) && idle_at(&schedule, 320));
    schedule.record_activity(Millis(400 * SECOND));
    assert!(!idle_at(&schedule, 519) && idle_at(&schedule, 520));
}

/// New rows arrive in groups: people and agents answer each other.
#[test]
fn for_ten_seconds_after_a_write_lists_are_frequent() {
    let mut schedule = schedule();
    schedule.record_write(Millis(0));
    let mut at = Millis(0);
    while at < Millis(10 * SECOND) {
        schedule.begin(at);
        schedule.set_known(10, false);
        schedule.succeeded(false, at);
        assert_eq!(schedule.due(at).since(at), SOON, "{at:?}");
        at = schedule.due(at);
    }
    schedule.begin(at);
    assert_eq!(schedule.due(at).since(at), 2 * SOON);
    schedule.set_limited(true);
    schedule.record_write(at);
    assert_eq!(schedule.due(at).since(at).as_secs(), 5, "the monthly rate is exceeded");
    schedule.want();
    assert_eq!(schedule.due(at).since(at).as_secs(), 5);
}

/// Each list repeats the known rows, and a slow backend has its own limits.
#[test]
fn the_least_time_between_lists_grows_with_their_rows_and_duration() {
    let mut schedule = schedule();
    let mut least = |rows, took| {
        schedule.begin(Millis(0));
        schedule.want();
        schedule.succeeded(false, Millis(took));
        schedule.set_known(rows, false);
        schedule.due(Millis(0)).0
    };
    let cases = [(0, 0, 25), (10, 12, 25), (400, 12, 600), (400, 350, 700), (500, 9_000, 5_000)];
    for (rows, took, expected) in cases {
        assert_eq!(least(rows, took), expected, "{rows} rows in {took} ms");
    }
}

/// A nudge does not wait for the known rows: a person may have written.
#[test]
fn behind_many_known_rows_a_nudge_is_followed_at_once() {
    let mut schedule = schedule();
    schedule.begin(Millis(0));
    schedule.succeeded(false, Millis(100));
    schedule.set_known(500, false);
    schedule.want();
    assert_eq!(schedule.due(Millis(100)), Millis(750));
    schedule.nudged(Millis(100));
    assert_eq!(schedule.due(Millis(100)), Millis(25));
}

#[test]
fn signals_that_bring_no_new_row_cause_fewer_lists() {
    let mut schedule = schedule();
    let mut gap = |is_new: bool| {
        schedule.signaled(WakeSignal::Changed);
        schedule.begin(Millis(0));
        schedule.succeeded(is_new, Millis(0));
        schedule.signaled(WakeSignal::Changed);
        schedule.due(Millis(0)).0
    };
    gap(true);
    assert_eq!([gap(false), gap(false), gap(false)], [25, 50, 100]);
    for _ in 0..10 {
        gap(false);
    }
    assert_eq!((gap(false), gap(true)), (5_000, 25));
}

#[test]
fn a_nudge_is_followed_at_once_but_at_most_every_25_ms() {
    let mut schedule = schedule();
    schedule.begin(Millis(10 * SECOND));
    schedule.want();
    assert_eq!(schedule.due(Millis(10 * SECOND + 1)), Millis(10 * SECOND + 25));
    assert!(schedule.due(Millis(20 * SECOND)) <= Millis(20 * SECOND));
}

fn gaps(schedule: &mut PollSchedule, mut at: Millis, count: usize) -> Vec<u128> {
    let mut gaps = Vec::new();
    for _ in 0..count {
        let due = schedule.due(at);
        let next = schedule.due(due).max(due);
        gaps.push(next.since(at).as_millis());
        at = next;
        schedule.begin(at);
    }
    gaps
}

#[test]
fn with_a_wake_query_lists_follow_its_value_and_otherwise_every_five_minutes() {
    let mut schedule = schedule();
    schedule.begin(Millis(0));
    schedule.signaled(WakeSignal::Changed);
    assert_eq!(schedule.due(Millis(1)), Millis(25), "at once");
    schedule.begin(Millis(25));
    assert!(!schedule.is_idle(Millis(119_000)), "a signal is no activity by itself: own marks cause some");
    // An event is followed up with growing pauses: what a list shows may need a second look.
    schedule.record_activity(Millis(10 * SECOND));
    schedule.begin(Millis(10 * SECOND));
    let found = gaps(&mut schedule, Millis(10 * SECOND), 12);
    assert_eq!(found[..7], [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
    assert_eq!(found[7..], [300_000; 5], "{found:?}");
}

#[test]
fn when_the_wake_query_is_lost_a_list_is_due_at_once_and_the_intervals_return() {
    let mut schedule = schedule();
    schedule.begin(Millis(0));
    schedule.signaled(WakeSignal::Changed);
    schedule.begin(Millis(100 * SECOND));
    let found = gaps(&mut schedule, Millis(100 * SECOND), 12);
    assert_eq!(found[11], 300_000, "{found:?}");
    let now = Millis(2_000 * SECOND);
    schedule.begin(now);
    schedule.signaled(WakeSignal::Lost);
    assert_eq!(schedule.due(now), now + BETWEEN);
    schedule.begin(now + BETWEEN);
    assert_eq!(gaps(&mut schedule, now + BETWEEN, 3), [60_000; 3], "the idle interval");
    schedule.begin(now);
    schedule.record_activity(now);
    assert_eq!(schedule.due(now), now + SOON);
}

/// A connection that only sends pings looks alive.
#[test]
fn a_new_row_without_a_signal_ends_the_long_interval_until_the_next_signal() {
    let idle_pause = |events: &[&dyn Fn(&mut PollSchedule)]| {
        let mut schedule = schedule();
        schedule.signaled(WakeSignal::Changed);
        schedule.begin(Millis(0));
        schedule.succeeded(true, Millis(0));
        assert_eq!(schedule.due(Millis(300 * SECOND)), Millis(300 * SECOND), "the list of a signal");
        schedule.begin(Millis(300 * SECOND));
        for event in events {
            event(&mut schedule);
        }
        let next = Millis(1_000 * SECOND);
        schedule.begin(next);
        schedule.due(Millis(2_000 * SECOND)).since(next).as_secs()
    };
    let succeeded =
        |is_new: bool| move |schedule: &mut PollSchedule| schedule.succeeded(is_new, Millis(300 * SECOND));
    let changed = |schedule: &mut PollSchedule| schedule.signaled(WakeSignal::Changed);
    assert_eq!(idle_pause(&[&succeeded(false)]), 300);
    assert_eq!(idle_pause(&[&succeeded(true)]), 60, "the value has not changed");
    assert_eq!(idle_pause(&[&succeeded(true), &changed]), 300, "the change comes after the list");
    assert_eq!(idle_pause(&[&changed, &succeeded(true)]), 300, "the change comes during the list");
}

/// A configured interval above five minutes is kept.
#[test]
fn the_wake_query_makes_no_interval_shorter() {
    let hour = Duration::from_hours(1);
    let mut schedule = PollSchedule::new(PollIntervals {
        interval: hour,
        idle_interval: hour,
        backoff_base: Duration::from_secs(5),
        backoff_max: Duration::from_mins(5),
    });
    schedule.signaled(WakeSignal::Changed);
    schedule.begin(Millis(0));
    assert_eq!(schedule.due(Millis(1_000 * SECOND)), Millis(3_600 * SECOND));
}

/// A signal does not shorten the backoff while lists fail: it comes over another connection.
#[test]
fn a_signal_respects_the_backoff() {
    let mut schedule = schedule();
    schedule.begin(Millis(0));
    schedule.failed(None, 1.0, Millis(0));
    let due = schedule.due(Millis(0));
    schedule.signaled(WakeSignal::Changed);
    assert_eq!(schedule.due(Millis(0)), due);
}

/// W-8: the backoff grows, is never below half of the base, and stops at the ceiling.
#[test]
fn failures_slow_the_lists_down_and_one_success_resets_them() {
    let mut schedule = schedule();
    let mut before = Duration::ZERO;
    for n in 0..20 {
        schedule.begin(Millis(0));
        schedule.want();
        schedule.failed(None, 0.0, Millis(0));
        let pause = schedule.due(Millis(0)).since(Millis(0));
        assert!(pause >= before && pause >= Duration::from_millis(2500), "{n}: {pause:?}");
        before = pause;
    }
    assert_eq!(before, Duration::from_secs(150));
    schedule.failed(Some(Duration::from_hours(1)), 1.0, Millis(0));
    assert_eq!(schedule.due(Millis(0)), Millis(3600 * SECOND), "as long as the backend asks for");
    schedule.begin(Millis(0));
    schedule.succeeded(false, Millis(0));
    assert_eq!(schedule.failures(), 0);
}

/// Four times a second would repeat hundreds of rows four times a second.
#[test]
fn with_many_known_rows_polls_without_a_cause_are_rarer() {
    let mut schedule = schedule();
    schedule.record_write(Millis(0));
    for (rows, pause) in [(100, 250), (400, 800)] {
        schedule.begin(Millis(0));
        schedule.succeeded(true, Millis(0));
        schedule.set_known(rows, false);
        assert_eq!(schedule.due(Millis(0)), Millis(pause), "{rows} rows");
    }
}

/// The rows that a list repeats are those that are known when it begins.
#[test]
fn a_list_comes_sooner_when_rows_are_settled() {
    let mut schedule = schedule();
    schedule.begin(Millis(0));
    schedule.succeeded(true, Millis(0));
    schedule.want();
    for (rows, pause) in [(200, 300), (100, 150), (0, 25)] {
        schedule.set_known(rows, false);
        assert_eq!(schedule.due(Millis(0)), Millis(pause), "{rows} rows");
    }
}

/// A list shows the oldest rows: behind a backlog it cannot show what was just written.
#[test]
fn behind_a_backlog_lists_have_a_cause_or_come_at_the_interval() {
    let mut schedule = schedule();
    schedule.record_write(Millis(0));
    schedule.begin(Millis(0));
    schedule.succeeded(true, Millis(0));
    schedule.set_known(70, true);
    assert_eq!(schedule.due(Millis(0)), Millis(5 * SECOND));
    schedule.want();
    assert_eq!(schedule.due(Millis(0)), Millis(105));
    schedule.nudged(Millis(0));
    assert_eq!(schedule.due(Millis(0)), Millis(25));
}
