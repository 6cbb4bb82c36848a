//! What happens after a failure: how long a row rests, and when it is given up.
//!
//! Every row has its own counts, one for each cause. A row is given up when one cause alone has reached its limit; other
//! causes do not bring it nearer. The gateway's absence is counted for no row: the gate closes instead.

use std::time::Duration;

use super::trouble::{Setback, Trouble, Unsettled, Weight};
use super::{End, Record, cause};
use crate::gateway::{self, GatewayError, Why as W};
use crate::spans::counted;

/// How much patience there is with a row.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Attempts that may fail by the row's own fault.
    pub attempts: u32,
    /// How long it may be tried, without the time in which the gateway or the backend was away.
    pub age: Duration,
}

impl Budget {
    /// What the provider or a backend that hides its reasons may take: others have to mend something first, so two and
    /// a half times as many. With the default some two hours.
    fn of_others(self) -> u32 {
        self.attempts.saturating_mul(5).div_ceil(2)
    }

    /// What a person may take who has to add an agent or to change a model.
    fn of_refusals(self) -> u32 {
        self.attempts.min(PROVIDER_REFUSALS_MAX)
    }
}

impl Default for Budget {
    /// That of the configuration.
    fn default() -> Self {
        Self { attempts: 8, age: Duration::from_hours(24) }
    }
}

/// How often the provider may refuse the request itself, or the gateway not know the agent, at most: some minutes.
const PROVIDER_REFUSALS_MAX: u32 = 6;
/// How often the same turn is sent again whose answer was lost: something about it may be what breaks everything.
pub const LOST_MAX: u32 = 3;
/// How often an agent that should answer is asked (D-25).
pub const SILENCES_MAX: u32 = 3;
/// How often the backend may know nothing of a row that it listed.
pub const UNKNOWN_MAX: u32 = 10;

/// The first pause after a failure; doubled with each.
const FIRST: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST: Duration = Duration::from_mins(10);
/// Silence is no failure of a machine: asking again soon is worth it.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a row is left to whoever has begun it: longer than a runtime takes to leave.
const TAKEN: Duration = Duration::from_mins(1);
/// How long whoever can mend something at the gateway may take for it, at least.
const MENDED: Duration = Duration::from_secs(30);
/// How soon it is tried again to write into the ledger.
const UNWRITABLE: Duration = Duration::from_secs(10);
/// While a turn was answered so lately, a page is no sign that none would be.
const LATELY: Duration = Duration::from_secs(10);
/// The longest that a row rests that found the gate closed more than once.
const TURNED_AWAY_LONGEST: Duration = Duration::from_mins(1);

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Again, after this pause; without one as soon as the gate lets it in.
    Again(Option<Duration>),
    /// No more.
    End(End),
}

/// Counts the trouble and decides. `dice` is from 0 to 1.
pub fn after(record: &mut Record, trouble: &Trouble, budget: &Budget, dice: f64) -> Next {
    if !matches!(trouble, Trouble::Backend(Setback { weight: Weight::Passing, .. })) {
        // Something else was in the way, so the backend is back.
        record.outages = 0;
    }
    let count = Count { record, trouble, budget, dice };
    match trouble {
        Trouble::Gateway(error) => gateway(count, error),
        Trouble::Aside(_) => aside(count.record, dice),
        Trouble::Unsettled(unsettled) => lost(count, *unsettled),
        Trouble::Backend(setback) => backend(count, setback),
        Trouble::Silence(silence) => {
            count.record.silences += 1;
            if count.record.silences >= SILENCES_MAX.min(budget.attempts) {
                return Next::End(End::Unanswered(*silence));
            }
            Next::Again(Some(SILENCE * count.record.silences))
        }
        Trouble::NoContext => {
            count.record.unknown += 1;
            if count.record.unknown >= UNKNOWN_MAX {
                return Next::End(End::Gone);
            }
            Next::Again(Some(pause(count.record.unknown, None, dice)))
        }
        Trouble::NotNoted(_) => Next::Again(Some(UNWRITABLE)),
        // It costs nobody anything.
        Trouble::OnItsWay(pause) => Next::Again(Some(*pause)),
        // It is the other one's to settle. Only if it is still there after that it is ours.
        Trouble::Taken => Next::Again(Some(TAKEN)),
        Trouble::Moved => Next::Again(Some(Duration::ZERO)),
        Trouble::Stopped => Next::End(End::Stopped),
        Trouble::Undecided | Trouble::GivenUp | Trouble::Crashes(_) => {
            Next::End(End::Dead(trouble.to_string()))
        }
        Trouble::Foreign | Trouble::Broken => count.failed(None),
    }
}

