//! Turns the result of a call into an HTTP response (http-and-tools §4). The body is the tool's result object in the
//! shape of the endpoint. The status follows from the kind of error.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use mcr_core::tools::table::ToolSpec;
use mcr_core::tools::{ToolError, ToolErrorKind, ToolName};
use mcr_http::message::Reply;

/// `Retry-After` of a 429 whose cause names no time.
const LATER: Duration = Duration::from_secs(30);

/// A response that refuses a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub error: String,
    /// The invalid field, if one is.
    pub field: Option<&'static str>,
    /// When to repeat the call.
    pub retry_after: Option<Duration>,
    /// Whether the same call may succeed later, and does no harm.
    pub retryable: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    success: bool,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retryable: bool,
}

impl Refusal {
    /// A refusal with this status and message.
    pub fn new(status: u16, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), field: None, retry_after: None, retryable: false }
    }

    /// A refusal of a call that may succeed after this time.
    pub fn later(status: u16, error: impl Into<String>, after: Duration) -> Self {
        Self { retry_after: Some(after), retryable: true, ..Self::new(status, error) }
    }

    /// The HTTP response.
    pub fn reply(&self) -> Reply {
        let Self { status, error, field, retryable, .. } = self;
        let body = Body { success: false, error, field: *field, retryable: *retryable };
        let reply = Reply::json_of(&body).with_status(*status).no_store();
        match self.retry_after {
            Some(after) => {
                let secs = after.as_millis().div_ceil(1_000).max(1);
                reply.with_header("Retry-After", &secs.to_string())
            }
            None => reply,
        }
    }
}

/// The HTTP form of a tool's error.
pub fn refusal(error: &ToolError) -> Refusal {
    let status = match error.kind {
        ToolErrorKind::Malformed => 400,
        ToolErrorKind::Invalid => 422,
        ToolErrorKind::Forbidden => 403,
        ToolErrorKind::UnknownTool | ToolErrorKind::NotFound => 404,
        ToolErrorKind::Conflict => 409,
        ToolErrorKind::Throttled => 429,
        ToolErrorKind::Unavailable | ToolErrorKind::Unsettled if error.late => 504,
        ToolErrorKind::Unavailable | ToolErrorKind::Unsettled => 502,
        ToolErrorKind::Refused => 500,
    };
    let retryable = matches!(error.kind, ToolErrorKind::Throttled | ToolErrorKind::Unavailable);
    let retry_after = error.not_before.or_else(|| (status == 429).then_some(LATER));
    Refusal { status, error: error.message.clone(), field: error.field, retry_after, retryable }
}

/// The kind of failure behind a response, for the metrics: the inverse of [`refusal`].
pub fn failed(status: u16, retryable: bool) -> Option<ToolErrorKind> {
    match status {
        ..400 => None,
        403 => Some(ToolErrorKind::Forbidden),
        404 => Some(ToolErrorKind::NotFound),
        409 => Some(ToolErrorKind::Conflict),
        422 => Some(ToolErrorKind::Invalid),
        429 => Some(ToolErrorKind::Throttled),
        400..500 => Some(ToolErrorKind::Malformed),
        503 => Some(ToolErrorKind::Unavailable),
        502 | 504 if retryable => Some(ToolErrorKind::Unavailable),
        502 | 504 => Some(ToolErrorKind::Unsettled),
        _ => Some(ToolErrorKind::Refused),
    }
}

/// The result object of a tool in the shape of its endpoint. Some endpoints lift the fields of `data` into the object
/// itself and add the duration.
pub fn success(tool: ToolName, output: &str, elapsed: Duration) -> Reply {
    let mut object: Map<String, Value> = serde_json::from_str(output).unwrap_or_default();
    let shape = shape(tool);
    if shape.lifts_data
        && let Some(Value::Object(data)) = object.remove("data")
    {
        object.extend(data);
    }
    if shape.has_duration {
        object.insert(
            "durationMs".to_owned(),
            Value::from(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        );
    }
    Reply::json_of(&object).no_store()
}

/// How the response of an endpoint differs from the result of its tool.
#[derive(Default)]
struct AnswerShape {
    /// Whether the fields of `data` are fields of the response itself.
    lifts_data: bool,
    /// Whether the response contains the duration of the call.
    has_duration: bool,
}

fn shape(tool: ToolName) -> AnswerShape {
    match tool {
        ToolName::TaskStatus | ToolName::TaskUpdate => AnswerShape { lifts_data: true, has_duration: true },
        ToolName::ResponseRequest => AnswerShape { lifts_data: true, has_duration: false },
        ToolName::TaskCreate
        | ToolName::DocumentUpsert
        | ToolName::DocumentList
        | ToolName::GetAgentSkills
        | ToolName::TaskLoad
        | ToolName::TaskHistory
        | ToolName::TaskAssign
        | ToolName::TaskMessage
        | ToolName::TaskList
        | ToolName::TaskGet
        | ToolName::TaskThread
        | ToolName::TaskSearch
        | ToolName::TaskDelete
        | ToolName::TaskLinkPr => AnswerShape::default(),
    }
}

/// The refusal of an agent that is not the orchestrator. It differs from the tool's message in one place.
pub fn leaders_only(row: &ToolSpec) -> Refusal {
    Refusal::new(403, row.refusal.replace("delete/archive", "delete"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mapping of errors in http-and-tools §4.
    #[test]
    fn every_kind_of_error_has_its_status() {
        let rows = [
            (ToolErrorKind::UnknownTool, false, 404, false),
            (ToolErrorKind::Malformed, false, 400, false),
            (ToolErrorKind::Invalid, false, 422, false),
            (ToolErrorKind::Forbidden, false, 403, false),
            (ToolErrorKind::NotFound, false, 404, false),
            (ToolErrorKind::Conflict, false, 409, false),
            (ToolErrorKind::Throttled, false, 429, true),
            (ToolErrorKind::Unavailable, false, 502, true),
            (ToolErrorKind::Unavailable, true, 504, true),
            (ToolErrorKind::Unsettled, false, 502, false),
            (ToolErrorKind::Unsettled, true, 504, false),
            (ToolErrorKind::Refused, false, 500, false),
        ];
        for (kind, late, status, retryable) in rows {
            let refusal = refusal(&ToolError { late, ..ToolError::new(kind, "words") });
            assert_eq!((refusal.status, refusal.retryable), (status, retryable), "{kind:?}");
            assert_eq!(refusal.retry_after.is_some(), status == 429, "{kind:?}");
            let reply = refusal.reply();
            assert_eq!(reply.header("Retry-After").is_some(), status == 429);
            let body: Value = serde_json::from_slice(reply.body().unwrap()).unwrap();
            assert_eq!((&body["success"], &body["error"]), (&Value::Bool(false), &Value::from("words")));
        }
    }

    #[test]
    fn each_endpoint_has_its_shape() {
        let output = r#"{"success":true,"taskId":"t","data":{"status":"review","changed":true}}"#;
        let rows = [
            (
                ToolName::TaskStatus,
                r#"{"success":true,"taskId":"t","status":"review","changed":true,"durationMs":7}"#,
            ),
            (ToolName::ResponseRequest, r#"{"success":true,"taskId":"t","status":"review","changed":true}"#),
            (ToolName::TaskLoad, output),
        ];
        for (tool, expected) in rows {
            let reply = success(tool, output, Duration::from_millis(7));
            let body: Value = serde_json::from_slice(reply.body().unwrap()).unwrap();
            assert_eq!(body, serde_json::from_str::<Value>(expected).unwrap(), "{tool}");
        }
    }
}
