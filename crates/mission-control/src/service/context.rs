//! Everything that the delivery of a notification needs, in one read (backend-contract §2.8, §3.8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, DataAccess, Function, Guard, Kind, TOKEN};
use crate::rows::{Account, Agent, Document, Message, Notification, Task};
use crate::rules::mentions::is_space;
use crate::rules::overview::{self, Overview};
use crate::rules::thread::{self, ThreadItem};
use crate::rules::{collation, flags, reach, sessions};
use crate::store::{DOCUMENTS_BY_NAME, DOCUMENTS_BY_TITLE, Doc, Id, Row, StoreError, Table, Tx};
use crate::validate::{Is, need};

/// How much of a thread is included: the number of messages, and the characters of each.
const THREAD: (usize, usize) = (50, 2_000);
/// The characters of a document that are included.
const DOCUMENT_CHARS: usize = 50_000;

/// The title of the document about the repository.
pub(crate) const REPOSITORY: &str = "Repository \u{2014} Primary";
/// The title of the document that the orchestrator gets in its chat.
pub(crate) const BRIEFING: &str = "Account Briefing";

/// The functions of this file.
pub(crate) const FUNCTIONS: &[Function] = &[Function {
    path: "service/actions:getNotificationForDelivery",
    kind: Kind::Action,
    guard: Guard::ServiceToken,
    access: DataAccess::Writes,
    args: &[ACCOUNT, TOKEN, need("notificationId", Is::Id(Table::Notifications))],
    run: get_notification,
}];

/// Only sessions that cannot exist are absent. Every other missing value is `null`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    notification: Doc<Notification>,
    agent: Option<Doc<Agent>>,
    task: Option<Doc<Task>>,
    message: Option<Doc<Message>>,
    thread: Vec<ThreadItem>,
    source_notification_type: Option<String>,
    orchestrator_agent_id: Option<Id<Agent>>,
    primary_user_mention: Option<PrimaryUser>,
    mentionable_agents: Vec<Teammate>,
    assigned_agents: Vec<Teammate>,
    effective_behavior_flags: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_session_key: Option<String>,
    repository_doc: Option<ReferenceDoc>,
    global_briefing_doc: Option<ReferenceDoc>,
    task_overview: Option<Overview>,
}

/// The person whom agents can contact.
#[derive(Serialize)]
struct PrimaryUser {
    id: String,
    name: String,
    email: Option<String>,
}

/// An agent as other agents see it.
#[derive(Clone, Serialize)]
struct Teammate {
    id: Id<Agent>,
    slug: String,
    name: String,
    role: String,
}

