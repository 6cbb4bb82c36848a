//! The facts about one delivery that the loop brake keeps in its record, so that the count survives a restart.

use serde::{Deserialize, Serialize};

use crate::digest::half_digest;
use crate::unknown_fields::UnknownFields;
use mcr_model::clock::Millis;
use mcr_model::{TaskStatus, Word};

/// From where the turns of a thread are counted: the last message of a person there, and how often a person has
/// retried a row since. A later start ends the count of an earlier one.
///
/// Records store it as the JSON array `[message_at, retries]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(Millis, u32)", into = "(Millis, u32)")]
pub struct CountStart {
    /// When the person wrote, by the backend's clock; zero if no message of a person is known.
    pub message_at: Millis,
    /// How often a person has retried a row since.
    pub retries: u32,
}

impl From<(Millis, u32)> for CountStart {
    fn from((message_at, retries): (Millis, u32)) -> Self {
        Self { message_at, retries }
    }
}

impl From<CountStart> for (Millis, u32) {
    fn from(start: CountStart) -> Self {
        (start.message_at, start.retries)
    }
}

impl CountStart {
    /// The start after a person's retry.
    #[must_use]
    pub fn after_retry(self) -> Self {
        Self { retries: self.retries.saturating_add(1), ..self }
    }
}

/// A state of a task that is progress once: a status, a pull request, or the content of a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fact(String);

impl Fact {
    /// The task has this status.
    pub fn status(status: &Word<TaskStatus>) -> Self {
        Self(format!("status {status}"))
    }

    /// The task is linked to this pull request.
    pub fn pull_request(number: f64) -> Self {
        Self(format!("pull-request {number}"))
    }

    /// A document has this content. `None` if the content is blank. White space makes no difference.
    pub fn document(content: &str) -> Option<Self> {
        let mut words = content.split_whitespace().peekable();
        words.peek()?;
        let text = words.collect::<Vec<_>>().join(" ");
        Some(Self(format!("document {}", half_digest(&text))))
    }

    /// Whether it is the content of a document.
    pub(super) fn is_document(&self) -> bool {
        self.0.starts_with("document ")
    }
}

/// The limit at which a thread stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeamLimit {
    /// `TEAM_TURNS_MAX`, with the turns that progress has earned.
    Turns,
    /// `TEAM_DEPTH_MAX`.
    Depth,
    /// `TEAM_TURNS_HARD_MAX`.
    HardTurns,
}

impl TeamLimit {
    /// The variable that sets the limit.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Turns => "TEAM_TURNS_MAX",
            Self::Depth => "TEAM_DEPTH_MAX",
            Self::HardTurns => "TEAM_TURNS_HARD_MAX",
        }
    }
}

/// A row that was stopped. Records store it as the JSON array `[limit, turns, is_first]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(TeamLimit, u32, bool)", into = "(TeamLimit, u32, bool)")]
pub struct TeamStop {
    /// The limit.
    pub limit: TeamLimit,
    /// The turns that agents had caused in the thread.
    pub turns: u32,
    /// Whether this row is the first that was stopped, so that its delivery posts the notice.
    pub is_first: bool,
}

impl From<(TeamLimit, u32, bool)> for TeamStop {
    fn from((limit, turns, is_first): (TeamLimit, u32, bool)) -> Self {
        Self { limit, turns, is_first }
    }
}

impl From<TeamStop> for (TeamLimit, u32, bool) {
    fn from(stop: TeamStop) -> Self {
        (stop.limit, stop.turns, stop.is_first)
    }
}

/// What the loop brake keeps about a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamTurn {
    /// From where its thread was counted.
    pub start: CountStart,
    /// Its number among the turns that agents caused; 0 if a person caused it, or if it had no turn.
    #[serde(skip_serializing_if = "is_default")]
    pub number: u32,
    /// How many hand-offs from agent to agent led to it since a person wrote or the task made progress.
    #[serde(skip_serializing_if = "is_default")]
    pub depth: u32,
    /// How often the task had made progress by then.
    #[serde(skip_serializing_if = "is_default")]
    pub progress: u32,
    /// Facts that hold since the start of the count, so they are no progress.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub baseline: Vec<Fact>,
    /// Facts that were progress when they were first seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub news: Vec<Fact>,
    /// The stop, if the row was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<TeamStop>,
    /// Whether the counted turn has ended, and the notification needs another one.
    #[serde(skip_serializing_if = "is_default")]
    pub is_renewed: bool,
    /// Whether a person has retried the row. That starts a new count, like a message.
    #[serde(skip_serializing_if = "is_default")]
    pub is_retried: bool,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl TeamTurn {
    /// The facts of a delivery that has had no turn yet.
    pub fn at(start: CountStart) -> Self {
        Self { start, ..Self::default() }
    }

    /// Whether the turn of the delivery is counted and has not ended.
    pub fn is_counted(&self) -> bool {
        self.number > 0 && !self.is_renewed
    }

    /// The latest start of a count that the delivery shows. An open one that starts again has the earlier start until its
    /// turn starts.
    pub fn latest_start(&self, is_open: bool) -> CountStart {
        if self.is_renewed && is_open { self.start.after_retry() } else { self.start }
    }

    /// The facts for another turn of the same notification, which is counted.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self { is_renewed: true, ..self.clone() }
    }

    /// The facts for a delivery that starts again because a person has written.
    #[must_use]
    pub fn resumed(&self) -> Self {
        Self { stop: None, is_renewed: true, ..self.clone() }
    }

    /// The facts for a delivery that a person has retried.
    #[must_use]
    pub fn retried(&self) -> Self {
        Self { is_retried: true, ..self.resumed() }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
