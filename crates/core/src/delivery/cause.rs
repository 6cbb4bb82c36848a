//! The causes of failed attempts: how often each may be met, and how long a row rests after it.
//!
//! A row counts each cause by its name. The names stand in the ledger and do not change. [`Cause`] is the table of all
//! causes; [`Failures`] counts them, and keeps the names that a newer version has written.

mod failures;

use std::time::Duration;

use super::Trouble;
use super::failure::{Setback, Unsettled, Weight};
use super::retry::{Budget, LOST_MAX, PROVIDER_REFUSALS_MAX, SILENCES_MAX, UNKNOWN_MAX};
use crate::gateway::{Class, GatewayError, Why};

pub use failures::Failures;

/// How a cause is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) blame: Blame,
    pub(super) limit: Limit,
    pub(super) pause: Pause,
}

/// Defines [`Cause`] with the name, the blame, the limit and the pause of each.
macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident $name:literal $blame:ident $limit:ident $pause:ident,)*) => {
        /// Why an attempt failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $($(#[$doc])* $cause,)*
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$cause,)*];

            /// The name in the ledger.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$cause => $name,)*
                }
            }

            pub(super) const fn rule(self) -> Rule {
                match self {
                    $(Self::$cause => Rule { blame: Blame::$blame, limit: Limit::$limit, pause: Pause::$pause },)*
                }
            }
        }
    };
}

causes! {
    /// The provider of the model fails for a while.
    ProviderTrouble "provider-trouble" Provider Others Doubled,
    /// The provider of the model refuses requests for now.
    ProviderRefused "provider-refused" Provider Others Doubled,
    /// The provider rejects this request.
    ProviderRejected "provider-rejected" Provider Refusals Mended,
    /// The gateway does not know the agent.
    UnknownAgent "unknown-agent" Provider Refusals Mended,
    /// The backend refused without a reason that settles the row.
    Backend "backend" Row Others Doubled,
    /// The backend was out of reach. The count is of failures in a row, and only lengthens the pauses.
    BackendAway "backend-away" Outage None Doubled,
    /// The breaker to the gateway was open.
    TurnedAway "turned-away" Outage None Breaker,
    /// The answer to the present turn was lost and cannot be found, so the turn was sent again. Older versions counted
    /// [`Cause::AnswerNotReceived`] under this name too.
    LostAnswer "lost-answer" Row Lost Lost,
    /// The agent said nothing where it should.
    Silence "silence" Row Silences Linear,
    /// The backend did not know the row.
    NoContext "no-context" Row Unknown Doubled,
    /// The backend answered with another row.
    ForeignContext "foreign-context" Row Attempts Doubled,
    /// The turn showed no sign of life for too long.
    StuckTurn "stuck-turn" Row Attempts Doubled,
    /// The worker panicked.
    Panic "panic" Row Attempts Doubled,
    /// The runtime crashed while it worked on the row. [`crash`](super::crash) decides what follows.
    Crash "crash" Runtime None NotRetried,
    /// No gateway is configured.
    NoGateway "no-gateway" Row Attempts Doubled,
    /// No connection to the gateway.
    Unreachable "unreachable" Row Attempts Doubled,
    /// The gateway is shutting down.
    Draining "draining" Row Attempts Doubled,
    /// The gateway refuses the token.
    TokenRefused "token-refused" Row Attempts Doubled,
    /// The gateway limits logins.
    TooManyLogins "too-many-logins" Row Attempts Doubled,
    /// The gateway does not serve the endpoint for turns.
    EndpointOff "endpoint-off" Row Attempts Doubled,
    /// The answer was a page, and others get through.
    NotAGateway "not-a-gateway" Row Attempts Doubled,
    /// The gateway refuses our request.
    OurRequest "our-request" Row Attempts Doubled,
    /// The gateway refuses our tools.
    ToolsRefused "tools-refused" Row Attempts Doubled,
    /// The request is too large.
    TooLarge "too-large" Row Attempts Doubled,
    /// The run failed inside the gateway.
    Internal "internal" Row Attempts Doubled,
    /// The gateway interrupted the run.
    Interrupted "interrupted" Row Attempts Doubled,
    /// The gateway reported a failed turn after its answer was lost.
    AnswerNotReceived "answer-not-received" Row Attempts Doubled,
    /// The gateway was silent for too long.
    Silent "silent" Row Attempts Doubled,
    /// The answer is too large.
    AnswerTooLarge "answer-too-large" Row Attempts Doubled,
    /// The answer was not understood.
    NotUnderstood "not-understood" Row Attempts Doubled,
    /// The gateway's WebSocket does not serve the request.
    NotOverSocket "not-over-socket" Row Attempts Doubled,
    /// The turn was stopped.
    Stopped "stopped" Row Attempts Doubled,
    /// Failures of the row's own that form 1 summed up without their causes.
    Earlier "earlier" Row None NotRetried,
    /// Failures of the provider or the configuration that form 1 summed up without their causes.
    EarlierProvider "earlier-provider" Provider None NotRetried,
}

