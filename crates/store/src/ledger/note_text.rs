//! The content of a note as text: serialized by the thread that writes the note, so that the lock is held briefly.

use std::sync::Arc;

use mcr_core::delivery::journal::Note;
use mcr_core::delivery::ledger_row::record_text;

/// The content of a note, serialized before any lock is taken.
pub(super) struct NoteText {
    pub(super) row: Arc<str>,
    pub(super) record: Option<String>,
    pub(super) agent: String,
    pub(super) task: Option<String>,
    pub(super) end: Option<String>,
}

impl NoteText {
    pub(super) fn of(note: &Note<'_>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            row: note.work.to_json()?.into(),
            record: note.record.map(record_text).transpose()?,
            agent: note.work.track.agent.clone(),
            task: note.work.track.task().map(ToString::to_string),
            end: note.end.map(serde_json::to_string).transpose()?,
        })
    }
}
