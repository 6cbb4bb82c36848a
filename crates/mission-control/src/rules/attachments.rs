//! The attachments of a message (backend-contract §2.12). Only registered uploads of allowed types and sizes are
//! accepted. Type and size come from the storage, never from the caller.

use serde::Deserialize;

use crate::Refusal;
use crate::answer::ensure;
use crate::rows::{Attachment, Stored, Task, Upload};
use crate::store::Table;
use crate::store::{Doc, Id, Tx, UPLOAD};
use crate::validate::{Arg, Is, may, need};

/// The maximum file size, in bytes.
const MAX_BYTES: f64 = 20.0 * 1024.0 * 1024.0;

/// The allowed types, besides images.
const TYPES: [&str; 6] = [
    "application/pdf",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "text/plain",
    "text/csv",
    "application/json",
];

/// The allowed extensions of a file without a specific type.
const EXTENSIONS: [&str; 11] =
    ["png", "jpg", "jpeg", "gif", "webp", "pdf", "doc", "docx", "txt", "csv", "json"];

/// The argument for one attachment.
pub(crate) const ARGS: &[Arg] = &[
    need("storageId", Is::Id(Table::Storage)),
    need("name", Is::Text),
    need("type", Is::Text),
    need("size", Is::Number),
    may("url", Is::Text),
];

/// The fields of the argument that are used. The others are ignored, because the storage has the authoritative values.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttachmentArg {
    storage_id: Id<Stored>,
    name: String,
}

/// Returns the attachments in the form that the message stores. `None` for an empty list.
pub(crate) fn accept(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    offered: Vec<AttachmentArg>,
) -> Result<Option<Vec<Attachment>>, Refusal> {
    let admitted: Vec<_> =
        offered.into_iter().map(|one| admit_one(tx, task, one)).collect::<Result<_, _>>()?;
    Ok(Some(admitted).filter(|attachments| !attachments.is_empty()))
}

fn admit_one(tx: &Tx<'_>, task: &Doc<Task>, offered: AttachmentArg) -> Result<Attachment, Refusal> {
    let AttachmentArg { storage_id, name } = offered;
    let refuse = |why: &str| Refusal::thrown(format!("Attachment \"{name}\": {why}"));
    if registered(tx, task, &storage_id)?.is_none() {
        return Err(refuse("upload not registered for this task"));
    }
    let Some(stored) = tx.get(&storage_id)? else {
        return Err(refuse("file not found in storage (upload may have failed)"));
    };
    let Stored { content_type: mime, size, .. } = stored.row;
    ensure!(!mime.is_empty(), "Attachment \"{name}\": missing content type on upload");
    check_stored(&name, &mime, size)?;
    Ok(Attachment { name, mime, size, storage_id: Some(storage_id), url: None })
}

/// Refuses a file whose type or size is not allowed.
pub(crate) fn check_stored(name: &str, mime: &str, size: f64) -> Result<(), Refusal> {
    let fits = allowed(mime, name) && (1.0..=MAX_BYTES).contains(&size);
    ensure!(
        fits,
        "Attachment \"{name}\": type or size not allowed (max 20MB, allowed types: images, PDF, .doc/.docx, .txt, .csv, \
         .json)"
    );
    Ok(())
}

/// The registration of an upload for a task, if it exists.
pub(crate) fn registered(
    tx: &Tx<'_>,
    task: &Doc<Task>,
    file: &Id<Stored>,
) -> Result<Option<Doc<Upload>>, Refusal> {
    let key = [Some(task.row.account_id.as_str()), Some(task.id.as_str()), Some(file.as_str())];
    Ok(tx.find(UPLOAD, &key).first()?)
}

fn allowed(mime: &str, name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    let by_name = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()));
    mime.starts_with("image/") || TYPES.contains(&mime) || (mime == "application/octet-stream" && by_name)
}
