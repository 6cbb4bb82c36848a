//! Acts: what was done, read or missed about a task. The record of a delivery keeps them, and
//! [`evidence`](crate::ops::evidence) compares them with the status of the task.

use serde::{Deserialize, Serialize};

mod text;

use super::UnknownFields;
use crate::tools::{ToolErrorKind, ToolName, ToolOutcome, ToolRequest};
use mcr_model::clock::Millis;
use mcr_model::{Task, TaskId, TaskStatus, Word, words};
use text::{content_digest, digest, letters, pull_requests, says_more_than_status};

/// The most acts that one record keeps.
const ACTS_MAX: usize = 64;

words! {
    /// The kind of an act.
    ActKind {
        /// The task was assigned to the agent.
        Assigned = "assigned",
        /// The task was read, with this status and this pull request.
        Seen = "seen",
        /// The agent set this status.
        Status = "status",
        /// The agent wrote a document.
        Document = "document",
        /// The agent linked a pull request.
        PullRequest = "pull-request",
        /// The agent created a task.
        Subtask = "subtask",
        /// The agent archived a task.
        Archived = "archived",
        /// The agent changed the description of the task.
        Description = "description",
        /// The agent posted a message.
        Message = "message",
        /// A call that would have been an effect failed.
        Failed = "failed",
        /// A delivery was given up.
        GivenUp = "given-up",
    }
}

/// One act. Which fields it has depends on its kind. Kinds and fields of a newer version are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When it was recorded.
    pub at: Millis,
    /// The kind.
    pub what: Word<ActKind>,
    /// The acting agent, by id. None in a record, whose work names the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The task that the call names. None for the task of the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The id of the document, the task, or the work that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool of a failed call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What the call was about, as a digest: a failed call and its repetition agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The digest of the written text. Empty if the text is blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The number of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Word<TaskStatus>>,
    /// When the task last changed, by the backend's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Millis>,
    /// When the task was created, by the backend's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Millis>,
    /// When the runtime first had the assignment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Millis>,
    /// The letters of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters: Option<u32>,
    /// The pull requests that the message names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<u64>,
    /// Whether a quality agent must approve the task.
    #[serde(default, skip_serializing_if = "is_false")]
    pub needs_review: bool,
    /// Whether the call may have happened although it failed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_unknown: bool,
    /// Whether another call of the same tool replaces the failed one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub any_repetition: bool,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Act {
    /// An act of this kind. [`Act::at`] sets its time.
    pub fn new(what: ActKind) -> Self {
        Self {
            at: Millis::default(),
            what: Word::Known(what),
            agent: None,
            task: None,
            id: None,
            tool: None,
            subject: None,
            text: None,
            number: None,
            status: None,
            updated: None,
            created: None,
            heard: None,
            letters: None,
            names: Vec::new(),
            needs_review: false,
            is_unknown: false,
            any_repetition: false,
            extra: UnknownFields::default(),
        }
    }

    /// Sets the time.
    #[must_use]
    pub fn at(self, at: Millis) -> Self {
        Self { at, ..self }
    }

    /// The kind, if this version knows it.
    pub fn kind(&self) -> Option<ActKind> {
        self.what.known()
    }

    /// Whether the message says more than its status.
    pub fn says_more_than_status(&self) -> bool {
        says_more_than_status(self.letters.unwrap_or(0))
    }

    /// The task as it was read.
    pub fn seen(task: &Task) -> Self {
        let number = task.metadata.as_ref().and_then(|metadata| whole(metadata.pr_number?));
        let (updated, created) = (Some(task.updated_at), Some(task.created_at));
        Self { status: Some(task.status.clone()), number, updated, created, ..Self::new(ActKind::Seen) }
    }

    /// A posted message.
    pub fn message(text: &str) -> Self {
        Self { letters: Some(letters(text)), names: pull_requests(text), ..Self::new(ActKind::Message) }
    }

    /// The acts of a call that succeeded. `needs_review` says whether a quality agent must approve tasks.
    pub fn of_call(request: &ToolRequest, outcome: &ToolOutcome, needs_review: bool) -> Vec<Self> {
        let subject = subject(request);
        let act = |what| Self { subject: subject.clone(), ..Self::new(what) };
        let data = |field: &str| outcome.data.as_ref().and_then(|data| data.get(field));
        let on = |task: &TaskId, act: Self| Self { task: Some(task.clone()), ..act };
        match request {
            ToolRequest::TaskStatus { task_id, status, .. } => {
                let changed = data("changed").and_then(serde_json::Value::as_bool).unwrap_or(false);
                let updated = data("updatedAt").and_then(serde_json::Value::as_f64).map(millis);
                let status = Some(Word::Known(*status));
                let act = Self { status, updated, needs_review, ..Self::new(ActKind::Status) };
                changed.then(|| on(task_id, act)).into_iter().collect()
            }
            ToolRequest::TaskUpdate { task_id, changes } => {
                let fields = data("changedFields").and_then(serde_json::Value::as_array);
                let changed =
                    |name: &str| fields.is_some_and(|fields| fields.iter().any(|field| field == name));
                let status = changes.status.filter(|_| changed("status")).map(|status| {
                    let status = Some(Word::Known(status));
                    Self { status, needs_review, ..Self::new(ActKind::Status) }
                });
                let text = changes.description.as_ref().filter(|_| changed("description"));
                let text = text.map(|text| Self {
                    text: Some(content_digest("", text)),
                    ..Self::new(ActKind::Description)
                });
                status.into_iter().chain(text).map(|act| on(task_id, act)).collect()
            }
            ToolRequest::DocumentUpsert(document) => {
                let text = Some(content_digest(&document.title, &document.content));
                let (id, task) = (outcome.document_id.clone(), document.task_id.clone());
                vec![Self { task, id, text, ..act(ActKind::Document) }]
            }
            ToolRequest::TaskLinkPr { task_id, pr_number } => {
                vec![on(task_id, Self { number: Some(u64::from(*pr_number)), ..act(ActKind::PullRequest) })]
            }
            ToolRequest::TaskCreate(draft) => {
                let status = draft.status.map(Word::Known);
                vec![Self { id: outcome.task_id.clone(), status, needs_review, ..act(ActKind::Subtask) }]
            }
            ToolRequest::TaskDelete { task_id, .. } => {
                vec![on(task_id, Self { id: Some(task_id.to_string()), ..Self::new(ActKind::Archived) })]
            }
            ToolRequest::TaskMessage { task_id, content } => {
                vec![on(task_id, Self { subject, ..Self::message(content) })]
            }
            _ => Vec::new(),
        }
    }

    /// The act of a call that failed, if the call would have been an effect that the agent may cause.
    pub fn of_failure(request: &ToolRequest, error: ToolErrorKind) -> Option<Self> {
        let (is_unknown, any_repetition) = match error {
            ToolErrorKind::Unsettled => (true, false),
            ToolErrorKind::Throttled | ToolErrorKind::Unavailable => (false, false),
            // The agent may repeat the call in another form.
            ToolErrorKind::Refused | ToolErrorKind::Malformed | ToolErrorKind::Invalid => (false, true),
            ToolErrorKind::UnknownTool
            | ToolErrorKind::Forbidden
            | ToolErrorKind::NotFound
            | ToolErrorKind::Conflict => return None,
        };
        let (subject, tool) = (Some(subject(request)?), Some(request.name().to_string()));
        let task = match request {
            ToolRequest::DocumentUpsert(document) => document.task_id.clone(),
            ToolRequest::TaskLinkPr { task_id, .. } | ToolRequest::TaskMessage { task_id, .. } => {
                Some(task_id.clone())
            }
            _ => None,
        };
        Some(Self { task, tool, subject, is_unknown, any_repetition, ..Self::new(ActKind::Failed) })
    }

    /// The act of a call that was refused because of its arguments, if the call would have been an effect.
    pub fn of_refused_call(tool: &str, error: ToolErrorKind) -> Option<Self> {
        let name: ToolName = tool.parse().ok()?;
        ActKind::of_tool(name)?;
        let is_mistake = matches!(error, ToolErrorKind::Malformed | ToolErrorKind::Invalid);
        let tool = Some(name.to_string());
        is_mistake.then(|| Self { tool, any_repetition: true, ..Self::new(ActKind::Failed) })
    }
}

