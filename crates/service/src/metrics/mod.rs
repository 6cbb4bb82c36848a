//! The counters and durations behind `/metrics`.
//!
//! Each kind of operation has one place in the code that all its calls pass: calls of the backend and of the gateway,
//! tools, requests of our own server, attempts at deliveries. That place records name, result and duration, which
//! costs a few atomic additions. The names are fixed at the start of the process, so input from outside never adds a
//! line ([`OTHER`]). The current *state* (waiting notifications, the age of the oldest) is not counted here: `/health`
//! has it, and [`crate::http::metrics`] renders both.

mod family;
pub mod hour;
mod operation;
mod wake_query_runs;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use family::{Durations, Family, OTHER};
pub use operation::{OPERATIONS, Operation};
pub use wake_query_runs::WakeQueryRuns;

use mcr_core::delivery::End;
use mcr_core::gateway::Usage;
use mcr_core::tools::table::ROWS;
use mcr_core::tools::{ToolErrorKind, ToolName};
use mcr_model::clock::Millis;
use operation::Operations;

/// Buckets for calls of the backend and requests to our server: from a millisecond to the longest deadline.
const SHORT: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Buckets for turns and for operations that wait for turns: up to some hours.
const LONG: &[f64] =
    &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0];

/// The results of a call of the backend.
const BACKEND_RESULTS: [&str; 5] = ["ok", "transient", "refused", "gone", "ambiguous"];

/// The calls of the gateway.
const GATEWAY_CALLS: [&str; 5] = ["turn", "recover", "abort", "probe", "look"];
const GATEWAY_RESULTS: [&str; 5] = ["ok", "closed", "transient", "refused", "lost"];

/// The outcome of an attempt after which the delivery is tried again.
const AGAIN: &str = "again";

/// The last segments of our server's paths; those of tools come from the tool table.
const PATHS: [&str; 16] = [
    "page",
    "health",
    "version",
    "metrics",
    "livez",
    "readyz",
    "nudge",
    "why",
    "deliveries",
    "overview",
    "dead",
    "turns",
    "pause",
    "resume",
    "wake",
    "event",
];

/// The statuses of our server's responses.
const STATUSES: [(u16, &str); 20] = [
    (200, "200"),
    (202, "202"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (421, "421"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

/// How a tool was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In the reply of a turn.
    Turn,
    /// Through the agents' HTTP API.
    Http,
}

/// All counters of the process.
#[derive(Debug)]
pub struct Metrics {
    /// By function (without `service/actions:`) and class.
    pub backend: Family,
    /// The runs of the wake query.
    pub wake_query: WakeQueryRuns,
    /// By call and class.
    pub gateway: Family,
    /// By tool and kind of failure, for calls in turns.
    pub turn_tools: Family,
    /// By tool and kind of failure, for calls over HTTP.
    pub http_tools: Family,
    /// By endpoint and status.
    pub http: Family,
    /// By outcome.
    pub attempts: Family,
    operations: Operations,
    usage: Tokens,
}

/// Tokens and costs that the gateway reported.
#[derive(Debug, Default)]
struct Tokens {
    turns: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    nano_dollars: AtomicU64,
}

impl Metrics {
    /// Counters at zero. `functions` are the functions of the backend.
    pub fn new(functions: impl IntoIterator<Item = &'static str>) -> Self {
        let tools = || Family::new(ToolName::ALL.iter().map(|tool| tool.as_str()), TOOL_RESULTS, LONG);
        let endpoints = ROWS.iter().map(|row| row.endpoint);
        Self {
            backend: Family::new(functions.into_iter().map(short), BACKEND_RESULTS, SHORT),
            wake_query: WakeQueryRuns::default(),
            gateway: Family::new(GATEWAY_CALLS, GATEWAY_RESULTS, LONG),
            turn_tools: tools(),
            http_tools: tools(),
            http: Family::new(PATHS.into_iter().chain(endpoints), STATUSES.map(|(_, text)| text), SHORT),
            attempts: Family::new(End::NAMES.into_iter().chain([AGAIN]), ["done"], LONG),
            operations: Operations::default(),
            usage: Tokens::default(),
        }
    }

    /// The calls that the platform counts.
    pub fn backend_calls(&self) -> u64 {
        self.backend.total() + self.wake_query.total()
    }

    /// Counts a call of a tool.
    pub fn tool(&self, via: Via, name: &str, failed: Option<ToolErrorKind>, took: Duration) {
        let family = match via {
            Via::Turn => &self.turn_tools,
            Via::Http => &self.http_tools,
        };
        family.record(name, failed.map_or("ok", kind), took);
    }

    /// Counts a request to this path of our server.
    pub fn request(&self, path: &str, status: u16, took: Duration) {
        let status = STATUSES.iter().find(|(known, _)| *known == status).map_or(OTHER, |(_, text)| text);
        self.http.record(endpoint_of(path), status, took);
    }

    /// Adds the usage of one turn.
    pub fn spent(&self, usage: Usage) {
        self.usage.turns.fetch_add(1, Ordering::Relaxed);
        self.usage.input.fetch_add(usage.input_tokens, Ordering::Relaxed);
        self.usage.output.fetch_add(usage.output_tokens, Ordering::Relaxed);
        self.usage.nano_dollars.fetch_add(usage.nano_dollars, Ordering::Relaxed);
    }

    /// How many turns reported their usage, and the sum.
    pub fn usage(&self) -> (u64, Usage) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (input_tokens, output_tokens) = (read(&self.usage.input), read(&self.usage.output));
        let nano_dollars = read(&self.usage.nano_dollars);
        (read(&self.usage.turns), Usage { input_tokens, output_tokens, nano_dollars })
    }

    /// Counts one of the old runtime's operations ([`OPERATIONS`]). `failed` is the redacted error and its time.
    pub fn operation(&self, name: &str, took: Duration, failed: Option<(String, Millis)>) {
        self.operations.record(name, took, failed);
    }

    /// All operations of the old runtime with their counts.
    pub fn operations(&self) -> Vec<(&'static str, Operation)> {
        self.operations.read()
    }
}

/// The results of a call of a tool.
const TOOL_RESULTS: [&str; 11] = [
    "ok",
    "unknown_tool",
    "malformed",
    "invalid",
    "forbidden",
    "not_found",
    "conflict",
    "throttled",
    "unavailable",
    "unsettled",
    "refused",
];

fn kind(kind: ToolErrorKind) -> &'static str {
    match kind {
        ToolErrorKind::UnknownTool => "unknown_tool",
        ToolErrorKind::Malformed => "malformed",
        ToolErrorKind::Invalid => "invalid",
        ToolErrorKind::Forbidden => "forbidden",
        ToolErrorKind::NotFound => "not_found",
        ToolErrorKind::Conflict => "conflict",
        ToolErrorKind::Throttled => "throttled",
        ToolErrorKind::Unavailable => "unavailable",
        ToolErrorKind::Unsettled => "unsettled",
        ToolErrorKind::Refused => "refused",
    }
}

