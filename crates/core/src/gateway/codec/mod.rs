//! The messages to and from the gateway, as bytes: no sockets here.
//!
//! `request` writes the body of a turn in a dialect, and the session key by which the gateway knows the
//! conversation. `reply_stream` reads an answer: `events` splits a stream into events, `reply` assembles
//! the reply from them or from one JSON body, and `failure` classifies every refusal. `socket_messages` holds the messages of the WebSocket.
//!
//! All of it follows the measured contract. Where the contract is silent, three rules decide. Nothing runs
//! twice. Nothing that was paid for is discarded. People see no text that the agent did not write for them.

mod events;
mod failure;
mod reply;
mod reply_stream;
mod request;
mod socket_messages;
mod texts;

use std::time::Duration;

use super::{Class, GatewayError, Usage, Why};
use mcr_model::redact::Redactor;

pub use request::{SessionNames, session_key};

pub use failure::{ErrorResponse, refusal};
pub use reply::from_json;
pub use reply_stream::{EVENT_BYTES_MAX, ReplyStream, check_start};
pub use request::{agent_id, body};
pub use socket_messages::{
    Heard, SessionSign, abort_params, connect, connect_following, history_params, in_flight_params,
    message_params, parse_message, read_aborted, read_in_flight, read_message, read_sign, read_subscribed,
    read_uptime, request as spoken_request, subscription_params,
};

/// After a provider's 401, 402 or 403 the gateway does not use the key for that agent for a minute or more.
const COOLDOWN: Duration = Duration::from_mins(1);

/// The longest quotation of the gateway in an error, in characters.
const EXCERPT_CHARS_MAX: usize = 300;

/// A turn without a reply; `detail` quotes the gateway unchanged.
#[derive(Debug)]
pub struct TurnFailure {
    /// What the failure means for the caller.
    pub class: Class,
    /// The cause.
    pub why: Why,
    pub(crate) status: Option<u16>,
    /// The id of the run, if the gateway reported it.
    pub run: Option<String>,
    pub(crate) not_before: Option<Duration>,
    /// The gateway's message, unredacted.
    pub detail: Option<String>,
    /// Whether the model wrote anything in the run, judged by the reported tokens.
    pub(crate) spoke: bool,
    /// The usage of the run, if the gateway reported it.
    pub(crate) usage: Option<Usage>,
    /// Nothing was run, and the gateway wants tools in the other shape.
    pub wants_other_tools: bool,
}

impl TurnFailure {
    /// A failure without details.
    pub fn new(class: Class, why: Why) -> Self {
        Self {
            class,
            why,
            status: None,
            run: None,
            not_before: None,
            detail: None,
            spoke: false,
            usage: None,
            wants_other_tools: false,
        }
    }

    /// The failure of a run that has ended, with the text that reports it.
    pub(super) fn ended(why: Why, text: &str) -> Self {
        let not_before = (why == Why::ProviderRefused).then_some(COOLDOWN);
        Self { not_before, ..Self::new(why.class_of_ended_run(), why).with_detail(text) }
    }

    /// Adds the gateway's message, unless it is blank.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { detail: (!detail.trim().is_empty()).then_some(detail), ..self }
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Adds the status of the answer.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The error for the caller, with a redacted and shortened message.
    pub fn into_error(self, redactor: &Redactor) -> GatewayError {
        let words = self.detail.map(|detail| in_short(redactor, &detail));
        let mut error = GatewayError::new(self.class, self.why, words.as_deref());
        error.status = self.status;
        error.spoke = self.spoke;
        error.usage = self.usage;
        error.run = self.run.map(|run| in_short(redactor, &run));
        error.not_before = self.not_before;
        error
    }

    /// Adds the id of the run, unless one is set.
    #[must_use]
    pub fn with_run(self, run: Option<String>) -> Self {
        Self { run: self.run.or(run), ..self }
    }
}

/// The text in one line, redacted and shortened.
pub fn in_short(redactor: &Redactor, text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    redactor.excerpt(line.trim_end_matches('.'), EXCERPT_CHARS_MAX)
}
