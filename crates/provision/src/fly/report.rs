//! The report of a clean-up, for people and for programs.

use std::fmt::Write as _;

use mcr_model::visible;
use serde::Serialize;

/// What a clean-up found and did. The names of the fields are those of the queue component's own clean-up, with four more:
/// `dryRun`, `kept`, and the two `…ToDelete`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    /// The app.
    pub app_name: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many machines were found.
    pub machines_found: usize,
    /// How many were deleted, or were gone.
    pub machines_deleted: usize,
    /// How many that should be deleted still exist.
    pub machines_remaining: usize,
    /// Their ids.
    pub machine_ids_deleted: Vec<String>,
    /// Their ids.
    pub machine_ids_remaining: Vec<String>,
    /// What a dry run would delete.
    pub machine_ids_to_delete: Vec<String>,
    /// How many volumes were found.
    pub volumes_found: usize,
    /// How many were deleted, or were gone.
    pub volumes_deleted: usize,
    /// How many that should be deleted still exist.
    pub volumes_remaining: usize,
    /// Their ids.
    pub volume_ids_deleted: Vec<String>,
    /// Their ids.
    pub volume_ids_remaining: Vec<String>,
    /// What a dry run would delete.
    pub volume_ids_to_delete: Vec<String>,
    /// What is not to be deleted, and why.
    pub kept: Vec<Kept>,
    /// What went wrong and was overcome, or may be overcome by the next clean-up.
    pub warnings: Vec<String>,
    /// What was not deleted, and why.
    pub errors: Vec<String>,
}

/// A machine or volume that is not to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Why it stays.
    pub reason: String,
}

impl CleanupReport {
    /// Whether everything that should be deleted is.
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && self.machines_remaining == 0 && self.volumes_remaining == 0
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let app = &self.app_name;
        // Writing to a `String` cannot fail.
        let _ = if self.dry_run {
            let (machines, volumes) = (self.machine_ids_to_delete.len(), self.volume_ids_to_delete.len());
            writeln!(text, "App {app}: {machines} machines and {volumes} volumes would be deleted.")
        } else {
            let (machines, volumes) = (self.machines_deleted, self.volumes_deleted);
            writeln!(text, "App {app}: {machines} machines and {volumes} volumes deleted.")
        };
        let rows: [(&str, &[String]); 6] = [
            ("machine to delete", &self.machine_ids_to_delete),
            ("volume to delete", &self.volume_ids_to_delete),
            ("machine deleted", &self.machine_ids_deleted),
            ("volume deleted", &self.volume_ids_deleted),
            ("machine still there", &self.machine_ids_remaining),
            ("volume still there", &self.volume_ids_remaining),
        ];
        for (what, ids) in rows {
            for id in ids {
                row(&mut text, what, id);
            }
        }
        for Kept { id, reason } in &self.kept {
            row(&mut text, "kept", &format!("{id}: {reason}"));
        }
        for warning in &self.warnings {
            row(&mut text, "warning", warning);
        }
        for error in &self.errors {
            row(&mut text, "error", error);
        }
        if self.dry_run && !(self.machine_ids_to_delete.is_empty() && self.volume_ids_to_delete.is_empty()) {
            text.push_str("Nothing was changed. To delete these, add --yes.\n");
        }
        text
    }
}

/// Adds a row. An id with a line end must not look like a row of its own.
fn row(text: &mut String, what: &str, words: &str) {
    // Writing to a `String` cannot fail.
    let _ = write!(text, "  {what}: ");
    visible::push_line(text, words);
    text.push('\n');
}
