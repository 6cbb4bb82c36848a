//! What goes over the wire to the gateway and what comes back, as bytes: no sockets here.
//!
//! `request` writes the body of a turn in a dialect, and the session key by which the gateway knows the
//! conversation. `reply_stream` reads an answer: `events` cuts a stream into events, `reply` puts the reply
//! together from them, or from one JSON body, and `failure` reads every refusal; `socket_messages` is what goes over the WebSocket. All of it follows the measured contract; where that says nothing, the
//! rule is: nothing may run twice, nothing that was paid for is thrown away, and nothing is said to people that the
//! agent did not mean for them.

mod events;
mod failure;
mod reply;
mod reply_stream;
mod request;
mod socket_messages;
mod texts;

use std::time::Duration;

use super::{Class, GatewayError, Why};
use mcr_model::redact::Redactor;

pub use request::{SessionNames, session_key};

pub use failure::{ErrorResponse, error_as_text, refusal};
pub use reply::from_json;
pub use reply_stream::{EVENT_BYTES_MAX, ReplyStream, check_start};
pub use request::{agent_id, body};
pub use socket_messages::{
    Heard, abort_params, connect, hear, in_flight_params, message_params, read_aborted, read_in_flight,
    read_message, request as spoken_request,
};

/// The most characters of the other side's words in an error.
const EXCERPT_CHARS_MAX: usize = 300;

/// A turn that brought no reply; `detail` is the other side's words, as they came.
#[derive(Debug)]
pub struct TurnFailure {
    /// What the caller is to do.
    pub class: Class,
    /// What went wrong.
    pub why: Why,
    pub(crate) status: Option<u16>,
    /// The id of the run, where the gateway named it.
    pub run: Option<String>,
    pub(crate) not_before: Option<Duration>,
    /// The words of the other side, unredacted.
    pub detail: Option<String>,
    /// Whether the model has written anything in it, as far as its cost shows.
    pub(crate) spoke: bool,
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
            wants_other_tools: false,
        }
    }

    /// Adds the words of the other side, unless they are blank.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { detail: (!detail.trim().is_empty()).then_some(detail), ..self }
    }

    /// Adds the status of the answer.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The error for the caller: without secrets, and short.
    pub fn told(self, redactor: &Redactor) -> GatewayError {
        let words = self.detail.map(|detail| in_short(redactor, &detail));
        let mut error = GatewayError::new(self.class, self.why, words.as_deref());
        error.status = self.status;
        error.spoke = self.spoke;
        error.run = self.run.map(|run| in_short(redactor, &run));
        error.not_before = self.not_before;
        error
    }

    /// The run had this id; one that is known already stays.
    #[must_use]
    pub fn with_run(self, run: Option<String>) -> Self {
        Self { run: self.run.or(run), ..self }
    }
}

/// The other side's words without secrets, on one line, and not too many.
pub fn in_short(redactor: &Redactor, text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    redactor.excerpt(line.trim_end_matches('.'), EXCERPT_CHARS_MAX)
}
