//! What follows a failed attempt: the pause before the next one, or the end of the delivery.
//!
//! Each item has its own counts, one for each cause. The item is given up when one cause alone reaches its limit;
//! other causes do not bring it nearer. An absent gateway counts for no item: the breaker opens instead.

use std::time::Duration;

use super::cause::{self, Cause};
use super::failure::{Trouble, Unsettled};
use super::{End, Record};
use crate::gateway::{self, GatewayError};
use crate::spans::counted;

/// The limits of one item's retries.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// How many attempts may fail for reasons of this item alone.
    pub attempts: u32,
    /// How long the item may be retried, not counting pauses because the gateway or the backend was away.
    pub age: Duration,
}

impl Default for Budget {
    /// The default values of `DELIVERY_MAX_ATTEMPTS` and `DELIVERY_MAX_AGE_MS`.
    fn default() -> Self {
        Self { attempts: 8, age: Duration::from_hours(24) }
    }
}

/// The limit for a request that the provider refuses, and for an agent unknown to the gateway: some minutes.
pub const PROVIDER_REFUSALS_MAX: u32 = 6;
/// How often a turn with a lost answer is sent again: the turn itself may be what breaks the gateway.
pub const LOST_MAX: u32 = 3;
/// How often an agent gets a turn without giving a required answer (D-25).
pub const SILENCES_MAX: u32 = 3;
/// How often the backend may not know a notification that it listed.
pub const UNKNOWN_MAX: u32 = 10;

/// How long an item is left to another runtime that started it: longer than a runtime takes to stop.
const TAKEN: Duration = Duration::from_mins(1);

/// The pause until the next look at a roster that lacks an agent.
const UNCONFIRMED: Duration = Duration::from_secs(5);
/// The pause after a failed write to the ledger.
const UNWRITABLE: Duration = Duration::from_secs(10);
/// The pause of a row whose turn did not fit into a budget: other turns must end first.
const OVER_BUDGET: Duration = Duration::from_secs(2);
/// If a turn was answered within this time, a page instead of an answer does not open the breaker.
const LATELY: Duration = Duration::from_secs(10);

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Another attempt after this pause; without a pause, as soon as the breaker allows it.
    Again(Option<Duration>),
    /// The end of the delivery.
    End(End),
}

/// Counts the failure and decides what follows. `dice` is a random number from 0 to 1.
pub fn after(record: &mut Record, trouble: &Trouble, budget: &Budget, dice: f64) -> Next {
    let counted = cause::of(trouble);
    if counted.is_none_or(|(cause, _)| cause != Cause::BackendAway) {
        // Another failure means that the backend answered, so its outage ended.
        record.failures.clear(Cause::BackendAway);
    }
    let Some((cause, rule)) = counted else { return uncounted(trouble) };
    let count = record.failures.add(cause, 1);
    if rule.limit.of(budget).is_some_and(|most| count >= most) {
        return Next::End(given_up(trouble, count));
    }
    let not_before = match trouble {
        Trouble::Gateway(error) => error.not_before,
        Trouble::Backend(backend_failure) => backend_failure.not_before,
        _ => None,
    };
    let pause = rule.pause.after(count, not_before, dice);
    if rule.limit.ages() {
        record.rested = record.rested.saturating_add(millis(pause.unwrap_or_default()));
        if record.rested > millis(budget.age) {
            let hours = budget.age.as_secs_f64() / 3600.0;
            return Next::End(End::Dead(format!("given up after {hours:.1} hours: {trouble}")));
        }
    }
    Next::Again(pause)
}

