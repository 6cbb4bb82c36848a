//! What happens after a failure: how long a row rests, and when it is given up.
//!
//! Every row has its own count, so a poisonous one is its own problem. What the gateway's absence costs is counted for
//! nobody: the gate closes instead.

use std::fmt;
use std::time::Duration;

use super::reply::Silence;
use super::{End, Record};
use crate::gateway::history::Waiting;
use crate::gateway::{self, GatewayError, Why as W};

/// Attempts that may fail.
pub const FAILURES_MAX: u32 = 8;
/// How often the backend may refuse without a reason that settles it: some two hours, so that a broken deployment
/// can be mended before rows are given up for it.
pub const DOUBTS_MAX: u32 = 20;
/// How often the model's provider may be in trouble, or refuse its key: some two hours.
pub const PROVIDER_TROUBLES_MAX: u32 = 20;
/// How often it may refuse the request itself, or the gateway not know the agent: some minutes.
pub const PROVIDER_REFUSALS_MAX: u32 = 6;
/// How often a turn is sent again whose answer was lost.
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
/// The longest that a row rests that found the gate closed more than once.
const TURNED_AWAY_LONGEST: Duration = Duration::from_mins(1);

/// What was in the way of a delivery.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A call of the backend failed.
    Backend(Setback),
    /// A turn failed.
    Gateway(GatewayError),
    /// The answer of a turn was lost.
    Unsettled(Unsettled),
    /// The agent said nothing where it should.
    Silence(Silence),
    /// The backend listed the row and then knew nothing of it.
    NoContext,
    /// Somebody else has begun it since it was listed.
    Taken,
    /// The backend answered with something else than was asked for.
    Foreign,
    /// Our own mistake: the worker broke down.
    Broken,
}

impl Trouble {
    /// Whether it is only waited for something that will come: no failure of anybody.
    pub fn is_patience(&self) -> bool {
        matches!(self, Self::Unsettled(Unsettled::Waiting { .. }) | Self::Taken)
    }
}

/// What is known of a turn whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// It may still be answered.
    Waiting {
        /// What is waited for.
        why: Waiting,
        /// When to look again.
        pause: Duration,
    },
    /// It may still be answered, but has shown no sign of life for too long.
    Stuck(Waiting),
    /// It is nowhere to be found, so it is sent again.
    Absent,
    /// It was answered, and not all of the answer can be read.
    Cut,
    /// The gateway does not show what became of it.
    Unknown,
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { why, .. } => write!(f, "the answer was lost: {}", why.explain()),
            Self::Stuck(why) => write!(f, "the answer was lost, and the turn is stuck: {}", why.explain()),
            Self::Absent => {
                f.write_str("the answer was lost and is not in the session: the turn is sent again")
            }
            Self::Cut => f.write_str("answer found, but cut: the gateway shows only the beginning of it"),
            Self::Unknown => f.write_str(
                "unknown outcome: the answer was lost, and the gateway does not show its sessions",
            ),
        }
    }
}

impl Trouble {
    /// Whether every row would meet it, because nothing is let through to the gateway.
    pub fn is_everybodys(&self) -> bool {
        matches!(self, Self::Gateway(error) if error.class == gateway::Class::Closed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(setback) => f.write_str(&setback.sentence),
            Self::Gateway(error) => error.fmt(f),
            Self::Unsettled(unsettled) => unsettled.fmt(f),
            Self::Silence(silence) => write!(f, "the agent did not answer: {}.", silence.explain()),
            Self::NoContext => f.write_str("Mission Control listed it and then knew nothing of it."),
            Self::Taken => f.write_str("somebody else has begun it."),
            Self::Foreign => {
                f.write_str("Mission Control answered with the context of another notification.")
            }
            Self::Broken => f.write_str("the worker broke down; please report this as a bug."),
        }
    }
}

/// A failed call of the backend, as far as it matters for a row.
#[derive(Clone, Debug)]
pub struct Setback {
    /// What it means.
    pub weight: Weight,
    /// How long the backend wants to be left alone.
    pub not_before: Option<Duration>,
    /// What happened, redacted.
    pub sentence: String,
}

/// What a failed call means for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The backend is away or in trouble: nobody's fault.
    Passing,
    /// It may have to do with the row, and may pass.
    Doubtful,
    /// The backend will say the same every time.
    Final,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Again, after this pause; without one as soon as the gate lets it in.
    Again(Option<Duration>),
    /// No more.
    End(End),
}