/// A row and its trouble, about to be counted.
struct Count<'a> {
    record: &'a mut Record,
    trouble: &'a Trouble,
    budget: &'a Budget,
    dice: f64,
}

impl Count<'_> {
    /// By the row's own fault.
    fn failed(self, not_before: Option<Duration>) -> Next {
        self.record.failures = self.record.failures.saturating_add(1);
        let max = self.budget.attempts;
        self.caused(max, not_before)
    }

    /// By others' fault: the provider's, or of whoever configures the gateway.
    fn not_its_own(self, max: u32, not_before: Option<Duration>) -> Next {
        self.record.provider = self.record.provider.saturating_add(1);
        self.caused(max, not_before)
    }

    fn caused(self, max: u32, not_before: Option<Duration>) -> Next {
        let count = self.record.causes.entry(cause::of(self.trouble).to_owned()).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        self.counted(count, max, "attempt", not_before)
    }

    fn counted(self, count: u32, max: u32, what: &str, not_before: Option<Duration>) -> Next {
        if count >= max {
            return Next::End(End::Dead(format!(
                "given up after {}: {}",
                counted(count, what),
                self.trouble
            )));
        }
        let pause = pause(count, not_before, self.dice);
        self.record.rested += u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        // Only what it rested for its own sake: the absence of others makes no row old.
        if self.record.rested > u64::try_from(self.budget.age.as_millis()).unwrap_or(u64::MAX) {
            let hours = self.budget.age.as_secs_f64() / 3600.0;
            return Next::End(End::Dead(format!("given up after {hours:.1} hours: {}", self.trouble)));
        }
        Next::Again(Some(pause))
    }
}

fn gateway(count: Count<'_>, error: &GatewayError) -> Next {
    let budget = *count.budget;
    match error.class {
        gateway::Class::Closed => turned_away(count.record, count.dice),
        // What a person has to mend at the gateway or at the provider, and what passes there.
        _ if matches!(error.why, W::UnknownAgent | W::ProviderRejected) => {
            count.not_its_own(budget.of_refusals(), Some(MENDED))
        }
        _ if matches!(error.why, W::ProviderTrouble | W::ProviderRefused) => {
            count.not_its_own(budget.of_others(), error.not_before)
        }
        gateway::Class::Refused => Next::End(End::Dead(count.trouble.to_string())),
        gateway::Class::Transient => count.failed(error.not_before),
        // Before anything else it is settled what became of it.
        gateway::Class::Lost => Next::Again(Some(Duration::ZERO)),
    }
}

fn lost(count: Count<'_>, unsettled: Unsettled) -> Next {
    match unsettled {
        // It costs nobody anything.
        Unsettled::Waiting { pause, .. } => Next::Again(Some(pause)),
        Unsettled::Stuck(_) => count.failed(None),
        // Nothing failed but this process, whose crashes are counted when it starts.
        Unsettled::Interrupted => Next::Again(Some(Duration::ZERO)),
        Unsettled::Absent => {
            count.record.lost += 1;
            let lost = count.record.lost;
            let max = LOST_MAX.min(count.budget.attempts - 1);
            if lost > max {
                let answers = counted(lost, "lost answer");
                return Next::End(End::Dead(format!("given up after {answers}: {}", count.trouble)));
            }
            // After a restart being early beats the gateway's own recovery.
            Next::Again(Some(if lost == 1 { Duration::ZERO } else { pause(lost, None, count.dice) }))
        }
        Unsettled::StuckAgain | Unsettled::Cut | Unsettled::Unknown => {
            Next::End(End::Dead(count.trouble.to_string()))
        }
    }
}

/// The gate was closed: not the row's fault. At its second time it rests, so that another row is let in first and can
/// show that it is open.
fn turned_away(record: &mut Record, dice: f64) -> Next {
    record.turned_away = record.turned_away.saturating_add(1);
    let again = record.turned_away.checked_sub(2);
    Next::Again(again.map(|count| pause(count, None, dice).min(TURNED_AWAY_LONGEST)))
}

/// Nothing is let through for this row, for all that is known: it rests from its first time on.
fn aside(record: &mut Record, dice: f64) -> Next {
    record.turned_away = record.turned_away.saturating_add(1);
    Next::Again(Some(pause(record.turned_away - 1, None, dice).min(TURNED_AWAY_LONGEST)))
}