/// `service/actions:listAgents` → `listAgents`.
pub fn short(path: &str) -> &str {
    path.rsplit_once(':').map_or(path, |(_, name)| name)
}

/// The name under which a path of our server is counted; an unknown path is [`OTHER`].
fn endpoint_of(path: &str) -> &'static str {
    let of = |name: &str| PATHS.into_iter().find(|known| *known == name).unwrap_or(OTHER);
    match path.strip_prefix("/agent/") {
        Some(name @ ("wake" | "event")) => of(name),
        Some(name) => ROWS.iter().find(|row| row.endpoint == name).map_or(OTHER, |row| row.endpoint),
        None if path == "/" => "page",
        None => match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
            // These paths contain an id.
            Some((name @ ("why" | "dead" | "turns"), _)) => of(name),
            Some(_) => OTHER,
            None => match path.strip_prefix('/') {
                Some("page" | "why" | "dead" | "turns" | "wake" | "event") | None => OTHER,
                Some(name) => of(name),
            },
        },
    }
}

/// The old runtime's operation for a path of our server, if any: `/agent/task-status` → `agent.task_status`.
pub fn operation_of(path: &str) -> Option<&'static str> {
    match path {
        "/agent/task-status" => Some("agent.task_status"),
        "/agent/task-update" => Some("agent.task_update"),
        "/agent/task-create" => Some("agent.task_create"),
        "/agent/document" => Some("agent.document"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_paths_add_no_name() {
        let rows = [
            ("/", "page"),
            ("/health", "health"),
            ("/metrics", "metrics"),
            ("/why/k17abc", "why"),
            ("/why", OTHER),
            ("/dead/k17abc/retry", "dead"),
            ("/turns/k17abc/give-up", "turns"),
            ("/health/k17abc", OTHER),
            ("/pause", "pause"),
            ("/deliveries", "deliveries"),
            ("/overview", "overview"),
            ("/agent/task-status", "task-status"),
            ("/agent/task-history", "task-history"),
            ("/agent/wake", "wake"),
            ("/agent/health", OTHER),
            ("/agent/", OTHER),
            ("/wake", OTHER),
            ("/page", OTHER),
            ("/task-status", OTHER),
            ("//", OTHER),
            ("*", OTHER),
            ("", OTHER),
        ];
        for (path, expected) in rows {
            assert_eq!(endpoint_of(path), expected, "{path}");
        }
        let metrics = Metrics::new(["service/actions:listAgents"]);
        metrics.request("/health", 200, Duration::ZERO);
        metrics.request("/health", 299, Duration::ZERO);
        let counts: Vec<_> = metrics.http.counts().collect();
        assert_eq!(counts, [("health", "200", 1), ("health", OTHER, 1)]);
    }

    #[test]
    fn each_endpoint_operation_of_the_old_runtime_has_a_path() {
        for row in &ROWS {
            let name = operation_of(&format!("/agent/{}", row.endpoint));
            let expected = format!("agent.{}", row.endpoint.replace('-', "_"));
            assert_eq!(name.is_some(), OPERATIONS.contains(&expected.as_str()), "{}", row.endpoint);
            assert!(name.is_none_or(|name| name == expected));
        }
    }
}
