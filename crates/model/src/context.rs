//! Everything about a notification that its delivery needs, as one read (backend-contract §3.8).

use serde::Deserialize;

use super::{
    Agent, AgentId, BehaviorFlags, Message, Notification, NotificationType, SessionKey, Task, TaskId,
    TaskStatus, ThreadItem, UserId, Word, number,
};

/// The context of one notification.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryContext {
    /// The notification as it is now.
    pub notification: Notification,
    /// The recipient; none if it is a person or gone.
    pub agent: Option<Agent>,
    /// The task; none without one, or if it is gone.
    pub task: Option<Task>,
    /// The message it is about; none without one, or if it is gone.
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
    /// The person to turn to.
    #[serde(default)]
    pub primary_user_mention: Option<PrimaryUser>,
    /// All agents of the account, the recipient too, by slug.
    #[serde(default)]
    pub mentionable_agents: Vec<Teammate>,
    /// Those on the task.
    #[serde(default)]
    pub assigned_agents: Vec<Teammate>,
    /// What the recipient may do.
    #[serde(default)]
    pub effective_behavior_flags: BehaviorFlags,
    /// The session to speak in; absent unless the recipient is an agent that exists.
    #[serde(default)]
    pub delivery_session_key: Option<SessionKey>,
    /// The document titled `Repository — Primary`, cut to 50,000 characters.
    #[serde(default)]
    pub repository_doc: Option<ReferenceDoc>,
    /// The document titled `Account Briefing`; in the talk with the orchestrator only.
    #[serde(default)]
    pub global_briefing_doc: Option<ReferenceDoc>,
    /// The board at a glance; in the talk with the orchestrator only.
    #[serde(default)]
    pub task_overview: Option<TaskOverview>,
}

/// The person to turn to.
#[derive(Clone, Debug, Deserialize)]
pub struct PrimaryUser {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Their address.
    #[serde(default)]
    pub email: Option<String>,
}

/// An agent as others may name it.
#[derive(Clone, Debug, Deserialize)]
pub struct Teammate {
    /// Its id.
    pub id: AgentId,
    /// Its name in mentions.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What it does.
    pub role: String,
}

/// Standing knowledge.
#[derive(Clone, Debug, Deserialize)]
pub struct ReferenceDoc {
    /// Its title.
    pub title: String,
    /// Markdown.
    pub content: String,
}

/// The board at a glance.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskOverview {
    /// How many stand where; each count stops at 100.
    #[serde(default)]
    pub totals: Vec<StatusCount>,
    /// The first three of each.
    #[serde(default)]
    pub top_tasks: Vec<TopTasks>,
}

/// How many tasks stand somewhere.
#[derive(Clone, Debug, Deserialize)]
pub struct StatusCount {
    /// Where.
    pub status: Word<TaskStatus>,
    /// How many.
    #[serde(deserialize_with = "number::whole")]
    pub count: u32,
}

/// The first tasks of a status.
#[derive(Clone, Debug, Deserialize)]
pub struct TopTasks {
    /// Which status.
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
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub status: Word<TaskStatus>,
    /// 1 is the highest.
    pub priority: f64,
    /// Agents on it.
    #[serde(default)]
    pub assigned_agent_ids: Vec<AgentId>,
    /// People on it.
    #[serde(default)]
    pub assigned_user_ids: Vec<UserId>,
}
