//! Decides which notifications reach an agent, and what an agent may do about them (runtime-behaviour §3).
//!
//! [`judge`] runs right before an agent would be started, on a context read at that moment. The task may have
//! been finished, or the message superseded, since the notification was written. A skipped notification is
//! marked delivered. Every reason to skip therefore means *never*, and none means *not yet*.
//!
//! Differences from the TypeScript runtime:
//!
//! - **Archived** tasks wake no agent, whatever the notification (contract D22). No status follows
//!   `archived`, and archiving has closed the task's sessions. A turn would open a new session, and its work
//!   would be wasted. The conversation with the orchestrator is not work, and is exempt.
//! - **`/stop`** by a person wakes no agent: it ends the turns on its task (`is_stopped`).
//! - An agent's **own message** does not wake it (D16), neither as a mention nor as a thread update. Its own
//!   **assignment** does: an agent that creates a task for itself starts to work on it in this way.
//! - On a done or blocked task an agent receives only what is addressed to it: mentions, requests,
//!   assignments.

use serde::{Deserialize, Serialize};

use super::{Stamp, quiet_mode};
use mcr_model::clock::Millis;
use mcr_model::{
    AgentId, AuthorType, BehaviorFlags, DeliveryContext, NotificationType, RecipientType, Task, TaskStatus,
    ThreadItem, WakeOn, Word, is_stop,
};

/// What happens to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The agent is started.
    Deliver,
    /// No agent is started, and the notification is settled.
    Skip(Skip),
}

/// Why no agent is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// The recipient is a person.
    ForAPerson,
    /// The recipient no longer exists.
    NoAgent,
    /// The task no longer exists.
    NoTask,
    /// The agent has written the message itself.
    OwnMessage,
    /// The message is `/stop`, which ends turns and starts none.
    StopCommand,
    /// The thread is the conversation with the orchestrator, and the recipient is another agent.
    ChatIsForTheOrchestrator,
    /// The task is archived.
    ArchivedTask,
    /// The task is done or blocked, and the message is not addressed to the agent.
    QuietTask,
    /// The task went to review, and the agent does not review.
    NotAReviewer,
    /// The message answers a thread update; answers to answers would never end.
    ReplyLoop,
    /// Another agent has written in a thread that this one only follows.
    NotInvolved,
    /// A person has written again since; the newer message has its own notification.
    StaleUpdate,
    /// Quiet mode is on, and the notification does not address the agent.
    NotAddressed,
    /// The backend names no session for the agent.
    NoSession,
    /// The inputs of the heartbeat are those of the agent's last quiet answer.
    NothingNew,
    /// The heartbeat is outside the active hours.
    InactiveHours,
    /// The agents in the thread have reached the limit of turns or hand-offs without a person.
    TeamLimit,
}

impl Skip {
    /// All reasons, in the order of their checks.
    pub const ALL: [Self; 17] = [
        Self::ForAPerson,
        Self::NoAgent,
        Self::NoTask,
        Self::OwnMessage,
        Self::StopCommand,
        Self::ChatIsForTheOrchestrator,
        Self::ArchivedTask,
        Self::QuietTask,
        Self::NotAReviewer,
        Self::ReplyLoop,
        Self::NotInvolved,
        Self::StaleUpdate,
        Self::NotAddressed,
        Self::NoSession,
        Self::NothingNew,
        Self::InactiveHours,
        Self::TeamLimit,
    ];

