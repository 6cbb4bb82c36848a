//! A person's documents (backend-contract §3.7). Two reference documents are special by their titles (§3.8). Every
//! agent gets "Repository — Primary" with every task. The orchestrator gets "Account Briefing" in its chat.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::columns::position;
use super::snapshot::title_of;
use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call, Given, value};
use crate::function::{ACCOUNT, Function, done};
use crate::rows::{Document, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::{fields, reach};
use crate::service::context::{BRIEFING, REPOSITORY};
use crate::store::{DOCUMENTS, DOCUMENTS_BY_TITLE, DOCUMENTS_OF_TASK, Doc, Id, Table};
use crate::validate::{Arg, Is, may, need};

/// The number of documents in one window of the list.
const WINDOW: usize = 100;
const DOCUMENT: Arg = need("documentId", Is::Id(Table::Documents));

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query(
        "documents:list",
        &[ACCOUNT, may("taskId", Is::Id(Table::Tasks)), may("type", fields::DOCUMENT_TYPE)],
        list,
    ),
    Function::query("documents:get", &[ACCOUNT, DOCUMENT], get),
    Function::mutation(
        "documents:create",
        &[
            ACCOUNT,
            need("title", Is::Text),
            need("content", Is::Text),
            need("type", fields::DOCUMENT_TYPE),
            may("taskId", Is::Id(Table::Tasks)),
        ],
        create,
    ),
    Function::mutation(
        "documents:update",
        &[
            ACCOUNT,
            DOCUMENT,
            may("title", Is::Text),
            may("content", Is::Text),
            may("type", fields::DOCUMENT_TYPE),
            may("taskId", Is::OrNull(&Is::Id(Table::Tasks))),
        ],
        update,
    ),
    Function::mutation("documents:remove", &[ACCOUNT, DOCUMENT], remove),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentFilter {
    task_id: Option<Id<Task>>,
    #[serde(rename = "type")]
    document_type: Option<String>,
}

/// All documents, last changed first. Contents are omitted, so that long lists stay small.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let filter: DocumentFilter = call.args()?;
    let found = match &filter.task_id {
        Some(id) => call.tx.find::<Document>(DOCUMENTS_OF_TASK, &[Some(id.as_str())]),
        None => call.tx.find(DOCUMENTS, &[Some(call.account_id().as_str())]),
    };
    let documents = found.newest_first().rows()?.into_iter().filter(|document| {
        let row = &document.row;
        let fits = filter.document_type.is_none() || row.document_type == filter.document_type;
        fits && row.deleted_at.is_none() && row.account_id == *call.account_id()
    });
    documents.map(entry).collect()
}

/// A document without its content.
pub(super) fn entry(mut document: Doc<Document>) -> Answer {
    document.row.content = None;
    value(&document)
}

/// A document without its content, with the title of its task.
pub(super) fn line(call: &Call<'_>, document: Doc<Document>) -> Answer {
    let title = title_of(call, document.row.task_id.as_ref())?;
    let mut line = entry(document)?;
    if let Some(title) = title {
        line["taskTitle"] = json!(title);
    }
    Ok(line)
}

/// The next window of the list, last changed first: after the position `[updatedAt, _creationTime]`, or from the
/// start.
pub(super) fn window(call: &Call<'_>) -> Answer {
    let mut after: Option<[f64; 2]> = position(call)?;
    let mut documents: Vec<Doc<Document>> = Vec::new();
    loop {
        let mut found =
            call.tx.find::<Document>(DOCUMENTS, &[Some(call.account_id().as_str())]).newest_first();
        if let Some([changed, created]) = after {
            found = found.behind(changed, created);
        }
        let batch = found.limit(WINDOW + 1).rows()?;
        let is_last = batch.len() <= WINDOW;
        after = batch.last().map(|last| [last.row.updated_at, last.created]);
        let is_listed = |document: &Doc<Document>| {
            document.row.deleted_at.is_none() && document.row.kind.as_deref() != Some("folder")
        };
        documents.extend(batch.into_iter().filter(is_listed));
        if is_last || documents.len() > WINDOW {
            break;
        }
    }
    let more = documents.len() > WINDOW;
    documents.truncate(WINDOW);
    let lines: Vec<Value> =
        documents.into_iter().map(|document| line(call, document)).collect::<Result<_, _>>()?;
    Ok(json!({"documents": lines, "more": more, "special": special(call)?}))
}

