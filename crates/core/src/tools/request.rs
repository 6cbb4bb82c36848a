//! A decoded call, with every default that can be known filled in.
//!
//! A request is a plain value, fully described by its name and its [`ToolRequest::arguments`]. Decoding them
//! again gives the same request. The ledger can therefore record them before the call and continue from them
//! after a crash.

use std::collections::BTreeSet;

use serde::Serialize;

use super::table::ToolSpec;
use super::{ToolName, decode};
use mcr_model::clock::Millis;
use mcr_model::{AgentId, DocumentId, DocumentType, TaskId, TaskStatus, UserId};

/// A decoded call. Texts are trimmed and within the backend's limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ToolRequest {
    /// Move a task.
    TaskStatus {
        /// The task.
        task_id: TaskId,
        /// The new status.
        status: TaskStatus,
        /// Why; only with `blocked`.
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked_reason: Option<String>,
    },
    /// Change a task.
    TaskUpdate {
        /// The task.
        task_id: TaskId,
        /// The changes.
        #[serde(flatten)]
        changes: Box<Changes>,
    },
    /// Create a task.
    TaskCreate(Box<Draft>),
    /// Write a document.
    DocumentUpsert(Box<DocumentContent>),
    /// List documents.
    DocumentList {
        /// The task whose documents are listed.
        #[serde(skip_serializing_if = "Option::is_none")]
        task_id: Option<TaskId>,
        /// Only documents of this type.
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<DocumentType>,
        /// The most rows.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Request an answer from agents.
    ResponseRequest {
        /// The task.
        task_id: TaskId,
        /// The agents; without `@`, in their original case, each once.
        recipient_slugs: Vec<String>,
        /// The question.
        message: String,
    },
    /// Look up skills.
    GetAgentSkills {
        /// The agent's slug or id.
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_id: Option<String>,
    },
    /// Read a task with its thread.
    TaskLoad {
        /// The task.
        task_id: TaskId,
        /// The most messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_limit: Option<u32>,
    },
    /// Read the events of a task.
    TaskHistory {
        /// The task.
        task_id: TaskId,
        /// The most messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_limit: Option<u32>,
        /// The most activities.
        #[serde(skip_serializing_if = "Option::is_none")]
        activity_limit: Option<u32>,
    },
    /// Assign agents to a task.
    TaskAssign {
        /// The task.
        task_id: TaskId,
        /// The agents; without `@`, in lower case, each once.
        assignee_slugs: Vec<String>,
    },
    /// Post in any thread.
    TaskMessage {
        /// The task of the thread.
        task_id: TaskId,
        /// The text.
        content: String,
    },
    /// List tasks.
    TaskList {
        /// Only tasks in this status.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<TaskStatus>,
        /// Only tasks of this agent; without `@`, in lower case.
        #[serde(skip_serializing_if = "Option::is_none")]
        assignee_slug: Option<String>,
        /// The most rows.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Read a task.
    TaskGet {
        /// The task.
        task_id: TaskId,
    },
    /// Read a thread.
    TaskThread {
        /// The task of the thread.
        task_id: TaskId,
        /// The most messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Find tasks.
    TaskSearch {
        /// The text to find.
        query: String,
        /// The most rows.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Archive a task.
    TaskDelete {
        /// The task.
        task_id: TaskId,
        /// Why, for people.
        reason: String,
    },
    /// Link a task to a pull request.
    TaskLinkPr {
        /// The task.
        task_id: TaskId,
        /// The number of the pull request.
        pr_number: u32,
    },
}

/// Changes to a task; at least one besides the reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// Without the reserved label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Ids, or slugs where an agent confused them; each once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_ids: Option<Vec<AgentId>>,
    /// Each once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_user_ids: Option<Vec<UserId>>,
    /// The new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why; only with `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// The due date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
}

/// A task to be created.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// Not blank.
    pub title: String,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// Without the reserved label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The requested first status; the orchestrator's tasks get another one (§6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why; only with `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// The due date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// The agents; without `@`, in lower case, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assignee_slugs: Vec<String>,
}

/// A document to be written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentContent {
    /// The document to overwrite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    /// The document's task; for an overwritten document it may still have to be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Not blank.
    pub title: String,
    /// Unchanged.
    pub content: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: DocumentType,
}

