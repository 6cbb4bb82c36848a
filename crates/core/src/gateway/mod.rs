//! The interface to the OpenClaw gateway: one turn in, one reply out.
//!
//! A **turn** is one `POST /v1/responses` and its reply. The same session key continues the same
//! conversation. The caller therefore sends at most one turn of a session at a time.
//!
//! The rest of the program sees only the types of this file. [`Gateway`] is implemented over HTTP in the
//! clients crate, and by a double in tests. `dialect` holds what a gateway release understands, and `codec`
//! what goes over the wire. `history` finds out what happened to a turn whose answer was lost.

pub mod agents;
pub mod authorship;
pub mod codec;
pub mod dialect;
mod gateway_texts;
pub mod history;
pub mod marker;
mod signs;
mod usage;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::work::WorkId;
use mcr_model::SessionKey;
use mcr_model::redact::OutgoingMask;

pub use codec::{SessionNames, session_key};
pub use gateway_texts::{PLACEHOLDERS, SILENCE, failure_in};
pub use history::{ModelCall, Recovered, ShownAttempts, TurnMark};
pub use signs::LifeSigns;
pub use usage::Usage;

/// Carries turns to agents. Each thread has one.
pub trait Gateway: Send {
    /// Sends the turn and waits for its reply, however long the agent works. Calls `progress` at each sign of
    /// life.
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError>;

    /// Looks once, without waiting, for the outcome of a turn whose answer was lost. On
    /// [`Recovered::Running`] the caller calls again. An error says only that the session could not be read.
    fn recover(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Recovered, GatewayError>;

    /// Reads the finished model calls of a turn, running or ended, from its session. `None` where the gateway does not show
    /// them.
    fn model_calls(
        &self,
        _session: &SessionKey,
        _agent: &str,
        _mark: &TurnMark<'_>,
    ) -> Result<Option<Vec<ModelCall>>, GatewayError> {
        Ok(None)
    }

    /// Whether the session still has the message with this marker, or results of its calls. A session that was reset, or
    /// restored to an earlier state, has neither. `None` where the gateway does not show all of it.
    fn has_question(&self, _: &SessionKey, _: &str, _marker: &str) -> Result<Option<bool>, GatewayError> {
        Ok(None)
    }

    /// The attempts of this work, sent by any process, that the session has messages of.
    fn last_attempt(&self, _: &SessionKey, _: &str, _work: &WorkId) -> Result<ShownAttempts, GatewayError> {
        Ok(ShownAttempts::NotShown)
    }

    /// Whether the gateway shows function tools to its agents, as far as that is known.
    fn shows_tools(&self) -> bool {
        true
    }

    /// Whether the gateway may leave out calls of a reply with several.
    fn may_lose_calls(&self) -> bool {
        false
    }

    /// Whether the gateway is known to end a run whose client is gone.
    fn ends_abandoned_runs(&self) -> bool {
        false
    }

    /// Aborts this run of a session and waits briefly for its end. Without a known, active run it aborts any
    /// run of the session. Returns whether there was a run to abort; an error says only that the abort
    /// failed.
    fn abort(&self, session: &SessionKey, agent: &str, run: Option<&str>) -> Result<bool, GatewayError>;
}

/// One request to an agent.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// The conversation, by the backend's key. The codec translates it into the gateway's.
    pub session: &'a SessionKey,
    /// The gateway's id of the agent.
    pub agent: &'a str,
    /// The briefing. The gateway keeps it for one turn only, so every turn of a delivery carries it.
    pub instructions: &'a str,
    /// The message or the tool results.
    pub input: Input<'a>,
    /// The tools on offer, for this turn only.
    pub tools: &'a [&'a Tool],
    /// Receives signs of life from every observer of the turn.
    pub pulse: &'a dyn LifeSigns,
}

/// What a turn sends to the agent.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Text. It begins with the marker, because histories cut long texts at the end.
    Message(&'a str),
    /// The results of the agent's calls, in the order of the calls.
    Outputs(&'a [ToolOutput]),
}

/// A tool as it is offered to the model.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The name the model calls.
    pub name: &'static str,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
}

/// A tool call in an agent's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id under which the result is returned.
    pub call_id: String,
    /// The name of the tool; not validated.
    pub name: String,
    /// The arguments as JSON text; not validated.
    pub arguments: String,
}

impl ToolCall {
    /// In place of arguments of which only a part is known. This is no JSON, so such a call never runs.
    pub const INCOMPLETE: &str = "(incomplete)";