    /// The name in metrics and logs; it never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForAPerson => "for-a-person",
            Self::NoAgent => "no-agent",
            Self::NoTask => "no-task",
            Self::OwnMessage => "own-message",
            Self::StopCommand => "stop-command",
            Self::ChatIsForTheOrchestrator => "chat-is-for-the-orchestrator",
            Self::ArchivedTask => "archived-task",
            Self::QuietTask => "quiet-task",
            Self::NotAReviewer => "not-a-reviewer",
            Self::ReplyLoop => "reply-loop",
            Self::NotInvolved => "not-involved",
            Self::StaleUpdate => "stale-update",
            Self::NotAddressed => "not-addressed",
            Self::NoSession => "no-session",
            Self::NothingNew => "nothing-new",
            Self::InactiveHours => "inactive-hours",
            Self::TeamLimit => "team-limit",
        }
    }

    /// Why the agent was not started, as the beginning of a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::ForAPerson => "the notification is for a person",
            Self::NoAgent => "the agent no longer exists",
            Self::NoTask => "the task no longer exists",
            Self::OwnMessage => "the agent wrote the message itself",
            Self::StopCommand => "the message is /stop, which ends turns and starts none",
            Self::ChatIsForTheOrchestrator => "messages in this thread are for the orchestrator only",
            Self::ArchivedTask => "the task is archived",
            Self::QuietTask => "the task is done or blocked, and the message is not addressed to the agent",
            Self::NotAReviewer => {
                "the task is in review, and the agent is neither a reviewer nor the orchestrator"
            }
            Self::ReplyLoop => {
                "the message is an agent's answer to a thread update; answering it could loop forever"
            }
            Self::NotInvolved => {
                "another agent wrote the message, and this one is neither assigned to the task nor its reviewer"
            }
            Self::StaleUpdate => "a person wrote a newer message, which has its own notification",
            Self::NotAddressed => {
                "quiet mode is on (WAKE_ON), and the agent is neither mentioned nor asked nor assigned"
            }
            Self::NoSession => "Mission Control names no session for the agent",
            Self::NothingNew => "nothing has changed since the agent last said that it has nothing to do",
            Self::InactiveHours => "it is outside the active hours (HEARTBEAT_ACTIVE_HOURS)",
            Self::TeamLimit => {
                "an agent caused it, and the agents in this thread have reached the limit of turns or hand-offs \
                 without a word of a person"
            }
        }
    }

    /// Whether a heartbeat was not sent to the model although its agent could have been asked.
    pub fn is_saved_beat(self) -> bool {
        matches!(self, Self::NothingNew | Self::InactiveHours)
    }
}

/// Whether the agent is started. The first match from top to bottom decides.
pub fn judge(context: &DeliveryContext, wake_on: WakeOn) -> Verdict {
    match reason_to_skip(context, wake_on) {
        Some(why) => Verdict::Skip(why),
        None => Verdict::Deliver,
    }
}

fn reason_to_skip(context: &DeliveryContext, wake_on: WakeOn) -> Option<Skip> {
    use NotificationType::{Mention, StatusChange, ThreadUpdate};
    let row = &context.notification;
    let kind = row.kind.known();
    let task = context.task.as_ref();
    let status = task.and_then(|task| task.status.known());

    if row.recipient_type == RecipientType::User {
        return Some(Skip::ForAPerson);
    }
    if context.agent.is_none() {
        return Some(Skip::NoAgent);
    }
    if row.task_id.is_some() && task.is_none() {
        return Some(Skip::NoTask);
    }
    if matches!(kind, Some(Mention | ThreadUpdate)) && agent_author(context) == Some(&row.recipient_id) {
        return Some(Skip::OwnMessage);
    }
    if is_stop_command(context) {
        return Some(Skip::StopCommand);
    }
    if task.is_some_and(Task::is_orchestrator_chat) {
        if !is_orchestrator(context, &row.recipient_id) {
            return Some(Skip::ChatIsForTheOrchestrator);
        }
    } else {
        if status == Some(TaskStatus::Archived) {
            return Some(Skip::ArchivedTask);
        }
        if matches!(kind, Some(ThreadUpdate | StatusChange)) && status.is_some_and(is_quiet) {
            return Some(Skip::QuietTask);
        }
        if kind == Some(StatusChange)
            && status == Some(TaskStatus::Review)
            && !(is_orchestrator(context, &row.recipient_id) || may_review(context.effective_behavior_flags))
        {
            return Some(Skip::NotAReviewer);
        }
        if kind == Some(ThreadUpdate)
            && let Some(why) = no_concern(context)
        {
            return Some(why);
        }
    }
    if is_stale(context) {
        return Some(Skip::StaleUpdate);
    }
    if wake_on == WakeOn::Addressed && !quiet_mode::is_addressed(context) {
        return Some(Skip::NotAddressed);
    }
    if context.delivery_session_key.as_ref().is_none_or(|key| key.expose().trim().is_empty()) {
        return Some(Skip::NoSession);
    }
    None
}

