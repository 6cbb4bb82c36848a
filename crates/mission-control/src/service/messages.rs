//! What agents write in threads, and what the orchestrator reads there (backend-contract §2.12, §2.13, §2.23, §2.35).

use serde::Deserialize;
use serde_json::json;

use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, DataAccess, Function, Guard, Kind, TOKEN};
use crate::number;
use crate::rows::{Agent, Message, Notification, Stored, Task, Upload};
use crate::rules::attachments::{self, AttachmentArg};
use crate::rules::post::{self, Draft};
use crate::rules::{limit, reach, thread};
use crate::store::{Doc, Id, Table};
use crate::validate::{Arg, Is, may, need};
use mcr_model::limits;

/// The agent that acts.
const AGENT: Arg = need("agentId", Is::Id(Table::Agents));
/// The task whose thread is meant.
const TASK: Arg = need("taskId", Is::Id(Table::Tasks));

/// The functions of this file.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        path: "service/actions:createMessageFromAgent",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Writes,
        args: &[
            ACCOUNT,
            TOKEN,
            TASK,
            AGENT,
            need("content", Is::Text),
            may("suppressAgentNotifications", Is::Bool),
            may("attachments", Is::List(&Is::Object(attachments::ARGS))),
            may("sourceNotificationId", Is::Id(Table::Notifications)),
        ],
        run: create_message,
    },
    Function {
        path: "service/actions:createTaskMessageForAgentTool",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Writes,
        args: &[ACCOUNT, TOKEN, AGENT, TASK, need("content", Is::Text)],
        run: create_task_message,
    },
    Function {
        path: "service/actions:listTaskThreadForAgentTool",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Reads,
        args: &[ACCOUNT, TOKEN, AGENT, TASK, may("limit", Is::Number)],
        run: list_task_thread,
    },
    Function {
        path: "service/actions:registerMessageUploadFromAgent",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Writes,
        args: &[ACCOUNT, TOKEN, TASK, AGENT, need("storageId", Is::Id(Table::Storage))],
        run: register_upload,
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServicePostArgs {
    task_id: Id<Task>,
    agent_id: Id<Agent>,
    content: String,
    #[serde(default)]
    suppress_agent_notifications: bool,
    #[serde(default)]
    attachments: Vec<AttachmentArg>,
    source_notification_id: Option<Id<Notification>>,
}

/// §2.12: posts a message of an agent in a task's thread.
fn create_message(call: &Call<'_>) -> Answer {
    let args: ServicePostArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    let task = reach::task(call, &args.task_id)?;
    let draft = Draft {
        content: args.content,
        attachments: args.attachments,
        answers: args.source_notification_id,
        suppressed: args.suppress_agent_notifications,
    };
    posted(post::by_agent(call, &agent, task, draft))
}

/// §2.13: posts a text of the orchestrator in any task's thread, without attachments and without a notification that
/// it answers.
fn create_task_message(call: &Call<'_>) -> Answer {
    let args: ServicePostArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "post task messages")?;
    let task = reach::task(call, &args.task_id)?;
    posted(post::by_agent(call, &agent, task, Draft { content: args.content, ..Draft::default() }))
}

fn posted(message: Result<Id<Message>, Refusal>) -> Answer {
    Ok(json!({"messageId": message?}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceThreadArgs {
    agent_id: Id<Agent>,
    task_id: Id<Task>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// §2.23: the thread of a task that does not exist is empty.
fn list_task_thread(call: &Call<'_>) -> Answer {
    let args: ServiceThreadArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    reach::be_orchestrator(call, &agent, "read threads")?;
    let task: Option<Doc<Task>> = call.tx.get(&args.task_id)?;
    if task.is_none_or(|task| task.row.account_id != *call.account_id()) {
        return Ok(json!([]));
    }
    let limit = limit::take(limit::at_most(args.limit.unwrap_or(50.0), limits::LIST_ROWS.into()))?;
    value(&thread::newest(call.tx, call.account_id(), &args.task_id, limit)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "these are the arguments' own names")]
struct UploadArgs {
    task_id: Id<Task>,
    agent_id: Id<Agent>,
    storage_id: Id<Stored>,
}

/// §2.35: registers a stored file as an upload of a task. A repeated call returns the existing upload.
fn register_upload(call: &Call<'_>) -> Answer {
    let args: UploadArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    let task = reach::task(call, &args.task_id)?;
    if call.tx.get(&args.storage_id)?.is_none() {
        return Err(Refusal::thrown("Not found: Upload does not exist in storage"));
    }
    let upload = match attachments::registered(call.tx, &task, &args.storage_id)? {
        Some(upload) => upload,
        None => call.tx.insert(Upload {
            account_id: call.account_id().clone(),
            task_id: task.id,
            storage_id: args.storage_id,
            created_by_type: "agent".to_owned(),
            created_by: agent.id.to_string(),
            created_at: call.now(),
        })?,
    };
    Ok(json!({"uploadId": upload.id}))
}
