//! What `POST /agent/wake` and `POST /agent/event` are told: `{sessionKey?, text, reason?, mainKey?, scope?}`.

use serde_json::{Map, Value, json};

use super::session::{Naming, Scope};
use super::wake::{Caller, Errand, Refusal, Taken, Wakes, When, Wish};
use crate::clock::Millis;

/// A body that was read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// What the agent is to hear.
    pub text: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// The session in which it happened.
    pub session: Option<String>,
    /// The name of main sessions, if it is another than the usual one.
    pub main: Option<String>,
    /// Whether sessions are global, if it is said.
    pub scope: Option<Scope>,
}

/// A body that makes no sense: the status of the answer, and the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// 400 or 422, or what a [`Refusal`] comes to.
    pub status: u16,
    /// What is wrong.
    pub error: String,
}

impl Wrong {
    fn new(status: u16, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Empty => 400,
            Refusal::TooLong => 422,
            Refusal::UnknownAgent => 404,
            Refusal::Forbidden => 403,
        };
        Self::new(status, refusal.explain())
    }
}

impl Ask {
    /// Reads a body. Unknown fields are ignored, and `null` counts as absent, as everywhere at the endpoints.
    pub fn read(body: &[u8]) -> Result<Self, Wrong> {
        let body: Value = serde_json::from_slice(body).map_err(|_| Wrong::new(400, "Invalid JSON body"))?;
        let nothing = Map::new();
        let body = body.as_object().unwrap_or(&nothing);
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Wrong::new(400, format!("{name} must be a string"))),
        };
        let words = text("text")?.ok_or_else(|| Wrong::from(Refusal::Empty))?;
        let scope = text("scope")?.map(|word| {
            let wrong = || Wrong::new(422, "Invalid scope: must be per-sender or global");
            Scope::parse(&word).ok_or_else(wrong)
        });
        let session = text("sessionKey")?;
        if session.as_deref().is_some_and(|key| key.trim().is_empty()) {
            return Err(Wrong::new(400, "sessionKey must not be empty"));
        }
        Ok(Self {
            text: words,
            reason: text("reason")?,
            session,
            main: text("mainKey")?,
            scope: scope.transpose()?,
        })
    }

    /// Takes it for this caller; what the body does not say of names, `usual` says.
    pub fn take(
        &self,
        errand: Errand,
        (wakes, usual): (&mut Wakes, Naming<'_>),
        caller: Caller<'_>,
        knows: &dyn Fn(&str) -> bool,
        now: Millis,
    ) -> Result<Taken, Wrong> {
        let main = self.main.as_deref().or(usual.main);
        let naming = Naming { main, scope: self.scope.unwrap_or(usual.scope) };
        let (reason, session) = (self.reason.as_deref(), self.session.as_deref());
        let wish = Wish { errand, text: &self.text, reason, session, naming };
        Ok(wakes.take(&wish, caller, knows, now)?)
    }
}

/// What the caller is told.
pub fn answer(taken: &Taken) -> Value {
    let (wake, at) = match taken.when {
        When::Now => ("now", None),
        When::At(at) => ("later", Some(at)),
        When::NextBeat => ("nextBeat", None),
    };
    json!({
        "success": true, "agent": taken.agent, "wake": wake, "wakesAt": at, "waiting": taken.waiting,
        "dropped": taken.dropped,
    })
}
