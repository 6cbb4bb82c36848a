//! The causes of failed attempts: how often each may be met, and how long a row rests after it.
//!
//! A row counts each cause by its name. The names stand in the ledger and do not change.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Trouble;
use super::failure::{Setback, Unsettled, Weight};
use super::retry::{Budget, LOST_MAX, PROVIDER_REFUSALS_MAX, SILENCES_MAX, UNKNOWN_MAX};
use crate::gateway::{Class, GatewayError, Why};

/// The backend refused without a reason that would settle it.
pub const BACKEND: &str = "backend";
/// The backend was out of reach. It is counted in a row, and only lengthens the pauses.
pub const BACKEND_AWAY: &str = "backend-away";
/// The breaker to the gateway was open.
pub const TURNED_AWAY: &str = "turned-away";
/// The answer to the turn of now was lost and nowhere to be found, so the turn was sent again.
pub const LOST_ANSWER: &str = "lost-answer";
/// The agent said nothing where it should.
pub const SILENCE: &str = "silence";
/// The backend knew nothing of the row.
pub const NO_CONTEXT: &str = "no-context";
/// Failures of the row's own that form 1 summed up without their causes.
pub const EARLIER: &str = "earlier";
/// Failures of the provider or the configuration that form 1 summed up without their causes.
pub const EARLIER_PROVIDER: &str = "earlier-provider";

/// How often each cause was met, by its name. Names of a newer version are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failures(BTreeMap<String, u32>);

impl Failures {
    /// How often this cause was met.
    pub fn of(&self, cause: &str) -> u32 {
        self.0.get(cause).copied().unwrap_or(0)
    }

    /// It was met so many times more; how often in all.
    pub fn add(&mut self, cause: &str, times: u32) -> u32 {
        if times == 0 {
            return self.of(cause);
        }
        let count = self.0.entry(cause.to_owned()).or_default();
        *count = count.saturating_add(times);
        *count
    }

    /// What it stands for is over.
    pub fn clear(&mut self, cause: &str) {
        self.0.remove(cause);
    }

    /// Failures that need not concern any other row.
    pub fn of_row(&self) -> u32 {
        self.sum(Blame::Row)
    }

    /// Failures where the model's provider or the gateway's configuration was in the way.
    pub fn of_provider(&self) -> u32 {
        self.sum(Blame::Provider)
    }

    /// Failed attempts, as people count them: a turn that is sent again because its answer was lost is none.
    pub fn attempts(&self) -> u32 {
        let row = self.of_row().saturating_sub(self.of(LOST_ANSWER));
        row.saturating_add(self.of_provider()).saturating_add(self.of(BACKEND_AWAY))
    }

    fn sum(&self, blame: Blame) -> u32 {
        let counts = self.0.iter().filter(|(cause, _)| rule(cause).blame == blame);
        counts.fold(0, |sum: u32, (_, count)| sum.saturating_add(*count))
    }
}

impl<const N: usize> From<[(&str, u32); N]> for Failures {
    fn from(counts: [(&str, u32); N]) -> Self {
        let mut failures = Self::default();
        for (cause, count) in counts {
            failures.add(cause, count);
        }
        failures
    }
}

/// What a failure is put down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The row alone, as far as known.
    Row,
    /// The model's provider, or the configuration of the gateway.
    Provider,
    /// The backend or the gateway was away: no fault of the row.
    Outage,
}

/// How often a cause may be met until the row is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// As often as an attempt may fail.
    Attempts,
    /// Two and a half times as often: others have to mend something first. With the default some two hours.
    Others,
    /// At most [`PROVIDER_REFUSALS_MAX`]: a person has to add an agent or to change a model.
    Refusals,
    /// The turn is sent again [`LOST_MAX`] times.
    Lost,
    /// [`SILENCES_MAX`].
    Silences,
    /// [`UNKNOWN_MAX`].
    Unknown,
    /// There is none.
    None,
}

