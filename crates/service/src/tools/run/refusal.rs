//! Turns a failed call of the backend into an error for the agent.
//!
//! The backend's own message is used if there is one, but never its internals. Without a message, the error says that
//! the reason is unknown.

use mcr_clients::convex::{CallClass, CallError, CallReason, Ran};
use mcr_core::tools::table::{CallSpec, Field};
use mcr_core::tools::{ToolError, ToolErrorKind};

/// The error for the agent.
pub(super) fn of(error: &CallError, call: CallSpec) -> ToolError {
    let kind = kind_of(error);
    let own = error.literal.as_deref().filter(|words| !words.trim().is_empty());
    let misfit = own.and_then(|words| misfit(words, call));
    let message = match kind {
        ToolErrorKind::Throttled => {
            "Mission Control receives too many calls: make fewer calls and retry this one later".to_owned()
        }
        ToolErrorKind::Unsettled => format!(
            "The response from Mission Control was lost ({}): {} may have happened. Check whether it did \
             before you call it again",
            error.why.explain(),
            call.name
        ),
        ToolErrorKind::Unavailable => {
            let done = if error.ran == Ran::No {
                "Nothing was changed"
            } else {
                "The call may have happened anyway, and repeating it is safe"
            };
            format!(
                "Mission Control is unavailable ({}). {done}. Retry later, or say in your reply that the \
                 call failed",
                error.why.explain()
            )
        }
        _ if let Some(field) = misfit => {
            format!(
                "Mission Control does not accept this value for {}. Check that {}",
                field.name, call.check
            )
        }
        ToolErrorKind::Forbidden
        | ToolErrorKind::NotFound
        | ToolErrorKind::Invalid
        | ToolErrorKind::Conflict
        | ToolErrorKind::Refused
        | ToolErrorKind::UnknownTool
        | ToolErrorKind::Malformed => own.map_or_else(|| silent(call), ToOwned::to_owned),
    };
    let late = matches!(
        error.why,
        CallReason::TimedOut | CallReason::FunctionTimedOut | CallReason::DatabaseTimedOut
    );
    let field = misfit.map(|field| field.name);
    ToolError { field, not_before: error.not_before, late, ..ToolError::new(kind, &message) }
}

/// The argument of the wrong form, such as text that is no id. The backend names its place, but not the right form.
fn misfit(words: &str, call: CallSpec) -> Option<&'static Field> {
    let (_, place) = words.strip_prefix("Value does not match validator.")?.split_once("Path: .")?;
    call.field(place.split(['.', '[', ' ']).next()?)
}

fn silent(call: CallSpec) -> String {
    format!("Mission Control refused the call without a reason. Check that {}", call.check)
}

pub(super) fn kind_of(error: &CallError) -> ToolErrorKind {
    match (error.class, error.why) {
        (CallClass::Ambiguous, _) => ToolErrorKind::Unsettled,
        (_, CallReason::Forbidden) => ToolErrorKind::Forbidden,
        (_, CallReason::NotFound) | (CallClass::Gone, _) => ToolErrorKind::NotFound,
        (_, CallReason::Invalid) => {
            let transition = |words: &str| words.starts_with("Invalid transition");
            if error.literal.as_deref().is_some_and(transition) {
                ToolErrorKind::Conflict
            } else {
                ToolErrorKind::Invalid
            }
        }
        (_, CallReason::TooLarge | CallReason::ResultTooLarge) => ToolErrorKind::Invalid,
        (_, CallReason::Throttled) => ToolErrorKind::Throttled,
        (_, CallReason::Unknown | CallReason::FunctionFailed) => ToolErrorKind::Refused,
        // The rest is between the runtime and the backend; an agent cannot correct it.
        _ => ToolErrorKind::Unavailable,
    }
}
