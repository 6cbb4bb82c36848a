//! Reads the bodies of `POST /agent/wake` and `POST /agent/event`: `{sessionKey?, text, reason?, mainKey?,
//! scope?}`.
//!
//! These endpoints are not tools. Their bodies are checked against a row like a tool's, so that the same
//! mistake gets the same error text.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::session::Naming;
use super::wake::{Queued, WakeCaller, WakeKind, WakeRefusal, WakeRequest, When, agent_of, sound, whose};
use crate::tools::table::{CallSpec, Field, Type};
use crate::tools::{Fields, ToolError, ToolErrorKind};
use mcr_model::SessionScope;
use mcr_model::redact::OutgoingMask;

/// The longest session key, and the longest name of main sessions.
const KEY_BYTES_MAX: usize = 1024;

/// The refusal of any other scope.
const SCOPE: &str = "Invalid scope: must be per-sender or global";

const fn text(name: &'static str, required: bool, says: &'static str) -> Field {
    Field { name, is: Type::Text, required, says }
}

static FIELDS: [Field; 5] = [
    text("sessionKey", false, "The session of the event; default: your current session."),
    text("text", true, "The message for the agent, at most 4096 bytes."),
    text("reason", false, "The reason, in a word."),
    text("mainKey", false, "The name of main sessions, if it differs from the configured one."),
    Field {
        name: "scope",
        is: Type::OneOf(&["per-sender", "global"]),
        required: false,
        says: "per-sender gives each agent separate sessions; default: the configured scope.",
    },
];

impl WakeKind {
    /// The kind of request that this endpoint takes.
    pub fn named(endpoint: &str) -> Option<Self> {
        [Self::Event, Self::Wake].into_iter().find(|kind| kind.call().name == endpoint)
    }

    /// The row that the body is checked against.
    pub fn call(self) -> CallSpec {
        let name = match self {
            Self::Event => "event",
            Self::Wake => "wake",
        };
        CallSpec { name, writes: true, check: "the agent exists", fields: &FIELDS }
    }
}

/// A parsed body.
#[derive(Clone, PartialEq, Eq)]
pub struct WakeBody {
    kind: WakeKind,
    text: String,
    reason: Option<String>,
    /// The session of the event.
    session: Option<String>,
    /// The name of main sessions, if it is not the default.
    main: Option<String>,
    /// Whether sessions are global, if the body says so.
    scope: Option<SessionScope>,
}

impl From<WakeRefusal> for ToolError {
    fn from(refusal: WakeRefusal) -> Self {
        let kind = match refusal {
            WakeRefusal::Empty => ToolErrorKind::Malformed,
            WakeRefusal::TooLong => ToolErrorKind::Invalid,
            WakeRefusal::UnknownAgent => ToolErrorKind::NotFound,
            WakeRefusal::Forbidden => ToolErrorKind::Forbidden,
        };
        Self { field: refusal.field(), ..Self::new(kind, refusal.explain()) }
    }
}

impl WakeBody {
    /// Parses a body. `null` and blank texts count as absent. A blank session key is an error: the caller has
    /// lost the key, and the event would reach the wrong agent.
    pub fn read(kind: WakeKind, body: &str) -> Result<Self, ToolError> {
        let fields = Fields::read(kind.call(), body)?;
        let text = fields.raw("text").unwrap_or_default();
        sound(text)?;
        let key = |name: &'static str| match fields.filled(name) {
            Some(key) if key.len() > KEY_BYTES_MAX => {
                Err(ToolError::invalid(name, &format!("{name} must be at most {KEY_BYTES_MAX} bytes")))
            }
            // The key is not normalised: a key that names no agent stays unchanged.
            Some(_) => Ok(fields.raw(name).map(str::to_owned)),
            None => Ok(None),
        };
        let session = key("sessionKey")?;
        if session.is_none() && fields.raw("sessionKey").is_some() {
            let words = "sessionKey must not be empty: omit it for your own session";
            return Err(ToolError::malformed("sessionKey", words));
        }
        Ok(Self {
            kind,
            text: text.to_owned(),
            reason: fields.filled("reason").map(str::to_owned),
            session,
            main: key("mainKey")?,
            scope: fields.choice("scope", SCOPE)?,
        })
    }

    /// The body without credentials in the texts that another agent may read.
    #[must_use]
    pub fn masked(mut self, mask: &OutgoingMask) -> Self {
        for text in [&mut self.text].into_iter().chain(&mut self.reason) {
            if let Cow::Owned(masked) = mask.clean(text) {
                *text = masked;
            }
        }
        self
    }

    /// Whether the event is for another agent than the one with this slug.
    pub fn is_for_another(&self, slug: &str) -> bool {
        self.session.as_deref().and_then(agent_of).is_some_and(|agent| agent != slug.to_lowercase())
    }

    /// The recipient, if the caller may wake that agent.
    pub fn whose(&self, caller: WakeCaller<'_>, knows: &dyn Fn(&str) -> bool) -> Result<String, WakeRefusal> {
        whose(self.session.as_deref(), caller, knows)
    }

    /// Identifies the call among others.
    pub fn key(&self) -> String {
        let Self { kind, text, reason, session, main, scope } = self;
        json!([kind.call().name, text, reason, session, main, scope]).to_string()
    }

    /// The request for the wake queues, under the caller's `name` for it. `usual` supplies the naming of
    /// sessions where the body does not.
    pub fn request<'a>(&'a self, name: Option<&'a str>, usual: Naming<'a>) -> WakeRequest<'a> {
        let main = self.main.as_deref().or(usual.main);
        WakeRequest {
            kind: self.kind,
            text: &self.text,
            reason: self.reason.as_deref(),
            session: self.session.as_deref(),
            naming: Naming { main, scope: self.scope.unwrap_or(usual.scope) },
            name,
        }
    }
}

/// The response to the caller; `kept` tells whether the event survives this process.
pub fn answer(taken: &Queued, kept: bool) -> Value {
    let (wake, at) = match taken.when {
        When::Now => ("now", None),
        When::At(at) => ("later", Some(at)),
        When::NextBeat => ("nextBeat", None),
    };
    json!({
        "success": true, "agent": taken.agent, "wake": wake, "wakesAt": at, "waiting": taken.waiting,
        "dropped": taken.dropped, "kept": kept,
    })
}
