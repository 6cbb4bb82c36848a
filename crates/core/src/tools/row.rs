//! What a row of the table is made of.

use super::ToolName;

/// A tool.
#[derive(Debug)]
pub struct ToolSpec {
    /// Its name as a function tool.
    pub name: ToolName,
    /// Its name below `/agent/` over HTTP.
    pub endpoint: &'static str,
    /// To whom it is open.
    pub whom: Audience,
    /// What others are told.
    pub refusal: &'static str,
    /// Whether it changes anything.
    pub writes: bool,
    /// What it does, for a line of the briefing.
    pub does: &'static str,
    /// What it does and when to use it.
    pub says: &'static str,
    /// What an agent can look at where Mission Control refuses and does not say why.
    pub check: &'static str,
    /// Its arguments.
    pub fields: &'static [Field],
}

/// The part of a row that a call is checked against. Endpoints that are no tools have one too.
#[derive(Clone, Copy, Debug)]
pub struct CallSpec {
    /// The name of the tool or endpoint.
    pub name: &'static str,
    /// Whether a call changes anything.
    pub writes: bool,
    /// What an agent can look at where Mission Control refuses and does not say why.
    pub check: &'static str,
    /// The arguments.
    pub fields: &'static [Field],
}

/// To whom a tool is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All agents.
    Everyone,
    /// All who talk about a task.
    OnTask,
    /// Those who may change tasks, and talk about one.
    Modifiers,
    /// Those who may create tasks.
    Creators,
    /// Those who may write documents.
    Writers,
    /// Those who may write documents, or talk about a task.
    WritersOrOnTask,
    /// Those who may turn to other agents, and talk about a task.
    Askers,
    /// The orchestrator.
    Leader,
}

/// An argument.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub is: Type,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub says: &'static str,
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A whole number, from the first to the second; what is above is cut to it, as the backend does.
    Count {
        /// The least.
        least: u32,
        /// The most that the backend gives.
        most: u32,
    },
    /// A number in this range, or a word for one.
    Range(u8, u8),
    /// A number from 1 to 5, or a word for one, without the schema saying so.
    Priority,
    /// A list of texts.
    Texts,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl ToolSpec {
    /// What a call of this tool is checked against.
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
