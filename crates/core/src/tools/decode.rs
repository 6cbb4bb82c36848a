//! Turns the text of a call into a request, or into a sentence by which the agent can correct the call.
//!
//! The table declares the type of each field, and `fields` checks the arguments against it. This file has the
//! rules of each tool. `null` counts as left out, and so does a blank text in an optional field, because
//! models tend to fill in every field. Where the specification fixes a sentence, that sentence is used.

mod fields;

pub use fields::Fields;

use super::request::{Changes, DocumentContent, Draft, ToolRequest};
use super::{ToolError, ToolErrorKind, ToolName};
use mcr_model::TaskStatus::{self, Blocked};
use mcr_model::{AgentId, DocumentId, TaskId, UserId, limits};

/// The refusal of every unknown status.
const STATUS: &str = "Invalid status: must be one of in_progress, review, done, blocked";
const NO_FIELD: &str = "At least one field (title, description, priority, labels, assignedAgentIds, \
                        assignedUserIds, status, dueDate) must be provided";

/// Decodes a call of the tool `name` with its arguments as JSON text. `current` is the task of the
/// conversation; it is the default of some tools.
pub fn decode(name: &str, arguments: &str, current: Option<&TaskId>) -> Result<ToolRequest, ToolError> {
    let Ok(tool) = name.parse() else {
        return Err(ToolError::new(ToolErrorKind::UnknownTool, &format!("Unknown tool: {name}")));
    };
    decode_call(tool, arguments, current)
}

/// Decodes a call of this tool; `current` is as in [`decode`].
pub fn decode_call(
    tool: ToolName,
    arguments: &str,
    current: Option<&TaskId>,
) -> Result<ToolRequest, ToolError> {
    let fields = Fields::read(tool.row().call(), arguments)?;
    match tool {
        ToolName::TaskStatus => task_status(&fields, current),
        ToolName::TaskUpdate => task_update(&fields, current),
        ToolName::TaskCreate => task_create(&fields),
        ToolName::DocumentUpsert => document_upsert(&fields, current),
        ToolName::ResponseRequest => response_request(&fields, current),
        ToolName::DocumentList => Ok(ToolRequest::DocumentList {
            task_id: fields.filled("taskId").map(TaskId::new),
            kind: fields.choice("type", "Invalid type: must be deliverable, note, template, or reference")?,
            limit: fields.count("limit")?,
        }),
        ToolName::GetAgentSkills => {
            Ok(ToolRequest::GetAgentSkills { agent_id: fields.filled("agentId").map(ToOwned::to_owned) })
        }
        ToolName::TaskLoad => Ok(ToolRequest::TaskLoad {
            task_id: task_named(&fields)?,
            message_limit: fields.count("messageLimit")?,
        }),
        ToolName::TaskHistory => Ok(ToolRequest::TaskHistory {
            task_id: task_named(&fields)?,
            message_limit: fields.count("messageLimit")?,
            activity_limit: fields.count("activityLimit")?,
        }),
        ToolName::TaskAssign => Ok(ToolRequest::TaskAssign {
            task_id: task_named(&fields)?,
            assignee_slugs: some_slugs(&fields, "assigneeSlugs", str::to_lowercase)?,
        }),
        ToolName::TaskMessage => {
            let (task_id, content) = both(&fields, "content", "content is required")?;
            within(
                content,
                "content",
                limits::MESSAGE_CHARS,
                "Message content too long (max 100000 characters)",
            )?;
            Ok(ToolRequest::TaskMessage { task_id, content: content.to_owned() })
        }
        ToolName::TaskList => Ok(ToolRequest::TaskList {
            status: fields.choice(
                "status",
                "Invalid status: must be inbox, assigned, in_progress, review, done, blocked, or archived",
            )?,
            assignee_slug: fields.filled("assigneeSlug").map(|slug| bare(slug).to_lowercase()),
            limit: fields.count("limit")?,
        }),
        ToolName::TaskGet => Ok(ToolRequest::TaskGet { task_id: task_named(&fields)? }),
        ToolName::TaskThread => {
            Ok(ToolRequest::TaskThread { task_id: task_named(&fields)?, limit: fields.count("limit")? })
        }
        ToolName::TaskSearch => {
            let query = fields.needed("query", "query is required")?.to_owned();
            Ok(ToolRequest::TaskSearch { query, limit: fields.count("limit")? })
        }
        ToolName::TaskDelete => {
            let (task_id, reason) = both(&fields, "reason", "reason is required for archival")?;
            within(reason, "reason", limits::REASON_CHARS, "reason must be at most 2000 characters")?;
            Ok(ToolRequest::TaskDelete { task_id, reason: reason.to_owned() })
        }
        ToolName::TaskLinkPr => {
            let task_id = task_named(&fields)?;
            let number = fields.number("prNumber").ok_or_else(|| {
                ToolError::malformed("prNumber", "prNumber is required and must be numeric")
            })?;
            let pr_number = fields::whole(number)
                .filter(|number| *number > 0)
                .ok_or_else(|| ToolError::invalid("prNumber", "prNumber must be a positive whole number"))?;
            Ok(ToolRequest::TaskLinkPr { task_id, pr_number })
        }
    }
}

