//! What happens after a failure: how long a row rests, and when it is given up.
//!
//! Every row has its own count, so a poisonous one is its own problem. What the gateway's absence costs is counted for
//! nobody: the gate closes instead.

use std::fmt;
use std::time::Duration;

use super::reply::Silence;
use super::{End, Record};
use crate::gateway::{self, GatewayError};

/// Attempts that may fail.
pub const FAILURES_MAX: u32 = 8;
/// How often a turn is sent again whose answer was lost.
pub const LOST_MAX: u32 = 3;
/// How often an agent that should answer is asked (D-25).
pub const SILENCES_MAX: u32 = 3;
/// How often the backend may know nothing of a row that it listed.
pub const UNKNOWN_MAX: u32 = 5;

/// The first pause after a failure; doubled with each.
const FIRST: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST: Duration = Duration::from_mins(10);
/// Silence is no failure of a machine: asking again soon is worth it.
const SILENCE: Duration = Duration::from_secs(2);
/// The longest that a row rests that found the gate closed more than once.
const TURNED_AWAY_LONGEST: Duration = Duration::from_mins(1);
/// A row that the backend does not know is probably just being written or removed.
const UNKNOWN: Duration = Duration::from_secs(2);

/// What was in the way of a delivery.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A call of the backend failed.
    Backend(Setback),
    /// A turn failed.
    Gateway(GatewayError),
    /// The agent said nothing where it should.
    Silence(Silence),
    /// The backend listed the row and then knew nothing of it.
    NoContext,
    /// The backend answered with something else than was asked for.
    Foreign,
    /// Our own mistake: the worker broke down.
    Broken,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(setback) => f.write_str(&setback.sentence),
            Self::Gateway(error) => error.fmt(f),
            Self::Silence(silence) => write!(f, "the agent did not answer: {}", silence.explain()),
            Self::NoContext => f.write_str("Mission Control listed it and then knew nothing of it"),
            Self::Foreign => f.write_str("Mission Control answered with the context of another notification"),
            Self::Broken => f.write_str("the worker broke down; please report this as a bug"),
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
            Next::Again(Some(UNKNOWN * record.unknown))
        }
        Trouble::Foreign | Trouble::Broken => failed(record, trouble, None, dice),
    }
}

fn gateway(record: &mut Record, error: &GatewayError, dice: f64) -> Next {
    let trouble = Trouble::Gateway(error.clone());
    match error.class {
        gateway::Class::Closed => turned_away(record, error, dice),
        gateway::Class::Refused => Next::End(End::Dead(trouble.to_string())),
        gateway::Class::Transient => failed(record, &trouble, error.not_before, dice),
        gateway::Class::Lost => {
            record.lost += 1;
            if record.lost > LOST_MAX {
                return Next::End(End::Dead(trouble.to_string()));
            }
            failed(record, &trouble, error.not_before, dice)
        }
    }
}

/// The gate was closed: not the row's fault. At its second time it rests, so that another row is let in first and can
/// show that it is open; and what only this row meets is in the end its own problem.
fn turned_away(record: &mut Record, error: &GatewayError, dice: f64) -> Next {
    record.turned_away = record.turned_away.saturating_add(1);
    if is_rows_own(record, error) {
        return failed(record, &Trouble::Gateway(error.clone()), error.not_before, dice);
    }
    let again = record.turned_away.checked_sub(2);
    Next::Again(again.map(|count| pause(count, None, dice).min(TURNED_AWAY_LONGEST)))
}

/// Whether a turn that was turned away says nothing about other turns. A page in place of an answer can come from
/// anything between the gateway and us, once for all or for one request alone; if probes find a gateway behind it and
/// the same row meets the page again, it is the row's.
pub fn is_rows_own(record: &Record, error: &GatewayError) -> bool {
    error.why == gateway::Why::NotAGateway && record.turned_away >= 2
}

fn backend(record: &mut Record, trouble: &Trouble, setback: &Setback, dice: f64) -> Next {
    match setback.weight {
        Weight::Final => Next::End(End::Dead(trouble.to_string())),
        Weight::Doubtful => failed(record, trouble, setback.not_before, dice),
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
    let full = FIRST.saturating_mul(1 << count.min(16)).min(LONGEST);
    full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0).max(not_before.unwrap_or_default())
}