/// What a turn that met a page in place of an answer says. A page can come from anything between the gateway and us,
/// once for all or for one request alone. While others get through it closes the gate for nobody; and if others got
/// through since the same row last met one, it is the row's own. `answered` is how many turns were, of whomever, and
/// `quiet` how long ago the last one.
pub fn weighed(record: &mut Record, trouble: Trouble, answered: u64, quiet: Duration) -> Trouble {
    match trouble {
        Trouble::Gateway(error) if error.class == gateway::Class::Closed => {
            let alone = record.turned_away > 0 && answered > record.answered_then;
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

fn backend(count: Count<'_>, setback: &Setback) -> Next {
    match setback.weight {
        Weight::Final => Next::End(End::Dead(count.trouble.to_string())),
        Weight::Doubtful => {
            count.record.doubts = count.record.doubts.saturating_add(1);
            let (doubts, max) = (count.record.doubts, count.budget.of_others());
            count.counted(doubts, max, "refusal", setback.not_before)
        }
        Weight::Passing => {
            // What an agent has answered must outlive any absence of the backend.
            count.record.outages = count.record.outages.saturating_add(1);
            Next::Again(Some(pause(count.record.outages, setback.not_before, count.dice)))
        }
    }
}

/// Monotone: a pause is never shorter than the one before, whatever the dice say.
fn pause(count: u32, not_before: Option<Duration>, dice: f64) -> Duration {
    // The span of the dice is doubled with each count, so the spans never overlap; the ceiling cuts what is above it.
    let full = FIRST.saturating_mul(1 << count.min(16));
    let pause = full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
    pause.min(LONGEST).max(not_before.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::reply::Silence;
    use crate::gateway::history::Waiting;
    use crate::gateway::{Class, Why};

    fn turn(class: Class, why: Why) -> Trouble {
        Trouble::Gateway(GatewayError::new(class, why, None))
    }

    fn call(weight: Weight) -> Trouble {
        Trouble::Backend(Setback { weight, not_before: None, sentence: "refused".to_owned() })
    }

    /// W-4, W-8: after how many times a row is given up, and that every pause is at least as long as the one before,
    /// however the dice fall: high first and low afterwards.
    #[test]
    fn every_trouble_is_bounded_and_every_pause_is_monotone() {
        let waiting = Unsettled::Waiting { why: Waiting::GoesOn, pause: Duration::from_secs(5) };
        let rows: [(Trouble, Option<u32>); 24] = [
            (turn(Class::Transient, Why::Interrupted), Some(8)),
            (turn(Class::Transient, Why::ProviderTrouble), Some(20)),
            (turn(Class::Transient, Why::ProviderRefused), Some(20)),
            (turn(Class::Lost, Why::LostAnswer), None),
            (Trouble::Unsettled(Unsettled::Absent), Some(LOST_MAX + 1)),
            (Trouble::Unsettled(waiting), None),
            (Trouble::Unsettled(Unsettled::Stuck(Waiting::GoesOn)), Some(8)),
            (Trouble::Unsettled(Unsettled::StuckAgain), Some(1)),
            (Trouble::Unsettled(Unsettled::Cut), Some(1)),
            (Trouble::Unsettled(Unsettled::Unknown), Some(1)),
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
                match after(&mut record, &trouble, &Budget::default(), f64::from(tried % 2)) {
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

    /// A page that only this row meets, while others get through, is its own and closes the gate for nobody; a page that
    /// all meet is nobody's and does. Each time: how many turns were answered, how long ago the last one.
    #[test]
    fn a_page_is_the_rows_own_if_others_get_through() {
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
            assert_eq!(record.failures, u32::from(expected.contains(&"own")), "only its own is counted");
        }
    }

    #[test]
    fn a_pause_is_at_least_what_the_other_side_asks_for() {
        let mut error = GatewayError::new(Class::Transient, Why::ProviderRefused, None);
        error.not_before = Some(Duration::from_hours(1));
        let next = after(&mut Record::default(), &Trouble::Gateway(error), &Budget::default(), 0.0);
        assert_eq!(next, Next::Again(Some(Duration::from_hours(1))));
    }

    /// `DELIVERY_MAX_ATTEMPTS` bounds everything but the absence of others; `DELIVERY_MAX_AGE_MS` counts only what the row
    /// rested for its own sake.
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
