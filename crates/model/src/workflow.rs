//! The task workflow (backend-contract §4): the allowed status changes and their requirements.
//!
//! The backend enforces these rules, but in production it does not say which one was violated. The runtime therefore
//! checks them first and can tell an agent what to do instead.

use std::collections::VecDeque;
use std::fmt;

use super::TaskStatus::{self, Archived, Assigned, Blocked, Done, InProgress, Inbox, Review};

/// The statuses an agent may request, and the only intermediate steps (§4.3).
const AGENT_STEPS: [TaskStatus; 4] = [InProgress, Review, Done, Blocked];

/// The statuses that may follow `from` (§4.1).
pub fn allowed_next(from: TaskStatus) -> &'static [TaskStatus] {
    match from {
        Inbox => &[Assigned, Archived],
        Assigned => &[InProgress, Blocked, Inbox, Archived],
        InProgress => &[Review, Blocked, Archived],
        Review => &[Done, InProgress, Blocked, Archived],
        Done => &[Archived],
        Blocked => &[Assigned, InProgress, Archived],
        Archived => &[],
    }
}

/// Whether the table of §4.1 contains this change.
pub fn may_move(from: TaskStatus, to: TaskStatus) -> bool {
    allowed_next(from).contains(&to)
}

/// Whether a task has assignees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignees {
    /// No person or agent.
    None,
    /// At least one person or agent.
    Some,
}

/// A requirement of a status that the task does not meet (§4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// `assigned` and `in_progress` require an assignee.
    NoAssignee(TaskStatus),
    /// `inbox` allows no assignee.
    StillAssigned,
    /// `blocked` requires a reason. Blanks count as a reason.
    NoReason,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAssignee(to) => write!(f, "Cannot move to '{to}' without at least one assignee"),
            Self::StillAssigned => f.write_str("Cannot move to 'inbox' while assignees remain"),
            Self::NoReason => f.write_str("Cannot move to 'blocked' without providing a reason"),
        }
    }
}

/// The unmet requirement of the target status, if any (§4.2).
pub fn requirement(to: TaskStatus, assignees: Assignees, blocked_reason: &str) -> Option<Unmet> {
    match (to, assignees) {
        (Assigned | InProgress, Assignees::None) => Some(Unmet::NoAssignee(to)),
        (Inbox, Assignees::Some) => Some(Unmet::StillAssigned),
        (Blocked, _) if blocked_reason.is_empty() => Some(Unmet::NoReason),
        (Inbox | Assigned | InProgress | Review | Done | Blocked | Archived, _) => None,
    }
}

/// Why an agent cannot move a task to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowError {
    /// Agents may request only `in_progress`, `review`, `done` and `blocked`.
    NotForAgents,
    /// `done` is only allowed after `review`.
    NotInReview,
    /// No steps lead to the status.
    NoPath(TaskStatus, TaskStatus),
}

/// The backend's own sentences.
impl fmt::Display for WorkflowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotForAgents => {
                f.write_str("Invalid status: must be in_progress, review, done, or blocked")
            }
            Self::NotInReview => f.write_str("Forbidden: Task must be in review before marking done"),
            Self::NoPath(from, to) => write!(f, "Invalid transition: Cannot move from '{from}' to '{to}'"),
        }
    }
}

/// The steps by which an agent moves a task to a status: the shortest path through the statuses open to agents. Empty if
/// the task has the status already (§4.3).
pub fn plan_for_agent(from: TaskStatus, to: TaskStatus) -> Result<Vec<TaskStatus>, WorkflowError> {
    if !AGENT_STEPS.contains(&to) {
        return Err(WorkflowError::NotForAgents);
    }
    if to == Done && !matches!(from, Review | Done) {
        return Err(WorkflowError::NotInReview);
    }
    let mut paths = VecDeque::from([vec![from]]);
    while let Some(path) = paths.pop_front() {
        let status = path[path.len() - 1];
        if status == to {
            return Ok(path[1..].to_vec());
        }
        for &next in allowed_next(status) {
            if AGENT_STEPS.contains(&next) && !path.contains(&next) {
                paths.push_back([path.as_slice(), &[next]].concat());
            }
        }
    }
    Err(WorkflowError::NoPath(from, to))
}
