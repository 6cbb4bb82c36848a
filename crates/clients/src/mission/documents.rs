//! Documents (backend-contract §2.28, §2.29).

use serde::{Deserialize, Serialize};

use super::requests;
use mcr_model::{AgentId, DocumentEntry, DocumentId, DocumentType, TaskId};

/// Creates a document, or overwrites one (§2.28).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteDocument<'a> {
    /// The acting agent.
    pub agent_id: &'a AgentId,
    /// The document to overwrite. `None` creates one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<&'a DocumentId>,
    /// The task it belongs to. Overwriting without it detaches the document from its task (contract D17).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<&'a TaskId>,
    /// Up to 2,000 characters.
    pub title: &'a str,
    /// Markdown, up to 1,000,000 characters.
    pub content: &'a str,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: DocumentType,
}

/// An answer that names a document.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRef {
    /// The document.
    pub document_id: DocumentId,
}

/// Lists the newest documents (§2.29).
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListDocuments<'a> {
    /// Only those of this task. `None` lists those of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<&'a TaskId>,
    /// Only those of this type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<DocumentType>,
    /// Up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The answer to [`ListDocuments`].
#[derive(Clone, Debug, Deserialize)]
pub struct DocumentList {
    /// Newest first.
    pub documents: Vec<DocumentEntry>,
}

requests! {
    WriteDocument<'_>: WRITE_DOCUMENT -> DocumentRef;
    ListDocuments<'_>: LIST_DOCUMENTS -> DocumentList;
}
