//! The causes of failed attempts: how often each may occur, and how long an item pauses after it.
//!
//! An item counts each cause under its name. The names are stored in the ledger and never change. [`Cause`] is the
//! table of all causes; [`Failures`] counts them, and keeps the names that a newer version has written.

mod failures;

use std::time::Duration;

use super::Trouble;
use super::failure::{BackendFailure, Unsettled, Weight};
use super::retry::{Budget, LOST_MAX, PROVIDER_REFUSALS_MAX, SILENCES_MAX, UNKNOWN_MAX};
use crate::gateway::{Class, GatewayError, Why};

pub use failures::Failures;

/// The rule of a cause: its origin, its limit and its pause.
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
    /// The gateway cannot run the agent until it is restarted.
    AgentBlocked "agent-blocked" Provider None Restart,
    /// The backend refused a call without a reason that decides the delivery.
    Backend "backend" Row Others Doubled,
    /// The backend was out of reach. Consecutive failures are counted, and only lengthen the pauses.
    BackendAway "backend-away" Outage None Doubled,
    /// The breaker to the gateway was open.
    TurnedAway "turned-away" Outage None Breaker,
    /// The answer to the present turn was lost and cannot be found, so the turn was sent again. Older versions counted
    /// [`Cause::AnswerNotReceived`] under this name too.
    LostAnswer "lost-answer" Row Lost Lost,
    /// The agent did not answer although an answer is required.
    Silence "silence" Row Silences Linear,
    /// The backend did not know the notification.
    NoContext "no-context" Row Unknown Doubled,
    /// The backend answered with another notification.
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
    /// The answer was a page, while other turns are answered.
    NotAGateway "not-a-gateway" Row Attempts Doubled,
    /// The gateway refuses our request.
    OurRequest "our-request" Row Attempts Doubled,
    /// The gateway refuses our tools.
    ToolsRefused "tools-refused" Row Attempts Doubled,
    /// The request is too large.
    TooLarge "too-large" Row Attempts Doubled,
    /// The conversation is too long for the model.
    ContextTooLong "context-too-long" Row Attempts Doubled,
    /// The gateway sent a text of its own in place of the agent's answer.
    GatewayText "gateway-text" Row Attempts Doubled,
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
    /// Failures of this item alone that form 1 summed up without their causes.
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

/// The origin of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// This item alone, as far as known.
    Row,
    /// The model's provider, or the configuration of the gateway.
    Provider,
    /// The backend or the gateway was away, which affects all items.
    Outage,
    /// This program ended in the middle of an attempt.
    Runtime,
}

/// How often a cause may occur until the item is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// [`Budget::attempts`].
    Attempts,
    /// Two and a half times as often, because a person must repair another system first. With the default about two
    /// hours.
    Others,
    /// At most [`PROVIDER_REFUSALS_MAX`]: a person has to add an agent or to change a model.
    Refusals,
    /// The turn is sent again [`LOST_MAX`] times.
    Lost,
    /// [`SILENCES_MAX`].
    Silences,
    /// [`UNKNOWN_MAX`].
    Unknown,
    /// No limit.
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

    /// Whether the pauses count towards [`Budget::age`]: an outage does not.
    pub(super) fn ages(self) -> bool {
        matches!(self, Self::Attempts | Self::Others | Self::Refusals)
    }
}

/// How the pause grows with the count of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Doubles each time, and is at least as long as the other side requests.
    Doubled,
    /// Like [`Pause::Doubled`], and long enough for a person to repair the gateway.
    Mended,
    /// Grows linearly: a missing answer is no technical failure, so an early retry is worthwhile.
    Linear,
    /// No pause the first time, because an early turn precedes the gateway's own recovery after its restart. Then
    /// doubled.
    Lost,
    /// No pause the first time, until the breaker closes. Then a pause, so that the breaker lets another item in first.
    Breaker,
    /// A pause from the first time on: the breaker is closed, but this item alone meets a page instead of answers.
    Aside,
    /// The same each time: only a person ends the cause, and the next attempt follows soon after that.
    Restart,
    /// None: no attempt of this version ends so.
    NotRetried,
}

/// The first pause after a failure; each next one is twice as long.
const FIRST: Duration = Duration::from_secs(2);
/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_mins(10);
/// The longest pause of an item that found the breaker open more than once.
const LONGEST_AT_THE_BREAKER: Duration = Duration::from_mins(1);
/// The pause while a person must restart the gateway.
const RESTART: Duration = Duration::from_mins(1);
/// The shortest pause if a person must repair the gateway.
const MENDED: Duration = Duration::from_secs(30);

impl Pause {
    /// The pause after this count; none if only the breaker decides. `dice` is a random number from 0 to 1.
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
            Self::Restart => Some(not_before.unwrap_or(RESTART)),
            Self::NotRetried => None,
        }
    }
}

/// Doubled pauses with jitter. They are monotone: a pause is never shorter than the one before, for any `dice`.
fn doubled(count: u32, not_before: Option<Duration>, dice: f64) -> Duration {
    // The range of the jitter doubles with each count, so the ranges never overlap. The maximum cuts longer pauses.
    let full = FIRST.saturating_mul(1 << count.min(16));
    let pause = full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
    pause.min(LONGEST).max(not_before.unwrap_or_default())
}

/// The cause and the rule of a failure; none if the failure is not counted. Failures of one cause share its limit.
pub(super) fn of(trouble: &Trouble) -> Option<(Cause, Rule)> {
    match trouble {
        Trouble::Gateway(error) => of_error(error),
        // A page came instead of an answer, while other turns are answered. It counts as an open breaker does.
        Trouble::Aside(_) => {
            Some((Cause::TurnedAway, Rule { pause: Pause::Aside, ..Cause::TurnedAway.rule() }))
        }
        Trouble::Unsettled(Unsettled::Stuck(_)) => Some(ruled(Cause::StuckTurn)),
        Trouble::Unsettled(Unsettled::Absent | Unsettled::Forgotten | Unsettled::ToolsMissing) => {
            Some(ruled(Cause::LostAnswer))
        }
        Trouble::Backend(BackendFailure { weight: Weight::Doubtful, .. }) => Some(ruled(Cause::Backend)),
        Trouble::Backend(BackendFailure { weight: Weight::Passing, .. }) => Some(ruled(Cause::BackendAway)),
        Trouble::Silence(_) => Some(ruled(Cause::Silence)),
        Trouble::NoContext => Some(ruled(Cause::NoContext)),
        Trouble::Foreign => Some(ruled(Cause::ForeignContext)),
        Trouble::Broken => Some(ruled(Cause::Panic)),
        Trouble::Backend(BackendFailure { weight: Weight::Final, .. })
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
        | Trouble::AgentRowsWait
        | Trouble::AgentUnconfirmed
        | Trouble::GivenUp
        | Trouble::Stopped
        | Trouble::OverBudget(_)
        | Trouble::CallLoop(_)
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
        // Failures of the gateway's configuration or of the provider.
        _ if rule.blame == Blame::Provider => Some((cause, rule)),
        Class::Transient => Some((cause, rule)),
        Class::Refused | Class::Lost => None,
    }
}

fn of_turn(why: Why) -> Cause {
    match why {
        Why::NoGateway => Cause::NoGateway,
        Why::TurnLimit => Cause::TurnedAway,
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
        Why::ContextTooLong => Cause::ContextTooLong,
        Why::GatewayText => Cause::GatewayText,
        Why::Internal => Cause::Internal,
        Why::AgentBlocked => Cause::AgentBlocked,
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
