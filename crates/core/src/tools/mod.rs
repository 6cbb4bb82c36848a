//! The tools that agents call: one table, used for the gateway's function tools and for the HTTP API.
//!
//! [`table`] has one row for each tool: its name, its endpoint, its fields, to whom it is open, what it says of
//! itself. [`offer()`] makes of it what an agent sees. A call comes back as text and goes three steps:
//! [`decode()`] makes of it a [`ToolRequest`] or says which field is wrong and what would be right; [`guard`] holds it
//! against what the [`Caller`] may do; `run` carries it out. The first two touch nothing outside, so that
//! [`prepare`] is a pure function of the call, and what it gives is what a ledger may record before anything happens.
//!
//! In production the backend does not say why it refuses. So whatever can be known beforehand is checked here, in
//! the backend's own words where it has any.

pub mod decode;
mod error;
pub mod guard;
mod name;
mod offer;
mod outcome;
mod request;
mod row;
pub mod table;

use crate::gateway::ToolCall;
use mcr_model::redact::Redactor;
use mcr_model::{AgentId, BehaviorFlags, Task};

pub use decode::{Fields, decode, decode_call};
pub use error::{ToolError, ToolErrorKind};
pub use name::ToolName;
pub use offer::{Offer, offer, offer_http};
pub use outcome::{ToolOutcome, render};
pub use request::{Changes, Draft, Paper, ToolRequest};

/// Who calls, and what it may do.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The agent.
    pub agent: &'a AgentId,
    /// The task that the conversation is about.
    pub task: Option<&'a Task>,
    /// What it may do.
    pub flags: BehaviorFlags,
    /// Whether it is the orchestrator.
    pub leads: bool,
    /// Whether the backend lets it close tasks (contract §4.5); its own flag is another matter, and both count.
    pub may_close: bool,
}

/// The request behind a call, if the caller may make it. A refusal here has touched nothing.
///
/// The fields come first and the rights second: an agent that gets both wrong learns first how the call should look.
pub fn prepare(call: &ToolCall, caller: &Caller<'_>, offer: &Offer) -> Result<ToolRequest, ToolError> {
    let Ok(tool) = call.name.parse::<ToolName>() else {
        let names: Vec<&str> = offer.names().iter().map(|tool| tool.as_str()).collect();
        let hint = if names.is_empty() {
            "no tools are offered here".to_owned()
        } else {
            format!("the tools are {}", names.join(", "))
        };
        let name = Redactor::default().excerpt(&call.name, 60);
        return Err(ToolError::new(ToolErrorKind::UnknownTool, &format!("Unknown tool: {name} ({hint})")));
    };
    let request = decode_call(tool, &call.arguments, caller.task.map(|task| &task.id))?;
    guard::rights(&request, caller)?;
    if !offer.has(tool) {
        return Err(guard::not_offered(tool.row(), caller));
    }
    Ok(request)
}