/// Counts the trouble and decides. `dice` is from 0 to 1.
pub fn after(record: &mut Record, trouble: &Trouble, dice: f64) -> Next {
    match trouble {
        Trouble::Gateway(error) => gateway(record, error, dice),
        Trouble::Unsettled(unsettled) => lost(record, *unsettled, dice),
        Trouble::Backend(setback) => backend(record, trouble, setback, dice),
        Trouble::Silence(silence) => {
            record.silences += 1;
            if record.silences >= SILENCES_MAX {
                return Next::End(End::Unanswered(*silence));
            }
            Next::Again(Some(SILENCE * record.silences))
        }
        Trouble::NoContext => {
            record.unknown += 1;
            if record.unknown >= UNKNOWN_MAX {
                return Next::End(End::Gone);
            }
            Next::Again(Some(pause(record.unknown, None, dice)))
        }
        // It is the other one's to settle. Only if it is still there after that it is ours.
        Trouble::Taken => Next::Again(Some(TAKEN)),
        Trouble::Foreign | Trouble::Broken => failed(record, trouble, None, dice),
    }
}

fn gateway(record: &mut Record, error: &GatewayError, dice: f64) -> Next {
    let trouble = Trouble::Gateway(error.clone());
    match error.class {
        gateway::Class::Closed => turned_away(record, dice),
        // What a person has to mend at the gateway or at the provider, and what passes there.
        _ if matches!(error.why, W::UnknownAgent | W::ProviderRejected) => {
            provider(record, &trouble, PROVIDER_REFUSALS_MAX, Some(MENDED), dice)
        }
        _ if matches!(error.why, W::ProviderTrouble | W::ProviderRefused) => {
            provider(record, &trouble, PROVIDER_TROUBLES_MAX, error.not_before, dice)
        }
        gateway::Class::Refused => Next::End(End::Dead(trouble.to_string())),
        gateway::Class::Transient => failed(record, &trouble, error.not_before, dice),
        // Before anything else it is settled what became of it.
        gateway::Class::Lost => Next::Again(Some(Duration::ZERO)),
    }
}

/// The gateway is well, and what stands behind it is not: more patience than with a row of its own.
fn provider(
    record: &mut Record,
    trouble: &Trouble,
    max: u32,
    not_before: Option<Duration>,
    dice: f64,
) -> Next {
    record.provider = record.provider.saturating_add(1);
    if record.provider >= max {
        return Next::End(End::Dead(format!("given up after {max} attempts: {trouble}")));
    }
    Next::Again(Some(pause(record.provider, not_before, dice)))
}

fn lost(record: &mut Record, unsettled: Unsettled, dice: f64) -> Next {
    let trouble = Trouble::Unsettled(unsettled);
    match unsettled {
        // It costs nobody anything.
        Unsettled::Waiting { pause, .. } => Next::Again(Some(pause)),
        Unsettled::Stuck(_) => failed(record, &trouble, None, dice),
        Unsettled::Absent => {
            record.lost += 1;
            if record.lost > LOST_MAX {
                return Next::End(End::Dead(format!("given up after {LOST_MAX} lost answers: {trouble}")));
            }
            let first = record.lost == 1;
            match failed(record, &trouble, None, dice) {
                // After a restart being early beats the gateway's own recovery.
                Next::Again(_) if first => Next::Again(Some(Duration::ZERO)),
                next => next,
            }
        }
        Unsettled::Cut | Unsettled::Unknown => Next::End(End::Dead(trouble.to_string())),
    }
}

/// The gate was closed: not the row's fault. At its second time it rests, so that another row is let in first and can
/// show that it is open.
fn turned_away(record: &mut Record, dice: f64) -> Next {
    record.turned_away = record.turned_away.saturating_add(1);
    let again = record.turned_away.checked_sub(2);
    Next::Again(again.map(|count| pause(count, None, dice).min(TURNED_AWAY_LONGEST)))
}

/// What a turn that met a page in place of an answer says. A page can come from anything between the gateway and us,
/// once for all or for one request alone: if others got through since the same row last met it, it is the row's own.
pub fn weighed(record: &mut Record, trouble: Trouble, answered: u64) -> Trouble {
    match trouble {
        Trouble::Gateway(error) if error.class == gateway::Class::Closed => {
            let alone = record.turned_away > 0 && answered > record.answered_then;
            record.answered_then = answered;
            let own = alone && error.why == gateway::Why::NotAGateway;
            let class = if own { gateway::Class::Transient } else { error.class };
            Trouble::Gateway(GatewayError { class, ..error })
        }
        other => other,
    }
}

