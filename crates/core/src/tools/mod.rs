//! The tools that agents call: one table for the gateway's function tools and for the HTTP API.
//!
//! [`table`] has one row per tool: name, endpoint, fields, audience and description. [`offer()`] turns it
//! into what an agent sees. A call arrives as text and takes three steps. [`decode()`] turns it into a
//! [`ToolRequest`], or reports which field is wrong and what would be right. [`guard`] checks the request
//! against the rights of the [`Caller`]. `run` executes it. The first two have no effects, so [`prepare`] is
//! a pure function of the call, and the ledger can record its result before anything happens.
//!
//! In production the backend gives no reasons for its refusals. Everything that can be known in advance is
//! therefore checked here, in the backend's own words where they exist.

pub mod access;
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
pub use offer::{Offer, offer, offer_by, offer_http};
pub use outcome::{ToolOutcome, render};
pub use request::{Changes, DocumentContent, Draft, ToolRequest};

/// The caller of a tool, and its rights.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The agent.
    pub agent: &'a AgentId,
    /// The task of the conversation.
    pub task: Option<&'a Task>,
    /// The agent's permissions.
    pub flags: BehaviorFlags,
    /// Whether it is the orchestrator.
    pub leads: bool,
    /// Whether the backend allows the agent to close tasks (contract §4.5). The agent's own flag must allow
    /// it too.
    pub may_close: bool,
}

/// Decodes a call and checks the caller's rights. A refusal here has had no effect.
///
/// Fields are checked before rights: an agent that gets both wrong learns the right form first.
pub fn prepare(call: &ToolCall, caller: &Caller<'_>, offer: &Offer) -> Result<ToolRequest, ToolError> {
    let Ok(tool) = call.name.parse::<ToolName>() else {
        let names: Vec<&str> = offer.names().iter().map(|tool| tool.as_str()).collect();
        let hint = if names.is_empty() {
            "no tools are available here".to_owned()
        } else {
            format!("available tools: {}", names.join(", "))
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
