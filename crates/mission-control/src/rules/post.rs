//! The effects of a message (backend-contract §2.12 for agents, §8 for people): mentions, followers and
//! notifications.

use serde_json::{Value, json};

use super::activity::{self, Actor, Target};
use super::attachments::{self, AttachmentArg};
use super::follow::{self, Party, PartyKind};
use super::notify::{self, Posted};
use super::{flags, mentions, reach};
use crate::Refusal;
use crate::answer::ensure;
use crate::call::Call;
use crate::rows::{Agent, Membership, Mention, Message, Notification, Task};
use crate::store::{ANSWER, Doc, Id, StoreError};
use mcr_model::limits;

/// A message that an agent wants to post.
#[derive(Default)]
pub(crate) struct Draft {
    /// Markdown.
    pub(crate) content: String,
    /// The attachments.
    pub(crate) attachments: Vec<AttachmentArg>,
    /// The notification that the message answers. Each notification is answered only once.
    pub(crate) answers: Option<Id<Notification>>,
    /// Whether agents are not notified of the message.
    pub(crate) suppressed: bool,
}

/// The author of a message, as others see them.
struct Author {
    party: Party,
    actor: Actor,
}

/// How the parties are notified of a message.
struct Audience<'a> {
    /// The mentions whose parties are notified.
    notified: Vec<&'a Mention>,
    /// Whether agents are not notified.
    suppressed: bool,
    /// Whether the rules for the chat with the orchestrator apply.
    in_chat: bool,
}

/// Posts an agent's message in a task's thread. Returns the message's id, even if it was already posted.
pub(crate) fn by_agent(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    mut task: Doc<Task>,
    draft: Draft,
) -> Result<Id<Message>, Refusal> {
    let tx = call.tx;
    check_content(&draft.content)?;
    if let Some(notification) = &draft.answers {
        let answer = tx.find::<Message>(ANSWER, &[Some(notification.as_str())]).first()?;
        if let Some(answer) = answer {
            return Ok(answer.id);
        }
    }
    let attachments = attachments::accept(tx, &task, draft.attachments)?;
    let author = Author { party: Party::agent(agent.id.as_str()), actor: Actor::agent(agent) };
    let in_chat = reach::is_orchestrator_chat(&call.account, &task);
    let mentions = if in_chat { Vec::new() } else { mentions_in(call, &draft.content, &author.party)? };

    let mut message = new_message(call, &task, &author, draft.content, mentions);
    message.attachments = attachments;
    message.source_notification_id = draft.answers;
    let message = tx.insert(message)?;
    task.row.updated_at = tx.now();
    task.row.last_message_at = Some(tx.now());
    tx.put(&task)?;

    // Mentions without permission to notify stay in the list, so that the page shows them.
    let may_notify_agents =
        flags::allows(&call.account.row, &agent.row, "canMentionAgents") && !draft.suppressed;
    let notified = message
        .row
        .mentions
        .iter()
        .filter(|mention| may_notify_agents || party(mention).kind == PartyKind::User)
        .collect();
    let audience = Audience { notified, suppressed: draft.suppressed, in_chat };
    follow_and_record(call, &task, &message, &author, &audience, json!({}))?;
    notify_mentioned(call, &task, &message, &author, &audience)?;
    follow::ensure_orchestrator(tx, &call.account, &task)?;
    notify_followers(call, &task, &message, &author, &audience)?;
    Ok(message.id)
}

/// Posts a person's message in a task's thread. All mentioned parties are notified. The status of the task does not
/// change, and the orchestrator does not start to follow it.
pub(crate) fn by_person(
    call: &Call<'_>,
    person: &Membership,
    task: &Doc<Task>,
    content: String,
) -> Result<Id<Message>, Refusal> {
    check_content(&content)?;
    let author = Author { party: Party::user(&person.user_id), actor: Actor::person(person) };
    let mentions = mentions_in(call, &content, &author.party)?;
    let message = call.tx.insert(new_message(call, task, &author, content, mentions))?;

    let in_chat = reach::is_orchestrator_chat(&call.account, task)
        && call.account.row.settings.orchestrator_agent_id.is_some();
    let audience = Audience { notified: message.row.mentions.iter().collect(), suppressed: false, in_chat };
    follow_and_record(call, task, &message, &author, &audience, json!({"hasAttachments": false}))?;
    notify_mentioned(call, task, &message, &author, &audience)?;
    notify_followers(call, task, &message, &author, &audience)?;
    Ok(message.id)
}

/// Refuses a message that is too long.
pub(crate) fn check_content(content: &str) -> Result<(), Refusal> {
    let max = limits::MESSAGE_CHARS;
    ensure!(limits::chars(content) <= max, "Message content too long (max {max} characters)");
    Ok(())
}

fn mentions_in(call: &Call<'_>, content: &str, author: &Party) -> Result<Vec<Mention>, StoreError> {
    if !content.contains('@') {
        return Ok(Vec::new());
    }
    let members = reach::members(call.tx, call.account_id())?;
    let agents = reach::agents(call.tx, call.account_id())?;
    Ok(mentions::in_text(content, author, &members, &agents))
}

fn new_message(
    call: &Call<'_>,
    task: &Doc<Task>,
    author: &Author,
    content: String,
    mentions: Vec<Mention>,
) -> Message {
    Message {
        account_id: task.row.account_id.clone(),
        task_id: task.id.clone(),
        author_type: author.party.kind.word().to_owned(),
        author_id: author.party.id.clone(),
        content,
        mentions,
        created_at: call.now(),
        ..Message::default()
    }
}

fn party(mention: &Mention) -> Party {
    Party { kind: PartyKind::of(&mention.kind), id: mention.id.clone() }
}

/// Makes the author and the notified parties follow the task, and records the message in the activity log.
fn follow_and_record(
    call: &Call<'_>,
    task: &Doc<Task>,
    message: &Doc<Message>,
    author: &Author,
    audience: &Audience<'_>,
    mut meta: Value,
) -> Result<(), StoreError> {
    follow::add(call.tx, task, &author.party)?;
    audience.notified.iter().try_for_each(|mention| follow::add(call.tx, task, &party(mention)))?;
    meta["taskId"] = json!(task.id);
    meta["mentionCount"] = json!(message.row.mentions.len());
    let target = Target { kind: "message", id: message.id.as_str(), name: Some(&task.row.title) };
    activity::record(call.tx, call.account_id(), "message_created", &author.actor, &target, Some(meta))
}

fn notify_mentioned(
    call: &Call<'_>,
    task: &Doc<Task>,
    message: &Doc<Message>,
    author: &Author,
    audience: &Audience<'_>,
) -> Result<(), StoreError> {
    let notify = |mention: &&Mention| {
        notify::mention(call.tx, &call.account, task, &message.id, &party(mention), &author.actor.name)
    };
    audience.notified.iter().try_for_each(notify)
}

fn notify_followers(
    call: &Call<'_>,
    task: &Doc<Task>,
    message: &Doc<Message>,
    author: &Author,
    audience: &Audience<'_>,
) -> Result<(), StoreError> {
    let mentioned: Vec<String> = message.row.mentions.iter().map(|mention| mention.id.clone()).collect();
    let posted = Posted {
        id: &message.id,
        author: &author.party,
        author_name: &author.actor.name,
        mentioned: &mentioned,
        names_agents: audience.notified.iter().any(|mention| party(mention).kind == PartyKind::Agent),
        suppressed: audience.suppressed,
        in_chat: audience.in_chat,
    };
    notify::thread_update(call.tx, &call.account, task, &posted, call.options)
}
