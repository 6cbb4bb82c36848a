//! What follows from a message (backend-contract §2.12 for agents, §8 for people): who is named, who follows the task
//! from now on, who is told.

use serde_json::{Value, json};

use super::activity::{self, Actor, Target};
use super::attachments::{self, Offered};
use super::follow::{self, Party, PartyKind};
use super::notify::{self, Posted};
use super::{flags, mentions, reach};
use crate::Refusal;
use crate::answer::ensure;
use crate::call::Call;
use crate::rows::{Agent, Membership, Mention, Message, Notification, Task};
use crate::store::{ANSWER, Doc, Id, StoreError};
use mcr_model::limits;

/// What an agent wants to say.
#[derive(Default)]
pub(crate) struct Draft {
    /// Markdown.
    pub(crate) content: String,
    /// Files that come with it.
    pub(crate) attachments: Vec<Offered>,
    /// The notification that it answers; a notification is answered once.
    pub(crate) answers: Option<Id<Notification>>,
    /// Agents shall learn nothing of it.
    pub(crate) quietly: bool,
}

/// Who writes, and what the others shall know of them.
struct Author {
    party: Party,
    actor: Actor,
}

/// A message that is about to be told around.
struct Telling<'a> {
    /// Those of the named who are told that they were named.
    told: Vec<&'a Mention>,
    /// Agents shall learn nothing of it.
    quietly: bool,
    /// The rules for the talk with the orchestrator hold.
    in_chat: bool,
}

/// An agent writes in a task's thread. Whether the message is new or had been written before, its id is the answer.
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
    let attachments = attachments::admit(tx, &task, draft.attachments)?;
    let author = Author { party: Party::agent(agent.id.as_str()), actor: Actor::agent(agent) };
    let in_chat = reach::is_orchestrator_chat(&call.account, &task);
    let named = if in_chat { Vec::new() } else { named(call, &draft.content, &author.party)? };

    let mut message = write(call, &task, &author, draft.content, named);
    message.attachments = attachments;
    message.source_notification_id = draft.answers;
    let message = tx.insert(message)?;
    task.row.updated_at = tx.now();
    task.row.last_message_at = Some(tx.now());
    tx.put(&task)?;

    // Whoever is named and may not be told stays in the list, for the page to show, and learns nothing.
    let names_agents = flags::allows(&call.account.row, &agent.row, "canMentionAgents") && !draft.quietly;
    let told = message
        .row
        .mentions
        .iter()
        .filter(|named| names_agents || party(named).kind == PartyKind::User)
        .collect();
    let telling = Telling { told, quietly: draft.quietly, in_chat };
    follow_and_record(call, &task, &message, &author, &telling, json!({}))?;
    name(call, &task, &message, &author, &telling)?;
    follow::ensure_orchestrator(tx, &call.account, &task)?;
    tell_followers(call, &task, &message, &author, &telling)?;
    Ok(message.id)
}

/// A person writes in a task's thread: everybody named is told, the task itself stays as it is, and the orchestrator is
/// not made to follow.
pub(crate) fn by_person(
    call: &Call<'_>,
    person: &Membership,
    task: &Doc<Task>,
    content: String,
) -> Result<Id<Message>, Refusal> {
    check_content(&content)?;
    let author = Author { party: Party::user(&person.user_id), actor: Actor::person(person) };
    let named = named(call, &content, &author.party)?;
    let message = call.tx.insert(write(call, task, &author, content, named))?;

    let in_chat = reach::is_orchestrator_chat(&call.account, task)
        && call.account.row.settings.orchestrator_agent_id.is_some();
    let telling = Telling { told: message.row.mentions.iter().collect(), quietly: false, in_chat };
    follow_and_record(call, task, &message, &author, &telling, json!({"hasAttachments": false}))?;
    name(call, task, &message, &author, &telling)?;
    tell_followers(call, task, &message, &author, &telling)?;
    Ok(message.id)
}

/// Refuses a message that is too long.
pub(crate) fn check_content(content: &str) -> Result<(), Refusal> {
    let most = limits::MESSAGE_CHARS;
    ensure!(limits::chars(content) <= most, "Message content too long (max {most} characters)");
    Ok(())
}

fn named(call: &Call<'_>, content: &str, author: &Party) -> Result<Vec<Mention>, StoreError> {
    if !content.contains('@') {
        return Ok(Vec::new());
    }
    let members = reach::members(call.tx, call.account_id())?;
    let agents = reach::agents(call.tx, call.account_id())?;
    Ok(mentions::in_text(content, author, &members, &agents))
}

fn write(
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

/// The author and the told follow the task from now on; that there is a message goes on record.
fn follow_and_record(
    call: &Call<'_>,
    task: &Doc<Task>,
    message: &Doc<Message>,
    author: &Author,
    telling: &Telling<'_>,
    mut meta: Value,
) -> Result<(), StoreError> {
    follow::add(call.tx, task, &author.party)?;
    telling.told.iter().try_for_each(|mention| follow::add(call.tx, task, &party(mention)))?;
    meta["taskId"] = json!(task.id);
    meta["mentionCount"] = json!(message.row.mentions.len());
    let target = Target { kind: "message", id: message.id.as_str(), name: Some(&task.row.title) };
    activity::record(call.tx, call.account_id(), "message_created", &author.actor, &target, Some(meta))
}

fn name(
    call: &Call<'_>,
    task: &Doc<Task>,
    message: &Doc<Message>,
    author: &Author,
    telling: &Telling<'_>,
) -> Result<(), StoreError> {
    let tell = |mention: &&Mention| {
        notify::mention(call.tx, &call.account, task, &message.id, &party(mention), &author.actor.name)
    };
    telling.told.iter().try_for_each(tell)
}

fn tell_followers(
    call: &Call<'_>,
    task: &Doc<Task>,
    message: &Doc<Message>,
    author: &Author,
    telling: &Telling<'_>,
) -> Result<(), StoreError> {
    let mentioned: Vec<String> = message.row.mentions.iter().map(|mention| mention.id.clone()).collect();
    let posted = Posted {
        id: &message.id,
        author: &author.party,
        author_name: &author.actor.name,
        mentioned: &mentioned,
        names_agents: telling.told.iter().any(|mention| party(mention).kind == PartyKind::Agent),
        suppressed: telling.quietly,
        in_chat: telling.in_chat,
    };
    notify::thread_update(call.tx, &call.account, task, &posted, call.options)
}