fn backend(record: &mut Record, trouble: &Trouble, setback: &Setback, dice: f64) -> Next {
    match setback.weight {
        Weight::Final => Next::End(End::Dead(trouble.to_string())),
        Weight::Doubtful => {
            record.doubts = record.doubts.saturating_add(1);
            if record.doubts >= DOUBTS_MAX {
                return Next::End(End::Dead(format!("given up after {DOUBTS_MAX} refusals: {trouble}")));
            }
            Next::Again(Some(pause(record.doubts, setback.not_before, dice)))
        }
        Weight::Passing => {
            // What an agent has answered must outlive any absence of the backend.
            record.outages = record.outages.saturating_add(1);
            Next::Again(Some(pause(record.outages, setback.not_before, dice)))
        }
    }
}

fn failed(record: &mut Record, trouble: &Trouble, not_before: Option<Duration>, dice: f64) -> Next {
    record.failures += 1;
    if record.failures >= FAILURES_MAX {
        return Next::End(End::Dead(format!("given up after {FAILURES_MAX} attempts: {trouble}")));
    }
    Next::Again(Some(pause(record.failures, not_before, dice)))
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
        let rows: [(Trouble, Option<u32>); 20] = [
            (turn(Class::Transient, Why::Interrupted), Some(FAILURES_MAX)),
            (turn(Class::Transient, Why::ProviderTrouble), Some(PROVIDER_TROUBLES_MAX)),
            (turn(Class::Transient, Why::ProviderRefused), Some(PROVIDER_TROUBLES_MAX)),
            (turn(Class::Lost, Why::LostAnswer), None),
            (Trouble::Unsettled(Unsettled::Absent), Some(LOST_MAX + 1)),
            (Trouble::Unsettled(waiting), None),
            (Trouble::Unsettled(Unsettled::Stuck(Waiting::GoesOn)), Some(FAILURES_MAX)),
            (Trouble::Unsettled(Unsettled::Cut), Some(1)),
            (Trouble::Unsettled(Unsettled::Unknown), Some(1)),
            (turn(Class::Refused, Why::TooLarge), Some(1)),
            (turn(Class::Refused, Why::ProviderRejected), Some(PROVIDER_REFUSALS_MAX)),
            (turn(Class::Refused, Why::UnknownAgent), Some(PROVIDER_REFUSALS_MAX)),
            (turn(Class::Closed, Why::Unreachable), None),
            (turn(Class::Closed, Why::TokenRefused), None),
            (turn(Class::Closed, Why::NotAGateway), None),
            (call(Weight::Passing), None),
            (call(Weight::Doubtful), Some(DOUBTS_MAX)),
            (call(Weight::Final), Some(1)),
            (Trouble::Silence(Silence::Empty), Some(SILENCES_MAX)),
            (Trouble::NoContext, Some(UNKNOWN_MAX)),
        ];
        for (trouble, times) in rows {
            let mut record = Record::default();
            let mut before = Duration::ZERO;
            let mut tried = 0;
            let ended = loop {
                tried += 1;
                match after(&mut record, &trouble, f64::from(tried % 2)) {
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

    /// A page that only this row meets, while others get through, is its own; a page that all meet is nobody's.
    #[test]
    fn a_page_is_the_rows_own_if_others_get_through() {
        for (answered, closed) in [([0, 0, 0], [true, true, true]), ([3, 4, 4], [true, false, true])] {
            let mut record = Record::default();
            for (answered, closed) in answered.into_iter().zip(closed) {
                let trouble = weighed(&mut record, turn(Class::Closed, Why::NotAGateway), answered);
                after(&mut record, &trouble, 0.5);
                assert_eq!(trouble.is_everybodys(), closed, "{answered}");
            }
        }
    }

    #[test]
    fn a_pause_is_at_least_what_the_other_side_asks_for() {
        let mut error = GatewayError::new(Class::Transient, Why::ProviderRefused, None);
        error.not_before = Some(Duration::from_hours(1));
        let next = after(&mut Record::default(), &Trouble::Gateway(error), 0.0);
        assert_eq!(next, Next::Again(Some(Duration::from_hours(1))));
    }
}
