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
            "Mission Control gets too many calls: call fewer tools, and this one later".to_owned()
        }
        ToolErrorKind::Unsettled => format!(
            "The answer of Mission Control was lost ({}): {} may have happened. Look whether it did before you call \
             it again",
            error.why.explain(),
            call.name
        ),
        ToolErrorKind::Unavailable => {
            let done = if error.ran == Ran::No {
                "Nothing was changed by this"
            } else {
                "It may have happened all the same, and calling it again does no harm"
            };
            format!(
                "Mission Control cannot be asked now ({}). {done}; try again later, or say in your reply that it \
                 could not be done",
                error.why.explain()
            )
        }
        _ if let Some(field) = misfit => {
            format!("{} is nothing that Mission Control takes: check that {}", field.name, call.check)
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
    format!("Mission Control refused it and does not say why. Check that {}", call.check)
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