impl Draft {
    /// The backend's default priority.
    pub const PRIORITY: f64 = 3.0;
}

impl ToolRequest {
    /// Reads a name and arguments that [`ToolRequest::arguments`] wrote. `None` if the result would not write
    /// the same text.
    pub fn noted(name: &str, arguments: &str) -> Option<Self> {
        decode(name, arguments, None).ok().filter(|request| request.arguments() == arguments)
    }

    /// One text for all calls that request the same: the same tool with the same values. Order, surrounding
    /// characters and explicit defaults make no difference.
    pub fn key(&self) -> String {
        let plain = match self.clone() {
            Self::TaskCreate(mut draft) => {
                draft.priority.get_or_insert(Draft::PRIORITY);
                draft.status.get_or_insert(TaskStatus::Inbox);
                draft.assignee_slugs.sort();
                Self::TaskCreate(draft)
            }
            // The backend reads slugs in any case.
            Self::ResponseRequest { task_id, recipient_slugs, message } => {
                let slugs = recipient_slugs.iter().map(|slug| slug.to_lowercase());
                let recipient_slugs = slugs.collect::<BTreeSet<_>>().into_iter().collect();
                Self::ResponseRequest { task_id, recipient_slugs, message }
            }
            Self::TaskAssign { task_id, mut assignee_slugs } => {
                assignee_slugs.sort();
                Self::TaskAssign { task_id, assignee_slugs }
            }
            other => other,
        };
        format!("{} {}", plain.name(), plain.arguments())
    }

    /// The tool.
    pub fn name(&self) -> ToolName {
        match self {
            Self::TaskStatus { .. } => ToolName::TaskStatus,
            Self::TaskUpdate { .. } => ToolName::TaskUpdate,
            Self::TaskCreate(_) => ToolName::TaskCreate,
            Self::DocumentUpsert(_) => ToolName::DocumentUpsert,
            Self::DocumentList { .. } => ToolName::DocumentList,
            Self::ResponseRequest { .. } => ToolName::ResponseRequest,
            Self::GetAgentSkills { .. } => ToolName::GetAgentSkills,
            Self::TaskLoad { .. } => ToolName::TaskLoad,
            Self::TaskHistory { .. } => ToolName::TaskHistory,
            Self::TaskAssign { .. } => ToolName::TaskAssign,
            Self::TaskMessage { .. } => ToolName::TaskMessage,
            Self::TaskList { .. } => ToolName::TaskList,
            Self::TaskGet { .. } => ToolName::TaskGet,
            Self::TaskThread { .. } => ToolName::TaskThread,
            Self::TaskSearch { .. } => ToolName::TaskSearch,
            Self::TaskDelete { .. } => ToolName::TaskDelete,
            Self::TaskLinkPr { .. } => ToolName::TaskLinkPr,
        }
    }

    /// The tool's row in the table.
    pub fn row(&self) -> &'static ToolSpec {
        self.name().row()
    }

    /// Whether the call changes anything. Such a call is recorded before and after.
    pub fn writes(&self) -> bool {
        self.row().writes
    }

    /// Whether a second execution adds nothing to the first (contract §1.5). All other calls are settled by
    /// reading if their answer was lost.
    pub fn may_repeat(&self) -> bool {
        let set = matches!(self, Self::TaskStatus { .. } | Self::TaskAssign { .. } | Self::TaskLinkPr { .. });
        set || !self.writes()
    }

    /// The arguments in one fixed spelling, as JSON text.
    pub fn arguments(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}
