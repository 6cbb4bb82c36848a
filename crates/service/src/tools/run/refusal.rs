//! From a failed call of the backend to what an agent should hear of it: its own words where it gives any, never its
//! insides, and an honest sentence where it is silent.

use mcr_clients::convex::{CallError, Class, Ran, Why};
use mcr_core::tools::table::{Field, Row};
use mcr_core::tools::{Kind, ToolError};

/// What the agent hears.
pub(super) fn of(error: &CallError, row: &Row) -> ToolError {
    let kind = kind_of(error);
    let own = error.literal.as_deref().filter(|words| !words.trim().is_empty());
    let misfit = own.and_then(|words| misfit(words, row));
    let message = match kind {
        Kind::Throttled => {
            "Mission Control gets too many calls: call fewer tools, and this one later".to_owned()
        }
        Kind::Unsettled => format!(
            "The answer of Mission Control was lost ({}): {} may have happened. Look whether it did before you call \
             it again",
            error.why.explain(),
            row.name
        ),
        Kind::Unavailable => {
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
            format!("{} is nothing that Mission Control takes: check that {}", field.name, row.check)
        }
        Kind::Forbidden
        | Kind::NotFound
        | Kind::Invalid
        | Kind::Conflict
        | Kind::Refused
        | Kind::UnknownTool
        | Kind::Malformed => own.map_or_else(|| silent(row), ToOwned::to_owned),
    };
    let late = matches!(error.why, Why::TimedOut | Why::FunctionTimedOut | Why::DatabaseTimedOut);
    let field = misfit.map(|field| field.name);
    ToolError { field, not_before: error.not_before, late, ..ToolError::new(kind, &message) }
}

/// The argument that has not the form of what it should be, such as an id that is none: the backend names its place, and
/// not what would be right.
fn misfit(words: &str, row: &Row) -> Option<&'static Field> {
    let (_, place) = words.strip_prefix("Value does not match validator.")?.split_once("Path: .")?;
    row.field(place.split(['.', '[', ' ']).next()?)
}

fn silent(row: &Row) -> String {
    format!("Mission Control refused it and does not say why. Check that {}", row.check)
}

pub(super) fn kind_of(error: &CallError) -> Kind {
    match (error.class, error.why) {
        (Class::Ambiguous, _) => Kind::Unsettled,
        (_, Why::Forbidden) => Kind::Forbidden,
        (_, Why::NotFound) | (Class::Gone, _) => Kind::NotFound,
        (_, Why::Invalid) => {
            let transition = |words: &str| words.starts_with("Invalid transition");
            if error.literal.as_deref().is_some_and(transition) { Kind::Conflict } else { Kind::Invalid }
        }
        (_, Why::TooLarge | Why::ResultTooLarge) => Kind::Invalid,
        (_, Why::Throttled) => Kind::Throttled,
        (_, Why::Unknown | Why::FunctionFailed) => Kind::Refused,
        // The rest is between the runtime and the backend; no agent can mend it.
        _ => Kind::Unavailable,
    }
}
