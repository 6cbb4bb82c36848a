//! Quiet mode (`WAKE_ON=addressed`): which notifications address an agent.
//!
//! A thread update and a status change go to all who follow a task. Most of these turns end without an answer, and
//! each of them costs a reading of the whole thread. In quiet mode they start only agents whose task it is.
//!
//! A person is heard in every mode. If a person writes in a thread whose task has no agent, the orchestrator
//! gets the message; in the conversation with the orchestrator it always does.

use super::policy;
use mcr_model::{AgentId, DeliveryContext, NotificationType, Task, TaskStatus};

/// Whether the notification addresses its agent: the agent is mentioned, asked or assigned.
pub fn is_addressed(context: &DeliveryContext) -> bool {
    use NotificationType::{StatusChange, ThreadUpdate};
    let kind = context.notification.kind.known();
    if !matches!(kind, Some(ThreadUpdate | StatusChange)) {
        return true;
    }
    let Some(task) = &context.task else { return true };
    let recipient = &context.notification.recipient_id;
    let is_on_task = task.assigned_agent_ids.iter().any(|id| id.as_str() == recipient);
    let by_a_person = context.message.is_some() && policy::agent_author(context).is_none();
    let leads = policy::leads(context);
    is_on_task
        || context.message.as_ref().is_some_and(|message| message.mentions.iter().any(|one| one.id == *recipient))
        // A task in review asks its reviewers.
        || (task.status == TaskStatus::Review && policy::may_review(context.effective_behavior_flags))
        || (leads && by_a_person && (task.is_orchestrator_chat() || has_no_agent(task, context)))
}

/// Whether no agent of the account is assigned to the task.
fn has_no_agent(task: &Task, context: &DeliveryContext) -> bool {
    let exists = |id: &AgentId| context.mentionable_agents.agent(id.as_str()).is_some();
    !task.assigned_agent_ids.iter().any(exists)
}
