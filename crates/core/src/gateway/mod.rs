//! The waist to the OpenClaw gateway: one turn in, one reply out.
//!
//! A **turn** is one `POST /v1/responses` and its reply. The session is the memory: the same key continues the same
//! conversation, so at most one turn of a session is in flight at any time, which is the caller's promise.
//!
//! What a gateway release understands is its dialect (`dialect`), what goes over the wire is the codec's business
//! (`codec`), and [`Gateway`] hides both: above it there are only the words of this file. Below it stands HTTP
//! (`client`), or a double in tests. What became of a turn whose answer was lost is told from its session (`history`).

pub mod codec;
pub mod dialect;
pub mod history;
mod signs;

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use mcr_model::SessionKey;
use mcr_model::redact::without_our_tokens;

pub use codec::{SessionNames, session_key};
pub use history::{Recovered, TurnMark};
pub use signs::LifeSigns;

/// Whoever can carry a turn to an agent. One for each thread.
pub trait Gateway: Send {
    /// Sends the turn and waits for its reply, however long the agent works; `progress` hears of signs of life.
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError>;

    /// Looks what became of a turn whose answer was lost, once and without waiting for it: who is told that it still
    /// runs asks again. An error says only that nobody could look.
    fn recover(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Recovered, GatewayError>;

    /// Ends this run of a session, or, where it is not known or runs no more, whatever runs there; and waits a little
    /// until that is over. Whether there was one to end; an error says only that nobody could end it.
    fn abort(&self, session: &SessionKey, agent: &str, run: Option<&str>) -> Result<bool, GatewayError>;
}

/// One request to an agent.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// The conversation, by the backend's name; the door translates it.
    pub session: &'a SessionKey,
    /// Whose conversation it is: the gateway's agent id.
    pub agent: &'a str,
    /// The briefing. The gateway forgets it with the turn, so every turn of a delivery carries it.
    pub instructions: &'a str,
    /// What is said to the agent.
    pub input: Input<'a>,
    /// What the agent may call; like the instructions it is for this turn only.
    pub tools: &'a [&'a Tool],
    /// Its signs of life, whoever sees them.
    pub pulse: &'a dyn LifeSigns,
}

/// What is said to the agent.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Words. The marker stands first in them, because histories are cut.
    Message(&'a str),
    /// The results of what it called, in its order.
    Outputs(&'a [ToolOutput]),
}

/// A tool as it is offered.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
}

/// A call that the agent wants made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Under which id the result goes back.
    pub call_id: String,
    /// Which tool; not checked.
    pub name: String,
    /// Its arguments as JSON text; not checked.
    pub arguments: String,
}

/// What a call brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// Which call.
    pub call_id: String,
    /// JSON text.
    pub output: String,
}

/// A sign of life of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The gateway has taken it under this id, which is also the id of the run.
    TurnAccepted(&'a str),
    /// Something was said or called.
    Alive,
}

/// What the agent answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The id of the run.
    pub id: Option<String>,
    /// What it said to people: assistant messages only, no reasoning, no commentary.
    pub text: Option<String>,
    /// What it wants called, in its order.
    pub calls: Vec<ToolCall>,
    /// Whether the model stopped at its limit, in the middle of the text.
    pub cut: bool,
    /// What it cost, if the gateway says.
    pub usage: Option<Usage>,
}

impl Reply {
    /// The reply without tokens of this product in its text and arguments. They are masked before anything is recorded,
    /// so that what is recorded equals what is posted.
    #[must_use]
    pub fn without_tokens(mut self) -> Self {
        let arguments = self.calls.iter_mut().map(|call| &mut call.arguments);
        for text in self.text.iter_mut().chain(arguments) {
            if let Cow::Owned(masked) = without_our_tokens(text) {
                *text = masked;
            }
        }
        self
    }
}

