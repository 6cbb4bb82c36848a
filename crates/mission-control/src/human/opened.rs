//! An open task: its row, the end of its thread, its activity and its documents.

use serde::Deserialize;
use serde_json::{Value, json};

use super::documents;
use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::rows::{Activity, Document, Message, Task};
use crate::rules::thread::{self, ThreadItem};
use crate::rules::{fields, reach};
use crate::store::{DOCUMENTS_OF_TASK, Doc, HAPPENED_TO, Id};

/// The number of messages in one response.
const MESSAGES: usize = 50;
/// The bytes of messages in one response. A message that exceeds the limit is sent alone.
const MESSAGE_BYTES: usize = 512 * 1024;
/// The number of activities, and of documents, in one response.
const ACTIVITIES: usize = 100;
const DOCUMENTS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenedArgs {
    task_id: String,
    before: Option<Id<Message>>,
}

/// The task with this id, if the text is a task's id and the account has the task.
pub(super) fn find(call: &Call<'_>, id: &str) -> Result<Option<Doc<Task>>, Refusal> {
    let Some(id) = Id::<Task>::parse(id) else { return Ok(None) };
    Ok(reach::own_task(call, &id)?)
}

/// One task; `null` if it does not exist.
pub(super) fn task(call: &Call<'_>) -> Answer {
    let args: OpenedArgs = call.args()?;
    Ok(json!(opened(call, &args.task_id)?))
}

/// Everything that an open task shows; `None` if the task does not exist.
pub(super) fn opened(call: &Call<'_>, id: &str) -> Result<Option<Value>, Refusal> {
    let Some(task) = find(call, id)? else { return Ok(None) };
    let key = [Some(call.account_id().as_str()), Some("task"), Some(task.id.as_str())];
    let history: Vec<Doc<Activity>> =
        call.tx.find(HAPPENED_TO, &key).newest_first().limit(ACTIVITIES).rows()?;
    let found = call.tx.find::<Document>(DOCUMENTS_OF_TASK, &[Some(task.id.as_str())]).newest_first();
    let documents = found.limit(DOCUMENTS).rows()?.into_iter();
    let documents = documents.filter(|document| document.row.deleted_at.is_none()).map(documents::entry);
    let documents: Vec<Value> = documents.collect::<Result<_, _>>()?;
    let (thread, earlier) = end_of_thread(call, &task.id, None)?;
    let mut opened = shown(task)?;
    opened["thread"] = value(&thread)?;
    opened["earlier"] = json!(earlier);
    opened["activities"] = value(&history)?;
    opened["documents"] = json!(documents);
    Ok(Some(opened))
}

/// The task with a readable number of labels, and the number of omitted labels.
pub(super) fn shown(mut task: Doc<Task>) -> Answer {
    let all = task.row.labels.len();
    fields::bound_labels(&mut task.row.labels, fields::LABELS);
    let left_off = all - task.row.labels.len();
    Ok(json!({"task": value(&task)?, "labelsLeftOff": left_off}))
}

/// The messages before one that the page has.
pub(super) fn earlier(call: &Call<'_>) -> Answer {
    let args: OpenedArgs = call.args()?;
    let nothing = json!({"thread": [], "earlier": false});
    let Some(task) = find(call, &args.task_id)? else { return Ok(nothing) };
    let first = args.before.map(|id| call.tx.get(&id)).transpose()?.flatten();
    let Some(first) = first.filter(|first| first.row.task_id == task.id) else { return Ok(nothing) };
    let (thread, earlier) = end_of_thread(call, &task.id, Some(first.created))?;
    Ok(json!({"thread": thread, "earlier": earlier}))
}

/// The last messages of a thread, or the last before a point in time, within the limits; and whether earlier ones
/// exist.
fn end_of_thread(
    call: &Call<'_>,
    task: &Id<Task>,
    before: Option<f64>,
) -> Result<(Vec<ThreadItem>, bool), Refusal> {
    let mut messages = thread::newest_messages(call.tx, task, before, MESSAGES + 1)?;
    let mut bytes = 0;
    let fitting = messages.iter().rev().take(MESSAGES).take_while(|message| {
        bytes += message.row.content.len();
        bytes <= MESSAGE_BYTES
    });
    let kept = fitting.count().max(1).min(messages.len());
    let earlier = messages.len() > kept;
    messages.drain(..messages.len() - kept);
    Ok((thread::items(call.tx, call.account_id(), messages)?, earlier))
}