impl Cause {
    /// The cause with this name in the ledger, if this version knows it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.name() == name)
    }
}

/// Who or what is to blame for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The row alone, as far as known.
    Row,
    /// The model's provider, or the configuration of the gateway.
    Provider,
    /// The backend or the gateway was away: no fault of the row.
    Outage,
    /// This program ended in the middle of an attempt.
    Runtime,
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
    /// None: no attempt of this version ends so.
    NotRetried,
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
            Self::NotRetried => None,
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

/// Under which cause a trouble is counted and by which rule; none where nothing is counted. Two troubles of one cause
/// share its limit.
pub(super) fn of(trouble: &Trouble) -> Option<(Cause, Rule)> {
    match trouble {
        Trouble::Gateway(error) => of_error(error),
        // A page came in place of an answer while others get through: counted with those that found the breaker open.
        Trouble::Aside(_) => {
            Some((Cause::TurnedAway, Rule { pause: Pause::Aside, ..Cause::TurnedAway.rule() }))
        }
        Trouble::Unsettled(Unsettled::Stuck(_)) => Some(ruled(Cause::StuckTurn)),
        Trouble::Unsettled(Unsettled::Absent) => Some(ruled(Cause::LostAnswer)),
        Trouble::Backend(Setback { weight: Weight::Doubtful, .. }) => Some(ruled(Cause::Backend)),
        Trouble::Backend(Setback { weight: Weight::Passing, .. }) => Some(ruled(Cause::BackendAway)),
        Trouble::Silence(_) => Some(ruled(Cause::Silence)),
        Trouble::NoContext => Some(ruled(Cause::NoContext)),
        Trouble::Foreign => Some(ruled(Cause::ForeignContext)),
        Trouble::Broken => Some(ruled(Cause::Panic)),
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

/// A cause with its rule.
fn ruled(cause: Cause) -> (Cause, Rule) {
    (cause, cause.rule())
}

fn of_error(error: &GatewayError) -> Option<(Cause, Rule)> {
    let cause = of_turn(error.why);
    let rule = cause.rule();
    match error.class {
        Class::Closed => Some(ruled(Cause::TurnedAway)),
        // What a person has to mend at the gateway or at the provider, and what passes there.
        _ if rule.blame == Blame::Provider => Some((cause, rule)),
        Class::Transient => Some((cause, rule)),
        Class::Refused | Class::Lost => None,
    }
}

fn of_turn(why: Why) -> Cause {
    match why {
        Why::NoGateway => Cause::NoGateway,
        Why::Unreachable => Cause::Unreachable,
        Why::Draining => Cause::Draining,
        Why::TokenRefused => Cause::TokenRefused,
        Why::TooManyLogins => Cause::TooManyLogins,
        Why::EndpointOff => Cause::EndpointOff,
        Why::NotAGateway => Cause::NotAGateway,
        Why::UnknownAgent => Cause::UnknownAgent,
        Why::OurRequest => Cause::OurRequest,
        Why::ToolsRefused => Cause::ToolsRefused,
        Why::TooLarge => Cause::TooLarge,
        Why::ProviderRefused => Cause::ProviderRefused,
        Why::ProviderRejected => Cause::ProviderRejected,
        Why::ProviderTrouble => Cause::ProviderTrouble,
        Why::Internal => Cause::Internal,
        Why::Interrupted => Cause::Interrupted,
        Why::LostAnswer => Cause::AnswerNotReceived,
        Why::Silent => Cause::Silent,
        Why::AnswerTooLarge => Cause::AnswerTooLarge,
        Why::NotUnderstood => Cause::NotUnderstood,
        Why::NotOverSocket => Cause::NotOverSocket,
        Why::Stopped => Cause::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        for cause in Cause::ALL {
            assert_eq!(Cause::of_name(cause.name()), Some(*cause));
        }
        assert_eq!(Cause::of_name("cause-of-a-newer-version"), None);
    }

    #[test]
    fn a_turn_that_was_sent_again_and_an_answer_that_did_not_arrive_are_counted_apart() {
        let transient = GatewayError::new(Class::Transient, Why::LostAnswer, None);
        let causes = [Trouble::Gateway(transient), Trouble::Unsettled(Unsettled::Absent)]
            .map(|trouble| of(&trouble).map(|(cause, _)| cause));
        assert_eq!(causes, [Some(Cause::AnswerNotReceived), Some(Cause::LostAnswer)]);
    }
}
