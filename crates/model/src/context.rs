//! Everything that the delivery of a notification needs, in one read (backend-contract §3.8).

use serde::Deserialize;

use super::{
    Agent, AgentId, BehaviorFlags, Message, Notification, NotificationType, SessionKey, Task, TaskId,
    TaskStatus, Team, Teammate, ThreadItem, UserId, Word, number,
};

/// The context of one notification.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryContext {
    /// The notification in its present state.
    pub notification: Notification,
    /// The recipient. `None` if it is a person or was deleted.
    pub agent: Option<Agent>,
    /// The task. `None` if there is none or it was deleted.
    pub task: Option<Task>,
    /// The message that caused the notification. `None` if there is none or it was deleted.
    pub message: Option<Message>,
    /// The newest 50 messages, oldest first, each cut to 2,000 characters.
    #[serde(default)]
    pub thread: Vec<ThreadItem>,
    /// The type of the notification that caused the message.
    #[serde(default)]
    pub source_notification_type: Option<Word<NotificationType>>,
    /// The account's orchestrator.
    #[serde(default)]
    pub orchestrator_agent_id: Option<AgentId>,
    /// The account's primary contact person.
    #[serde(default)]
    pub primary_user_mention: Option<PrimaryUser>,
    /// All agents of the account, including the recipient, by slug.
    #[serde(default)]
    pub mentionable_agents: Team,
    /// The agents assigned to the task.
    #[serde(default)]
    pub assigned_agents: Vec<Teammate>,
    /// The effective permissions of the recipient.
    #[serde(default)]
    pub effective_behavior_flags: BehaviorFlags,
    /// The session of the delivery. Absent unless the recipient is an existing agent.
    #[serde(default)]
    pub delivery_session_key: Option<SessionKey>,
    /// The document titled `Repository — Primary`, cut to 50,000 characters.
    #[serde(default)]
    pub repository_doc: Option<ReferenceDoc>,
    /// The document titled `Account Briefing`. Only in the chat with the orchestrator.
    #[serde(default)]
    pub global_briefing_doc: Option<ReferenceDoc>,
    /// A summary of the board. Only in the chat with the orchestrator.
    #[serde(default)]
    pub task_overview: Option<TaskOverview>,
}

/// The account's primary contact person.
#[derive(Clone, Debug, Deserialize)]
pub struct PrimaryUser {
    /// The person's id.
    pub id: UserId,
    /// The person's name.
    pub name: String,
    /// The person's email address.
    #[serde(default)]
    pub email: Option<String>,
}

/// A reference document.
#[derive(Clone, Debug, Deserialize)]
pub struct ReferenceDoc {
    /// Its title.
    pub title: String,
    /// Markdown.
    pub content: String,
}

/// A summary of the board.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskOverview {
    /// The number of tasks per status. Each count stops at 100.
    #[serde(default)]
    pub totals: Vec<StatusCount>,
    /// The first three tasks of each status.
    #[serde(default)]
    pub top_tasks: Vec<TopTasks>,
}

/// The number of tasks in one status.
#[derive(Clone, Debug, Deserialize)]
pub struct StatusCount {
    /// The status.
    pub status: Word<TaskStatus>,
    /// The count.
    #[serde(deserialize_with = "number::whole")]
    pub count: u32,
}

/// The first tasks of a status.
#[derive(Clone, Debug, Deserialize)]
pub struct TopTasks {
    /// The status.
    pub status: Word<TaskStatus>,
    /// By priority, then newest first.
    #[serde(default)]
    pub tasks: Vec<TaskDigest>,
}

/// A task in one line.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDigest {
    /// Its id.
    pub task_id: TaskId,
    /// Its title.
    pub title: String,
    /// Its status.
    pub status: Word<TaskStatus>,
    /// 1 is the highest.
    pub priority: f64,
    /// The agents assigned to it.
    #[serde(default)]
    pub assigned_agent_ids: Vec<AgentId>,
    /// The people assigned to it.
    #[serde(default)]
    pub assigned_user_ids: Vec<UserId>,
}
