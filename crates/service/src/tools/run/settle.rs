//! Settling a writing call of which it is not known whether it happened.
//!
//! Either its answer was lost in this process, or the process before died between noting that it makes the call and
//! noting what came of it. Both are settled alike, by [`settle()`]: where a second time adds nothing to the first, the
//! call is made again; everything else is looked for first (`trace`), and made only where it certainly is not there.
//! What cannot be told apart is never made a second time: then the agent hears what is not known, and where to look.
//!
//! Nothing here waits. A backend that cannot be asked, and a call that may still be on its way, are [`NotNow`]: the
//! caller comes again later.

use std::fmt;
use std::time::Duration;

use super::refusal::kind_of;
use super::trace::Trace;
use super::{Caller, Performed, ToolBackend, ToolRun};
use mcr_clients::convex::{CallClass, CallError, CallReason};
use mcr_core::tools::{ToolError, ToolErrorKind, ToolRequest};
use mcr_model::clock::Millis;
use mcr_model::{Notification, TaskId};

/// How long after its answer was lost a call may still come to be carried out: it may wait ten seconds for a slot, and
/// its work takes less than one. Before that, that something is not there says nothing.
pub const GRACE: Duration = Duration::from_secs(15);

/// How often it is looked for and made at once, when the answer is lost each time.
const ROUNDS: u32 = 3;

/// What is known of a call in doubt.
pub struct Doubt<'a> {
    /// The newest instant of the backend's clock that was known before the call was begun: what the call has made is not
    /// older.
    pub since: Millis,
    /// How long ago its answer was lost; where that is not known, how long ago it was begun.
    pub age: Duration,
    /// Whether another step is known to have made the row with this id.
    pub is_known: &'a dyn Fn(&str) -> bool,
    /// Requests for a response about this task whose delivery has begun here. The backend no longer lists those that are
    /// delivered.
    pub requests: &'a dyn Fn(&TaskId) -> Vec<Notification>,
}

/// It cannot be settled now. Nothing is decided by that, and nothing lost: it is settled later.
#[derive(Clone, Debug)]
pub enum NotNow {
    /// Mission Control cannot be asked, or loses its answers.
    Away(Box<CallError>),
    /// It was not there, was made again, and the answer was lost again: it is in doubt from now on.
    LostAgain(Box<CallError>),
    /// It is not there, but may still be on its way for so long.
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

/// Finds out what became of a request, or makes it. What it gives is certain, or certainly said to be unknown; it is
/// never in doubt itself.
pub fn settle(
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
                let why =
                    format!("Mission Control does not show what became of it ({})", error.why.explain());
                return Ok(unsettled(request, &why));
            }
        }
        let performed = job.carry_out(request);
        let Err(error) = &performed.result else { return Ok(performed) };
        let failed = job.failed.take();
        // Then it is only the team that could not be asked.
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

/// What the agent hears where it cannot be settled: what is not known and for what reason, that the runtime has not
/// repeated it, and where to look.
pub fn unsettled(request: &ToolRequest, why: &str) -> Performed {
    let look = match request {
        ToolRequest::TaskCreate(_) => {
            "make sure that there is no such task; if you cannot, say so in your reply"
        }
        ToolRequest::DocumentUpsert(_) => "look with document_list whether it is there",
        ToolRequest::TaskMessage { .. } => "look with task_load whether it stands in the thread",
        ToolRequest::ResponseRequest { .. } => "look with task_load whether they have answered",
        _ => "look with task_load how the task stands",
    };
    let name = request.name();
    let words = format!(
        "It is not known whether {name} happened: its answer was lost, and {why}. It was not repeated. Before you \
         call it again, {look}"
    );
    Performed { stirs: true, ..Performed::refused(ToolError::new(ToolErrorKind::Unsettled, &words)) }
}

/// Whether a second time adds a row of any kind; the history of a task or a document counts. The others only bring about
/// once more what is so already.
fn adds_rows(request: &ToolRequest) -> bool {
    !matches!(request, ToolRequest::TaskStatus { .. } | ToolRequest::TaskLinkPr { .. })
}

/// Whether it is the backend that is not to be asked now. A backend of another version stays so: nothing is gained by
/// waiting for it.
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
