//! How far a delivery is, with what matters only there.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::UnknownFields;
use crate::delivery::End;
use crate::gateway::{ToolCall, ToolOutput};
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// How far a delivery is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing has been said to the agent that it has answered.
    #[default]
    Fresh,
    /// The agent has called tools; these are the results that it has not got yet.
    Working(ToolRounds),
    /// The agent has answered; this much is posted.
    Answered(PendingAnswer),
    /// It was given up; people are to be told so in the thread.
    Notice(Notice),
    /// All is done; the backend does not know it yet.
    Ended(End),
}

impl Stage {
    /// Whether the result of the work is still missing. After it come only posts and marks.
    pub fn lacks_result(&self) -> bool {
        match self {
            Self::Fresh | Self::Working(_) => true,
            Self::Answered(_) | Self::Notice(_) | Self::Ended(_) => false,
        }
    }

    /// Since when it is not known whether the step under way was carried out, if it is not.
    pub fn doubt(&self) -> Option<Millis> {
        match self {
            Self::Working(work) => work.doubt,
            Self::Answered(answer) => answer.doubt,
            Self::Notice(notice) => notice.doubt,
            Self::Fresh | Self::Ended(_) => None,
        }
    }

    /// [`Stage::doubt`], to be changed; none where no step can be in doubt.
    pub fn doubt_mut(&mut self) -> Option<&mut Option<Millis>> {
        match self {
            Self::Working(work) => Some(&mut work.doubt),
            Self::Answered(answer) => Some(&mut answer.doubt),
            Self::Notice(notice) => Some(&mut notice.doubt),
            Self::Fresh | Self::Ended(_) => None,
        }
    }
}

/// The middle of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRounds {
    /// In which session the calls were made, and by which agent of the gateway: their results go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<(SessionKey, String)>,
    /// The calls that are still to be made, in order.
    pub pending: VecDeque<ToolCall>,
    /// Since when it is not known whether the first of them was carried out, if it is not.
    pub doubt: Option<Millis>,
    /// The results that go back once all calls are made.
    pub outputs: Vec<ToolOutput>,
    /// How many times results went back, with these.
    pub rounds: u32,
    /// How many calls were made.
    pub calls: u32,
    /// Whether any of them did what it was asked for.
    pub acted: bool,
    /// What it said beside its calls, in case it says nothing afterwards.
    pub said: Option<String>,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

/// An answer on its way into the thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAnswer {
    /// The answer, in messages.
    pub parts: Vec<String>,
    /// How many of them are in the thread.
    #[serde(default)]
    pub posted: usize,
    /// Since when it is not known whether the next of them is there, too, if it is not.
    pub doubt: Option<Millis>,
    /// Whether the task moves on once they are.
    pub advance: bool,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl PendingAnswer {
    /// Nothing of it is posted yet.
    pub fn new(parts: Vec<String>, advance: bool) -> Self {
        Self { parts, advance, ..Self::default() }
    }

    /// What is not posted yet.
    #[must_use]
    pub fn rest(&self) -> Self {
        let parts = self.parts.get(self.posted..).unwrap_or_default().to_vec();
        Self { parts, posted: 0, ..self.clone() }
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.parts.join("\n\n")
    }
}

/// A line for people, posted without the row's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it says.
    pub line: String,
    /// Since when it is not known whether it is in the thread, if it is not.
    pub doubt: Option<Millis>,
    /// The end that it tells of.
    pub end: End,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl Notice {
    /// It is not posted yet.
    pub fn new(line: String, end: End) -> Self {
        Self { line, doubt: None, end, extra: UnknownFields::default() }
    }
}