impl Limit {
    pub(super) fn of(self, budget: &Budget) -> Option<u32> {
        match self {
            Self::Attempts => Some(budget.attempts),
            Self::Others => Some(budget.attempts.saturating_mul(5).div_ceil(2)),
            Self::Refusals => Some(budget.attempts.min(PROVIDER_REFUSALS_MAX)),
            Self::Lost => Some(LOST_MAX.min(budget.attempts.saturating_sub(1)) + 1),
            Self::Silences => Some(SILENCES_MAX.min(budget.attempts)),
            Self::Unknown => Some(UNKNOWN_MAX),
            Self::None => None,
        }
    }

    /// Whether the pauses make the row older: the absence of others does not.
    pub(super) fn ages(self) -> bool {
        matches!(self, Self::Attempts | Self::Others | Self::Refusals)
    }
}

/// How long a row rests after so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Doubled with each, and at least as long as the other side asks for.
    Doubled,
    /// Like [`Pause::Doubled`], and long enough for a person to mend something at the gateway.
    Mended,
    /// Silence is no failure of a machine: asking again soon is worth it.
    Linear,
    /// None at the first time: after a restart being early beats the gateway's own recovery. Doubled from then on.
    Lost,
    /// None at the first time, until the breaker closes. Then it rests, so that another row is let in first.
    Breaker,
    /// The breaker is closed and nothing is let through for this row: it rests from its first time on.
    Aside,
}

/// The first pause after a failure; doubled with each.
const FIRST: Duration = Duration::from_secs(2);
/// The longest.
pub(super) const LONGEST: Duration = Duration::from_mins(10);
/// The longest of a row that found the breaker open more than once.
const LONGEST_AT_THE_BREAKER: Duration = Duration::from_mins(1);
/// How long somebody who can mend something at the gateway may take for it, at least.
const MENDED: Duration = Duration::from_secs(30);

impl Pause {
    /// None where it depends on the gateway alone. `dice` is from 0 to 1.
    pub(super) fn after(self, count: u32, not_before: Option<Duration>, dice: f64) -> Option<Duration> {
        let at_the_breaker = |count| doubled(count, None, dice).min(LONGEST_AT_THE_BREAKER);
        match self {
            Self::Doubled => Some(doubled(count, not_before, dice)),
            Self::Mended => Some(doubled(count, Some(MENDED), dice)),
            Self::Linear => Some(FIRST * count),
            Self::Lost if count == 1 => Some(Duration::ZERO),
            Self::Lost => Some(doubled(count, None, dice)),
            Self::Breaker => count.checked_sub(2).map(at_the_breaker),
            Self::Aside => Some(at_the_breaker(count.saturating_sub(1))),
        }
    }
}

/// Monotone: a pause is never shorter than the one before, whatever the dice say.
fn doubled(count: u32, not_before: Option<Duration>, dice: f64) -> Duration {
    // The span of the dice is doubled with each count, so the spans never overlap; the ceiling cuts what is above it.
    let full = FIRST.saturating_mul(1 << count.min(16));
    let pause = full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
    pause.min(LONGEST).max(not_before.unwrap_or_default())
}

/// How a cause is counted.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) blame: Blame,
    pub(super) limit: Limit,
    pub(super) pause: Pause,
}

const fn row(name: &'static str, blame: Blame, limit: Limit, pause: Pause) -> Rule {
    Rule { name, blame, limit, pause }
}

/// What differs from [`OTHER`].
static TABLE: [Rule; 12] = [
    row("provider-trouble", Blame::Provider, Limit::Others, Pause::Doubled),
    row("provider-refused", Blame::Provider, Limit::Others, Pause::Doubled),
    row("provider-rejected", Blame::Provider, Limit::Refusals, Pause::Mended),
    row("unknown-agent", Blame::Provider, Limit::Refusals, Pause::Mended),
    row(BACKEND, Blame::Row, Limit::Others, Pause::Doubled),
    row(BACKEND_AWAY, Blame::Outage, Limit::None, Pause::Doubled),
    row(TURNED_AWAY, Blame::Outage, Limit::None, Pause::Breaker),
    row(LOST_ANSWER, Blame::Row, Limit::Lost, Pause::Lost),
    row(SILENCE, Blame::Row, Limit::Silences, Pause::Linear),
    row(NO_CONTEXT, Blame::Row, Limit::Unknown, Pause::Doubled),
    row(EARLIER, Blame::Row, Limit::None, Pause::Doubled),
    row(EARLIER_PROVIDER, Blame::Provider, Limit::None, Pause::Doubled),
];

