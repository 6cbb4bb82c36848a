//! The parts of a row of the table.

use super::ToolName;

/// A tool.
#[derive(Debug)]
pub struct ToolSpec {
    /// The name as a function tool.
    pub name: ToolName,
    /// The name below `/agent/` over HTTP.
    pub endpoint: &'static str,
    /// The callers to audience the tool is open.
    pub audience: Audience,
    /// The refusal for all other callers.
    pub refusal: &'static str,
    /// Whether a call changes anything.
    pub writes: bool,
    /// What the tool does, for a line of the briefing.
    pub does: &'static str,
    /// What the tool does and when to use it.
    pub says: &'static str,
    /// What an agent can check if Mission Control refuses without a reason.
    pub check: &'static str,
    /// The arguments.
    pub fields: &'static [Field],
}

/// The part of a row that a call is checked against. Endpoints that are not tools have one too.
#[derive(Clone, Copy, Debug)]
pub struct CallSpec {
    /// The name of the tool or endpoint.
    pub name: &'static str,
    /// Whether a call changes anything.
    pub writes: bool,
    /// What an agent can check if Mission Control refuses without a reason.
    pub check: &'static str,
    /// The arguments.
    pub fields: &'static [Field],
}

/// The callers to audience a tool is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All agents.
    Everyone,
    /// Agents in a conversation about a task.
    OnTask,
    /// Agents with the right to change tasks, in a conversation about one.
    Modifiers,
    /// Agents with the right to create tasks.
    Creators,
    /// Agents with the right to write documents.
    Writers,
    /// Agents with the right to write documents, or in a conversation about a task.
    WritersOrOnTask,
    /// Agents with the right to contact other agents, in a conversation about a task.
    Askers,
    /// The orchestrator.
    Leader,
}

/// An argument.
#[derive(Debug)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub is: Type,
    /// Whether it is required.
    pub required: bool,
    /// Its meaning, for the agent.
    pub says: &'static str,
}

/// The type of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A whole number in a range. A larger number counts as the largest, as at the backend.
    Count {
        /// The smallest number.
        least: u32,
        /// The largest number that the backend accepts.
        most: u32,
    },
    /// A number in this range, or a word for one.
    Range(u8, u8),
    /// A number from 1 to 5, or a word for one; the schema does not give the range.
    Priority,
    /// A list of texts.
    Texts,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl ToolSpec {
    /// The part of the row that a call is checked against.
    pub fn call(&self) -> CallSpec {
        CallSpec { name: self.name.as_str(), writes: self.writes, check: self.check, fields: self.fields }
    }

    /// The argument of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.call().field(name)
    }
}

impl CallSpec {
    /// The argument of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
