//! Documents (backend-contract §2.28, §2.29).

use serde::{Deserialize, Serialize};

use super::word::words;
use super::{DocumentId, TaskId, Word};
use crate::clock::Millis;

words! {
    /// What a document is for.
    DocumentType {
        /// A result.
        Deliverable = "deliverable",
        /// Something noted on the way.
        Note = "note",
        /// A form to fill.
        Template = "template",
        /// Standing knowledge, such as the repository's description.
        Reference = "reference",
    }
}

/// A document as the list shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentEntry {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: DocumentId,
    /// What it is called.
    pub title: String,
    /// What it is for; folders have none.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word<DocumentType>>,
    /// The task it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// When it last changed.
    pub updated_at: Millis,
}