/// Whether this failure would end the item.
pub fn ends(record: &Record, trouble: &Trouble, budget: &Budget) -> bool {
    matches!(after(&mut record.clone(), trouble, budget, 1.0), Next::End(_))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The end of an item after one of its causes has reached its limit.
fn given_up(trouble: &Trouble, count: u32) -> End {
    let what = match trouble {
        Trouble::Silence(silence) => return End::Unanswered(*silence),
        Trouble::NoContext => return End::Gone,
        Trouble::Backend(_) => "refusal",
        Trouble::Unsettled(Unsettled::Absent) => "lost answer",
        _ => "attempt",
    };
    End::Dead(format!("given up after {}: {trouble}", counted(count, what)))
}

/// Failures without a limit: waiting for them costs nothing, or they end the delivery at once.
fn uncounted(trouble: &Trouble) -> Next {
    match trouble {
        Trouble::NotNoted(_) => Next::Again(Some(UNWRITABLE)),
        // The dispatcher holds the row while the budget is reached.
        Trouble::OverBudget(_) => Next::Again(Some(OVER_BUDGET)),
        Trouble::OnItsWay(pause) | Trouble::Unsettled(Unsettled::Waiting { pause, .. }) => {
            Next::Again(Some(*pause))
        }
        Trouble::AgentUnconfirmed => Next::Again(Some(UNCONFIRMED)),
        // The other runtime settles it. If it is still unsettled after the pause, this runtime does.
        Trouble::StartedElsewhere => Next::Again(Some(TAKEN)),
        // Nothing failed: a later message arrived, or this process ended. A crash is counted at the next start.
        Trouble::Moved | Trouble::AgentRowsWait | Trouble::Unsettled(Unsettled::Interrupted) => {
            Next::Again(Some(Duration::ZERO))
        }
        // The next attempt first settles the outcome of the lost turn.
        Trouble::Gateway(error) if error.class == gateway::Class::Lost => Next::Again(Some(Duration::ZERO)),
        Trouble::Stopped => Next::End(End::Stopped),
        Trouble::Backend(_)
        | Trouble::Gateway(_)
        | Trouble::Aside(_)
        | Trouble::Unsettled(_)
        | Trouble::Silence(_)
        | Trouble::NoContext
        | Trouble::Foreign
        | Trouble::Undecided
        | Trouble::GivenUp
        | Trouble::CallLoop(_)
        | Trouble::Crashes(_)
        | Trouble::Broken => Next::End(End::Dead(trouble.to_string())),
    }
}

/// Classifies a turn that got a page instead of an answer. Any proxy between us and the gateway can send such a page,
/// for all requests or for one alone. While other turns are answered, it does not open the breaker. If other turns were
/// answered since this item last got a page, the failure is this item's own. `answered` counts the answered turns of
/// all items, and `quiet` is the time since the last one.
pub fn weighed(record: &mut Record, trouble: Trouble, answered: u64, quiet: Duration) -> Trouble {
    match trouble {
        Trouble::Gateway(error) if error.class == gateway::Class::Closed => {
            let alone = record.failures.of(Cause::TurnedAway) > 0 && answered > record.answered_then;
            record.answered_then = answered;
            match error.why == gateway::Why::NotAGateway {
                true if alone => Trouble::Gateway(GatewayError { class: gateway::Class::Transient, ..error }),
                true if answered > 0 && quiet < LATELY => Trouble::Aside(error),
                _ => Trouble::Gateway(error),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::cause::LONGEST;
    use crate::delivery::failure::{BackendFailure, Weight};
    use crate::delivery::reply::Silence;
    use crate::gateway::history::Waiting;
    use crate::gateway::{Class, Why};

    fn turn(class: Class, why: Why) -> Trouble {
        Trouble::Gateway(GatewayError::new(class, why, None))
    }

    fn call(weight: Weight) -> Trouble {
        Trouble::Backend(BackendFailure { weight, not_before: None, sentence: "refused".to_owned() })
    }

    /// W-4, W-8: the count after which an item is given up. Each pause is at least as long as the one before for any
    /// jitter: a high value first and a low one afterwards.
    #[test]
    fn every_failure_is_bounded_and_every_pause_is_monotone() {
        let waiting = Unsettled::Waiting { why: Waiting::GoesOn, pause: Duration::from_secs(5) };
        let rows: [(Trouble, Option<u32>); 27] = [
            (turn(Class::Transient, Why::Interrupted), Some(8)),
            (turn(Class::Transient, Why::ProviderTrouble), Some(20)),
            (turn(Class::Transient, Why::ProviderRefused), Some(20)),
            (turn(Class::Lost, Why::LostAnswer), None),
            (Trouble::Unsettled(Unsettled::Absent), Some(LOST_MAX + 1)),
            (Trouble::Unsettled(Unsettled::Forgotten), Some(LOST_MAX + 1)),
            (Trouble::Unsettled(Unsettled::ToolsMissing), Some(LOST_MAX + 1)),
            (Trouble::Unsettled(waiting), None),
            (Trouble::Unsettled(Unsettled::Stuck(Waiting::GoesOn)), Some(8)),
            (Trouble::Unsettled(Unsettled::StuckAgain), Some(1)),
            (Trouble::Unsettled(Unsettled::Cut), Some(1)),
            (Trouble::Unsettled(Unsettled::Unknown), Some(1)),
            (turn(Class::Transient, Why::AgentBlocked), None),
            (turn(Class::Refused, Why::TooLarge), Some(1)),
            (turn(Class::Refused, Why::ProviderRejected), Some(6)),
            (turn(Class::Refused, Why::UnknownAgent), Some(6)),
            (turn(Class::Closed, Why::Unreachable), None),
            (turn(Class::Closed, Why::TokenRefused), None),
            (turn(Class::Closed, Why::NotAGateway), None),
            (call(Weight::Passing), None),
            (call(Weight::Doubtful), Some(20)),
            (call(Weight::Final), Some(1)),
            (Trouble::Silence(Silence::Empty), Some(SILENCES_MAX)),
            (Trouble::NoContext, Some(UNKNOWN_MAX)),
            (Trouble::Undecided, Some(1)),
            (Trouble::OnItsWay(Duration::from_secs(15)), None),
            (Trouble::NotNoted("the disk is full".to_owned()), None),
        ];
        for (trouble, times) in rows {
            let mut record = Record::default();
            let mut before = Duration::ZERO;
            let mut tried = 0;
            let ended = loop {
                tried += 1;
                let ends = ends(&record, &trouble, &Budget::default());
                match after(&mut record, &trouble, &Budget::default(), f64::from(tried % 2)) {
                    Next::End(_) if !ends => panic!("{trouble}: an end that was not foreseen"),
                    Next::Again(_) if ends => panic!("{trouble}: no end, which was foreseen"),
                    Next::End(_) => break Some(tried),
                    Next::Again(_) if tried == 100 => break None,
                    Next::Again(pause) => {
                        let pause = pause.unwrap_or_default();
                        assert!(pause >= before, "{trouble}: {pause:?} after {before:?}");
                        before = pause;
                    }
                }
            };
            assert_eq!(ended, times, "{trouble}");
        }
    }

    /// A page that only this item gets is the item's own failure and does not open the breaker. A page that all items
    /// get opens it. Each pair: how many turns were answered, and how long ago the last one.
    #[test]
    fn a_page_is_the_items_own_failure_while_other_turns_are_answered() {
        let (lately, long_ago) = (Duration::from_secs(1), Duration::from_secs(30));
        for (times, expected) in [
            ([(0, lately), (0, lately), (0, lately)], ["closes", "closes", "closes"]),
            ([(3, lately), (4, lately), (4, lately)], ["aside", "own", "aside"]),
            ([(3, long_ago), (4, long_ago), (4, long_ago)], ["closes", "own", "closes"]),
            ([(3, lately), (3, lately), (3, long_ago)], ["aside", "aside", "closes"]),
        ] {
            let mut record = Record::default();
            for ((answered, quiet), expected) in times.into_iter().zip(expected) {
                let trouble = weighed(&mut record, turn(Class::Closed, Why::NotAGateway), answered, quiet);
                let next = after(&mut record, &trouble, &Budget::default(), 0.5);
                let name = match &trouble {
                    Trouble::Aside(_) => "aside",
                    _ if trouble.is_everybodys() => "closes",
                    _ => "own",
                };
                assert_eq!(name, expected, "{answered} {quiet:?}");
                assert!(expected != "aside" || matches!(next, Next::Again(Some(pause)) if !pause.is_zero()));
            }
            assert_eq!(
                record.own_failures(),
                u32::from(expected.contains(&"own")),
                "only the item's own failures are counted"
            );
        }
    }

    #[test]
    fn a_pause_is_at_least_as_long_as_the_other_side_requests() {
        let mut error = GatewayError::new(Class::Transient, Why::ProviderRefused, None);
        error.not_before = Some(Duration::from_hours(1));
        let next = after(&mut Record::default(), &Trouble::Gateway(error), &Budget::default(), 0.0);
        assert_eq!(next, Next::Again(Some(Duration::from_hours(1))));
    }

    /// `DELIVERY_MAX_ATTEMPTS` bounds all failures except outages; `DELIVERY_MAX_AGE_MS` counts only pauses for the
    /// item's own failures.
    #[test]
    fn the_budget_bounds_every_count_and_the_age() {
        let few = Budget { attempts: 2, ..Budget::default() };
        let rows = [
            (turn(Class::Transient, Why::Interrupted), 2),
            (turn(Class::Transient, Why::ProviderTrouble), 5),
            (turn(Class::Refused, Why::UnknownAgent), 2),
            (Trouble::Unsettled(Unsettled::Absent), 2),
            (Trouble::Silence(Silence::Empty), 2),
            (call(Weight::Doubtful), 5),
        ];
        for (trouble, times) in rows {
            let mut record = Record::default();
            let tries = (1..100).find(|_| matches!(after(&mut record, &trouble, &few, 0.5), Next::End(_)));
            assert_eq!(tries, Some(times), "{trouble}");
        }
        let old = Budget { attempts: 1_000, age: Duration::from_hours(1) };
        let mut record = Record::default();
        for _ in 0..500 {
            let away = turn(Class::Closed, Why::Unreachable);
            assert!(matches!(after(&mut record, &away, &old, 1.0), Next::Again(_)));
            assert!(matches!(after(&mut record, &call(Weight::Passing), &old, 1.0), Next::Again(_)));
        }
        let failure = turn(Class::Transient, Why::Interrupted);
        let mut rested = Duration::ZERO;
        let end = loop {
            match after(&mut record, &failure, &old, 1.0) {
                Next::Again(pause) => rested += pause.unwrap_or_default(),
                Next::End(end) => break end,
            }
        };
        assert!(rested <= old.age && rested + LONGEST > old.age, "{rested:?}");
        assert!(matches!(end, End::Dead(why) if why.starts_with("given up after 1.0 hours: ")));
    }
}