/// Which of the special documents exist.
pub(super) fn special(call: &Call<'_>) -> Answer {
    let mut existing = Vec::new();
    for title in [REPOSITORY, BRIEFING] {
        let key = [Some(call.account_id().as_str()), Some("reference"), Some(title)];
        let found = call.tx.find::<Document>(DOCUMENTS_BY_TITLE, &key);
        if found.any(|document| document.row.deleted_at.is_none())? {
            existing.push(title);
        }
    }
    Ok(json!(existing))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneDocument {
    document_id: Id<Document>,
}

/// The document with this id. Refuses deleted documents and those of other accounts.
fn document(call: &Call<'_>, id: &Id<Document>) -> Result<Doc<Document>, Refusal> {
    let document = call.tx.get(id)?.filter(|document: &Doc<Document>| document.row.deleted_at.is_none());
    let Some(document) = document else {
        return Err(Refusal::thrown("Not found: Document does not exist"));
    };
    let is_own = document.row.account_id == *call.account_id();
    ensure!(is_own, "Forbidden: Document belongs to different account");
    Ok(document)
}

/// The complete document, or `null` if it does not exist.
fn get(call: &Call<'_>) -> Answer {
    let args: OneDocument = call.args()?;
    let found: Option<Doc<Document>> = call.tx.get(&args.document_id)?;
    let is_own = |found: &Doc<Document>| found.row.account_id == *call.account_id();
    value(&found.filter(|found| is_own(found) && found.row.deleted_at.is_none()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewDocument {
    title: String,
    content: String,
    #[serde(rename = "type")]
    document_type: String,
    task_id: Option<Id<Task>>,
}

/// Creates a document and returns its id.
fn create(call: &Call<'_>) -> Answer {
    let args: NewDocument = call.args()?;
    fields::check_document(Some(&args.title), Some(&args.content))?;
    args.task_id.as_ref().map(|id| reach::task(call, id)).transpose()?;
    let person = reach::person(call)?;
    let mut meta = Map::new();
    meta.insert("type".to_owned(), json!(args.document_type));
    meta.extend(args.task_id.as_ref().map(|id| ("taskId".to_owned(), json!(id))));
    let document = call.tx.insert(Document {
        account_id: call.account_id().clone(),
        kind: Some("file".to_owned()),
        task_id: args.task_id,
        title: Some(args.title),
        content: Some(args.content),
        document_type: Some(args.document_type),
        author_type: "user".to_owned(),
        author_id: person.user_id,
        version: Some(1.0),
        created_at: call.now(),
        updated_at: call.now(),
        ..Document::default()
    })?;
    record(call, &document, "document_created", Value::Object(meta))?;
    Ok(json!(document.id))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentChanges {
    document_id: Id<Document>,
    title: Option<String>,
    content: Option<String>,
    #[serde(rename = "type")]
    document_type: Option<String>,
    #[serde(default)]
    task_id: Given<Id<Task>>,
}

/// Changes the given fields. `taskId: null` removes the document from its task. A changed content is a new version.
fn update(call: &Call<'_>) -> Answer {
    let args: DocumentChanges = call.args()?;
    let mut document = document(call, &args.document_id)?;
    fields::check_document(args.title.as_deref(), args.content.as_deref())?;
    args.task_id.value().map(|id| reach::task(call, id)).transpose()?;
    let row = &mut document.row;
    let differs = args.content.is_some() && args.content != row.content;
    let version = row.version.unwrap_or(1.0) + if differs { 1.0 } else { 0.0 };
    row.title = args.title.or_else(|| row.title.take());
    row.content = args.content.or_else(|| row.content.take());
    row.document_type = args.document_type.or_else(|| row.document_type.take());
    args.task_id.change(&mut row.task_id);
    row.version = Some(version);
    row.updated_at = call.now();
    call.tx.put(&document)?;
    let meta = json!({"versionIncrement": differs, "newVersion": version});
    record(call, &document, "document_updated", meta)?;
    done()
}

/// Marks the document as deleted. The row stays.
fn remove(call: &Call<'_>) -> Answer {
    let args: OneDocument = call.args()?;
    let mut document = document(call, &args.document_id)?;
    document.row.deleted_at = Some(call.now());
    document.row.updated_at = call.now();
    call.tx.put(&document)?;
    record(call, &document, "document_deleted", json!({}))?;
    done()
}

fn record(call: &Call<'_>, document: &Doc<Document>, kind: &str, meta: Value) -> Result<(), Refusal> {
    let actor = Actor::person(&reach::person(call)?);
    let name = document.row.title.as_deref();
    let target = Target { kind: "document", id: document.id.as_str(), name };
    Ok(activity::record(call.tx, call.account_id(), kind, &actor, &target, Some(meta))?)
}
