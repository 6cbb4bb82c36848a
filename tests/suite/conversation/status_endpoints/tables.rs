//! The tables of http-and-tools §3.1–§3.3 and §2.5, row by row.

use std::collections::BTreeSet;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::metrics::OPERATIONS;
use serde_json::{Value, json};

use super::super::processes::Stack;
use super::{ask, figures, figures_once};

/// An agent that makes one valid and one invalid call; then it answers.
pub(super) fn busy(prompt: &Prompt) -> Thought {
    if prompt.outputs().next().is_some() {
        return Thought::say("Done.");
    }
    Thought::calls([("get_agent_skills", json!({})), ("task_load", json!({"taskId": 5}))])
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

const DROPLET: [(&str, &str); 4] = [
    ("DROPLET_ID", "445566778"),
    ("DROPLET_IP", "203.0.113.24"),
    ("DROPLET_REGION", "fra1"),
    ("RUNTIME_VERSION", "1.2.1"),
];

/// §3.1.
#[test]
fn version_has_its_four_fields() {
    let more = [DROPLET.as_slice(), &[("OPENCLAW_VERSION", "2026.2.19")]].concat();
    let stack = Stack::set(&["ben"], busy, &more);
    let answer = ask(stack.address(), "GET", "/version", "*/*");
    assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"));
    let expected = "{\"runtimeServiceVersion\":\"1.2.1\",\"openclawVersion\":\"2026.2.19\",\"dropletId\":\"445566778\",\"region\":\"fra1\"}";
    assert_eq!(answer.body, expected, "compact, as the example");
}

/// §3.2: each field, and its value before and after a delivery; `?` may be null.
#[test]
fn health_has_every_field_of_the_table() {
    let stack = Stack::set(&["ben"], busy, &DROPLET);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    let rows = [
        ("/status", "text"),
        ("/reasons", "list"),
        ("/uptime", "number"),
        ("/versions/runtimeService", "text"),
        ("/versions/openclaw", "text"),
        ("/infrastructure/dropletId", "text"),
        ("/infrastructure/ipAddress", "text"),
        ("/infrastructure/region", "text"),
        ("/gateway/running", "bool"),
        ("/gateway/sessions", "number"),
        ("/gateway/lastSendAt", "number"),
        ("/gateway/lastSendError", "null"),
        ("/gateway/version", "text"),
        ("/gateway/dialect", "text"),
        ("/gateway/tooOld", "bool"),
        ("/gateway/listsAgents", "bool"),
        ("/gateway/missingAgents/count", "number"),
        ("/gateway/missingAgents/agents", "list"),
        ("/gateway/missingAgents/advice", "null"),
        ("/gateway/breakerOpen", "bool"),
        ("/delivery/running", "bool"),
        ("/delivery/lastDelivery", "number"),
        ("/delivery/delivered", "number"),
        ("/delivery/failed", "number"),
        ("/delivery/consecutiveFailures", "number"),
        ("/delivery/lastErrorAt", "null"),
        ("/delivery/lastErrorMessage", "null"),
        ("/delivery/noResponseTerminalSkipCount", "number"),
        ("/delivery/requiredNotificationRetryExhaustedCount", "number"),
        ("/delivery/config/maxConcurrentSessions", "number"),
        ("/delivery/config/streamTimeoutMs", "number"),
        ("/delivery/config/contextFetchBatchSize", "number"),
        ("/delivery/config/listLimit", "number"),
        ("/delivery/config/intervalMs", "number"),
        ("/delivery/config/backoffBaseMs", "number"),
        ("/delivery/config/backoffMaxMs", "number"),
        ("/delivery/oldestUnsettledSeconds", "null"),
        ("/delivery/dead", "number"),
        ("/delivery/turns", "list"),
        ("/heartbeat/running", "bool"),
        ("/heartbeat/scheduledAgents", "number"),
        ("/heartbeat/eventsWaiting", "number"),
        ("/heartbeat/eventsTaken", "number"),
        ("/heartbeat/eventsDropped", "number"),
        ("/heartbeat/wakesAsked", "number"),
        ("/heartbeat/wakesDue", "number"),
        ("/heartbeat/eventsOff", "null"),
        ("/agentSync/running", "bool"),
        ("/agentSync/lastSyncAt", "number"),
        ("/agentSync/lastError", "null"),
        ("/agentSync/addedCount", "number"),
        ("/agentSync/removedCount", "number"),
        ("/workspaces/enabled", "bool"),
        ("/workspaces/lastSyncAt", "null"),
        ("/workspaces/agents", "list"),
        ("/backend/reachable", "bool"),
        ("/backend/accepted", "bool"),
        ("/backend/lastReportAt", "number"),
        ("/backend/lastReportError", "null"),
        ("/backend/clockAheadMs", "number"),
        ("/ledger/open", "number"),
        ("/ledger/commits", "number"),
        ("/ledger/off", "null"),
        ("/disk/freeBytes", "number"),
        ("/memory/rss", "number"),
        ("/timestamp", "number"),
    ];
    let answer = ask(stack.address(), "GET", "/health", "*/*");
    assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"));
    assert!(answer.headers.contains("no-store"), "{}", answer.headers);
    assert!(answer.body.starts_with("{\n  \"status\": \"healthy\",\n"), "two spaces: {}", answer.body);
    let health: Value = serde_json::from_str(&answer.body).unwrap();
    for (path, kind) in rows {
        let value = health.pointer(path).unwrap_or_else(|| panic!("{path} is not in {health}"));
        assert_eq!(kind_of(value), kind, "{path}: {value}");
    }
    let values = [
        ("/infrastructure/dropletId", json!("445566778")),
        ("/infrastructure/ipAddress", json!("203.0.113.24")),
        ("/versions/runtimeService", json!("1.2.1")),
        ("/versions/openclaw", json!("2026.9.6")),
        ("/gateway/dialect", json!("flat")),
        ("/gateway/sessions", json!(1)),
        ("/delivery/delivered", json!(1)),
        ("/delivery/ended", json!({"answered": 1})),
        ("/delivery/config/maxConcurrentSessions", json!(20)),
        ("/reasons", json!([])),
    ];
    for (path, value) in values {
        assert_eq!(health.pointer(path), Some(&value), "{path}");
    }
    assert!(health["backend"]["clockAheadMs"].as_i64().unwrap().abs() < 30_000, "{health}");
}

/// §2.5, §3: method, path, status, content type.
#[test]
fn each_path_has_its_methods_and_its_kind() {
    let stack = Stack::new(&["ben"], busy);
    stack.until("a judgement", |health| health["status"] == "healthy");
    let text = "text/plain; version=0.0.4";
    let json = "application/json";
    let rows = [
        ("GET", "/health", "*/*", 200, json),
        ("GET", "/health?verbose=1", "*/*", 200, json),
        ("HEAD", "/health", "*/*", 200, json),
        ("POST", "/health", "*/*", 405, json),
        ("GET", "/version", "*/*", 200, json),
        ("POST", "/version", "*/*", 405, json),
        ("GET", "/metrics", "*/*", 200, text),
        ("GET", "/metrics", "text/plain", 200, text),
        ("HEAD", "/metrics", "*/*", 200, text),
        ("GET", "/metrics", "application/json", 200, json),
        ("GET", "/metrics", "text/html, application/json;q=0.1", 200, json),
        ("GET", "/metrics?format=json", "*/*", 200, text),
        ("GET", "/metrics?format=json", "application/json", 200, json),
        ("POST", "/metrics", "*/*", 405, json),
        ("DELETE", "/metrics", "*/*", 405, json),
        ("GET", "/livez", "*/*", 200, json),
        ("HEAD", "/livez", "*/*", 200, json),
        ("POST", "/livez", "*/*", 405, json),
        ("GET", "/readyz", "*/*", 200, json),
        ("POST", "/readyz", "*/*", 405, json),
        ("GET", "/metrics/", "*/*", 404, json),
        ("GET", "/Metrics", "*/*", 404, json),
    ];
    for (method, path, accept, status, kind) in rows {
        let answer = ask(stack.address(), method, path, accept);
        assert_eq!((answer.status, answer.kind.as_str()), (status, kind), "{method} {path} {accept}");
        assert!(answer.headers.contains("no-store"), "{method} {path}: {}", answer.headers);
        if status == 405 {
            assert!(answer.headers.contains("GET, HEAD"), "{method} {path}: {}", answer.headers);
        }
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
    }
    assert_eq!(ask(stack.address(), "GET", "/livez", "*/*").body, "{\"live\":true}");
    assert_eq!(ask(stack.address(), "GET", "/readyz", "*/*").body, "{\"ready\":true,\"missing\":[]}");
    // Unknown paths are counted together.
    figures_once(&stack, |page| {
        let count = |endpoint, status| {
            page.value("http_requests_total", &[("endpoint", endpoint), ("status", status)])
        };
        (count("other", "404"), count("metrics", "405")) == (Some(2.0), Some(2.0))
    });
}

/// A family, labels, and the figure.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// §3.3: the names of the TypeScript runtime, and additional ones, after one delivery with two tool calls.
#[test]
fn metrics_have_the_names_of_the_table_and_count_events() {
    let stack = Stack::new(&["ben"], busy);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    let page = figures(&stack);
    let kinds = [
        ("runtime_operation_total", "counter"),
        ("runtime_operation_success", "counter"),
        ("runtime_operation_failure", "counter"),
        ("runtime_operation_success_rate", "gauge"),
        ("runtime_operation_duration_avg", "gauge"),
        ("runtime_operation_duration_min", "gauge"),
        ("runtime_operation_duration_max", "gauge"),
        ("delivery_no_response_terminal_skip_total", "counter"),
        ("delivery_required_retry_exhausted_total", "counter"),
    ];
    for (name, kind) in kinds {
        assert_eq!(page.families[name].kind, kind, "{name}");
        if name.starts_with("runtime_operation") {
            let labels = page.families[name].samples.iter().map(|sample| sample.labels["operation"].as_str());
            assert_eq!(labels.collect::<Vec<_>>(), OPERATIONS, "{name}");
        }
    }
    let figure = |name: &str, labels: &[(&str, &str)]| {
        page.value(name, labels).unwrap_or_else(|| panic!("{name} {labels:?}"))
    };
    let at_least_one = [
        ("runtime_operation_success", ("operation", "delivery.poll")),
        ("runtime_operation_success", ("operation", "agent_sync.run")),
        ("http_requests_total", ("endpoint", "nudge")),
    ];
    for (name, label) in at_least_one {
        assert!(figure(name, &[label]) >= 1.0, "{name} {label:?}");
    }
    let tool =
        |name, result| figure("tool_calls_total", &[("tool", name), ("via", "turn"), ("result", result)]);
    assert!(tool("get_agent_skills", "ok") > 0.0 && tool("task_load", "malformed") > 0.0);
    let rows: [Row<'_>; 14] = [
        ("delivery_ended_total", &[("outcome", "answered")], 1.0),
        ("delivery_ended_total", &[("outcome", "dead")], 0.0),
        ("delivery_waiting", &[], 0.0),
        ("delivery_oldest_unsettled_seconds", &[], 0.0),
        ("delivery_workers", &[], 20.0),
        ("gateway_calls_total", &[("call", "turn"), ("result", "ok")], 2.0),
        ("gateway_up", &[], 1.0),
        ("backend_up", &[], 1.0),
        ("backend_calls_total", &[("function", "createMessageFromAgent"), ("result", "ok")], 1.0),
        ("ledger_up", &[], 1.0),
        ("roster_agents", &[], 1.0),
        ("runtime_status", &[("status", "healthy")], 1.0),
        ("runtime_status", &[("status", "degraded")], 0.0),
        ("runtime_reason", &[("reason", "ledger_off")], 0.0),
    ];
    for (name, labels, value) in rows {
        assert_eq!(page.value(name, labels), Some(value), "{name} {labels:?}");
    }
    let info = &page.families["runtime_info"].samples[0];
    assert_eq!((info.value, info.labels["openclaw_version"].as_str()), (1.0, "2026.9.6"));
    assert!(figure("gateway_tokens_total", &[("direction", "input")]) > 0.0, "the scripted gateway tells");
    assert_eq!(page.value("gateway_turns_with_usage_total", &[]), Some(2.0));
    let attempts: BTreeSet<&str> = page.families["delivery_attempt_duration_seconds"]
        .samples
        .iter()
        .map(|sample| sample.labels["outcome"].as_str())
        .collect();
    assert_eq!(attempts, BTreeSet::from(["answered"]));

    let data = ask(stack.address(), "GET", "/metrics", "application/json");
    let data: Value = serde_json::from_str(&data.body).unwrap();
    let poll = &data["operations"]["delivery.poll"];
    for field in
        ["count", "successCount", "failureCount", "totalDurationMs", "minDurationMs", "maxDurationMs"]
    {
        assert!(poll[field].is_number(), "{field}: {poll}");
    }
    assert!(poll["lastError"].is_null() && poll["lastErrorAt"].is_null(), "{poll}");
    let rows = [
        ("/components/delivery/running", json!(true)),
        ("/components/delivery/delivered", json!(1)),
        ("/components/delivery/failed", json!(0)),
        ("/components/delivery/noResponseTerminalSkipCount", json!(0)),
        ("/components/delivery/requiredNotificationRetryExhaustedCount", json!(0)),
        ("/components/gateway", json!({"running": true, "sessions": 1})),
        ("/components/heartbeat", json!({"running": false, "scheduled": 0})),
    ];
    for (path, value) in rows {
        assert_eq!(data.pointer(path), Some(&value), "{path}: {data}");
    }
    for path in ["/runtime/uptime", "/runtime/memory/rss", "/timestamp"] {
        assert!(data.pointer(path).is_some_and(Value::is_number), "{path}: {data}");
    }
}
