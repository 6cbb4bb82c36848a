//! The stages of a delivery, each with the data that only this stage needs.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::UnknownFields;
use crate::delivery::End;
use crate::gateway::{ToolCall, ToolOutput};
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// The progress of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The agent has not answered a question yet.
    #[default]
    Fresh,
    /// The agent has called tools and has not received the results yet.
    Working(ToolRounds),
    /// The agent has answered, and the answer is being posted.
    Answered(PendingAnswer),
    /// The delivery was given up, and a line for people is to be posted.
    Notice(Notice),
    /// The delivery has ended; only the mark at the backend is missing.
    Ended(End),
}

impl Stage {
    /// Whether the result of the work is still missing. After the result only posts and marks follow.
    pub fn lacks_result(&self) -> bool {
        match self {
            Self::Fresh | Self::Working(_) => true,
            Self::Answered(_) | Self::Notice(_) | Self::Ended(_) => false,
        }
    }

    /// Since when the outcome of the current step is unknown, if it is.
    pub fn doubt(&self) -> Option<Millis> {
        match self {
            Self::Working(work) => work.doubt,
            Self::Answered(answer) => answer.doubt,
            Self::Notice(notice) => notice.doubt,
            Self::Fresh | Self::Ended(_) => None,
        }
    }

    /// [`Stage::doubt`], mutable; none if no step of this stage can be in doubt.
    pub fn doubt_mut(&mut self) -> Option<&mut Option<Millis>> {
        match self {
            Self::Working(work) => Some(&mut work.doubt),
            Self::Answered(answer) => Some(&mut answer.doubt),
            Self::Notice(notice) => Some(&mut notice.doubt),
            Self::Fresh | Self::Ended(_) => None,
        }
    }
}

/// Tool calls, and their results for the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRounds {
    /// The session and the gateway's agent that the calls came from: their results go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<(SessionKey, String)>,
    /// The pending calls, in order.
    pub pending: VecDeque<ToolCall>,
    /// Since when the outcome of the first pending call is unknown, if it is.
    pub doubt: Option<Millis>,
    /// The results, which go back once all calls have run.
    pub outputs: Vec<ToolOutput>,
    /// How many rounds of results went back, with this one.
    pub rounds: u32,
    /// How many calls ran.
    pub calls: u32,
    /// Whether any of them succeeded.
    pub acted: bool,
    /// The text that came with the calls, in case the agent says nothing afterwards.
    pub said: Option<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

/// An answer that is being posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAnswer {
    /// The answer, in messages.
    pub parts: Vec<String>,
    /// How many of them are in the thread.
    #[serde(default)]
    pub posted: usize,
    /// Since when it is unknown whether the next message is in the thread, if it is.
    pub doubt: Option<Millis>,
    /// Whether the task moves to `in_progress` after the last message.
    pub advance: bool,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl PendingAnswer {
    /// An answer without any posted message yet.
    pub fn new(parts: Vec<String>, advance: bool) -> Self {
        Self { parts, advance, ..Self::default() }
    }

    /// The answer without its posted messages.
    #[must_use]
    pub fn rest(&self) -> Self {
        let parts = self.parts.get(self.posted..).unwrap_or_default().to_vec();
        Self { parts, posted: 0, ..self.clone() }
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.parts.join("\n\n")
    }
}

/// A line for people, posted without the row's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The text.
    pub line: String,
    /// Since when it is unknown whether the line is in the thread, if it is.
    pub doubt: Option<Millis>,
    /// The end that the line is about.
    pub end: End,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl Notice {
    /// A line that is not posted yet.
    pub fn new(line: String, end: End) -> Self {
        Self { line, doubt: None, end, extra: UnknownFields::default() }
    }
}