/// Why a thread update written by an agent does not concern this one (§3.2). The orchestrator receives all of
/// them. Other agents receive those on their tasks and reviews. An answer to a thread update reaches them
/// only if the orchestrator wrote it: two agents who answer each other's updates would never stop. The loop brake
/// limits the orchestrator and an agent on the task ([`team`](crate::guardrails::team)).
fn no_concern(context: &DeliveryContext) -> Option<Skip> {
    let recipient = &context.notification.recipient_id;
    let author = agent_author(context)?;
    let is_answer =
        context.source_notification_type.as_ref().is_some_and(|kind| *kind == NotificationType::ThreadUpdate);
    if is_orchestrator(context, recipient) {
        return None;
    }
    if is_answer && !is_orchestrator(context, author) {
        return Some(Skip::ReplyLoop);
    }
    let task = context.task.as_ref();
    let is_assigned =
        task.is_some_and(|task| task.assigned_agent_ids.iter().any(|id| id.as_str() == recipient));
    let is_reviewer = task.is_some_and(|task| task.status == TaskStatus::Review)
        && may_review(context.effective_behavior_flags);
    (!is_assigned && !is_reviewer).then_some(Skip::NotInvolved)
}

/// The backend's reason for a task that a person has paused with its stop button (contract §8).
const PAUSED: &str = "Paused by user (/stop)";

/// The error for an agent that continues a task after a person stopped it.
pub const STOPPED: &str = "Not run: a person stopped the work on this task with /stop. End your turn now \
                           and make no more calls. Do not continue by yourself: you are notified when the \
                           work continues.";

/// Whether the message of this notification is `/stop`.
pub fn is_stop_command(context: &DeliveryContext) -> bool {
    context.message.as_ref().is_some_and(|message| is_stop(&message.author_type, &message.content))
}

/// Whether a person has stopped the task and it has not been resumed since.
pub fn is_paused(task: &Task) -> bool {
    task.status == TaskStatus::Blocked && task.blocked_reason.as_deref().map(str::trim) == Some(PAUSED)
}

/// Whether the last message of a person in this thread, oldest message first, is `/stop`.
pub fn ends_with_stop(thread: &[ThreadItem]) -> bool {
    let last = thread.iter().rev().find(|item| item.author_type == AuthorType::User);
    last.is_some_and(|item| is_stop(&item.author_type, &item.content))
}

/// Whether a person has stopped the work that began with the message `heard`. If the turn began although the
/// task was paused (`began_paused`), only a later `/stop` counts.
pub fn is_stopped(context: &DeliveryContext, heard: &Stamp, began_paused: bool) -> bool {
    if !began_paused && context.task.as_ref().is_some_and(is_paused) {
        return true;
    }
    let last = context.thread.iter().position(|item| Some(&item.message_id) == heard.message.as_ref());
    let later = context.thread.iter().enumerate().filter(|(place, item)| match last {
        Some(last) => *place > last,
        None => item.created_at > heard.at,
    });
    later.into_iter().any(|(_, item)| is_stop(&item.author_type, &item.content))
}

/// Whether a person has written `/stop` in this thread after this moment of the backend's clock.
pub fn has_stop_after(thread: &[ThreadItem], since: Millis) -> bool {
    thread.iter().any(|item| item.created_at > since && is_stop(&item.author_type, &item.content))
}

