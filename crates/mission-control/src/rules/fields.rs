//! Changes to the fields of a task, by an agent or a person (backend-contract §2.16, "field update routine").

use super::assignees;
use super::follow::Party;
use crate::Refusal;
use crate::answer::ensure;
use crate::call::Call;
use crate::rows::{Agent, Task};
use crate::store::{Doc, Id};
use crate::validate::Is;
use mcr_model::limits;

/// The default priority of a task (§2.17, §8).
pub(crate) const DEFAULT_PRIORITY: f64 = 3.0;

/// The argument for the type of a document (§3.0).
pub(crate) const DOCUMENT_TYPE: Is = Is::OneOf(&["deliverable", "note", "template", "reference"]);

/// The changes of one call. Absent fields stay unchanged.
#[derive(Default)]
pub(crate) struct TaskChanges {
    /// The title, not yet trimmed.
    pub(crate) title: Option<String>,
    /// Markdown.
    pub(crate) description: Option<String>,
    /// 1 to 5.
    pub(crate) priority: Option<f64>,
    /// The new list.
    pub(crate) labels: Option<Vec<String>>,
    /// The new list.
    pub(crate) agents: Option<Vec<Id<Agent>>>,
    /// The new list.
    pub(crate) users: Option<Vec<String>>,
    /// The new due date, or its removal.
    pub(crate) due: Option<Due>,
}

/// The due date of a task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// A date.
    On(f64),
    /// No due date. Only a person may remove the date.
    Whenever,
}

impl Due {
    fn date(self) -> Option<f64> {
        match self {
            Self::On(date) => Some(date),
            Self::Whenever => None,
        }
    }
}

/// Refuses texts that are too long, before any row is read.
pub(crate) fn check_lengths(title: Option<&str>, description: Option<&str>) -> Result<(), Refusal> {
    let within = |text: Option<&str>, limit: usize| text.is_none_or(|text| limits::chars(text) <= limit);
    ensure!(within(title, limits::TITLE_CHARS), "Title too long (max 2000 characters)");
    ensure!(within(description, limits::DESCRIPTION_CHARS), "Description too long (max 100000 characters)");
    Ok(())
}

/// The platform's limit for a row, in bytes.
const ROW_BYTES: usize = 1_048_576;

/// Refuses a title or a content of a document that is too long (§2.28).
pub(crate) fn check_document(title: Option<&str>, content: Option<&str>) -> Result<(), Refusal> {
    check_lengths(title, None)?;
    let content = content.unwrap_or_default();
    let fits = limits::chars(content) <= limits::DOCUMENT_CHARS;
    ensure!(fits, "Content too long (max 1000000 characters)");
    ensure!(content.len() <= ROW_BYTES, "Value is too large (maximum size 1 MiB)");
    Ok(())
}

/// Refuses a blank name.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    ensure!(!name.trim().is_empty(), "Invalid name: must not be blank");
    Ok(())
}

/// Refuses a USER.md or an IDENTITY.md that is too long. `field` is its name in the error.
pub(crate) fn check_profile(field: &str, text: &str) -> Result<(), Refusal> {
    let most = limits::PROFILE_CHARS;
    ensure!(limits::chars(text) <= most, "{field} too long (max {most} characters)");
    Ok(())
}

/// Refuses skill instructions that are too long.
pub(crate) fn check_skill(content: &str) -> Result<(), Refusal> {
    let (bytes, most) = (content.len(), limits::SKILL_BYTES);
    ensure!(bytes <= most, "contentMarkdown exceeds maximum length ({most} bytes). Got {bytes} bytes.");
    Ok(())
}

/// The limits for labels that people set. More labels would be unreadable on a page.
pub(crate) const LABELS: LabelLimits = LabelLimits { count: 50, chars: 100 };

