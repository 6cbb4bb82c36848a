//! Agents write and list documents (backend-contract §2.28, §2.29).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, Function, TOKEN};
use crate::number;
use crate::rows::{Agent, Document, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::limit::{at_most, clamp, take};
use crate::rules::{fields, flags, reach};
use crate::store::{DOCUMENTS, DOCUMENTS_OF_TASK, Doc, Id, StoreError, Table};
use crate::validate::{Is, may, need};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::service_write(
        "service/actions:createDocumentFromAgent",
        &[
            ACCOUNT,
            TOKEN,
            need("agentId", Is::Id(Table::Agents)),
            may("documentId", Is::Id(Table::Documents)),
            may("taskId", Is::Id(Table::Tasks)),
            need("title", Is::Text),
            need("content", Is::Text),
            need("type", fields::DOCUMENT_TYPE),
        ],
        write,
    ),
    Function::service_read(
        "service/actions:listDocumentsForAgent",
        &[
            ACCOUNT,
            TOKEN,
            may("taskId", Is::Id(Table::Tasks)),
            may("type", fields::DOCUMENT_TYPE),
            may("limit", Is::Number),
        ],
        list,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WriteArgs {
    agent_id: Id<Agent>,
    document_id: Option<Id<Document>>,
    task_id: Option<Id<Task>>,
    title: String,
    content: String,
    #[serde(rename = "type")]
    document_type: String,
}

/// §2.28.
fn write(call: &Call<'_>) -> Answer {
    let args: WriteArgs = call.args()?;
    let agent = reach::agent(call, &args.agent_id)?;
    ensure!(
        flags::allows(&call.account.row, &agent.row, "canCreateDocuments"),
        "Forbidden: Agent is not allowed to create documents"
    );
    if let Some(id) = &args.task_id {
        let is_own = reach::own_task(call, id)?.is_some();
        ensure!(is_own, "Not found: Task does not exist or belongs to different account");
    }
    fields::check_document(Some(&args.title), Some(&args.content))?;
    let document = match args.document_id.clone() {
        Some(id) => overwrite(call, &agent, &id, args)?,
        None => create(call, &agent, args)?,
    };
    Ok(json!({"documentId": document.id}))
}

fn create(call: &Call<'_>, agent: &Doc<Agent>, args: WriteArgs) -> Result<Doc<Document>, Refusal> {
    let document = call.tx.insert(Document {
        account_id: call.account_id().clone(),
        kind: Some("file".to_owned()),
        task_id: args.task_id,
        title: Some(args.title),
        content: Some(args.content),
        document_type: Some(args.document_type),
        author_type: "agent".to_owned(),
        author_id: agent.id.to_string(),
        version: Some(1.0),
        created_at: call.now(),
        updated_at: call.now(),
        ..Document::default()
    })?;
    let mut meta = Map::new();
    meta.extend(document.row.document_type.as_ref().map(|word| ("type".to_owned(), json!(word))));
    meta.extend(document.row.task_id.as_ref().map(|id| ("taskId".to_owned(), json!(id))));
    record(call, agent, &document, "document_created", Value::Object(meta))?;
    Ok(document)
}

/// Replaces title, content, type and task. An absent task removes the document from its task (contract D17). Folders
/// and deleted documents can be overwritten; deleted ones stay deleted.
fn overwrite(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    id: &Id<Document>,
    args: WriteArgs,
) -> Result<Doc<Document>, Refusal> {
    let Some(mut document) = call.tx.get(id)? else {
        return Err(Refusal::thrown("Not found: Document does not exist"));
    };
    let is_own = document.row.account_id == *call.account_id();
    ensure!(is_own, "Forbidden: Document belongs to different account");
    let row = &mut document.row;
    let differs = row.content.as_deref() != Some(&args.content);
    let version = row.version.unwrap_or(1.0) + if differs { 1.0 } else { 0.0 };
    row.title = Some(args.title);
    row.content = Some(args.content);
    row.document_type = Some(args.document_type);
    row.task_id = args.task_id;
    row.version = Some(version);
    row.updated_at = call.now();
    call.tx.put(&document)?;
    let meta = json!({"versionIncrement": differs, "newVersion": version});
    record(call, agent, &document, "document_updated", meta)?;
    Ok(document)
}

fn record(
    call: &Call<'_>,
    agent: &Doc<Agent>,
    document: &Doc<Document>,
    kind: &str,
    meta: Value,
) -> Result<(), StoreError> {
    let name = document.row.title.as_deref();
    let target = Target { kind: "document", id: document.id.as_str(), name };
    activity::record(call.tx, call.account_id(), kind, &Actor::agent(agent), &target, Some(meta))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListDocumentsArgs {
    task_id: Option<Id<Task>>,
    #[serde(rename = "type")]
    document_type: Option<String>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// A document in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "_id")]
    id: Id<Document>,
    title: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    document_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<Id<Task>>,
    updated_at: f64,
}

impl From<Doc<Document>> for Entry {
    fn from(document: Doc<Document>) -> Self {
        let Document { name, title, document_type, task_id, updated_at, .. } = document.row;
        let mut names = [name, title].into_iter().flatten().filter(|name| !name.is_empty());
        let title = names.next().unwrap_or_else(|| "Untitled".to_owned());
        Self { id: document.id, title, document_type, task_id, updated_at }
    }
}

/// §2.29.
fn list(call: &Call<'_>) -> Answer {
    let args: ListDocumentsArgs = call.args()?;
    let limit = clamp(args.limit.unwrap_or(50.0).floor(), 1.0, 100.0);
    let cap = if args.task_id.is_some() { 200.0 } else { 100.0 };
    let (limit, reads) = (take(limit)?, take(at_most(limit * 2.0, cap))?);
    let found = match &args.task_id {
        Some(id) if reach::own_task(call, id)?.is_none() => return Ok(json!({"documents": []})),
        Some(id) => call.tx.find::<Document>(DOCUMENTS_OF_TASK, &[Some(id.as_str())]),
        None => call.tx.find(DOCUMENTS, &[Some(call.account_id().as_str())]),
    };
    // The original limits the rows before it filters them, so it can omit matching documents (contract D20).
    let found = if call.options.original { found.limit(reads) } else { found };
    let documents = found.newest_first().rows()?.into_iter().filter(|document| {
        let row = &document.row;
        let fits = args.document_type.is_none() || row.document_type == args.document_type;
        fits && row.deleted_at.is_none() && row.account_id == *call.account_id()
    });
    let entries: Vec<Entry> = documents.take(limit).map(Entry::from).collect();
    Ok(json!({"documents": value(&entries)?}))
}
