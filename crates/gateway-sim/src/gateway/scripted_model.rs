//! What stands where a model would: it is shown a turn and says what happens.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::transcript::Entry;

/// Whoever plays the agents of a gateway.
///
/// Thinking should be quick: how long a turn takes is part of the [`Thought`], so that it can be interrupted.
pub trait ScriptedModel: Send + Sync {
    /// What the model does when it is shown this.
    fn think(&self, prompt: &Prompt) -> Thought;
}

impl<F: Fn(&Prompt) -> Thought + Send + Sync> ScriptedModel for F {
    fn think(&self, prompt: &Prompt) -> Thought {
        self(prompt)
    }
}

/// What the model is shown.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Whose turn it is.
    pub agent: String,
    /// The session, as the gateway names it.
    pub session: String,
    /// The id of the run, which is the response's.
    pub run: String,
    /// The instructions of this request, with its system messages; never those of an earlier one.
    pub instructions: String,
    /// The tools that it may call. Old releases offer none.
    pub tools: Vec<Offered>,
    /// The items of this request that say something, in order.
    pub said: Vec<InputItem>,
    /// The same as the one text that the gateway makes of them.
    pub text: String,
    /// What an abandoned turn of this session had said; the gateway shows it once more, before [`Prompt::text`].
    pub abandoned: Option<String>,
    /// Whether it is asked again because it had said nothing.
    pub nudged: bool,
    /// Everything that the session remembers, the text of this turn last.
    pub transcript: Arc<Vec<Entry>>,
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// What it is said to do.
    pub description: String,
    /// The JSON schema of its arguments, if one was given.
    pub parameters: Value,
}

/// One item of a request that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputItem {
    /// The client.
    User(String),
    /// The agent, as the client remembers it.
    Assistant(String),
    /// What a call brought.
    Output {
        /// Which call.
        call_id: String,
        /// What it brought.
        output: String,
    },
}

/// What the model does, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Thought {
    /// What it does.
    pub act: Act,
    /// Until its first word.
    pub delay: Duration,
    /// After each word.
    pub drip: Duration,
}

/// What the model does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// It says this.
    Say(String),
    /// It says this and stops at its limit.
    SayCut(String),
    /// It calls tools, maybe with a word before.
    Call {
        /// The word before.
        preamble: Option<String>,
        /// The calls, in order.
        calls: Vec<Call>,
    },
    /// It uses a tool of the gateway's own, and is asked again with what that brought.
    Work {
        /// Which.
        tool: String,
        /// How long it takes.
        time: Duration,
        /// What it brings.
        result: String,
    },
    /// It says nothing.
    Nothing,
    /// Its provider refuses.
    Fail {
        /// The provider's HTTP status.
        status: u16,
        /// The provider's words.
        message: String,
    },
    /// Its provider cuts the connection.
    Drop,
    /// Its provider never answers.
    Hang,
}

/// A call that the model makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which tool.
    pub name: String,
    /// Its arguments, as the model writes them: JSON, if all is well.
    pub arguments: String,
}

impl Prompt {
    /// The text as the model reads it: what was abandoned stands first.
    pub fn as_read(&self) -> String {
        match &self.abandoned {
            Some(old) => format!("{ABANDONED}\n{old}\n\n{}", self.text),
            None => self.text.clone(),
        }
    }

    /// Whether this tool may be called.
    pub fn offers(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    /// What the calls brought that this request answers, in order.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.said.iter().filter_map(|said| match said {
            InputItem::Output { call_id, output } => Some((call_id.as_str(), output.as_str())),
            InputItem::User(_) | InputItem::Assistant(_) => None,
        })
    }
}

/// How the gateway introduces what an abandoned turn had said (openclaw-gateway §1, fact 10).
const ABANDONED: &str = "[Queued user message from a previous active turn; preserved as context only. \
    Continue with the active prompt below.]";

impl Thought {
    fn of(act: Act) -> Self {
        Self { act, delay: Duration::ZERO, drip: Duration::ZERO }
    }

    /// Says this.
    pub fn say(text: impl Into<String>) -> Self {
        Self::of(Act::Say(text.into()))
    }

    /// Says this and stops at the limit of its tokens.
    pub fn say_cut(text: impl Into<String>) -> Self {
        Self::of(Act::SayCut(text.into()))
    }

    /// Calls one tool.
    pub fn call(name: &str, arguments: &Value) -> Self {
        Self::calls([(name, arguments.clone())])
    }

    /// Calls tools, in this order.
    pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let calls = calls
            .into_iter()
            .map(|(name, arguments)| Call { name: name.to_owned(), arguments: arguments.to_string() });
        Self::of(Act::Call { preamble: None, calls: calls.collect() })
    }

    /// Uses a tool of the gateway's own, which takes so long.
    pub fn work(tool: &str, time: Duration, result: &str) -> Self {
        Self::of(Act::Work { tool: tool.to_owned(), time, result: result.to_owned() })
    }

    /// Says nothing.
    pub fn nothing() -> Self {
        Self::of(Act::Nothing)
    }

    /// Its provider answers with this status.
    pub fn fail(status: u16, message: impl Into<String>) -> Self {
        Self::of(Act::Fail { status, message: message.into() })
    }

    /// Its provider cuts the connection.
    pub fn dropped() -> Self {
        Self::of(Act::Drop)
    }

    /// Its provider never answers.
    pub fn hang() -> Self {
        Self::of(Act::Hang)
    }

    /// The same, with a word before the calls.
    #[must_use]
    pub fn with_preamble(mut self, text: impl Into<String>) -> Self {
        if let Act::Call { preamble, .. } = &mut self.act {
            *preamble = Some(text.into());
        }
        self
    }

    /// The same, after a while.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same, word by word.
    #[must_use]
    pub fn dripping(mut self, drip: Duration) -> Self {
        self.drip = drip;
        self
    }
}
