//! A call, understood: what is asked for, with every default that can be known filled in.
//!
//! A request is a plain value. Its name and its [`ToolRequest::arguments`] say all of it: decoding those again gives
//! the same request, so that a ledger may note them before the call and go on from them after a crash.

use std::collections::BTreeSet;

use serde::Serialize;

use super::table::ToolSpec;
use super::{ToolName, decode};
use mcr_model::clock::Millis;
use mcr_model::{AgentId, DocumentId, DocumentType, TaskId, TaskStatus, UserId};

/// What is asked for. Texts are trimmed and within the backend's limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ToolRequest {
    /// Move a task.
    TaskStatus {
        /// Which.
        task_id: TaskId,
        /// Where to.
        status: TaskStatus,
        /// Why; only with `blocked`.
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked_reason: Option<String>,
    },
    /// Change a task.
    TaskUpdate {
        /// Which.
        task_id: TaskId,
        /// What.
        #[serde(flatten)]
        changes: Box<Changes>,
    },
    /// Create a task.
    TaskCreate(Box<Draft>),
    /// Write a document.
    DocumentUpsert(Box<Paper>),
    /// List documents.
    DocumentList {
        /// Of which task.
        #[serde(skip_serializing_if = "Option::is_none")]
        task_id: Option<TaskId>,
        /// Of which type.
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<DocumentType>,
        /// How many.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Ask agents for an answer.
    ResponseRequest {
        /// About what.
        task_id: TaskId,
        /// Whom; without `@`, in the case in which they came, each once.
        recipient_slugs: Vec<String>,
        /// What.
        message: String,
    },
    /// Look up skills.
    GetAgentSkills {
        /// Whose: a slug or an id.
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_id: Option<String>,
    },
    /// Read a task with its thread.
    TaskLoad {
        /// Which.
        task_id: TaskId,
        /// How many messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_limit: Option<u32>,
    },
    /// Read what happened to a task.
    TaskHistory {
        /// Which.
        task_id: TaskId,
        /// How many messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_limit: Option<u32>,
        /// How many activities.
        #[serde(skip_serializing_if = "Option::is_none")]
        activity_limit: Option<u32>,
    },
    /// Put agents on a task.
    TaskAssign {
        /// Which.
        task_id: TaskId,
        /// Whom; without `@`, in small letters, each once.
        assignee_slugs: Vec<String>,
    },
    /// Post in any thread.
    TaskMessage {
        /// Where.
        task_id: TaskId,
        /// What.
        content: String,
    },
    /// List tasks.
    TaskList {
        /// Where they stand.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<TaskStatus>,
        /// Who is on them; without `@`, in small letters.
        #[serde(skip_serializing_if = "Option::is_none")]
        assignee_slug: Option<String>,
        /// How many.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Read a task.
    TaskGet {
        /// Which.
        task_id: TaskId,
    },
    /// Read a thread.
    TaskThread {
        /// Whose.
        task_id: TaskId,
        /// How many messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Find tasks.
    TaskSearch {
        /// By what.
        query: String,
        /// How many.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Archive a task.
    TaskDelete {
        /// Which.
        task_id: TaskId,
        /// Why.
        reason: String,
    },
    /// Tie a task to a pull request.
    TaskLinkPr {
        /// Which.
        task_id: TaskId,
        /// To which.
        pr_number: u32,
    },
}

/// Changes of a task; at least one beside the reason.
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
    /// Without the reserved one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Ids, or slugs where an agent mixed them up; each once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_ids: Option<Vec<AgentId>>,
    /// Each once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_user_ids: Option<Vec<UserId>>,
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why; only with `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// By when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
}

/// A task to be.
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
    /// Without the reserved one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Where it was asked to begin; the orchestrator's is another (§6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why; only with `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// By when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// Whom; without `@`, in small letters, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assignee_slugs: Vec<String>,
}

/// A document to be written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paper {
    /// Which to overwrite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    /// Where it belongs; of a document that is overwritten perhaps still to be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Not blank.
    pub title: String,
    /// As it came.
    pub content: String,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: DocumentType,
}

impl Draft {
    /// What the backend takes where none is given.
    pub const PRIORITY: f64 = 3.0;
}

impl ToolRequest {
    /// The request that these are the name and the arguments of, as [`ToolRequest::arguments`] gave them; nothing if
    /// it would not give them again.
    pub fn noted(name: &str, arguments: &str) -> Option<Self> {
        decode(name, arguments, None).ok().filter(|request| request.arguments() == arguments)
    }

    /// One text for all calls that ask for the same: of the same tool, with the same values, whatever their order, what
    /// stood around them, and whether what holds anyway was said.
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

    /// Its row of the table.
    pub fn row(&self) -> &'static ToolSpec {
        self.name().row()
    }

    /// Whether it changes anything: then it is noted before and after.
    pub fn writes(&self) -> bool {
        self.row().writes
    }

    /// Whether carrying it out twice adds nothing to the first time (contract §1.5); all others are settled by
    /// reading where the answer was lost.
    pub fn may_repeat(&self) -> bool {
        let set = matches!(self, Self::TaskStatus { .. } | Self::TaskAssign { .. } | Self::TaskLinkPr { .. });
        set || !self.writes()
    }

    /// The arguments in one fixed spelling, as JSON text.
    pub fn arguments(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}