/// Whether a person has written again since the message of this update (D-13).
fn is_stale(context: &DeliveryContext) -> bool {
    let row = &context.notification;
    let by_a_person = |author: &Word<AuthorType>| *author == AuthorType::User;
    let (Some(id), Some(message)) = (&row.message_id, &context.message) else { return false };
    if row.kind != NotificationType::ThreadUpdate || !by_a_person(&message.author_type) {
        return false;
    }
    let mut later = context.thread.iter().skip_while(|item| item.message_id != *id).skip(1);
    later.any(|item| by_a_person(&item.author_type))
}

/// The agent that wrote the message; `None` if a person did, or there is no message.
pub(super) fn agent_author(context: &DeliveryContext) -> Option<&String> {
    let message = context.message.as_ref()?;
    (message.author_type == AuthorType::Agent).then_some(&message.author_id)
}

fn is_orchestrator(context: &DeliveryContext, id: &str) -> bool {
    context.orchestrator_agent_id.as_ref().is_some_and(|orchestrator| orchestrator.as_str() == id)
}

/// Whether agents receive only addressed messages on a task of this status.
pub fn is_quiet(status: TaskStatus) -> bool {
    matches!(status, TaskStatus::Done | TaskStatus::Blocked | TaskStatus::Archived)
}

/// Whether this is the orchestrator's own delivery (P-13).
pub fn leads(context: &DeliveryContext) -> bool {
    let agent = context.agent.as_ref();
    agent.is_some_and(|agent| context.orchestrator_agent_id.as_ref() == Some(&agent.id))
}

/// Whether the backend allows the recipient to close tasks, judged by the present team.
pub fn may_close(context: &DeliveryContext) -> bool {
    let Some(agent) = &context.agent else { return false };
    let reviewers = context.mentionable_agents.reviewers().iter().map(|id| (id, true));
    mcr_model::may_close(reviewers, &agent.id, leads(context))
}

/// Whether an agent reviews others' work (P-9): by its flag alone, never by its role or slug.
pub fn may_review(flags: BehaviorFlags) -> bool {
    flags.can_review_tasks
}

/// Whether the agent shares the task with another agent (P-10). The list may contain an agent twice.
pub fn is_multi_assignee(context: &DeliveryContext) -> bool {
    let (Some(task), Some(agent)) = (&context.task, &context.agent) else { return false };
    let on_it = |id: &AgentId| *id == agent.id;
    task.assigned_agent_ids.iter().any(on_it) && !task.assigned_agent_ids.iter().all(on_it)
}

/// What to do with an empty reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnSilence {
    /// An answer is expected: ask again, a bounded number of times.
    AskAgain,
    /// No answer is expected: the notification is settled.
    Close,
}

/// What to do with an empty reply (§2.4), by the notification and the author of its message.
pub fn on_silence(kind: &Word<NotificationType>, author: Option<&Word<AuthorType>>) -> OnSilence {
    use NotificationType::{Assignment, Mention, ResponseRequest, ThreadUpdate};
    let by_an_agent = author.is_some_and(|author| *author == AuthorType::Agent);
    match kind.known() {
        Some(Assignment | Mention | ResponseRequest) => OnSilence::AskAgain,
        Some(ThreadUpdate) if !by_an_agent => OnSilence::AskAgain,
        _ => OnSilence::Close,
    }
}

/// Whether the briefing allows the agent to stay silent (§4.3, 3). It does if no request was made, or if only
/// another agent has written, perhaps only thanks.
pub fn may_stay_silent(context: &DeliveryContext) -> bool {
    use NotificationType::{Assignment, Mention, ResponseRequest, ThreadUpdate};
    match context.notification.kind.known() {
        Some(Assignment | ResponseRequest) => false,
        Some(Mention | ThreadUpdate) => agent_author(context).is_some(),
        _ => true,
    }
}