/// What turns cost, in tokens, and in money where the gateway says it: it does so in the history of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Read by the model.
    pub input_tokens: u64,
    /// Written by it.
    pub output_tokens: u64,
    /// In billionths of a dollar; 0 where nothing is said.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub nano_dollars: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_nothing(amount: &u64) -> bool {
    *amount == 0
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens read and {} written", self.input_tokens, self.output_tokens)?;
        match self.nano_dollars {
            0 => Ok(()),
            nanos => write!(f, ", ${} of it told in money", Dollars(nanos)),
        }
    }
}

/// Billionths of a dollar, as people and `/metrics` read them: with as many digits as matter.
pub struct Dollars(pub u64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BILLION: u64 = 1_000_000_000;
        let text = format!("{}.{:09}", self.0 / BILLION, self.0 % BILLION);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Usage {
    /// What an amount of dollars in JSON comes to; nothing where it is none.
    pub fn nanos(dollars: Option<f64>) -> u64 {
        // What is negative or no number is 0, and what is too much the most.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        dollars.map_or(0, |dollars| (dollars * 1e9).round() as u64)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.nano_dollars = self.nano_dollars.saturating_add(more.nano_dollars);
    }
}

/// What a failed turn means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing was run, and no other turn would be: the gateway is away, is stopping, or does not let us in.
    Closed,
    /// The turn has failed and is over; another try may do better.
    Transient,
    /// The turn was refused or has failed for good; the same turn will fail again.
    Refused,
    /// The answer was lost: the turn may have run, may be running still, and may have been answered.
    Lost,
}

/// Why a turn brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// No gateway is configured.
    NoGateway,
    /// Nobody answers at the gateway's address.
    Unreachable,
    /// It is stopping or starting.
    Draining,
    /// It does not accept our token.
    TokenRefused,
    /// Too many failed logins: it lets nobody try for a while.
    TooManyLogins,
    /// The endpoint is switched off.
    EndpointOff,
    /// What answered is not an OpenClaw gateway.
    NotAGateway,
    /// It does not know the agent.
    UnknownAgent,
    /// It does not accept the form of our request.
    OurRequest,
    /// It does not accept our tools.
    ToolsRefused,
    /// The request is too large.
    TooLarge,
    /// The model's provider does not accept its key, or wants money.
    ProviderRefused,
    /// The model's provider does not accept the request.
    ProviderRejected,
    /// The model's provider is overloaded, in trouble, or did not answer.
    ProviderTrouble,
    /// The gateway failed inside; its log says why.
    Internal,
    /// The agent was interrupted before it had answered.
    Interrupted,
    /// The connection ended before the answer was complete.
    LostAnswer,
    /// No sign of life for too long.
    Silent,
    /// The answer is larger than we take.
    AnswerTooLarge,
    /// The answer is broken, or of an unexpected shape.
    NotUnderstood,
    /// It lets us read and end nothing over its WebSocket.
    NotOverSocket,
    /// This program is stopping.
    Stopped,
}