fn task_status(fields: &Fields, current: Option<&TaskId>) -> Result<ToolRequest, ToolError> {
    let task_id = task_or_current(fields, current)?;
    let Some(status) = fields.choice::<TaskStatus>("status", STATUS)? else {
        return Err(ToolError::malformed("status", STATUS));
    };
    let blocked_reason =
        reason_for(Some(status), fields, "blockedReason is required when status is blocked")?;
    Ok(ToolRequest::TaskStatus { task_id, status, blocked_reason })
}

fn task_update(fields: &Fields, current: Option<&TaskId>) -> Result<ToolRequest, ToolError> {
    let task_id = task_or_current(fields, current)?;
    let ids = |name| fields.list(name).map(|list| fields::once(list, |id| bare(id).to_owned()));
    let changes = Changes {
        title: title(fields)?,
        description: description(fields)?,
        priority: fields.priority()?,
        labels: labels(fields)?,
        assigned_agent_ids: ids("assignedAgentIds").map(|ids| ids.into_iter().map(AgentId::new).collect()),
        assigned_user_ids: ids("assignedUserIds").map(|ids| ids.into_iter().map(UserId::new).collect()),
        status: fields.choice("status", STATUS)?,
        blocked_reason: None,
        due_date: fields.instant("dueDate")?,
    };
    if changes == Changes::default() {
        return Err(ToolError::new(ToolErrorKind::Malformed, NO_FIELD));
    }
    let words = "blockedReason is required when status is 'blocked'";
    let blocked_reason = reason_for(changes.status, fields, words)?;
    Ok(ToolRequest::TaskUpdate { task_id, changes: Box::new(Changes { blocked_reason, ..changes }) })
}

fn task_create(fields: &Fields) -> Result<ToolRequest, ToolError> {
    fields.needed("title", "title is required")?;
    let status = fields
        .choice("status", "Invalid status: must be inbox, assigned, in_progress, review, done, or blocked")?;
    Ok(ToolRequest::TaskCreate(Box::new(Draft {
        title: title(fields)?.unwrap_or_default(),
        description: description(fields)?,
        priority: fields.priority()?,
        labels: labels(fields)?.unwrap_or_default(),
        status,
        blocked_reason: reason_for(status, fields, "blockedReason is required when status is blocked")?,
        due_date: fields.instant("dueDate")?,
        assignee_slugs: slugs(fields, "assigneeSlugs", str::to_lowercase),
    })))
}

fn document_upsert(fields: &Fields, current: Option<&TaskId>) -> Result<ToolRequest, ToolError> {
    const WORDS: &str = "title, content, and type (deliverable|note|template|reference) are required";
    let missing = |name| ToolError::malformed(name, WORDS);
    if fields.filled("title").is_none() {
        return Err(missing("title"));
    }
    let document_id = fields.filled("documentId").map(DocumentId::new);
    // An empty text empties an existing document; a new document without a text is an error.
    let may_be_empty = document_id.is_some();
    let content = fields.raw("content").filter(|text| may_be_empty || !text.is_empty());
    let content = content.ok_or_else(|| missing("content"))?;
    let kind = fields.choice("type", WORDS)?.ok_or_else(|| missing("type"))?;
    within(content, "content", limits::DOCUMENT_CHARS, "Content too long (max 1000000 characters)")?;
    if content.len() > DOCUMENT_BYTES {
        return Err(ToolError::invalid(
            "content",
            "Content too long (max about 1 MB in UTF-8): split it into several documents",
        ));
    }
    let named = fields.filled("taskId").map(TaskId::new);
    Ok(ToolRequest::DocumentUpsert(Box::new(DocumentContent {
        // A new document belongs to the task of the conversation. An existing one keeps its task, which `run`
        // looks up.
        task_id: if document_id.is_none() { named.or_else(|| current.cloned()) } else { named },
        document_id,
        title: title(fields)?.unwrap_or_default(),
        content: content.to_owned(),
        kind,
    })))
}

/// The backend stores a document in one row of at most 1 MiB, including its other fields.
const DOCUMENT_BYTES: usize = 1_040_000;