    /// Whether only a part of the arguments is known.
    pub fn is_incomplete(&self) -> bool {
        self.arguments == Self::INCOMPLETE
    }

    /// Whether both call the same tool with the same arguments. The order of the arguments does not count.
    pub fn is_same(&self, other: &Self) -> bool {
        let value = |call: &Self| serde_json::from_str::<Value>(&call.arguments).ok();
        self.name == other.name
            && (self.arguments == other.arguments
                || value(self).is_some_and(|arguments| Some(arguments) == value(other)))
    }
}

/// The result of a tool call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// The id of the call.
    pub call_id: String,
    /// The result as JSON text.
    pub output: String,
}

/// A sign of life of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The gateway has accepted the turn under this id, which is also the id of the run.
    TurnAccepted(&'a str),
    /// The agent wrote or called something.
    Alive,
}

/// An agent's answer to one turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The id of the run.
    pub id: Option<String>,
    /// Text for people: assistant messages only, no reasoning, no commentary.
    pub text: Option<String>,
    /// The requested tool calls, in the agent's order.
    pub calls: Vec<ToolCall>,
    /// Whether the model stopped at its output limit, in the middle of the text.
    pub cut: bool,
    /// The cost, if the gateway reports it.
    pub usage: Option<Usage>,
}

impl Reply {
    /// The reply without credentials in its text and arguments. Masking comes before recording, so the recorded
    /// text equals the posted one.
    #[must_use]
    pub fn masked(mut self, mask: &OutgoingMask) -> Self {
        let arguments = self.calls.iter_mut().map(|call| &mut call.arguments);
        for text in self.text.iter_mut().chain(arguments) {
            if let Cow::Owned(masked) = mask.clean(text) {
                *text = masked;
            }
        }
        self
    }
}

/// What a failed turn means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No turn was run, and none would be: the gateway is unreachable, stopping, or refuses our login.
    Closed,
    /// The turn has failed and has ended; a retry may succeed.
    Transient,
    /// The turn was refused or has failed permanently; the same turn would fail again.
    Refused,
    /// The answer was lost. The turn may have run, may still run, and may have been answered.
    Lost,
}

/// Why a turn brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// No gateway is configured.
    NoGateway,
    /// The configured number of turns was sent.
    TurnLimit,
    /// Nothing answers at the gateway's address.
    Unreachable,
    /// The gateway is stopping or starting.
    Draining,
    /// The gateway does not accept our token.
    TokenRefused,
    /// Too many failed logins: the gateway accepts none for a while.
    TooManyLogins,
    /// The endpoint is switched off.
    EndpointOff,
    /// The answer does not come from an OpenClaw gateway.
    NotAGateway,
    /// The gateway does not know the agent.
    UnknownAgent,
    /// The gateway does not accept the form of our request.
    OurRequest,
    /// The gateway does not accept our tools.
    ToolsRefused,
    /// The request is too large.
    TooLarge,
    /// The model's provider does not accept its key, or requires payment.
    ProviderRefused,
    /// The model's provider does not accept the request.
    ProviderRejected,
    /// The model's provider is overloaded, failing, or did not answer.
    ProviderTrouble,
    /// The conversation exceeds the context of the agent's model.
    ContextTooLong,
    /// The gateway sent a text of its own in place of the agent's answer.
    GatewayText,
    /// An internal error of the gateway; its log has the reason.
    Internal,
    /// The gateway cannot run the agent until it is restarted.
    AgentBlocked,
    /// The agent was interrupted before it answered.
    Interrupted,
    /// The connection ended before the answer was complete.
    LostAnswer,
    /// No sign of life for too long.
    Silent,
    /// The answer exceeds our size limit.
    AnswerTooLarge,
    /// The answer is damaged, or of an unexpected shape.
    NotUnderstood,
    /// The gateway does not let us read or abort over its WebSocket.
    NotOverSocket,
    /// This program is stopping.
    Stopped,
}

