//! Interprets the answer to a beat: which text goes to which task, or none (runtime-behaviour §6.4).
//!
//! - A control word counts as a whole line ([`reply`]). A report that mentions `HEARTBEAT_OK` is a report (W-20).
//! - Text with the control word on its first or last line is a narration of an agent that found nothing to do. It is not
//!   posted, unless it names its task.
//! - A text goes to the task that its line `Task ID: …` names, if the prompt named that task or the beat created it.
//!   Without such a line it goes to the focus task. A text about another task is not posted: agents invent ids.

use crate::delivery::reply::{self, AgentReply, Silence};
use mcr_model::TaskId;

/// The beginning of the line that names a task, in any case.
const TASK_LINE: &str = "task id:";

/// The interpreted answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeatAnswer {
    /// The agent has nothing to report.
    Quiet(Silence),
    /// The text goes to this task.
    Post(TaskId, String),
    /// No task takes the text. The prompt named no task, or the text names one that the prompt did not.
    NoTask(String),
}

/// Interprets an answer. `listed` are the tasks that the prompt named, the focus task first; `made` are the ids of what
/// the beat's own tool calls created.
pub fn read(text: Option<&str>, listed: &[TaskId], made: &[String]) -> BeatAnswer {
    let words = match reply::read(text) {
        AgentReply::Silence(silence) => return BeatAnswer::Quiet(silence),
        AgentReply::Text(words) => words,
    };
    let named = named_tasks(&words);
    let is_ours =
        |id: &&str| listed.iter().any(|task| task.as_str() == *id) || made.iter().any(|one| one == id);
    match named.iter().copied().find(is_ours) {
        Some(id) => BeatAnswer::Post(TaskId::new(id), words),
        None if has_control_line(text.unwrap_or_default()) => BeatAnswer::Quiet(Silence::HeartbeatOk),
        None => match listed.first().filter(|_| named.is_empty()) {
            Some(focus) => BeatAnswer::Post(focus.clone(), words),
            None => BeatAnswer::NoTask(words),
        },
    }
}

/// Whether the first or the last line that is not blank is the control word.
fn has_control_line(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next();
    [first, lines.next_back().or(first)].contains(&Some(reply::SILENCE))
}

/// The ids after each `Task ID:`, in the order of the text.
fn named_tasks(text: &str) -> Vec<&str> {
    let lower = text.to_ascii_lowercase();
    let id_after = |at: usize| {
        let rest = text[at + TASK_LINE.len()..].trim_start_matches([' ', '\t', '*', '`', '"']);
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
        &rest[..end]
    };
    let found = lower.match_indices(TASK_LINE).map(|(at, _)| id_after(at));
    found.filter(|id| !id.is_empty()).collect()
}
