//! The task workflow (backend-contract §4): which status may follow which, and what each asks for.
//!
//! The backend enforces these rules, but in production it does not say which one was broken; so we check them
//! first, and can tell an agent what to do instead.

use std::collections::VecDeque;
use std::fmt;

use super::TaskStatus::{self, Archived, Assigned, Blocked, Done, InProgress, Inbox, Review};

/// The targets that an agent may name, and the only steps on the way there (§4.3).
const AGENT_STEPS: [TaskStatus; 4] = [InProgress, Review, Done, Blocked];

/// The statuses that may follow (§4.1).
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

/// Whether the table of §4.1 has this step.
pub fn may_move(from: TaskStatus, to: TaskStatus) -> bool {
    allowed_next(from).contains(&to)
}

/// Whether anybody is on the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignees {
    /// Nobody.
    None,
    /// At least one person or agent.
    Some,
}

/// What a status asks for and the task does not have (§4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// `assigned` and `in_progress` want somebody on the task.
    NoAssignee(TaskStatus),
    /// `inbox` wants nobody.
    StillAssigned,
    /// `blocked` wants a reason. Blanks count as one.
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

/// What the target status asks for, if it is missing (§4.2).
pub fn requirement(to: TaskStatus, assignees: Assignees, blocked_reason: &str) -> Option<Unmet> {
    match (to, assignees) {
        (Assigned | InProgress, Assignees::None) => Some(Unmet::NoAssignee(to)),
        (Inbox, Assignees::Some) => Some(Unmet::StillAssigned),
        (Blocked, _) if blocked_reason.is_empty() => Some(Unmet::NoReason),
        (Inbox | Assigned | InProgress | Review | Done | Blocked | Archived, _) => None,
    }
}

/// Why an agent cannot bring a task to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowError {
    /// Agents name only `in_progress`, `review`, `done` and `blocked`.
    NotForAgents,
    /// `done` comes only after `review`.
    NotInReview,
    /// No steps lead there.
    NoPath(TaskStatus, TaskStatus),
}

/// The backend's own words.
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

/// The steps by which an agent brings a task from one status to another: the shortest way through the statuses
/// open to agents; none if it is there already (§4.3).
pub fn plan_for_agent(from: TaskStatus, to: TaskStatus) -> Result<Vec<TaskStatus>, WorkflowError> {
    if !AGENT_STEPS.contains(&to) {
        return Err(WorkflowError::NotForAgents);
    }
    if to == Done && !matches!(from, Review | Done) {
        return Err(WorkflowError::NotInReview);
    }
    let mut ways = VecDeque::from([vec![from]]);
    while let Some(way) = ways.pop_front() {
        let here = way[way.len() - 1];
        if here == to {
            return Ok(way[1..].to_vec());
        }
        for &next in allowed_next(here) {
            if AGENT_STEPS.contains(&next) && !way.contains(&next) {
                ways.push_back([way.as_slice(), &[next]].concat());
            }
        }
    }
    Err(WorkflowError::NoPath(from, to))
}
