//! The columns of the board in windows, and a search across all columns.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Refusal;
use crate::call::{Answer, Call, value};
use crate::number;
use crate::rows::Task;
use crate::rules::limit::{clamp, take};
use crate::rules::{fields, reach, status};
use crate::store::{Card, ColumnPosition, Doc, Id, StoreError};
use mcr_model::TaskStatus;

/// The number of tasks in one window of a column.
pub(super) const COLUMN_WINDOW: usize = 50;
/// The maximum number of tasks in each column of a search result.
const MAX_FOUND: f64 = 1_000.0;
/// The characters of a title and of a blocked reason on a card.
const CARD_CHARS: usize = 300;
/// The limits of the labels on a card.
const CARD_LABELS: fields::LabelLimits = fields::LabelLimits { count: 8, chars: 60 };

/// The first window of every column.
pub(super) struct Columns {
    /// The number of tasks in each column.
    pub(super) counts: Value,
    /// The cards of all windows, in the order of their columns.
    pub(super) tasks: Vec<Value>,
    /// For each column, whether more tasks follow its window.
    pub(super) more: Value,
}

/// Reads one window of every column.
pub(super) fn windows(call: &Call<'_>, limit: usize) -> Result<Columns, Refusal> {
    let (mut tasks, mut more) = (Vec::new(), Map::new());
    for status in TaskStatus::ALL {
        let (window, has_more) = window(call, *status, None, limit)?;
        tasks.extend(window);
        more.insert(status.as_str().to_owned(), json!(has_more));
    }
    Ok(Columns { counts: counts(call)?, tasks, more: more.into() })
}

/// The number of tasks in each column.
pub(super) fn counts(call: &Call<'_>) -> Answer {
    let chat = unlabelled_chat(call)?;
    let mut counts = Map::new();
    for status in TaskStatus::ALL {
        let status = status.as_str();
        let all = call.tx.count_column(call.account_id(), status)?;
        let chats = usize::from(chat.as_ref().is_some_and(|chat| chat.row.status == status));
        counts.insert(status.to_owned(), json!(all - chats));
    }
    Ok(counts.into())
}

/// The chat with the orchestrator, if it has no label and only the account's settings identify it.
fn unlabelled_chat(call: &Call<'_>) -> Result<Option<Doc<Task>>, StoreError> {
    let Some(id) = &call.account.row.settings.orchestrator_chat_task_id else { return Ok(None) };
    let label = mcr_model::Task::ORCHESTRATOR_CHAT;
    Ok(reach::own_task(call, id)?.filter(|task| task.row.labels.iter().all(|own| own != label)))
}

/// The next cards of a column, and whether more follow.
fn window(
    call: &Call<'_>,
    status: TaskStatus,
    after: Option<ColumnPosition>,
    limit: usize,
) -> Result<(Vec<Value>, bool), Refusal> {
    // Two extra rows: one shows whether more follow, and one may be the chat.
    let mut tasks = call.tx.column(call.account_id(), status.as_str(), after, limit + 2)?;
    tasks.retain(|task| !reach::is_orchestrator_chat(&call.account, task));
    let has_more = tasks.len() > limit;
    tasks.truncate(limit);
    Ok((tasks.into_iter().map(card).collect::<Result<_, _>>()?, has_more))
}

/// A task as the board shows it: without its description, and with limits on all other fields.
pub(super) fn card(mut task: Doc<Task>) -> Answer {
    let row = &mut task.row;
    row.description = None;
    row.metadata = None;
    cut(&mut row.title, CARD_CHARS);
    if let Some(reason) = &mut row.blocked_reason {
        cut(reason, CARD_CHARS);
    }
    fields::bound_labels(&mut row.labels, CARD_LABELS);
    dedup(&mut row.assigned_agent_ids);
    dedup(&mut row.assigned_user_ids);
    value(&task)
}

fn dedup<T: Clone + Eq + Hash>(list: &mut Vec<T>) {
    let mut seen = HashSet::new();
    list.retain(|one| seen.insert(one.clone()));
}

fn cut(text: &mut String, chars: usize) {
    if let Some((at, _)) = text.char_indices().nth(chars) {
        text.truncate(at);
        text.push('\u{2026}');
    }
}

