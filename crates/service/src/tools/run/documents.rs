//! Creates and overwrites documents.

use super::{Done, ToolRun};
use mcr_clients::mission::{ListDocuments, WriteDocument};
use mcr_core::tools::{DocumentContent, ToolError, ToolOutcome};
use mcr_model::{DocumentEntry, DocumentId, TaskId, limits};

/// The result of a written document.
pub(super) fn written(id: &DocumentId) -> Done {
    let outcome = ToolOutcome { document_id: Some(id.to_string()), ..ToolOutcome::default() };
    Done { made: vec![id.to_string()], ..Done::quiet(outcome) }
}

impl ToolRun<'_> {
    pub(super) fn write_document(&self, document: &DocumentContent) -> Result<Done, ToolError> {
        let kept = match (&document.document_id, &document.task_id) {
            (Some(document), None) => self.task_of(document)?,
            _ => None,
        };
        let request = WriteDocument {
            agent_id: self.caller.agent,
            document_id: document.document_id.as_ref(),
            task_id: document.task_id.as_ref().or(kept.as_ref()),
            title: &document.title,
            content: &document.content,
            kind: document.kind,
        };
        Ok(written(&self.ask(&request)?.document_id))
    }

    /// The task of a document. An overwrite without the task would detach the document from it (contract D17). So if
    /// the task cannot be determined, nothing is written.
    fn task_of(&self, document: &DocumentId) -> Result<Option<TaskId>, ToolError> {
        let current = self.caller.task.map(|task| &task.id);
        for task_id in [None, current] {
            let list = ListDocuments { task_id, kind: None, limit: Some(limits::SEARCH_ROWS) };
            let found = self.ask(&list)?.documents.into_iter().find(|entry| entry.id == *document);
            if let Some(DocumentEntry { task_id, .. }) = found {
                return Ok(task_id);
            }
            if current.is_none() {
                break;
            }
        }
        Err(ToolError::invalid(
            "taskId",
            "taskId is required for this document: it is not among the recently changed ones, and a call \
             without taskId would detach it from its task. Check documentId and pass the document's taskId",
        ))
    }
}