fn response_request(fields: &Fields, current: Option<&TaskId>) -> Result<ToolRequest, ToolError> {
    let task_id = task_or_current(fields, current)?;
    let recipient_slugs = some_slugs(fields, "recipientSlugs", ToOwned::to_owned)?;
    let message = fields.needed("message", "message is required")?;
    let named =
        fields.list("recipientSlugs").map_or(0, |list| list.filter(|slug| !bare(slug).is_empty()).count());
    if named > limits::REQUEST_RECIPIENTS {
        return Err(ToolError::invalid("recipientSlugs", "Too many recipients: max 10 allowed per request"));
    }
    let words = "Message too long: max 1000 characters allowed";
    within(message, "message", limits::REQUEST_MESSAGE_CHARS, words)?;
    Ok(ToolRequest::ResponseRequest { task_id, recipient_slugs, message: message.to_owned() })
}

/// The named task, or the current one if none is named. A blank name is an error: the agent meant to name a
/// task.
fn task_or_current(fields: &Fields, current: Option<&TaskId>) -> Result<TaskId, ToolError> {
    match (fields.text("taskId"), current) {
        (None, Some(current)) => Ok(current.clone()),
        _ => task_named(fields),
    }
}

fn task_named(fields: &Fields) -> Result<TaskId, ToolError> {
    fields.needed("taskId", "taskId is required").map(TaskId::new)
}

/// A task and a text, for tools whose error sentence names both.
fn both<'a>(fields: &'a Fields, name: &'static str, words: &str) -> Result<(TaskId, &'a str), ToolError> {
    let missing =
        |field, words| ToolError::malformed(field, &format!("taskId and {name} are required: {words}"));
    let task = fields.filled("taskId").ok_or_else(|| missing("taskId", "taskId is required"))?;
    let text = fields.filled(name).ok_or_else(|| missing(name, words))?;
    Ok((TaskId::new(task), text))
}

fn title(fields: &Fields) -> Result<Option<String>, ToolError> {
    let Some(title) = fields.text("title") else { return Ok(None) };
    if title.is_empty() {
        return Err(ToolError::invalid("title", "title must not be blank: give a title or omit the field"));
    }
    within(title, "title", limits::TITLE_CHARS, "Title too long (max 2000 characters)")?;
    Ok(Some(title.to_owned()))
}

fn description(fields: &Fields) -> Result<Option<String>, ToolError> {
    // Blank counts as left out: models fill in every field far more often than they want to delete a
    // description.
    let Some(text) = fields.filled("description") else { return Ok(None) };
    within(text, "description", limits::DESCRIPTION_CHARS, "Description too long (max 100000 characters)")?;
    Ok(Some(text.to_owned()))
}

/// Labels are free, except the one that marks the conversation with the orchestrator in the backend (contract
/// D25).
fn labels(fields: &Fields) -> Result<Option<Vec<String>>, ToolError> {
    let Some(list) = fields.list("labels") else { return Ok(None) };
    let labels = fields::once(list, ToOwned::to_owned);
    let reserved = mcr_model::Task::ORCHESTRATOR_CHAT;
    if labels.iter().any(|label| label == reserved) {
        return Err(ToolError::invalid(
            "labels",
            &format!("Invalid labels: {reserved} is reserved. Remove it"),
        ));
    }
    Ok(Some(labels))
}

/// The reason for `blocked`: required with that status, ignored with any other.
fn reason_for(status: Option<TaskStatus>, fields: &Fields, words: &str) -> Result<Option<String>, ToolError> {
    let reason = fields.text("blockedReason").unwrap_or_default();
    within(reason, "blockedReason", limits::REASON_CHARS, "blockedReason must be at most 2000 characters")?;
    match status {
        Some(Blocked) if reason.is_empty() => Err(ToolError::invalid("blockedReason", words)),
        Some(Blocked) => Ok(Some(reason.to_owned())),
        _ => Ok(None),
    }
}

/// The slug without the characters that people add around it. All of them are removed, so a second call
/// changes nothing.
pub fn bare(slug: &str) -> &str {
    slug.trim_start_matches(|letter: char| letter == '@' || letter.is_whitespace()).trim_end()
}

fn slugs(fields: &Fields, name: &str, case: fn(&str) -> String) -> Vec<String> {
    fields.list(name).map_or_else(Vec::new, |list| fields::once(list, |slug| case(bare(slug))))
}

fn some_slugs(
    fields: &Fields,
    name: &'static str,
    case: fn(&str) -> String,
) -> Result<Vec<String>, ToolError> {
    let slugs = slugs(fields, name, case);
    if slugs.is_empty() {
        return Err(ToolError::malformed(name, &format!("{name} is required")));
    }
    Ok(slugs)
}

fn within(text: &str, field: &'static str, most: usize, words: &str) -> Result<(), ToolError> {
    if limits::chars(text) <= most { Ok(()) } else { Err(ToolError::invalid(field, words)) }
}
