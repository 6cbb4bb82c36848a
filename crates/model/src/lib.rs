//! The domain types of Mission Control and the gateway.
//!
//! This crate contains pure data and its rules. Input is read leniently, since the backend may extend it. An unknown word
//! of a closed list stays as text ([`Word`]), and an unknown field is ignored. A whole number may arrive as `3.0`
//! ([`number`]). Output is strict: an absent value stays absent and is never `null`.

mod agent;
mod base_url;
mod child_command;
mod choice;
pub mod clock;
mod context;
mod document;
mod gateway_environment;
mod hours;
mod ids;
pub mod json;
pub mod limits;
pub mod memory;
mod message;
mod notification;
pub mod number;
mod pool_job;
pub mod random;
pub mod redact;
mod roster;
mod runtime;
pub mod secret;
mod session_key;
pub mod spending;
pub mod sync_protocol;
mod task;
mod team;
mod team_limits;
mod telegram;
pub mod visible;
mod word;
mod workflow;
pub mod zone;

pub use agent::{
    Agent, AgentProfile, AgentSkills, AgentStatus, BehaviorFlags, OpenclawConfig, Skill, is_quality,
};
pub use base_url::{BadUrl, BaseUrl};
pub use child_command::{ChildCommand, version_in};
pub use choice::{
    BeatMode, DonePolicy, LedgerSync, NoResponseNote, SessionScope, ToolEndpoints, WakeOn, WakeRules,
};
pub use context::{
    DeliveryContext, PrimaryUser, ReferenceDoc, StatusCount, TaskDigest, TaskOverview, TopTasks,
};
pub use document::{DocumentEntry, DocumentType};
pub use gateway_environment::GatewayEnvironment;
pub use hours::{ActiveHours, LocalTime};
pub use ids::{
    AccountId, AgentId, ConversationId, DocumentId, JobId, LeaseId, MessageId, NotificationId, SkillId,
    SnapshotId, StorageId, TaskId, UserId, WorkerId,
};
pub use message::{AuthorType, Mention, Message, MessageFile, ThreadItem, is_stop};
pub use notification::{DeliveryState, Notification, NotificationType, RecipientType};
pub use pool_job::{
    AttachmentKind, AttachmentState, BridgeSettings, ChatRole, ClaimedJob, ContextMessage, ConversationState,
    HydrationBundle, JobAttachment, JobPayload, JobProvider,
};
pub use roster::{Roster, UnreadableAgent, may_close};
pub use runtime::{PendingUpgrade, RuntimeReport, RuntimeStatus, UpgradeStatus, UpgradeStrategy};
pub use session_key::{SessionKey, SessionKind};
pub use task::{Activity, Task, TaskHit, TaskMetadata, TaskStatus};
pub use team::{Team, Teammate};
pub use team_limits::TeamLimits;
pub use telegram::TelegramParseMode;
pub use word::Word;
pub use workflow::{Assignees, Unmet, WorkflowError, allowed_next, may_move, plan_for_agent, requirement};