impl Why {
    /// What happened, as the beginning of a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NoGateway => "no gateway is configured",
            Self::Unreachable => "nobody answers at the gateway's address",
            Self::Draining => "the gateway is stopping or starting",
            Self::TokenRefused => "the gateway does not accept our token",
            Self::TooManyLogins => {
                "the gateway has seen too many failed logins and lets nobody try for a while"
            }
            Self::EndpointOff => "the gateway's endpoint for us is switched off",
            Self::NotAGateway => "what answers at the gateway's address is not an OpenClaw gateway",
            Self::UnknownAgent => "the gateway does not know the agent",
            Self::OurRequest => "the gateway does not accept the form of our request",
            Self::ToolsRefused => "the gateway does not accept our tools",
            Self::TooLarge => "the request is too large for the gateway",
            Self::ProviderRefused => "the model's provider does not accept its key or its account",
            Self::ProviderRejected => "the model's provider does not accept the request",
            Self::ProviderTrouble => "the model's provider is overloaded or in trouble",
            Self::Internal => "the gateway failed inside",
            Self::Interrupted => "the agent's turn was interrupted inside the gateway",
            Self::LostAnswer => "the connection to the gateway ended before the answer was complete",
            Self::Silent => "the turn showed no sign of life for too long",
            Self::AnswerTooLarge => "the gateway's answer is larger than we take",
            Self::NotUnderstood => "the gateway's answer is not understood",
            Self::NotOverSocket => "the gateway does not let us do that over its WebSocket",
            Self::Stopped => "this program is stopping",
        }
    }

    /// What a person can do, as a sentence; nothing where waiting is all there is.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NoGateway => Some("Set OPENCLAW_GATEWAY_URL."),
            Self::Unreachable => Some("Check that the gateway runs, and OPENCLAW_GATEWAY_URL."),
            Self::TokenRefused => Some("OPENCLAW_GATEWAY_TOKEN must equal the gateway's gateway.auth.token."),
            Self::EndpointOff => Some(
                "Is OPENCLAW_GATEWAY_URL the gateway's own port? Then switch \
                     gateway.http.endpoints.responses.enabled on in its configuration.",
            ),
            Self::NotAGateway => {
                Some("Check OPENCLAW_GATEWAY_URL: it is the gateway's own port, without a path.")
            }
            Self::UnknownAgent => {
                Some("Add the agent, under its slug, to agents.entries of the gateway's configuration.")
            }
            Self::ToolsRefused => Some(
                "The name of a tool may be one of the gateway's own, or the gateway may be too old: 2026.3.31 is the oldest that can work.",
            ),
            Self::OurRequest => {
                Some("The gateway may be too old: 2026.3.31 is the oldest that can work, 2026.9 is best.")
            }
            Self::ProviderRefused => Some("Check the model provider's key and account at the gateway."),
            Self::ProviderRejected => Some("Check the agent's model in the gateway's configuration."),
            Self::Internal => Some("The gateway's own log says why."),
            Self::NotOverSocket => Some(
                "Only current releases do, for whoever shows their token from the same machine; 2026.9 is best.",
            ),
            Self::Draining
            | Self::TooManyLogins
            | Self::TooLarge
            | Self::ProviderTrouble
            | Self::Interrupted
            | Self::LostAnswer
            | Self::Silent
            | Self::AnswerTooLarge
            | Self::NotUnderstood
            | Self::Stopped => None,
        }
    }
}

/// A turn that brought no reply. Its texts are redacted.
#[derive(Clone, Debug)]
pub struct GatewayError {
    /// What it means for the caller.
    pub class: Class,
    /// Why.
    pub why: Why,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The id of the run, if the gateway had named it.
    pub run: Option<String>,
    /// Whether the model has written something in it, as far as its cost shows.
    pub spoke: bool,
    /// How long the gateway wants to be left alone.
    pub not_before: Option<Duration>,
    /// What happened and what to do, for people.
    pub sentence: Box<str>,
}

impl GatewayError {
    /// Of this class, for this reason; `detail` is the other side's own words, already redacted and short.
    pub fn new(class: Class, why: Why, detail: Option<&str>) -> Self {
        let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
        let remedy = why.remedy().map_or(String::new(), |remedy| format!(" {remedy}"));
        let sentence = format!("{}{detail}.{remedy}", why.explain());
        Self {
            class,
            why,
            status: None,
            run: None,
            spoke: false,
            not_before: None,
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for GatewayError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_told_to_the_digit_that_matters() {
        let rows = [
            (Some(0.000_114), "0.000114"),
            (Some(12.5), "12.5"),
            (Some(3.0), "3"),
            (Some(0.000_000_000_4), "0"),
            (Some(-1.0), "0"),
            (Some(f64::NAN), "0"),
            (None, "0"),
        ];
        for (dollars, text) in rows {
            assert_eq!(Dollars(Usage::nanos(dollars)).to_string(), text, "{dollars:?}");
        }
        let usage = Usage { input_tokens: 7, output_tokens: 3, nano_dollars: 0 };
        assert_eq!(usage.to_string(), "7 tokens read and 3 written");
        let told = Usage { nano_dollars: 120_000_000, ..usage };
        assert_eq!(told.to_string(), "7 tokens read and 3 written, $0.12 of it told in money");
    }
}