impl ActKind {
    /// The act of a successful call of this tool, if the call is an effect that a failure would leave out.
    pub fn of_tool(tool: ToolName) -> Option<Self> {
        match tool {
            ToolName::DocumentUpsert => Some(Self::Document),
            ToolName::TaskLinkPr => Some(Self::PullRequest),
            ToolName::TaskCreate => Some(Self::Subtask),
            ToolName::TaskMessage => Some(Self::Message),
            _ => None,
        }
    }
}

/// What a call is about, if it would be an effect.
fn subject(request: &ToolRequest) -> Option<String> {
    let about = match request {
        ToolRequest::DocumentUpsert(document) => document.title.clone(),
        ToolRequest::TaskLinkPr { pr_number, .. } => pr_number.to_string(),
        ToolRequest::TaskCreate(draft) => draft.title.clone(),
        // A message is repeated in other words.
        ToolRequest::TaskMessage { .. } => String::new(),
        _ => return None,
    };
    Some(digest(&format!("{} {about}", request.name())))
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the backend counts milliseconds")]
fn millis(number: f64) -> Millis {
    Millis(number as i64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f64) -> Option<u64> {
    (number >= 1.0 && number.fract() == 0.0).then_some(number as u64)
}

/// The acts of one delivery: the latest ones, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acts {
    list: Vec<Act>,
    /// When the latest act that was left out happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<Millis>,
    /// Fields of newer versions.
    #[serde(flatten)]
    extra: UnknownFields,
}

impl Acts {
    /// Appends an act. The oldest one gives way to it if there are too many.
    pub fn push(&mut self, act: Act) {
        if self.list.len() == ACTS_MAX {
            self.left_out = self.left_out.max(Some(self.list.remove(0).at));
        }
        self.list.push(act);
    }

    /// The acts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Act> {
        self.list.iter()
    }

    /// When the latest act that was left out happened.
    pub fn left_out(&self) -> Option<Millis> {
        self.left_out
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
