//! The replacement for a language model: it receives a prompt and returns an action.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::transcript::Entry;

/// Plays the agents of a gateway.
///
/// `think` must return quickly. The duration of a turn is part of the [`Thought`], so that it can be interrupted.
pub trait ScriptedModel: Send + Sync {
    /// The model's action for this prompt.
    fn think(&self, prompt: &Prompt) -> Thought;
}

impl<F: Fn(&Prompt) -> Thought + Send + Sync> ScriptedModel for F {
    fn think(&self, prompt: &Prompt) -> Thought {
        self(prompt)
    }
}

/// The input of the model.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The agent's id.
    pub agent: String,
    /// The session, by the gateway's name.
    pub session: String,
    /// The id of the run and of its response.
    pub run: String,
    /// The instructions of this request with its system messages. Instructions of earlier requests are not included.
    pub instructions: String,
    /// The tools it may call. Old releases offer none.
    pub tools: Vec<Offered>,
    /// The input items of this request with text, in order.
    pub said: Vec<InputItem>,
    /// These items as the one text that the gateway makes of them.
    pub text: String,
    /// The text of an abandoned turn of this session. The gateway repeats it before [`Prompt::text`].
    pub abandoned: Option<String>,
    /// Whether the gateway calls the model again after an empty answer.
    pub nudged: bool,
    /// Whether the gateway calls the model again while the client runs its calls. The results are placeholders then.
    pub waits: bool,
    /// The whole transcript of the session. The last entry is the text of this turn.
    pub transcript: Arc<Vec<Entry>>,
}

/// An offered tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// The JSON schema of its arguments, if the request has one.
    pub parameters: Value,
}

/// One input item with text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputItem {
    /// Text of the client.
    User(String),
    /// Text of the agent as the client remembers it.
    Assistant(String),
    /// The result of a call.
    Output {
        /// The call's id.
        call_id: String,
        /// The result.
        output: String,
    },
}

/// The model's action and its timing.
#[derive(Clone, Debug, PartialEq)]
pub struct Thought {
    /// The action.
    pub act: Act,
    /// The delay before the first word.
    pub delay: Duration,
    /// The delay after each word.
    pub drip: Duration,
    /// The usage that the model reports.
    pub usage: ModelUsage,
}

/// The usage that a model reports for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelUsage {
    /// By the length of its texts.
    #[default]
    ByLength,
    /// These tokens.
    Tokens(Tokens),
    /// None.
    Silent,
}

/// Tokens, and their cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens read.
    pub read: u64,
    /// Tokens written.
    pub written: u64,
    /// Their cost in billionths of a dollar.
    pub nano_dollars: u64,
}

impl Tokens {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            written: self.written + other.written,
            nano_dollars: self.nano_dollars + other.nano_dollars,
        }
    }

    /// All of them.
    pub fn all(self) -> u64 {
        self.read + self.written
    }
}

/// An action of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Says this text.
    Say(String),
    /// Says this text and stops at its token limit.
    SayCut(String),
    /// Calls tools, optionally after a text.
    Call {
        /// The text before the calls.
        preamble: Option<String>,
        /// The calls, in order.
        calls: Vec<Call>,
    },
    /// Uses one of the gateway's own tools, and is called again with the result.
    Work {
        /// The tool.
        tool: String,
        /// Its duration.
        time: Duration,
        /// Its result.
        result: String,
    },
    /// Says nothing.
    Nothing,
    /// The provider refuses.
    Fail {
        /// The provider's HTTP status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// The provider cuts the connection.
    Drop,
    /// The provider never answers.
    Hang,
    /// The provider begins an answer, and never continues it.
    Stall,
}

/// A call by the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments as the model wrote them: JSON, unless the model made a mistake.
    pub arguments: String,
}

impl Prompt {
    /// The text as the model reads it: an abandoned text comes first.
    pub fn as_read(&self) -> String {
        match &self.abandoned {
            Some(old) => format!("{ABANDONED}\n{old}\n\n{}", self.text),
            None => self.text.clone(),
        }
    }

    /// Whether this tool is offered.
    pub fn offers(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    /// The results of calls in this request, in order.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.said.iter().filter_map(|said| match said {
            InputItem::Output { call_id, output } => Some((call_id.as_str(), output.as_str())),
            InputItem::User(_) | InputItem::Assistant(_) => None,
        })
    }
}

/// The gateway's introduction of an abandoned text (openclaw-gateway §1, fact 10).
const ABANDONED: &str = "[Queued user message from a previous active turn; preserved as context only. \
    Continue with the active prompt below.]";

impl Thought {
    fn of(act: Act) -> Self {
        Self { act, delay: Duration::ZERO, drip: Duration::ZERO, usage: ModelUsage::ByLength }
    }

    /// Says this text.
    pub fn say(text: impl Into<String>) -> Self {
        Self::of(Act::Say(text.into()))
    }

    /// Says this text and stops at the token limit.
    pub fn say_cut(text: impl Into<String>) -> Self {
        Self::of(Act::SayCut(text.into()))
    }

    /// Calls one tool.
    pub fn call(name: &str, arguments: &Value) -> Self {
        Self::calls([(name, arguments.clone())])
    }

    /// Calls these tools in order.
    pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let calls = calls
            .into_iter()
            .map(|(name, arguments)| Call { name: name.to_owned(), arguments: arguments.to_string() });
        Self::of(Act::Call { preamble: None, calls: calls.collect() })
    }

    /// Uses one of the gateway's own tools for this time.
    pub fn work(tool: &str, time: Duration, result: &str) -> Self {
        Self::of(Act::Work { tool: tool.to_owned(), time, result: result.to_owned() })
    }

    /// Says nothing.
    pub fn nothing() -> Self {
        Self::of(Act::Nothing)
    }

    /// The provider answers with this status.
    pub fn fail(status: u16, message: impl Into<String>) -> Self {
        Self::of(Act::Fail { status, message: message.into() })
    }

    /// The provider cuts the connection.
    pub fn dropped() -> Self {
        Self::of(Act::Drop)
    }

    /// The provider never answers.
    pub fn hang() -> Self {
        Self::of(Act::Hang)
    }

    /// Adds a text before the calls.
    #[must_use]
    pub fn with_preamble(mut self, text: impl Into<String>) -> Self {
        if let Act::Call { preamble, .. } = &mut self.act {
            *preamble = Some(text.into());
        }
        self
    }

    /// Reports this usage.
    #[must_use]
    pub fn costing(mut self, read: u64, written: u64) -> Self {
        self.usage = ModelUsage::Tokens(Tokens { read, written, nano_dollars: 0 });
        self
    }

    /// Reports this cost of the usage, in billionths of a dollar.
    #[must_use]
    pub fn priced(mut self, nano_dollars: u64) -> Self {
        if let ModelUsage::Tokens(tokens) = &mut self.usage {
            tokens.nano_dollars = nano_dollars;
        }
        self
    }

    /// Reports no usage.
    #[must_use]
    pub fn unmetered(mut self) -> Self {
        self.usage = ModelUsage::Silent;
        self
    }

    /// Adds a delay.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Adds a delay after each word.
    #[must_use]
    pub fn dripping(mut self, drip: Duration) -> Self {
        self.drip = drip;
        self
    }
}