/// A page came in place of an answer while others get through: counted with those that found the breaker open.
static ASIDE: Rule = row(TURNED_AWAY, Blame::Outage, Limit::None, Pause::Aside);

/// All other causes: each is counted alone, and by this rule.
static OTHER: Rule = row("", Blame::Row, Limit::Attempts, Pause::Doubled);

fn rule(name: &str) -> &'static Rule {
    TABLE.iter().find(|rule| rule.name == name).unwrap_or(&OTHER)
}

/// A cause with its rule.
fn named(name: &'static str) -> (&'static str, &'static Rule) {
    (name, rule(name))
}

/// Under which name a trouble is counted and by which rule; none where nothing is counted. Two troubles of one cause share
/// its limit.
pub(super) fn of(trouble: &Trouble) -> Option<(&'static str, &'static Rule)> {
    match trouble {
        Trouble::Gateway(error) => of_error(error),
        Trouble::Aside(_) => Some((ASIDE.name, &ASIDE)),
        Trouble::Unsettled(Unsettled::Stuck(_)) => Some(named("stuck-turn")),
        Trouble::Unsettled(Unsettled::Absent) => Some(named(LOST_ANSWER)),
        Trouble::Backend(Setback { weight: Weight::Doubtful, .. }) => Some(named(BACKEND)),
        Trouble::Backend(Setback { weight: Weight::Passing, .. }) => Some(named(BACKEND_AWAY)),
        Trouble::Silence(_) => Some(named(SILENCE)),
        Trouble::NoContext => Some(named(NO_CONTEXT)),
        Trouble::Foreign => Some(named("foreign-context")),
        Trouble::Broken => Some(named("panic")),
        Trouble::Backend(Setback { weight: Weight::Final, .. })
        | Trouble::Unsettled(
            Unsettled::Waiting { .. }
            | Unsettled::StuckAgain
            | Unsettled::Interrupted
            | Unsettled::Cut
            | Unsettled::Unknown,
        )
        | Trouble::StartedElsewhere
        | Trouble::NotNoted(_)
        | Trouble::OnItsWay(_)
        | Trouble::Undecided
        | Trouble::Moved
        | Trouble::GivenUp
        | Trouble::Stopped
        | Trouble::Crashes(_) => None,
    }
}

fn of_error(error: &GatewayError) -> Option<(&'static str, &'static Rule)> {
    let (name, rule) = named(of_turn(error.why));
    match error.class {
        Class::Closed => Some(named(TURNED_AWAY)),
        // What a person has to mend at the gateway or at the provider, and what passes there.
        _ if rule.blame == Blame::Provider => Some((name, rule)),
        Class::Transient => Some((name, rule)),
        Class::Refused | Class::Lost => None,
    }
}

fn of_turn(why: Why) -> &'static str {
    match why {
        Why::NoGateway => "no-gateway",
        Why::Unreachable => "unreachable",
        Why::Draining => "draining",
        Why::TokenRefused => "token-refused",
        Why::TooManyLogins => "too-many-logins",
        Why::EndpointOff => "endpoint-off",
        Why::NotAGateway => "not-a-gateway",
        Why::UnknownAgent => "unknown-agent",
        Why::OurRequest => "our-request",
        Why::ToolsRefused => "tools-refused",
        Why::TooLarge => "too-large",
        Why::ProviderRefused => "provider-refused",
        Why::ProviderRejected => "provider-rejected",
        Why::ProviderTrouble => "provider-trouble",
        Why::Internal => "internal",
        Why::Interrupted => "interrupted",
        Why::LostAnswer => "lost-answer",
        Why::Silent => "silent",
        Why::AnswerTooLarge => "answer-too-large",
        Why::NotUnderstood => "not-understood",
        Why::NotOverSocket => "not-over-socket",
        Why::Stopped => "stopped",
    }
}