impl Why {
    /// What happened, as the beginning of a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NoGateway => "no gateway is configured",
            Self::TurnLimit => "the limit of turns is reached, so no more are sent",
            Self::Unreachable => "the gateway is unreachable at its address",
            Self::Draining => "the gateway is stopping or starting",
            Self::TokenRefused => "the gateway does not accept the runtime's token",
            Self::TooManyLogins => "the gateway accepts no login for a while, because too many failed",
            Self::EndpointOff => "the gateway's endpoint for turns is switched off",
            Self::NotAGateway => "the server at the gateway's address is not an OpenClaw gateway",
            Self::UnknownAgent => "the gateway does not know the agent",
            Self::OurRequest => "the gateway does not accept the form of the request",
            Self::ToolsRefused => "the gateway does not accept the tools of the request",
            Self::TooLarge => "the request is too large for the gateway",
            Self::ProviderRefused => "the model's provider does not accept the gateway's key or account",
            Self::ProviderRejected => "the model's provider does not accept the request",
            Self::ProviderTrouble => "the model's provider is overloaded or fails",
            Self::ContextTooLong => "the conversation is too long for the agent's model",
            Self::GatewayText => "the gateway sent a text that the agent did not write",
            Self::Internal => "the gateway had an internal error",
            Self::AgentBlocked => {
                "every turn of the agent fails inside the gateway, while other agents are answered"
            }
            Self::Interrupted => "the gateway interrupted the agent's turn",
            Self::LostAnswer => "the connection to the gateway ended before the answer was complete",
            Self::Silent => "the turn showed no sign of life for too long",
            Self::AnswerTooLarge => "the gateway's answer exceeds the runtime's size limit",
            Self::NotUnderstood => "the gateway's answer is damaged or has an unexpected form",
            Self::NotOverSocket => "the gateway does not permit this over its WebSocket",
            Self::Stopped => "this program is stopping",
        }
    }

    /// The class of a run that has ended for this reason.
    pub fn class_of_ended_run(self) -> Class {
        match self {
            Self::ProviderRejected | Self::ContextTooLong | Self::ToolsRefused => Class::Refused,
            _ => Class::Transient,
        }
    }

    /// What a person can do, as a sentence; `None` if only waiting helps.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NoGateway => Some("Set OPENCLAW_GATEWAY_URL."),
            Self::TurnLimit => Some("Raise DELIVERY_MAX_TURNS, or set it to 0, and restart the service."),
            Self::Unreachable => Some("Check that the gateway runs and that OPENCLAW_GATEWAY_URL is right."),
            Self::TokenRefused => Some("Set OPENCLAW_GATEWAY_TOKEN to the gateway's gateway.auth.token."),
            Self::EndpointOff => Some(
                "Check that OPENCLAW_GATEWAY_URL names the gateway's own port. Set \
                     gateway.http.endpoints.responses.enabled to true in its configuration.",
            ),
            Self::NotAGateway => {
                Some("Check OPENCLAW_GATEWAY_URL: it is the gateway's own port, without a path.")
            }
            Self::UnknownAgent => Some(
                "Add the agent, under its slug, to the gateway's configuration: `doctor` names the setting.",
            ),
            Self::ToolsRefused => Some(
                "Check the gateway's version: 2026.3.31 is the oldest with function tools. If it is newer, a tool of the gateway may have the same name as one of the runtime's: its log has the name.",
            ),
            Self::OurRequest => Some(
                "Check the gateway's version: 2026.3.31 is the oldest with function tools, 2026.9 is recommended.",
            ),
            Self::ProviderRefused => Some("Check the model provider's key and account at the gateway."),
            Self::ProviderRejected => Some("Check the agent's model in the gateway's configuration."),
            Self::ContextTooLong => {
                Some("Give the agent a model with a larger context, or reset the session at the gateway.")
            }
            Self::Internal | Self::GatewayText => Some("Look in the gateway's log for the reason."),
            Self::AgentBlocked => Some("Restart the gateway; the delivery follows by itself."),
            Self::NotOverSocket => Some(
                "Only current releases permit it, to clients that send their token from the same machine; 2026.9 is recommended.",
            ),
            Self::TooManyLogins => {
                Some("Check OPENCLAW_GATEWAY_TOKEN, and what else logs in at the gateway.")
            }
            Self::Draining
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

/// A turn without a reply. All texts are redacted.
#[derive(Clone, Debug)]
pub struct GatewayError {
    /// What the failure means for the caller.
    pub class: Class,
    /// The cause.
    pub why: Why,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The id of the run, if the gateway reported it.
    pub run: Option<String>,
    /// Whether the model wrote something in this run, judged by the reported tokens.
    pub spoke: bool,
    /// The usage of the failed run, if the gateway reported it.
    pub usage: Option<Usage>,
    /// How long the gateway wants no further request.
    pub not_before: Option<Duration>,
    /// What happened and what to do, for people.
    pub sentence: Box<str>,
}

impl GatewayError {
    /// An error with its sentence. `detail` quotes the gateway; the caller has redacted and shortened it.
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
            usage: None,
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
