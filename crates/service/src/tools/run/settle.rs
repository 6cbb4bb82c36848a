//! Settles a writing call whose outcome is unknown.
//!
//! Either its answer was lost in this process, or an earlier process ended between the two records of the call: that
//! it starts, and its result. [`settle()`] treats both alike. It looks for the effect first (`trace`). If the effect is
//! there, it is the result. If it is certainly absent, or if a second run adds nothing to the first, the call runs
//! again. If the effect cannot be identified, the call never runs again. Then the agent learns what is unknown and
//! where to look.
//!
//! This module never waits. If the backend cannot be asked, or the call may still arrive there, the result is
//! [`NotNow`]. The caller settles the call later.

use std::fmt;
use std::time::Duration;

use super::refusal::kind_of;
use super::trace::Trace;
use super::{Caller, Performed, ToolBackend, ToolRun};
use mcr_clients::convex::{CallClass, CallError, CallReason};
use mcr_core::tools::{ToolError, ToolErrorKind, ToolRequest};
use mcr_model::clock::Millis;
use mcr_model::{Notification, TaskId};

/// How long after the loss of its answer a call may still run: it may wait ten seconds for a slot, and its work takes
/// less than one. Until then, an absent effect proves nothing.
pub const GRACE: Duration = Duration::from_secs(15);

/// How often a call is looked for and run again at once if each answer is lost.
const ROUNDS: u32 = 3;

/// What is known about a call with an unknown outcome.
pub struct Doubt<'a> {
    /// The newest time of the backend's clock that was known before the call started. Rows of the call are not older.
    pub since: Millis,
    /// How long ago its answer was lost; if unknown, how long ago it started.
    pub age: Duration,
    /// Whether another step is known to have created the row with this id.
    pub is_known: &'a dyn Fn(&str) -> bool,
    /// Requests for a response about this task whose delivery started here. The backend does not list delivered ones.
    pub requests: &'a dyn Fn(&TaskId) -> Vec<Notification>,
}

/// The call cannot be settled now. Its record stays as it is, and it is settled later.
#[derive(Clone, Debug)]
pub enum NotNow {
    /// Mission Control cannot be asked, or loses its answers.
    Away(Box<CallError>),
    /// The call was absent, ran again, and its answer was lost again: its outcome is unknown from now on.
    LostAgain(Box<CallError>),
    /// The call has no effect yet, but may still arrive within this time.
    Early(Duration),
}

impl fmt::Display for NotNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) | Self::LostAgain(error) => error.fmt(f),
            Self::Early(_) => {
                f.write_str("the answer of a tool was lost, and the call may still be on its way.")
            }
        }
    }
}

/// Determines the outcome of a request, or runs it again. The result is never in doubt itself: it is certain, or it is
/// an error that says what is unknown.
pub fn settle(
    request: &ToolRequest,
    doubt: &Doubt<'_>,
    caller: &Caller<'_>,
    backend: &ToolBackend<'_>,
) -> Result<Performed, NotNow> {
    look_or_repeat(request, doubt, caller, backend).map(|performed| performed.with_acts(request, backend))
}

fn look_or_repeat(
    request: &ToolRequest,
    doubt: &Doubt<'_>,
    caller: &Caller<'_>,
    backend: &ToolBackend<'_>,
) -> Result<Performed, NotNow> {
    let mut age = doubt.age;
    let mut lost = None;
    for _ in 0..ROUNDS {
        let job = ToolRun { again: true, ..ToolRun::new(request, caller, backend) };
        match job.trace(request, doubt) {
            Ok(Trace::Found(done)) => return Ok(done.into()),
            Ok(Trace::Unclear(why)) => return Ok(unsettled(request, &why)),
            Ok(Trace::Absent) if adds_rows(request) && age < GRACE => {
                return Err(NotNow::Early(GRACE.saturating_sub(age)));
            }
            Ok(Trace::Absent) => {}
            Err(error) if is_away(&error) && lost.is_some() => {
                return Err(NotNow::LostAgain(Box::new(error)));
            }
            Err(error) if is_away(&error) => return Err(NotNow::Away(Box::new(error))),
            Err(error) => {
                let why = format!("Mission Control does not show the result ({})", error.why.explain());
                return Ok(unsettled(request, &why));
            }
        }
        let performed = job.carry_out(request);
        let Err(error) = &performed.result else { return Ok(performed) };
        let failed = job.failed.take();
        // Without a failed call, only the fetch of the roster failed.
        let asked = failed.is_some();
        let failed = failed.filter(is_away);
        if performed.in_doubt {
            age = Duration::ZERO;
            lost = Some(failed.unwrap_or_else(never));
            continue;
        }
        return match failed {
            Some(failed) if lost.is_some() => Err(NotNow::LostAgain(Box::new(failed))),
            Some(failed) => Err(NotNow::Away(Box::new(failed))),
            None if error.kind == ToolErrorKind::Unavailable && !asked => Err(NotNow::Away(Box::new(
                CallError::new(CallClass::Transient, CallReason::Unreachable, "", &error.message),
            ))),
            None => Ok(performed),
        };
    }
    Err(NotNow::LostAgain(Box::new(lost.unwrap_or_else(never))))
}

fn never() -> CallError {
    CallError::new(CallClass::Transient, CallReason::LostAnswer, "", "the answer of a tool was lost.")
}

/// The error for the agent if the call cannot be settled: what is unknown and why, that the runtime did not repeat it,
/// and where to look.
pub fn unsettled(request: &ToolRequest, why: &str) -> Performed {
    let look = match request {
        ToolRequest::TaskCreate(_) => {
            "make sure that no such task exists; if you cannot, say so in your reply"
        }
        ToolRequest::DocumentUpsert(_) => "check with document_list whether the document exists",
        ToolRequest::TaskMessage { .. } => "check with task_load whether the message is in the thread",
        ToolRequest::ResponseRequest { .. } => "check with task_load whether they have answered",
        _ => "check the task with task_load",
    };
    let name = request.name();
    let words = format!(
        "It is unknown whether {name} happened: its response was lost, and {why}. The call was not \
         repeated. Before you call it again, {look}"
    );
    Performed { may_notify: true, ..Performed::refused(ToolError::new(ToolErrorKind::Unsettled, &words)) }
}

/// Whether a second run adds a row of any kind, also to the history of a task or a document. The other requests are
/// idempotent.
fn adds_rows(request: &ToolRequest) -> bool {
    !matches!(request, ToolRequest::TaskStatus { .. } | ToolRequest::TaskLinkPr { .. })
}

/// Whether the backend cannot be asked now. A backend of another version is not such a case: waiting does not help.
fn is_away(error: &CallError) -> bool {
    let stays = matches!(
        error.why,
        CallReason::NotUnderstood
            | CallReason::AnswerTooLarge
            | CallReason::ResultTooLarge
            | CallReason::NoSuchFunction
            | CallReason::WrongKind
            | CallReason::BadArguments
            | CallReason::OurRequest
    );
    let kind = kind_of(error);
    kind == ToolErrorKind::Unsettled
        || matches!(kind, ToolErrorKind::Throttled | ToolErrorKind::Unavailable) && !stays
}
