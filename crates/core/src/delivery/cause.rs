//! The names under which the causes of failed attempts are counted. They stand in the ledger and do not change.

use super::Trouble;
use crate::gateway::Why;

/// The cause of this trouble. Two troubles of one cause share a limit.
pub(super) fn of(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Gateway(error) | Trouble::Aside(error) => of_turn(error.why),
        Trouble::Unsettled(_) => "stuck-turn",
        Trouble::Backend(_) => "backend",
        Trouble::Silence(_) => "silence",
        Trouble::NoContext => "no-context",
        Trouble::Taken => "taken",
        Trouble::Foreign => "foreign-context",
        Trouble::NotNoted(_) => "not-noted",
        Trouble::OnItsWay(_) => "on-its-way",
        Trouble::Undecided => "undecided",
        Trouble::Moved => "moved",
        Trouble::GivenUp => "given-up",
        Trouble::Stopped => "stopped-by-a-person",
        Trouble::Crashes(_) => "crash",
        Trouble::Broken => "panic",
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