/// A reference document.
#[derive(Serialize)]
struct ReferenceDoc {
    title: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotificationArgs {
    notification_id: Id<Notification>,
}

/// §2.8: returns `null` if the notification does not exist or belongs to another account.
fn get_notification(call: &Call<'_>) -> Answer {
    let args: NotificationArgs = call.args()?;
    let account = call.account_id();
    match call.tx.get::<Notification>(&args.notification_id)?.filter(|found| found.row.account_id == *account)
    {
        Some(notification) => value(&context(call, notification)?),
        None => Ok(Value::Null),
    }
}

fn context(call: &Call<'_>, notification: Doc<Notification>) -> Result<Context, StoreError> {
    let (tx, account, settings) = (call.tx, call.account_id(), &call.account.row.settings);
    let agent: Option<Doc<Agent>> = match notification.row.recipient_type.as_str() {
        "agent" => tx.get(&Id::new(notification.row.recipient_id.as_str()))?,
        _ => None,
    };
    // The session depends only on the task's id, so it exists even if the task was removed.
    let task_id = notification.row.task_id.as_ref();
    let session = agent.as_ref().map(|agent| sessions::ensure(tx, account, agent, task_id)).transpose()?;

    let task: Option<Doc<Task>> =
        read_optional(tx, task_id)?.filter(|task: &Doc<Task>| task.row.account_id == *account);
    let message =
        read_optional(tx, notification.row.message_id.as_ref())?.filter(|message: &Doc<Message>| {
            let in_thread = task.as_ref().is_none_or(|task| task.id == message.row.task_id);
            message.row.account_id == *account && in_thread
        });
    let source = message.as_ref().and_then(|message| message.row.source_notification_id.as_ref());
    let source: Option<Doc<Notification>> = read_optional(tx, source)?;

    let thread = match &task {
        Some(task) => thread::newest(tx, account, &task.id, THREAD.0)?,
        None => Vec::new(),
    };
    let mentionable_agents = team(tx, account)?;
    let is_assigned = |teammate: &&Teammate| {
        task.as_ref().is_some_and(|task| task.row.assigned_agent_ids.contains(&teammate.id))
    };
    let in_chat = task_id.is_some() && task_id == settings.orchestrator_chat_task_id.as_ref();
    let document = |title| reference(call, title);
    Ok(Context {
        source_notification_type: source.map(|source| source.row.kind),
        orchestrator_agent_id: settings.orchestrator_agent_id.clone(),
        primary_user_mention: primary_user(tx, account, task.as_ref(), &thread)?,
        assigned_agents: mentionable_agents.iter().filter(is_assigned).cloned().collect(),
        mentionable_agents,
        effective_behavior_flags: flags::effective(&call.account.row, agent.as_ref().map(|agent| &agent.row)),
        delivery_session_key: session,
        repository_doc: document(REPOSITORY)?,
        global_briefing_doc: if in_chat { document(BRIEFING)? } else { None },
        task_overview: if in_chat { Some(overview::of(tx, account)?) } else { None },
        thread: thread
            .into_iter()
            .map(|item| ThreadItem { content: cut(item.content, THREAD.1), ..item })
            .collect(),
        notification,
        agent,
        task,
        message,
    })
}

fn read_optional<R: Row>(tx: &Tx<'_>, id: Option<&Id<R>>) -> Result<Option<Doc<R>>, StoreError> {
    id.map_or(Ok(None), |id| tx.get(id))
}

/// All agents of the account, ordered by slug, or by name if an agent has no slug.
fn team(tx: &Tx<'_>, account: &Id<Account>) -> Result<Vec<Teammate>, StoreError> {
    let mut agents = reach::agents(tx, account)?;
    agents.sort_by_cached_key(|agent| {
        collation::key(if agent.row.slug.is_empty() { &agent.row.name } else { &agent.row.slug })
    });
    let teammate = |agent: Doc<Agent>| {
        let Agent { slug, name, role, .. } = agent.row;
        Teammate { id: agent.id, slug, name, role }
    };
    Ok(agents.into_iter().map(teammate).collect())
}

/// The member who wrote the last message by a person, otherwise the member who created the task.
fn primary_user(
    tx: &Tx<'_>,
    account: &Id<Account>,
    task: Option<&Doc<Task>>,
    thread: &[ThreadItem],
) -> Result<Option<PrimaryUser>, StoreError> {
    let Some(task) = task else { return Ok(None) };
    let last_by_person = thread.iter().rev().find(|item| item.author_type == "user");
    let id = last_by_person.map_or(&task.row.created_by, |item| &item.author_id);
    let member = reach::members(tx, account)?.into_iter().find(|member| member.row.user_id == *id);
    Ok(member.map(|member| PrimaryUser {
        id: member.row.user_id,
        name: member.row.user_name,
        email: Some(member.row.user_email),
    }))
}

/// The first reference document with this title or name. The original also returns deleted ones (contract D24).
fn reference(call: &Call<'_>, title: &str) -> Result<Option<ReferenceDoc>, StoreError> {
    let key = [Some(call.account_id().as_str()), Some("reference"), Some(title)];
    let mut documents: Vec<Doc<Document>> = call.tx.find(DOCUMENTS_BY_TITLE, &key).rows()?;
    documents.extend(call.tx.find(DOCUMENTS_BY_NAME, &key).rows()?);
    documents.retain(|document| call.options.original || document.row.deleted_at.is_none());
    let first = documents.into_iter().min_by(|one, other| one.created.total_cmp(&other.created));
    Ok(first.map(|Doc { row: Document { title, name, content, .. }, .. }| ReferenceDoc {
        title: title.or(name).unwrap_or_default(),
        content: cut(content.unwrap_or_default(), DOCUMENT_CHARS),
    }))
}

/// Cuts a text to its first `max` characters as JavaScript counts them, trims the end and adds an ellipsis. A
/// shorter text is unchanged. A character that counts as two is never split.
fn cut(text: String, max: usize) -> String {
    let mut remaining = max;
    let excess = text.char_indices().find(|(_, c)| match remaining.checked_sub(c.len_utf16()) {
        Some(left) => {
            remaining = left;
            false
        }
        None => true,
    });
    match excess {
        Some((end, _)) => format!("{}…", text[..end].trim_end_matches(is_space)),
        None => text,
    }
}
