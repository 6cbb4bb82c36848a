//! When a row is given up: each cause has its own limit and its own count.

use std::collections::HashMap;
use std::time::Duration;

use mission_control_runtime::delivery::failure::{BackendFailure, Trouble, Unsettled, Weight};
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::retry::{Budget, LOST_MAX, Next, SILENCES_MAX, after};
use mission_control_runtime::delivery::{End, Record, from_form_1};
use mission_control_runtime::gateway::history::Waiting;
use mission_control_runtime::gateway::{Class, GatewayError, Why};
use proptest::prelude::*;
use serde_json::json;

fn turn(class: Class, why: Why) -> Trouble {
    Trouble::Gateway(GatewayError::new(class, why, None))
}

/// Every counted cause, with the count at which it alone gives up a row.
fn causes() -> Vec<(Trouble, u32)> {
    let doubtful =
        BackendFailure { weight: Weight::Doubtful, not_before: None, sentence: "refused".to_owned() };
    vec![
        (turn(Class::Transient, Why::Interrupted), 8),
        (turn(Class::Transient, Why::Internal), 8),
        (turn(Class::Transient, Why::NotUnderstood), 8),
        (turn(Class::Transient, Why::ProviderTrouble), 20),
        (turn(Class::Transient, Why::ProviderRefused), 20),
        (turn(Class::Refused, Why::ProviderRejected), 6),
        (turn(Class::Refused, Why::UnknownAgent), 6),
        (Trouble::Unsettled(Unsettled::Stuck(Waiting::GoesOn)), 8),
        (Trouble::Unsettled(Unsettled::Absent), LOST_MAX + 1),
        (Trouble::Backend(doubtful), 20),
        (Trouble::Silence(Silence::Empty), SILENCES_MAX),
        (Trouble::Foreign, 8),
        (Trouble::Broken, 8),
    ]
}

/// The reason of the outcome names the cause and its count.
fn names(end: &End, trouble: &Trouble, count: u32) -> bool {
    match end {
        End::Dead(why) => why.contains(&trouble.to_string()) && why.contains(&format!("after {count} ")),
        End::Unanswered(silence) => *silence == Silence::Empty,
        _ => false,
    }
}

#[test]
fn causes_are_counted_separately() {
    let mut record = Record::default();
    let overload = turn(Class::Transient, Why::ProviderTrouble);
    for _ in 0..6 {
        assert!(matches!(after(&mut record, &overload, &Budget::default(), 0.5), Next::Again(_)));
    }
    let unknown = turn(Class::Refused, Why::UnknownAgent);
    for attempt in 1..=5 {
        let next = after(&mut record, &unknown, &Budget::default(), 0.5);
        assert!(matches!(next, Next::Again(_)), "unknown agent, attempt {attempt}: {next:?}");
    }
    match after(&mut record, &unknown, &Budget::default(), 0.5) {
        Next::End(end) => assert!(names(&end, &unknown, 6), "{end:?}"),
        Next::Again(_) => panic!("its own limit is 6"),
    }
}

/// An older version counted several causes together. Its records are read, and a count without a known cause
/// gives up no row.
#[test]
fn shared_counters_of_older_records_give_up_no_row_early() {
    let old = json!({"tries": 12, "failures": 7, "provider": 19});
    let mut record = from_form_1(old).unwrap();
    assert_eq!((record.own_failures(), record.failures.of_provider()), (7, 19), "`why` still counts them");
    for (trouble, limit) in causes().into_iter().filter(|(_, limit)| [6, 8, 20].contains(limit)) {
        let mut record = record.clone();
        let tries =
            (1..100).find(|_| matches!(after(&mut record, &trouble, &Budget::default(), 0.5), Next::End(_)));
        assert_eq!(tries, Some(limit), "{trouble}");
    }
    // The counts of this version survive a restart.
    let trouble = turn(Class::Refused, Why::UnknownAgent);
    for attempt in 1..=6 {
        let next = after(&mut record, &trouble, &Budget::default(), 0.5);
        assert_eq!(matches!(next, Next::End(_)), attempt == 6, "attempt {attempt}");
        record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    }
}

/// A backend that failed, answered, and fails again starts with the first pause.
#[test]
fn a_past_outage_lengthens_no_later_pause() {
    let away = Trouble::Backend(BackendFailure {
        weight: Weight::Passing,
        not_before: None,
        sentence: "away".to_owned(),
    });
    let mut record = Record::default();
    let pause = |record: &mut Record, trouble: &Trouble| match after(record, trouble, &Budget::default(), 0.5)
    {
        Next::Again(pause) => pause.unwrap_or_default(),
        Next::End(end) => panic!("{end:?}"),
    };
    let first = pause(&mut record, &away);
    let tenth = (0..9).map(|_| pause(&mut record, &away)).last().unwrap();
    assert!(tenth > 60 * first, "{first:?} {tenth:?}");
    pause(&mut record, &turn(Class::Transient, Why::Interrupted));
    assert_eq!(pause(&mut record, &away), first, "the turn shows that the backend was there");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// For any mixture: no cause gives up a row before it alone has reached its limit. The sentence names the
    /// cause and its count.
    #[test]
    fn no_cause_counts_for_another(
        mixture in prop::collection::vec((0usize..13, 0.0f64..1.0), 1..250),
        attempts in 2u32..10,
    ) {
        let causes = causes();
        let budget = Budget { attempts, age: Duration::from_hours(10_000) };
        let mut counts: HashMap<usize, u32> = HashMap::new();
        let mut record = Record::default();
        for (cause, dice) in mixture {
            let (trouble, limit) = &causes[cause];
            let limit = match limit {
                20 => (attempts * 5).div_ceil(2),
                8 => attempts,
                limit if *limit == LOST_MAX + 1 => LOST_MAX.min(attempts - 1) + 1,
                limit => (*limit).min(attempts),
            };
            let count = counts.entry(cause).or_default();
            *count += 1;
            match after(&mut record, trouble, &budget, dice) {
                Next::Again(_) => prop_assert!(*count < limit, "{trouble}: {count} of {limit}"),
                Next::End(end) => {
                    prop_assert_eq!(*count, limit, "{}", trouble);
                    prop_assert!(names(&end, trouble, *count), "{:?}", end);
                    break;
                }
            }
        }
    }
}
