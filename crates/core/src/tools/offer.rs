//! Turns the table into what an agent sees: tools with their schemas, and one line for each in the briefing.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::access::{ToolAccess, ToolRoute};
use super::table::{Field, ROWS, ToolSpec, Type};
use super::{Caller, ToolName, guard};
use crate::gateway::Tool;

/// The tools that one caller is offered, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The tools for the gateway; empty if function tools are off.
    pub tools: Vec<&'static Tool>,
    /// One line for each tool, for the briefing.
    pub labels: Vec<&'static str>,
    /// Whether `done` is among the words for a status.
    pub can_mark_done: bool,
    granted: Vec<ToolName>,
}

impl Offer {
    /// Whether the agent may call this tool in this conversation.
    pub fn has(&self, name: ToolName) -> bool {
        self.names().contains(&name)
    }

    /// The function tools that the agent may call in this conversation; empty if those are off.
    pub fn names(&self) -> &[ToolName] {
        if self.tools.is_empty() { &[] } else { &self.granted }
    }

    /// Whether the agent may do this, by tool or over HTTP; for the briefing.
    pub fn grants(&self, name: ToolName) -> bool {
        self.granted.contains(&name)
    }
}

/// A row, prepared to be offered.
struct OfferedTool {
    row: &'static ToolSpec,
    tool: Tool,
    label: String,
    http_label: String,
}

/// Built once; only the word `done` differs between callers.
static WITH_DONE: LazyLock<Vec<OfferedTool>> =
    LazyLock::new(|| ROWS.iter().map(|row| offered(row, true)).collect());

/// [`WITH_DONE`] without `done` among the words for a status.
static WITHOUT_DONE: LazyLock<Vec<OfferedTool>> =
    LazyLock::new(|| ROWS.iter().map(|row| offered(row, false)).collect());

fn offered(row: &'static ToolSpec, done: bool) -> OfferedTool {
    OfferedTool {
        row,
        tool: Tool {
            name: row.name.as_str(),
            description: row.says.to_owned(),
            parameters: schema(row, done),
        },
        label: format!("{} ({} tool)", row.does, row.name),
        http_label: format!("{} via HTTP (POST /agent/{}; {})", row.does, row.endpoint, fields_of(row)),
    }
}

/// The fields of the endpoint's body, as text.
fn fields_of(row: &ToolSpec) -> String {
    let name = |field: &Field| {
        if field.required { format!("{} (required)", field.name) } else { field.name.to_owned() }
    };
    row.fields.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What the caller is offered by this route.
///
/// A gateway that is too old for tools still gets them, although the briefing describes their endpoints. It checks
/// their form, which shows when a newer release has replaced it.
pub fn offer_by(route: ToolRoute, access: ToolAccess, caller: &Caller<'_>) -> Offer {
    match route {
        ToolRoute::Functions | ToolRoute::FunctionsAndEndpoints => offer(caller),
        ToolRoute::Endpoints if access.client_tools => {
            Offer { tools: offer(caller).tools, ..offer_http(caller) }
        }
        ToolRoute::Endpoints => offer_http(caller),
        ToolRoute::Nothing => Offer::default(),
    }
}

/// The function tools that the caller is offered.
pub fn offer(caller: &Caller<'_>) -> Offer {
    let can_mark_done = guard::can_mark_done(caller);
    let offered = open(caller, can_mark_done);
    Offer {
        tools: offered.iter().map(|offered| &offered.tool).collect(),
        labels: offered.iter().map(|offered| offered.label.as_str()).collect(),
        granted: offered.iter().map(|offered| offered.row.name).collect(),
        can_mark_done,
    }
}

/// What the caller is offered if client tools are switched off: the same rows, each with its endpoint.
pub fn offer_http(caller: &Caller<'_>) -> Offer {
    let can_mark_done = guard::can_mark_done(caller);
    let offered = open(caller, can_mark_done);
    Offer {
        tools: Vec::new(),
        labels: offered.iter().map(|offered| offered.http_label.as_str()).collect(),
        granted: offered.iter().map(|offered| offered.row.name).collect(),
        can_mark_done,
    }
}

fn open(caller: &Caller<'_>, can_mark_done: bool) -> Vec<&'static OfferedTool> {
    let offered: &'static [OfferedTool] = if can_mark_done { &WITH_DONE } else { &WITHOUT_DONE };
    let open = |offered: &&OfferedTool| {
        let audience = offered.row.audience;
        guard::entitled(audience, caller) && guard::in_place(audience, caller)
    };
    offered.iter().filter(open).collect()
}

/// The row's fields as a JSON schema. Some model providers refuse everything beyond the basic keywords, so
/// only those are used.
fn schema(row: &ToolSpec, done: bool) -> Value {
    let properties: Map<String, Value> =
        row.fields.iter().map(|field| (field.name.to_owned(), property(row, field, done))).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    let required: Vec<&str> =
        row.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(row: &ToolSpec, field: &Field, done: bool) -> Value {
    let says = field.says;
    match field.is {
        Type::Text => json!({"type": "string", "description": says}),
        Type::Number | Type::Count { .. } | Type::Priority => json!({"type": "number", "description": says}),
        Type::Range(least, most) => {
            json!({"type": "number", "description": says, "minimum": least, "maximum": most})
        }
        Type::Texts => json!({"type": "array", "items": {"type": "string"}, "description": says}),
        Type::OneOf(words) => {
            // Only `task_status` hides `done`: an update may repeat the status that a task already has.
            let hidden = !done && row.name == ToolName::TaskStatus;
            let words: Vec<&str> =
                words.iter().copied().filter(|word| !(hidden && *word == "done")).collect();
            json!({"type": "string", "enum": words, "description": says})
        }
    }
}
