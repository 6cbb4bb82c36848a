//! What a call brought, as the agent reads it: one JSON object with `success` first.

use serde::Serialize;
use serde_json::Value;

use super::ToolError;

/// What a call brought. What it has nothing to say about is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolOutcome {
    /// The task that was created or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The document that was created or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    /// The message that was posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// A sentence: what happened, and what did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What was asked for.
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
    // Texts, lists and numbers: there is nothing in them that JSON cannot say.
    text.unwrap_or_else(|_| r#"{"success":false,"error":"The result cannot be put into words"}"#.to_owned())
}