/// Refuses labels beyond the limits for people. The original accepts any.
pub(crate) fn check_labels_of_people(call: &Call<'_>, labels: &[String]) -> Result<(), Refusal> {
    if call.options.original {
        return Ok(());
    }
    let LabelLimits { count: most, chars: longest } = LABELS;
    let count = labels.len();
    ensure!(count <= most, "Too many labels: a task may have {most}, this one has {count}");
    let chars = labels.iter().map(|label| limits::chars(label)).max().unwrap_or_default();
    ensure!(chars <= longest, "Label too long: a label may have {longest} characters, this one has {chars}");
    Ok(())
}

/// Refuses labels that do not fit in a row (§3.10). Agents have no other limit.
pub(crate) fn check_labels<'a>(labels: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let bytes: usize = labels.map(str::len).sum();
    ensure!(bytes <= ROW_BYTES, "Value is too large (maximum size 1 MiB)");
    Ok(())
}

/// A number of labels, and the length of each.
#[derive(Clone, Copy)]
pub(crate) struct LabelLimits {
    /// The number of labels.
    pub(crate) count: usize,
    /// The characters of a label.
    pub(crate) chars: usize,
}

/// Keeps the first labels, each cut to its limit. The label of the chat with the orchestrator has a meaning, so it is
/// kept.
pub(crate) fn bound_labels(labels: &mut Vec<String>, limits: LabelLimits) {
    let chat = mcr_model::Task::ORCHESTRATOR_CHAT;
    if let Some(at) = labels.iter().position(|label| label == chat).filter(|at| *at >= limits.count) {
        labels.swap(0, at);
    }
    labels.truncate(limits.count);
    for label in labels {
        if let Some((end, _)) = label.char_indices().nth(limits.chars) {
            label.truncate(end);
        }
    }
}

/// Refuses an invalid priority.
pub(crate) fn check_priority(priority: Option<f64>) -> Result<(), Refusal> {
    let fits = priority.is_none_or(|priority| (1.0..=5.0).contains(&priority));
    ensure!(fits, "Invalid priority: must be between 1 (highest) and 5 (lowest)");
    Ok(())
}

impl TaskChanges {
    /// The names of the fields that are given, even if their values do not differ.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let given = [
            (self.title.is_some(), "title"),
            (self.description.is_some(), "description"),
            (self.priority.is_some(), "priority"),
            (self.labels.is_some(), "labels"),
            (self.agents.is_some(), "assignedAgentIds"),
            (self.users.is_some(), "assignedUserIds"),
            (self.due.is_some(), "dueDate"),
        ];
        given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }

    /// Whether the changes contain assignees.
    pub(crate) fn assigns(&self) -> bool {
        self.agents.is_some() || self.users.is_some()
    }

    /// Applies the changes. Returns the new assignees.
    pub(crate) fn apply(self, call: &Call<'_>, task: &mut Doc<Task>) -> Result<Vec<Party>, Refusal> {
        let assigns = self.assigns();
        check_labels(self.labels.iter().flatten().map(String::as_str))?;
        assignees::check_agents(call, self.agents.as_deref().unwrap_or_default(), "")?;
        let users = self.users.map(|ids| without_blanks(&ids));
        assignees::check_users(call, users.as_deref().unwrap_or_default())?;
        let came = if assigns { assignees::replace(call, task, users, self.agents)? } else { Vec::new() };
        if let Some(title) = self.title {
            title.trim().clone_into(&mut task.row.title);
        }
        if let Some(description) = self.description {
            task.row.description = Some(description.trim().to_owned());
        }
        task.row.priority = self.priority.unwrap_or(task.row.priority);
        task.row.labels = self.labels.unwrap_or_else(|| std::mem::take(&mut task.row.labels));
        task.row.due_date = self.due.map_or(task.row.due_date, Due::date);
        task.row.updated_at = call.now();
        call.tx.put(task)?;
        Ok(came)
    }
}

fn without_blanks(ids: &[String]) -> Vec<String> {
    ids.iter().filter(|id| !id.trim().is_empty()).cloned().collect()
}
