//! The result of a call, as the agent reads it: one JSON object with `success` first.

use serde::Serialize;
use serde_json::Value;

use super::ToolError;

/// The result of a call. Absent values are left out of the JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolOutcome {
    /// The created or changed task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The created or changed document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    /// The posted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// A sentence: what happened, and what did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The requested data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

#[derive(Serialize)]
struct Success<'a> {
    success: bool,
    #[serde(flatten)]
    outcome: &'a ToolOutcome,
}

#[derive(Serialize)]
struct FailureBody<'a> {
    success: bool,
    error: &'a str,
}

/// The result object as JSON text.
pub fn render(result: Result<&ToolOutcome, &ToolError>) -> String {
    let text = match result {
        Ok(outcome) => serde_json::to_string(&Success { success: true, outcome }),
        Err(error) => serde_json::to_string(&FailureBody { success: false, error: &error.message }),
    };
    // The values are strings, lists and numbers, which JSON can always represent.
    text.unwrap_or_else(|_| {
        r#"{"success":false,"error":"The result could not be written as JSON"}"#.to_owned()
    })
}
