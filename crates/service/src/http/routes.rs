//! The routing of requests to endpoints (http-and-tools §2.5).

use super::agent_api::BRIDGE_CALL;
use super::operator::{self, Wanted};
use mcr_core::heartbeat::wake::WakeKind;
use mcr_core::tools::table::{self, CallSpec, ToolSpec};
use mcr_http::message::{Method, Reply, Request};

/// The endpoint of a request.
pub enum Route {
    /// The page for people; it reads its data with the operator token.
    Page,
    /// The state of the service.
    Health,
    /// The version.
    Version,
    /// The metrics.
    Metrics {
        /// Whether the client asks for JSON instead of Prometheus' text.
        as_data: bool,
    },
    /// Whether the process answers.
    Live,
    /// Whether the service can deliver.
    Ready,
    /// A request of an operator; its access is not checked yet.
    Operator(Wanted),
    /// A local process reports new notifications.
    Nudge,
    /// A call of an agent.
    Agent(AgentEndpoint),
    /// No endpoint; the reply says why.
    Refused(Reply),
}

/// An endpoint of the agents' API.
#[derive(Clone, Copy)]
pub enum AgentEndpoint {
    /// The tool of this row.
    Tool(&'static ToolSpec),
    /// An event or a wake for an agent.
    Tell(WakeKind),
    /// A function of the consumer's application.
    Bridge,
}

impl AgentEndpoint {
    /// The endpoint of this name below `/agent/`.
    pub fn named(name: &str) -> Option<Self> {
        let bridge = (name == BRIDGE_CALL.name).then_some(Self::Bridge);
        let tool = table::endpoint(name).map(Self::Tool);
        tool.or_else(|| WakeKind::named(name).map(Self::Tell)).or(bridge)
    }

    /// The specification of its body.
    pub fn call(self) -> CallSpec {
        match self {
            Self::Tool(row) => row.call(),
            Self::Tell(kind) => kind.call(),
            Self::Bridge => BRIDGE_CALL,
        }
    }
}

/// Finds the endpoint of a request.
pub fn route(request: &Request) -> Route {
    let path = request.path();
    let (found, allowed) = match path.as_ref() {
        "/" => (Route::Page, "GET, HEAD"),
        "/health" => (Route::Health, "GET, HEAD"),
        "/version" => (Route::Version, "GET, HEAD"),
        "/metrics" => (Route::Metrics { as_data: wants_json(request) }, "GET, HEAD"),
        "/livez" => (Route::Live, "GET, HEAD"),
        "/readyz" => (Route::Ready, "GET, HEAD"),
        "/nudge" => (Route::Nudge, "POST"),
        other => match other.strip_prefix("/agent/").and_then(AgentEndpoint::named) {
            Some(door) => (Route::Agent(door), "POST"),
            None if let Some((wanted, allowed)) = operator::find(other) => (Route::Operator(wanted), allowed),
            None => return Route::Refused(Reply::error(404, "Not Found").no_store()),
        },
    };
    let fits = match request.method() {
        Method::Get | Method::Head => allowed != "POST",
        Method::Post => allowed == "POST",
        _ => false,
    };
    if !fits {
        return refused(Reply::error(405, "Method Not Allowed").with_header("Allow", allowed));
    }
    // A nudge costs a call of the backend, so only this machine may send one.
    if matches!(found, Route::Nudge) && !request.peer().ip().is_loopback() {
        return refused(Reply::error(403, "Forbidden: this endpoint takes requests from this machine only"));
    }
    if matches!(found, Route::Nudge) && request.header("Origin").is_some() {
        return refused(Reply::error(
            403,
            "Forbidden: a web page may not call this endpoint. Call it from a program",
        ));
    }
    if !matches!(found, Route::Agent(_) | Route::Operator(_)) && announces_body(request) {
        return refused(Reply::error(
            400,
            "Requests to this path must have no body. Send the request without one",
        ));
    }
    found
}

/// Whether the head announces a body. A body that does not belong to the endpoint is not read.
fn announces_body(request: &Request) -> bool {
    request.header("Transfer-Encoding").is_some()
        || request.header("Content-Length").is_some_and(|length| length.bytes().any(|digit| digit != b'0'))
}

/// Decided as the old runtime does: by a part of the `Accept` header (http-and-tools §3.3).
fn wants_json(request: &Request) -> bool {
    request.header("Accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("application/json"))
}

fn refused(reply: Reply) -> Route {
    Route::Refused(reply.no_store())
}