/// The position in a list after which the caller requests more: one number for each sort field of the list.
pub(super) fn position<const N: usize>(call: &Call<'_>) -> Result<Option<[f64; N]>, Refusal> {
    let Some(after) = call.args.get("after").and_then(Value::as_array) else { return Ok(None) };
    let numbers: Vec<f64> = after.iter().filter_map(number::read).collect();
    let position = numbers.try_into();
    position.map(Some).map_err(|_| Refusal::thrown(format!("Invalid after: expected {N} numbers")))
}

#[derive(Deserialize)]
struct ColumnArgs {
    #[serde(deserialize_with = "status::deserialize")]
    status: TaskStatus,
}

/// The next window of one column, after the position `[priority, updatedAt, _creationTime]`.
pub(super) fn column(call: &Call<'_>) -> Answer {
    let args: ColumnArgs = call.args()?;
    let after = position(call)?
        .map(|[priority, updated_at, created]| ColumnPosition::new(priority, updated_at, created));
    let (tasks, more) = window(call, args.status, after, COLUMN_WINDOW)?;
    Ok(json!({"tasks": tasks, "more": more}))
}

#[derive(Deserialize)]
struct Search {
    words: String,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// The tasks that contain all words in their title, their labels or the names of their assignees: the number in each
/// column, and the first tasks of each.
pub(super) fn search(call: &Call<'_>) -> Answer {
    let args: Search = call.args()?;
    let limit = take(clamp(args.limit.unwrap_or(50.0).floor(), 1.0, MAX_FOUND))?;
    let words = args.words.to_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let people = names(call)?;
    let chat = call.account.row.settings.orchestrator_chat_task_id.as_ref();
    let mut found: HashMap<String, Vec<(ColumnPosition, String)>> = HashMap::new();
    let mut text = String::new();
    call.tx.each_card(call.account_id(), |id, created, card| {
        let is_chat = card.labels.iter().any(|label| label == mcr_model::Task::ORCHESTRATOR_CHAT);
        if is_chat || chat.is_some_and(|chat| *chat == *id) {
            return;
        }
        describe(&mut text, &card, &people);
        if words.iter().all(|word| text.contains(word)) {
            let position = ColumnPosition::new(card.priority, card.updated_at, created);
            found.entry(card.status.into_owned()).or_default().push((position, id.to_owned()));
        }
    })?;
    let (mut counts, mut more, mut tasks) = (Map::new(), Map::new(), Vec::new());
    for column in TaskStatus::ALL {
        let mut matches = found.remove(column.as_str()).unwrap_or_default();
        counts.insert(column.as_str().to_owned(), json!(matches.len()));
        more.insert(column.as_str().to_owned(), json!(matches.len() > limit));
        matches.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (_, id) in matches.into_iter().take(limit) {
            tasks.extend(reach::own_task(call, &Id::new(id))?.map(card).transpose()?);
        }
    }
    Ok(json!({"counts": counts, "tasks": tasks, "more": more}))
}

/// The searchable names of people and agents, by id.
fn names(call: &Call<'_>) -> Result<HashMap<String, String>, StoreError> {
    let agents = reach::agents(call.tx, call.account_id())?
        .into_iter()
        .map(|agent| (agent.id.to_string(), format!("{} {}", agent.row.name, agent.row.slug).to_lowercase()));
    let members = reach::members(call.tx, call.account_id())?.into_iter();
    let members = members.map(|member| (member.row.user_id, member.row.user_name.to_lowercase()));
    Ok(agents.chain(members).collect())
}

/// Appends the searchable text of a card to `text`.
fn describe(text: &mut String, card: &Card<'_>, names: &HashMap<String, String>) {
    text.clear();
    text.push_str(&card.title.to_lowercase());
    let fields::LabelLimits { count, chars } = fields::LABELS;
    let own = card.labels.iter().filter(|label| !label.starts_with("system:"));
    for label in own.take(count) {
        text.push(' ');
        text.extend(label.chars().take(chars).flat_map(char::to_lowercase));
    }
    for id in card.assigned_agent_ids.iter().chain(&card.assigned_user_ids) {
        if let Some(name) = names.get(id.as_str()) {
            text.push(' ');
            text.push_str(name);
        }
    }
}
