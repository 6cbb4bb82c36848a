//! Documents (backend-contract §2.28, §2.29).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{DocumentId, TaskId, Word};
use crate::clock::Millis;

words! {
    /// The purpose of a document.
    DocumentType {
        /// A result.
        Deliverable = "deliverable",
        /// A working note.
        Note = "note",
        /// A template.
        Template = "template",
        /// Reference material, such as the description of the repository.
        Reference = "reference",
    }
}

/// A document as a list returns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentEntry {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: DocumentId,
    /// Its title.
    pub title: String,
    /// Its purpose. Folders have none.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word<DocumentType>>,
    /// The task it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The time of its last change.
    pub updated_at: Millis,
}
